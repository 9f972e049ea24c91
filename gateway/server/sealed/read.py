"""Which reads are about sealed objects.

Objects under a ``cse`` rule are read as sealed ones from the start. Elsewhere a read begins as any other, and is taken
over when the answer carries the marker of a sealed object: what an object is, the object says.
"""

from aiohttp import web

from gateway.crypto.sealed.marker import MARKER
from gateway.policy.rules import Existing, ModeName
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.server.handlers.call import Call, is_success
from gateway.server.handlers.refusal import Refusal
from gateway.server.sealed.reading import SealedRead
from gateway.upstream.response import UpstreamResponse


def expects_sealed(call: Call) -> bool:
    """Whether an object is read as a sealed one from the start: a rule says so, or it was one when it was last read.

    The answer to GetObjectAttributes carries no marker, so there the question is asked whenever there may be a sealed
    object at all.
    """
    if _everything_is_sealed(call):
        return True
    sealed = call.services.sealed
    if call.request.operation is Operation.GET_OBJECT_ATTRIBUTES:
        return bool(sealed.data_keys.names)
    return sealed.layouts.expects_sealed(call.bucket, call.object_key, call.request.query.get("versionId"))


async def read_sealed(call: Call, encryption: Headers) -> web.StreamResponse | Refusal:
    """Answer a read of an object that is expected to be sealed.

    Args:
        call: the request.
        encryption: the encryption header fields to send.

    Returns:
        The answer given to the client, or a refusal of the upstream that nothing was done about yet.

    Raises:
        GatewayError: it is not what a sealed object consists of, a key is missing, or the upstream failed.
    """
    return await SealedRead(call, encryption, must_be_sealed=_everything_is_sealed(call)).serve()


async def read_met(call: Call, encryption: Headers, answer: UpstreamResponse) -> web.StreamResponse | Refusal | None:
    """Take over a read that began as any other, if its object is sealed.

    Args:
        call: the request.
        encryption: the encryption header fields that were sent.
        answer: the upstream's answer, of which nothing was read.

    Returns:
        None when the answer is the client's as it is; otherwise as :func:`read_sealed`.

    Raises:
        GatewayError: as :func:`read_sealed`.
    """
    if MARKER in answer.headers and is_success(answer.status):
        return await SealedRead(call, encryption, must_be_sealed=True).take_over(answer)
    if not is_success(answer.status):
        read = SealedRead(call, encryption, must_be_sealed=False)
        return await read.serve() if await read.was_misjudged(answer) else None
    rule = call.authorized.rule
    if rule is not None and rule.mode is ModeName.CSE:
        await SealedRead(call, encryption, must_be_sealed=False).check_plain(answer)
    return None


def _everything_is_sealed(call: Call) -> bool:
    rule = call.authorized.rule
    return rule is not None and rule.mode is ModeName.CSE and rule.existing is Existing.NONE
