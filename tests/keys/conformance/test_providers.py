"""What every provider of data keys does, whichever service is behind it."""

import asyncio
import secrets

import pytest

from gateway.errors import KeyUnavailable
from gateway.keys.provider import DATA_KEY_BYTES, MAX_WRAPPING_BYTES
from tests.keys.conformance.checks import ASKS, refusal, same, shows_nothing
from tests.keys.conformance.conftest import Open
from tests.keys.conformance.subject import Key, Subject

_CALLERS = 200


async def test_a_data_key_comes_back(subject: Subject, opened: Open) -> None:
    provider = await opened()
    data_key = await provider.generate()
    assert len(data_key.key) == DATA_KEY_BYTES
    assert data_key.wrapping_key == provider.current
    unwrapped = await provider.unwrap(data_key.wrapping_key, data_key.wrapped)
    assert unwrapped.reveal() == data_key.key.reveal()
    assert not same(data_key, await provider.generate())


async def test_it_fits_into_an_envelope_and_does_not_hold_the_key(subject: Subject, opened: Open) -> None:
    data_key = await (await opened()).generate()
    assert data_key.wrapping_key.isascii()
    assert len(data_key.wrapping_key) + len(data_key.wrapped) <= MAX_WRAPPING_BYTES
    shows_nothing(subject, [repr(data_key.wrapped), data_key.wrapped.hex()], data_key.key.reveal())


async def test_it_says_what_it_is(subject: Subject, opened: Open) -> None:
    provider = await opened()
    assert (provider.kind, provider.scope) == (subject.kind, subject.scope)
    assert provider.current.startswith(f"{subject.kind}:")
    assert provider.current == (await opened()).current


async def test_it_handles_its_own_keys_only(subject: Subject, opened: Open) -> None:
    provider, other = await opened(), await opened(Key.OTHER)
    assert provider.handles(provider.current)
    assert not provider.handles(other.current)
    uri = provider.current
    for near in (uri[:-1], uri + "x", uri.upper(), f" {uri}", f"{uri}\n", uri.partition(":")[2], "", "local:", "x:y"):
        assert not provider.handles(near), near


async def test_another_process_unwraps_it(subject: Subject, opened: Open) -> None:
    data_key = await (await opened()).generate()
    unwrapped = await (await opened()).unwrap(data_key.wrapping_key, data_key.wrapped)
    assert unwrapped.reveal() == data_key.key.reveal()


async def test_rewrapping_keeps_the_data_key(subject: Subject, opened: Open) -> None:
    provider = await opened()
    data_key = await provider.generate()
    again = await provider.rewrap(data_key.wrapping_key, data_key.wrapped)
    assert again.wrapping_key == provider.current
    assert again.wrapped != data_key.wrapped
    assert len(again.wrapping_key) + len(again.wrapped) <= MAX_WRAPPING_BYTES
    for wrapped in (data_key.wrapped, again.wrapped):
        assert (await provider.unwrap(again.wrapping_key, wrapped)).reveal() == data_key.key.reveal()


async def test_old_versions_open_and_are_rewrapped_to_the_newest(subject: Subject, opened: Open) -> None:
    data_key = await (await opened(Key.ROTATED)).generate()
    subject.rotate()
    provider = await opened(Key.ROTATED)
    assert (await provider.unwrap(data_key.wrapping_key, data_key.wrapped)).reveal() == data_key.key.reveal()
    again = await provider.rewrap(data_key.wrapping_key, data_key.wrapped)
    assert again.wrapping_key == provider.current
    assert (await provider.unwrap(again.wrapping_key, again.wrapped)).reveal() == data_key.key.reveal()
    before = provider.version_of(data_key.wrapping_key, data_key.wrapped)
    after = provider.version_of(again.wrapping_key, again.wrapped)
    if subject.versions:
        assert int(after) == int(before) + 1
    else:
        assert before == after == ""


async def test_exactly_one_request_for_each_call(subject: Subject, bare: Open) -> None:
    """Otherwise neither the quota nor the bill is what the metrics say."""
    provider = await bare()
    data_key = await provider.generate()
    expected = 1 if subject.remote else 0
    for ask in ASKS.values():
        before = subject.calls()
        await ask(provider, data_key)
        assert subject.calls() - before == expected
    before = subject.calls()
    provider.handles(data_key.wrapping_key)
    provider.version_of(data_key.wrapping_key, data_key.wrapped)
    assert subject.calls() == before


