"""GetObject, HeadObject and GetObjectAttributes: the stored object, with the customer key it needs if any."""

from aiohttp import web

from gateway.modes.plan import plan
from gateway.modes.registry import mode_shown_by
from gateway.s3.headers import Headers
from gateway.server.handlers.call import Call, is_success
from gateway.server.handlers.refusal import Refusal, may_want_another_key, read_refusal
from gateway.server.key_ring import KeyAttempt
from gateway.server.respond import stream
from gateway.upstream.response import UpstreamResponse


async def read_object(call: Call) -> web.StreamResponse:
    """Answer a read of one object.

    The rules do not say how a stored object is encrypted; the upstream's answers do. Each attempt costs one small
    request and no body.

    Raises:
        GatewayError: the vault or the upstream failed.
    """
    refusal: Refusal | None = None
    client = call.authorized.requested.customer
    ring = call.services.key_ring
    async for attempt in ring.attempts(call.authorized.rule, call.bucket, call.object_key, client):
        call.exchange.key_attempts += 1
        encryption = Headers() if attempt.customer is None else Headers(attempt.customer.render())
        async with call.send(plan(call.authorized, encryption)) as answer:
            if not may_want_another_key(answer.status, keyed=attempt.customer is not None):
                _note_found(call, answer, attempt)
                return await stream(call.http, call.exchange, answer)
            call.note_answer(answer)
            refusal = await read_refusal(answer)
    if refusal is None:
        raise AssertionError("internal error: an object was asked for in no way")
    return refusal.reply(call)


def _note_found(call: Call, answer: UpstreamResponse, attempt: KeyAttempt) -> None:
    call.note_answer(answer)
    if not is_success(answer.status):
        return
    call.exchange.mode = mode_shown_by(answer.headers)
    call.services.metrics.object_read(call.exchange.mode)
    if attempt.object_key is not None:
        call.services.key_ring.remember(call.bucket, call.object_key, attempt.object_key)
