"""How the suite asks, and what it looks for in every refusal."""

import base64
import traceback
from collections.abc import Awaitable, Callable, Iterable

import pytest

from gateway.errors import KeyUnavailable, as_s3_error
from gateway.keys.provider import DataKey, KeyProvider
from tests.keys.conformance.subject import Subject

#: No refusal is longer: what a service says is not passed on.
_MAX_MESSAGE = 600

#: Everything that makes a request.
Ask = Callable[[KeyProvider, DataKey], Awaitable[object]]
ASKS: dict[str, Ask] = {
    "generate": lambda provider, data_key: provider.generate(),
    "unwrap": lambda provider, data_key: provider.unwrap(data_key.wrapping_key, data_key.wrapped),
    "rewrap": lambda provider, data_key: provider.rewrap(data_key.wrapping_key, data_key.wrapped),
}


async def refusal(subject: Subject, action: Awaitable[object], *secrets: bytes | memoryview) -> KeyUnavailable:
    """What an action is refused with. It names no secret: neither its own, nor the subject's."""
    with pytest.raises(KeyUnavailable) as refused:
        await action
    error = refused.value
    shows_nothing(subject, _texts(error), *secrets)
    assert len(str(error)) <= _MAX_MESSAGE
    answer = as_s3_error(error)
    assert answer.code == error.code
    assert (("Retry-After", "1") in answer.headers) is not error.permanent
    return error


def shows_nothing(subject: Subject, texts: Iterable[str], *secrets: bytes | memoryview) -> None:
    """None of the texts contains a secret in any of its usual spellings."""
    spellings = list(subject.secrets)
    for secret in map(bytes, secrets):
        spellings += [base64.b64encode(secret).decode(), secret.hex(), repr(secret)[2:-1]]
    for text in texts:
        assert not [found for found in spellings if found in text]


def same(one: DataKey, other: DataKey) -> bool:
    """Whether two data keys are the same key."""
    return one.key.matches(other.key)


def _texts(error: BaseException) -> Iterable[str]:
    """What logs would show: the message, the representation, and the traceback with everything that led to it."""
    yield str(error)
    yield repr(error)
    yield "".join(traceback.format_exception(error))
    seen: BaseException | None = error
    while seen is not None:
        yield repr(seen.args)
        yield repr(vars(seen))
        seen = seen.__cause__ or seen.__context__
