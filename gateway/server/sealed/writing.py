"""PutObject and POST forms under a ``cse`` rule: one object, sealed on its way, there only when all of it was right."""

from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from gateway.crypto.sealed.marker import Marker
from gateway.modes.plan import plan
from gateway.policy.rules import ModeName
from gateway.s3.operation import Operation
from gateway.server.client_body import ClientBody, ReceivedBody
from gateway.server.handlers.call import Call, is_success
from gateway.server.handlers.encryption import new_object_encryption
from gateway.server.handlers.refusal import pass_refusal
from gateway.server.sealed.sealing import SealingTarget, require_sealable, sealed_body
from gateway.server.sealed.write_headers import (
    about_sealed_bytes,
    marked,
    refuse_append,
    stored_write_conditions,
    written_headers,
)
from gateway.upstream.request import UpstreamRequest
from gateway.upstream.response import UpstreamResponse

Reply = Callable[[UpstreamResponse], Awaitable[web.StreamResponse]]


async def put_sealed(call: Call, reply: Reply, source: AsyncIterator[bytes] | None = None) -> web.StreamResponse:
    """Write one sealed object.

    Args:
        call: the request.
        reply: gives the client its answer to a success; the answer's header fields are the client's by then.
        source: where the plaintext comes from, when that is not the request's body.

    Raises:
        GatewayError: the body, the key provider or the upstream failed; no object was written.
    """
    refuse_append(call.request.raw.headers)
    client = ClientBody(call.authorized.verified, source or ReceivedBody(call.http, call.exchange))
    size = client.claims.payload_size
    require_sealable(size)
    encryption, _ = await new_object_encryption(call)
    planned = plan(call.authorized, encryption)
    headers = await stored_write_conditions(call, about_sealed_bytes(planned.headers), encryption)
    target = SealingTarget.whole(wrapping_key_of(call), call.bucket, call.object_key)
    request = UpstreamRequest(
        operation=Operation.PUT_OBJECT,
        method="PUT",
        bucket=call.request.bucket,
        raw_object_key=call.request.raw_object_key,
        query=planned.query,
        headers=marked(headers, Marker(size)),
        body=await sealed_body(call.services.sealed.data_keys, target, size, client.pieces()),
    )
    async with call.send_request(request) as answer:
        call.note_answer(answer)
        if not is_success(answer.status):
            return await pass_refusal(call, answer)
        note_sealed_object(call, size)
        checksums = {} if client.payload is None else client.payload.checksums
        answer.headers = written_headers(answer.headers, checksums, whole_object=True)
        return await reply(answer)


def wrapping_key_of(call: Call) -> str:
    """The configured name of the wrapping key of the request's rule."""
    rule = call.authorized.rule
    if rule is None or rule.wrapping_key is None:
        raise AssertionError("internal error: nothing says which wrapping key seals this object")
    return rule.wrapping_key


def note_sealed_object(call: Call, plaintext_bytes: int | None) -> None:
    """Count a new object, and forget what was known of the one before.

    Args:
        call: the request that wrote it.
        plaintext_bytes: of its one message; None when its messages were counted as parts.
    """
    services = call.services
    call.exchange.mode = ModeName.CSE
    services.metrics.object_written(ModeName.CSE)
    if plaintext_bytes is not None:
        services.metrics.sealed(plaintext_bytes)
    services.sealed.layouts.forget(call.bucket, call.object_key)
