"""Whatever a service does: the right S3 code in time, keys that are held go on being used, and it all ends."""

import asyncio
import time

import pytest

from gateway.keys.customer_keys import CustomerKeySource
from lab.fault_proxy import Fault
from tests.keys.conformance.customer.conftest import OUTAGE_SECONDS, Open, service_of
from tests.keys.conformance.customer.secret_checks import refusal, until
from tests.keys.conformance.customer.secret_subject import SecretSubject

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
_RECOVERS_SECONDS = 5.0
_CALLERS = 200


def _faults(*slow: Fault) -> list[object]:
    """Every fault; some belong to the slow tests."""
    return [pytest.param(fault, marks=[pytest.mark.slow] if fault in slow else []) for fault in _CODES]


@pytest.fixture(
    params=[
        "aws-secretsmanager",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("vault-kv", "aws-secretsmanager-json")),
    ]
)
def service(request: pytest.FixtureRequest) -> SecretSubject:
    """Each kind of service in turn."""
    return service_of(request)


async def _recovered(source: CustomerKeySource, raw: bytes) -> None:
    """The newest key is this one, soon."""

    async def is_newest() -> bool:
        return (await source.newest()).key.reveal() == raw

    await until(is_newest, seconds=_RECOVERS_SECONDS)


def _timeout(fault: Fault) -> float:
    return _TIMEOUT_SECONDS if fault is Fault.HANGING else 20.0


@pytest.mark.parametrize("fault", _faults(Fault.HANGING))
async def test_a_fault_has_its_code_and_ends(service: SecretSubject, name: str, opened: Open, fault: Fault) -> None:
    """Whether it strikes when the versions are listed or when one of them is read."""
    raw = service.rotate(name)
    cold, listed = [await opened(name, timeout_seconds=_timeout(fault)) for _ in range(2)]
    number = (await listed.version_numbers())[0]
    with service.during(fault):
        for action in (cold.newest(), listed.version(number)):
            began = time.monotonic()
            error = await refusal(service, action)
            assert time.monotonic() - began < 4 * _TIMEOUT_SECONDS
            assert error.code == _CODES[fault]
            assert not error.permanent
            assert error.throttled is (fault is Fault.THROTTLED)
    await _recovered(cold, raw)
    await _recovered(listed, raw)


@pytest.mark.parametrize("fault", _faults(*_CODES.keys() - {Fault.THROTTLED, Fault.DOWN}))
async def test_held_keys_are_used_meanwhile(service: SecretSubject, name: str, opened: Open, fault: Fault) -> None:
    """A rotation that happened in the meantime is seen afterwards."""
    raw = service.rotate(name)
    source = await opened(name, refresh_seconds=0.05, timeout_seconds=_timeout(fault))
    number = (await source.newest()).version
    with service.during(fault):
        await asyncio.sleep(0.06)
        for _ in range(10):
            assert (await source.newest()).key.reveal() == raw
            assert (await source.version(number)).key.reveal() == raw
            await asyncio.sleep(0.01)
    await _recovered(source, service.rotate(name))


async def test_held_keys_are_not_used_beyond_their_time(service: SecretSubject, name: str, opened: Open) -> None:
    raw = service.rotate(name)
    source = await opened(name, hold_seconds=0.3, refresh_seconds=0.05)
    number = (await source.newest()).version
    with service.during(Fault.DOWN):
        await asyncio.sleep(0.35)
        assert (await refusal(service, source.newest())).code == "ServiceUnavailable"
        assert (await refusal(service, source.version(number))).code == "ServiceUnavailable"
        assert len(source._keys) == 0
    await _recovered(source, raw)


@pytest.mark.slow
async def test_a_slow_answer_is_an_answer(service: SecretSubject, name: str, opened: Open) -> None:
    """And however many wait for it, it is asked for once."""
    raw = service.rotate(name)
    source = await opened(name)
    before = service.calls()
    with service.during(Fault.SLOW):
        keys = await asyncio.gather(*(source.newest() for _ in range(_CALLERS)))
    assert {bytes(key.key.reveal()) for key in keys} == {raw}
    assert service.calls() - before == 2


@pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.GARBAGE, Fault.DOWN])
async def test_many_at_once_are_all_refused(service: SecretSubject, name: str, opened: Open, fault: Fault) -> None:
    """With one request: a service that is not well is not asked by everybody."""
    raw = service.rotate(name)
    source = await opened(name)
    before = service.calls()
    with service.during(fault):
        async with asyncio.timeout(10):
            errors = await asyncio.gather(*(refusal(service, source.newest()) for _ in range(_CALLERS)))
    assert {error.code for error in errors} == {_CODES[fault]}
    assert service.calls() - before <= 1
    await _recovered(source, raw)


@pytest.mark.slow
async def test_an_outage_is_asked_about_now_and_then_only(service: SecretSubject, name: str, opened: Open) -> None:
    service.rotate(name)
    source = await opened(name)
    before = service.calls()
    with service.during(Fault.FAILING):
        began = time.monotonic()
        while time.monotonic() - began < 4 * OUTAGE_SECONDS:
            await refusal(service, source.newest())
            await asyncio.sleep(0.002)
    assert service.calls() - before <= 6
