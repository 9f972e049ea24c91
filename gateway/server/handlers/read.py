"""GetObject, HeadObject and GetObjectAttributes: the stored object, with the customer key it needs if any."""

from aiohttp import web

from gateway.modes.plan import plan
from gateway.modes.registry import mode_shown_by
from gateway.s3.headers import Headers
from gateway.server.handlers.call import Call, is_success
from gateway.server.handlers.refusal import Refusal, may_want_another_key, read_refusal
from gateway.server.key_ring import KeyAttempt
from gateway.server.respond import stream
from gateway.server.sealed.read import expects_sealed, read_met, read_sealed

_NO_FIELDS = Headers()


async def read_object(call: Call) -> web.StreamResponse:
    """Answer a read of one object.

    The rules do not say how a stored object is encrypted; the upstream's answers do. Each attempt costs one small
    request and no body.

    Raises:
        GatewayError: the vault or the upstream failed, or a sealed object is not what it should be.
    """
    refusal: Refusal | None = None
    client = call.authorized.requested.customer
    ring = call.services.key_ring
    sealed = expects_sealed(call)
    attempts = ring.attempts(call.authorized.rule, call.bucket, call.object_key, client)
    try:
        async for attempt in attempts:
            call.exchange.key_attempts += 1
            encryption = _NO_FIELDS if attempt.customer is None else Headers(attempt.customer.render())
            answered = await (read_sealed(call, encryption) if sealed else _read(call, attempt, encryption))
            if isinstance(answered, web.StreamResponse):
                if is_success(answered.status):
                    _remember(call, attempt)
                return answered
            refusal = answered
            if not may_want_another_key(answered.status, keyed=attempt.customer is not None):
                break
    finally:
        await attempts.aclose()
    if refusal is None:
        raise AssertionError("internal error: an object was asked for in no way")
    return refusal.reply(call)


async def _read(call: Call, attempt: KeyAttempt, encryption: Headers) -> web.StreamResponse | Refusal:
    """Ask in one way; a refusal comes back when another key may help."""
    async with call.send(plan(call.authorized, encryption)) as answer:
        call.note_answer(answer)
        if may_want_another_key(answer.status, keyed=attempt.customer is not None):
            return await read_refusal(answer)
        taken_over = await read_met(call, encryption, answer)
        if taken_over is not None:
            return taken_over
        if is_success(answer.status):
            call.exchange.mode = mode_shown_by(answer.headers)
            call.services.metrics.object_read(call.exchange.mode)
            _remember(call, attempt)  # now: a long answer keeps nobody else from knowing
        return await stream(call.http, call.exchange, answer)


def _remember(call: Call, attempt: KeyAttempt) -> None:
    """Keep in mind which version of the vault's key fitted."""
    if attempt.object_key is not None:
        call.services.key_ring.remember(call.bucket, call.object_key, attempt.object_key)
