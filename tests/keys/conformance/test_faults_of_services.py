"""Whatever a service does to its callers: the right S3 code, within the time allowed, and nothing stays broken."""

import asyncio
import time

import pytest

from gateway.errors import KeyUnavailable
from gateway.keys.provider import DataKey, KeyProvider
from lab.fault_proxy import Fault
from tests.keys.conformance.checks import ASKS, Ask, refusal
from tests.keys.conformance.conftest import REMOTE_SUBJECTS, Open, subject_of
from tests.keys.conformance.subject import Subject

#: What clients are told; SDKs repeat both of these, after a while.
_CODES = {
    Fault.THROTTLED: "SlowDown",
    Fault.FAILING: "ServiceUnavailable",
    Fault.GARBAGE: "ServiceUnavailable",
    Fault.SENSELESS: "ServiceUnavailable",
    Fault.HALF: "ServiceUnavailable",
    Fault.HANGING: "ServiceUnavailable",
    Fault.DOWN: "ServiceUnavailable",
}
_TIMEOUT_SECONDS = 0.6
#: What a guarded provider may take in all, however often it asks again.
_GIVES_UP_SECONDS = 10.0
_RECOVERS_SECONDS = 5.0
_CALLERS = 200


@pytest.fixture(
    params=[pytest.param(name, marks=[pytest.mark.slow] if "derived" in name else []) for name in REMOTE_SUBJECTS]
)
def subject(request: pytest.FixtureRequest) -> Subject:
    """Each kind of provider that has a service."""
    return subject_of(request)


async def _recovered(provider: KeyProvider, data_key: DataKey) -> None:
    """It works again, soon."""
    deadline = time.monotonic() + _RECOVERS_SECONDS
    while True:
        try:
            found = await provider.unwrap(data_key.wrapping_key, data_key.wrapped)
        except KeyUnavailable:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
        else:
            assert found.reveal() == data_key.key.reveal()
            return


async def _asked(subject: Subject, before: int) -> None:
    """Wait until a request is on its way."""
    for _ in range(2000):
        if subject.calls() > before:
            return
        await asyncio.sleep(0.005)
    pytest.fail("the service was not asked")


async def _fault_and_end(subject: Subject, opened: Open, fault: Fault, ask: Ask) -> None:
    """The fault has its code, in time, and when it is over the provider works."""
    data_key = await (await opened()).generate()
    provider = await opened(timeout_seconds=_TIMEOUT_SECONDS if fault is Fault.HANGING else 20.0)
    with subject.during(fault):
        began = time.monotonic()
        error = await refusal(subject, ask(provider, data_key), data_key.key.reveal(), data_key.wrapped)
        assert time.monotonic() - began < _GIVES_UP_SECONDS
        assert error.code == _CODES[fault]
        assert not error.permanent
        assert error.throttled is (fault is Fault.THROTTLED)
    await _recovered(await opened() if fault is Fault.HANGING else provider, data_key)


@pytest.mark.parametrize("operation", ASKS)
@pytest.mark.parametrize("fault", _CODES)
async def test_a_fault_has_its_code_and_ends(subject: Subject, bare: Open, fault: Fault, operation: str) -> None:
    await _fault_and_end(subject, bare, fault, ASKS[operation])


@pytest.mark.parametrize("fault", _CODES)
async def test_a_fault_seen_through_the_guards(subject: Subject, with_guards: Open, fault: Fault) -> None:
    """Asked again a few times, and then refused with the same code."""
    await _fault_and_end(subject, with_guards, fault, ASKS["unwrap"])


@pytest.mark.parametrize("fault", _CODES)
async def test_one_request_even_when_it_fails(subject: Subject, bare: Open, fault: Fault) -> None:
    """Asking again is for the wrapper that limits and counts it."""
    data_key = await (await bare()).generate()
    provider = await bare(timeout_seconds=_TIMEOUT_SECONDS if fault is Fault.HANGING else 20.0)
    for ask in ASKS.values():
        before = subject.calls()
        with subject.during(fault):
            await refusal(subject, ask(provider, data_key))
        assert subject.calls() - before == (0 if fault is Fault.DOWN else 1)


async def test_a_slow_answer_is_an_answer(subject: Subject, opened: Open) -> None:
    provider = await opened()
    data_key = await provider.generate()
    before = subject.calls()
    with subject.during(Fault.SLOW):
        for ask in ASKS.values():
            await ask(provider, data_key)
    assert subject.calls() - before == len(ASKS)


@pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.GARBAGE, Fault.DOWN])
async def test_many_at_once_are_all_refused(subject: Subject, opened: Open, fault: Fault) -> None:
    """None hangs, none is forgotten, and the provider works afterwards."""
    provider = await opened()
    data_key = await provider.generate()
    with subject.during(fault):
        async with asyncio.timeout(30):
            errors = await asyncio.gather(
                *(refusal(subject, ASKS["unwrap"](provider, data_key)) for _ in range(_CALLERS))
            )
    assert {error.permanent for error in errors} == {False}
    await _recovered(provider, data_key)


@pytest.mark.parametrize("operation", ASKS)
async def test_a_caller_that_goes_away(subject: Subject, opened: Open, operation: str) -> None:
    """A cancelled call ends at once; the next one is answered as if nothing had been."""
    provider = await opened()
    data_key = await provider.generate()
    with subject.during(Fault.SLOW):
        before = subject.calls()
        asking = asyncio.ensure_future(ASKS[operation](provider, data_key))
        await _asked(subject, before)
        asking.cancel()
        async with asyncio.timeout(0.25):
            with pytest.raises(asyncio.CancelledError):
                await asking
    found = await provider.unwrap(data_key.wrapping_key, data_key.wrapped)
    assert found.reveal() == data_key.key.reveal()


async def test_closing_while_the_service_hangs(subject: Subject, opened: Open) -> None:
    """A gateway that shuts down waits for no service."""
    provider = await opened()
    data_key = await provider.generate()
    with subject.during(Fault.SLOW):
        before = subject.calls()
        asking = [asyncio.ensure_future(ask(provider, data_key)) for ask in ASKS.values()]
        await _asked(subject, before)
        async with asyncio.timeout(5):
            await provider.aclose()
            await subject.close()
            await asyncio.gather(*asking, return_exceptions=True)
