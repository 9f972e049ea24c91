"""PutObject: one object, encrypted as its rule says, visible upstream only when the client's claims were verified."""

from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from gateway.modes.plan import plan
from gateway.policy.rules import ModeName
from gateway.server.handlers.call import Call, is_success, require_proof
from gateway.server.handlers.encryption import new_object_encryption
from gateway.server.handlers.refusal import pass_refusal
from gateway.server.handlers.upload_body import object_data
from gateway.server.key_ring import ObjectKey
from gateway.server.respond import stream
from gateway.server.sealed.write_headers import refuse_marker
from gateway.server.sealed.writing import put_sealed
from gateway.upstream.response import UpstreamResponse

Reply = Callable[[UpstreamResponse], Awaitable[web.StreamResponse]]


async def put_object(call: Call) -> web.StreamResponse:
    """Answer PutObject.

    Raises:
        GatewayError: the body, the vault or the upstream failed; no object was written.
    """
    return await put_data(call, lambda answer: stream(call.http, call.exchange, answer))


async def put_data(call: Call, reply: Reply, source: AsyncIterator[bytes] | None = None) -> web.StreamResponse:
    """Write one object.

    Args:
        call: the request.
        reply: gives the client its answer to a success that was proven.
        source: where the object's data come from, when that is not the request's body.

    Raises:
        GatewayError: the body, the vault or the upstream failed; no object was written.
    """
    refuse_marker(call.request.raw.headers)
    if call.authorized.mode is ModeName.CSE:
        return await put_sealed(call, reply, source)
    body = await object_data(call, source)
    encryption, object_key = await new_object_encryption(call)
    planned = plan(call.authorized, encryption).adding(body.headers)
    async with call.send(planned, body.body, payload_sha256=body.payload_sha256) as answer:
        call.note_answer(answer)
        if not is_success(answer.status):
            return await pass_refusal(call, answer)
        require_proof(call, planned.mode, proven=planned.proven_by(answer.headers))
        note_written(call, planned.mode, object_key)
        return await reply(answer)


def note_written(call: Call, mode: ModeName, object_key: ObjectKey | None) -> None:
    """Count a new object, and remember the key that it was written with."""
    call.exchange.mode = mode
    call.services.metrics.object_written(mode)
    if object_key is not None:
        call.services.key_ring.remember(call.bucket, call.object_key, object_key)
