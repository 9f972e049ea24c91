"""How the suite asks for keys, and what it looks for in every refusal."""

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable

import pytest

from gateway.errors import KeyUnavailable, as_s3_error
from tests.keys.conformance.customer.secret_subject import SecretSubject

#: No refusal is longer: what a service says is not passed on.
_MAX_MESSAGE = 400


async def refusal(service: SecretSubject, action: Awaitable[object]) -> KeyUnavailable:
    """What an action is refused with; neither the refusal nor what led to it names a secret."""
    with pytest.raises(KeyUnavailable) as refused:
        await action
    error = refused.value
    shows_nothing(service, _texts(error))
    assert len(str(error)) <= _MAX_MESSAGE
    answer = as_s3_error(error)
    assert answer.code == error.code
    assert (("Retry-After", "1") in answer.headers) is not error.permanent
    return error


def shows_nothing(service: SecretSubject, texts: Iterable[str]) -> None:
    """None of the texts contains anything secret."""
    for text in texts:
        assert not [secret for secret in service.secrets if secret in text]


async def until(condition: Callable[[], Awaitable[bool]], *, seconds: float) -> None:
    """Wait for it; refusals count as no."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if await condition():
                return
        except KeyUnavailable:
            if time.monotonic() > deadline:
                raise
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def _texts(error: BaseException) -> Iterable[str]:
    """What logs would show: the message, the representation, and the traceback with everything that led to it."""
    yield "".join(traceback.format_exception(error))
    seen: BaseException | None = error
    while seen is not None:
        yield str(seen)
        yield repr(seen)
        yield repr(seen.args)
        yield repr(vars(seen))
        seen = seen.__cause__ or seen.__context__