async def test_another_key_does_not_open_it(subject: Subject, opened: Open) -> None:
    """A store that exchanges wrapped data keys gets nothing opened."""
    provider, other = await opened(), await opened(Key.OTHER)
    foreign = await other.generate()
    for action in (provider.unwrap, provider.rewrap):
        error = await refusal(subject, action(provider.current, foreign.wrapped), foreign.key.reveal(), foreign.wrapped)
        assert error.code in subject.refusals.foreign


async def test_a_key_that_it_does_not_handle_is_refused_without_a_request(subject: Subject, opened: Open) -> None:
    provider, other = await opened(), await opened(Key.OTHER)
    foreign = await other.generate()
    before = subject.calls()
    for action in (provider.unwrap, provider.rewrap):
        assert (await refusal(subject, action(other.current, foreign.wrapped))).code == "KMS.NotFoundException"
    assert subject.calls() == before


async def test_another_context_does_not_open_it(subject: Subject, opened: Open) -> None:
    if not subject.contexts:
        pytest.skip("this provider has no encryption context")
    mine, other = await opened(), await opened(context="another")
    for one, two in ((mine, other), (other, mine)):
        data_key = await one.generate()
        for action in (two.unwrap, two.rewrap):
            error = await refusal(subject, action(data_key.wrapping_key, data_key.wrapped), data_key.key.reveal())
            assert error.code in subject.refusals.foreign


async def test_a_missing_key(subject: Subject, opened: Open) -> None:
    if not subject.remote:
        pytest.skip("a keyring that lacks its key is not opened")
    provider = await opened(Key.MISSING)
    wrapped = (await (await opened()).generate()).wrapped
    assert (await refusal(subject, provider.generate())).code == subject.refusals.missing
    error = await refusal(subject, provider.unwrap(provider.current, wrapped))
    assert error.code in {subject.refusals.missing, *subject.refusals.foreign}


async def test_disabled_and_deleted_keys(subject: Subject, bare: Open) -> None:
    """Both end the use of a key at once, and no client is told to try again."""
    if not subject.remote:
        pytest.skip("a keyring is not changed while it is open")
    keys = {Key.DISABLED: subject.refusals.disabled, Key.DELETED: subject.refusals.deleted}
    providers = {key: await bare(key) for key in keys}
    data_keys = {key: await provider.generate() for key, provider in providers.items()}
    subject.disable()
    for key, code in keys.items():
        provider, data_key = providers[key], data_keys[key]
        for ask in ASKS.values():
            error = await refusal(subject, ask(provider, data_key), data_key.key.reveal(), data_key.wrapped)
            assert error.permanent
            assert error.code == code, key


async def test_many_at_once(subject: Subject, opened: Open) -> None:
    """Answers reach whom they belong to."""
    provider = await opened()

    async def one() -> bytes:
        data_key = await provider.generate()
        await asyncio.sleep(secrets.randbelow(10) / 1000)
        again = await provider.unwrap(data_key.wrapping_key, data_key.wrapped)
        assert again.reveal() == data_key.key.reveal()
        return data_key.wrapped

    before = subject.calls()
    wrapped = await asyncio.gather(*(one() for _ in range(_CALLERS)))
    assert len(set(wrapped)) == _CALLERS
    if subject.remote:
        assert subject.calls() - before == 2 * _CALLERS


async def test_nothing_shows_a_secret(subject: Subject, opened: Open) -> None:
    provider = await opened()
    data_key = await provider.generate()
    unwrapped = await provider.unwrap(data_key.wrapping_key, data_key.wrapped)
    texts = [repr(provider), str(provider), repr(data_key), str(data_key), repr(unwrapped), f"{unwrapped}"]
    texts += [repr(vars(provider))] if hasattr(provider, "__dict__") else []
    shows_nothing(subject, texts, data_key.key.reveal())


async def test_closing(subject: Subject, opened: Open) -> None:
    """Twice is once. Whoever asks afterwards is refused or answered, at once."""
    provider = await opened()
    data_key = await provider.generate()
    await provider.aclose()
    await provider.aclose()
    await subject.close()
    async with asyncio.timeout(5):
        for ask in ASKS.values():
            with pytest.raises(KeyUnavailable):
                await ask(provider, data_key)
