"""Wrapped data keys and URIs come from the storage: whatever they are, nothing opens and nothing breaks."""

import asyncio
import secrets
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.keys.provider import DataKey, KeyProvider
from tests.keys.conformance.checks import refusal
from tests.keys.conformance.conftest import Open, settled
from tests.keys.conformance.subject import Subject

_SHARED = HealthCheck.function_scoped_fixture
_CODES = frozenset({"AccessDenied", "InvalidArgument"})


def _spoilt(wrapped: bytes) -> Iterator[bytes]:
    """Things that are nearly the wrapped data key."""
    yield b""
    yield wrapped[:-1]
    yield wrapped[1:]
    yield wrapped[: len(wrapped) // 2]
    yield wrapped + b"\0"
    yield wrapped + b"\n"
    yield b" " + wrapped
    yield wrapped * 2
    yield wrapped[::-1]
    yield bytes(len(wrapped))
    yield wrapped.upper()
    yield wrapped.replace(b":v1:", b":v9:")
    yield wrapped.replace(b":v1:", b":v0:")
    yield wrapped.replace(b":v1:", b":v99999999999999999999:")
    yield wrapped.replace(b":v1:", b":v-1:")
    yield secrets.token_bytes(7000)
    for _ in range(12):
        place = secrets.randbelow(len(wrapped))
        yield wrapped[:place] + bytes([wrapped[place] ^ (1 << secrets.randbelow(8))]) + wrapped[place + 1 :]


async def test_spoilt_data_keys_open_nothing(subject: Subject, bare: Open) -> None:
    provider = await bare()
    data_key = await provider.generate()
    for spoilt in _spoilt(data_key.wrapped):
        if spoilt == data_key.wrapped:
            continue
        for action in (provider.unwrap, provider.rewrap):
            error = await refusal(subject, action(provider.current, spoilt), data_key.key.reveal(), data_key.wrapped)
            assert error.code in _CODES, (spoilt, error)
    assert (await provider.unwrap(provider.current, data_key.wrapped)).reveal() == data_key.key.reveal()


@pytest.fixture
def ask(subject: Subject) -> Iterator[Callable[[bytes], None]]:
    """Asks a provider from code that is not asynchronous, as hypothesis needs it."""
    loop = asyncio.new_event_loop()
    provider: KeyProvider = loop.run_until_complete(subject.open())
    data_key: DataKey = loop.run_until_complete(provider.generate())

    def one(wrapped: bytes) -> None:
        if wrapped == data_key.wrapped:
            return
        error = loop.run_until_complete(refusal(subject, provider.unwrap(provider.current, wrapped)))
        assert error.code in _CODES

    yield one
    loop.run_until_complete(_close(subject, provider))
    loop.close()


@settings(max_examples=40, suppress_health_check=[_SHARED])
@given(wrapped=st.one_of(st.binary(max_size=500), st.from_regex(rb"\Avault:v[0-9]{1,12}:[A-Za-z0-9+/]{0,120}={0,3}\Z")))
def test_no_bytes_open_anything(ask: Callable[[bytes], None], wrapped: bytes) -> None:
    ask(wrapped)


@pytest.fixture
def provider_at_rest(subject: Subject) -> Iterator[KeyProvider]:
    """A provider that is asked nothing that its service would have to answer."""
    provider = asyncio.run(subject.open())
    yield provider
    asyncio.run(_close(subject, provider))


async def _close(subject: Subject, provider: KeyProvider) -> None:
    await provider.aclose()
    await subject.close()
    await settled()


@settings(max_examples=60, suppress_health_check=[_SHARED])
@given(uri=st.one_of(st.text(max_size=300), st.from_regex(r"[a-z-]{1,20}:[!-~]{0,80}")), wrapped=st.binary(max_size=99))
def test_no_text_is_taken_for_a_key(subject: Subject, provider_at_rest: KeyProvider, uri: str, wrapped: bytes) -> None:
    """Neither method raises, whatever the storage says."""
    provider = provider_at_rest
    assert provider.handles(uri) is (uri == provider.current)
    before = subject.calls()
    for named in (uri, provider.current):
        version = provider.version_of(named, wrapped)
        assert len(version) <= 40
        assert version.isascii()
    assert subject.calls() == before
