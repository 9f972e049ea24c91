"""Refusals of the upstream server: which one means "another key", and which one needs an explanation."""

from dataclasses import dataclass

from aiohttp import web

from gateway.errors import S3Error
from gateway.s3.headers import Headers
from gateway.s3.xml import parse_error
from gateway.server.handlers.call import MAX_ERROR_BYTES, Call
from gateway.server.respond import buffered
from gateway.upstream.response import UpstreamResponse

_BLOCKED = "blocked upload requests that specify Server Side Encryption with Customer provided keys"
_BLOCKED_ADVICE = (
    "This bucket blocks SSE-C, which S3 does by default for new buckets since April 2026, but the gateway's rule asks "
    "for it. Allow it with PutBucketEncryption: BlockedEncryptionTypes with EncryptionType NONE, together with the "
    "bucket's ApplyServerSideEncryptionByDefault. `sealgate doctor` checks every bucket for this."
)

_BAD_REQUEST = 400
_FORBIDDEN = 403
_NOT_IMPLEMENTED = 501


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error answer of the upstream, read whole so that its connection is free again."""

    status: int
    headers: Headers
    body: bytes

    def reply(self, call: Call) -> web.Response:
        """Give the answer to the client."""
        found = parse_error(self.body)
        call.exchange.error_code = None if found is None else found.code
        return buffered(call.http, call.exchange, self.status, self.headers, self.body)


async def read_refusal(answer: UpstreamResponse) -> Refusal:
    """Read an error answer."""
    return Refusal(answer.status, answer.headers, await answer.read(MAX_ERROR_BYTES))


def may_want_another_key(status: int, *, keyed: bool) -> bool:
    """Whether a refusal can mean that the customer key did not fit.

    S3 answers 403 to a wrong key and 400 to a missing one or to one that is not wanted; Ceph answers 400 to both.
    Neither says more to a HEAD request, whose answer has no body.

    Args:
        status: the HTTP status.
        keyed: whether a customer key was sent.
    """
    return status == _BAD_REQUEST or (keyed and status == _FORBIDDEN)


def cannot_copy(status: int) -> bool:
    """Whether a server says that it has no server-side copy for this; Ceph does for encrypted sources."""
    return status == _NOT_IMPLEMENTED


async def pass_refusal(call: Call, answer: UpstreamResponse) -> web.Response:
    """Give an error answer to the client, with advice where S3's own words are meant for somebody else.

    Raises:
        S3Error: the bucket blocks SSE-C.
    """
    refusal = await read_refusal(answer)
    found = parse_error(refusal.body)
    if refusal.status == _FORBIDDEN and found is not None and _BLOCKED in found.message:
        call.services.metrics.sse_c_blocked()
        raise S3Error("AccessDenied", f"{found.message} {_BLOCKED_ADVICE}")
    return refusal.reply(call)
