"""What stands around a provider: counting, quota, breaker, repetition, replicas, and all of them together."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.errors import KeyUnavailable
from gateway.keys import breaker, quota, retrying
from gateway.keys.assembled import guarded
from gateway.keys.breaker import BreakerOpen, CircuitBreaker
from gateway.keys.metering import KeyCall, Metered, NotAsked
from gateway.keys.provider import KeyProvider, WrappedKey
from gateway.keys.quota import QuotaExceeded, QuotaGuard
from gateway.keys.rate_bucket import MOST_PLACES, RateBucket
from gateway.keys.replicas import Replicas
from gateway.keys.retrying import ATTEMPTS, Retrying
from gateway.keys.vault_error import VaultError, VaultResult
from gateway.redact import SecretBytes
from tests.keys.scripted_provider import DENIED, DOWN, THROTTLED, URI, ScriptedProvider


class Observer:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.calls: list[KeyCall] = []
        self.refused: list[tuple[str, str, str]] = []
        self.breakers: list[tuple[str, bool]] = []

    def key_call(self, call: KeyCall) -> None:
        self.calls.append(call)

    def key_quota_refused(self, provider: str, scope: str, kind: str) -> None:
        self.refused.append((provider, scope, kind))

    def key_breaker(self, key: str, *, is_open: bool) -> None:
        self.breakers.append((key, is_open))


Wrap = Callable[[KeyProvider], KeyProvider]
WRAPPERS: dict[str, Wrap] = {
    "metered": lambda provider: Metered(provider, "orders", Observer()),
    "quota": lambda provider: QuotaGuard(provider, RateBucket(1000)),
    "breaker": CircuitBreaker,
    "retrying": Retrying,
    "replicas": lambda provider: Replicas((provider,)),
    "all": lambda provider: guarded(provider, "orders", Observer(), RateBucket(1000)),
}


@pytest.mark.parametrize("name", WRAPPERS)
async def test_a_wrapper_is_the_provider(name: str) -> None:
    provider = ScriptedProvider()
    wrapped = WRAPPERS[name](provider)
    assert (wrapped.kind, wrapped.scope, wrapped.current) == ("scripted", "region", URI)
    assert wrapped.handles(URI)
    assert not wrapped.handles("scripted:other")
    assert wrapped.version_of(URI, b"x") == "7"
    assert (await wrapped.generate()).wrapped == b"wrapped"
    assert (await wrapped.unwrap(URI, b"x")).reveal() == bytes(range(32))
    assert await wrapped.rewrap(URI, b"x") == WrappedKey(URI, b"x+")
    assert provider.asked == ["generate", "unwrap", "rewrap"]
    await wrapped.aclose()
    assert provider.closed


@pytest.mark.parametrize("name", WRAPPERS)
async def test_permanent_faults_pass_through_at_once(name: str) -> None:
    provider = ScriptedProvider([DENIED])
    with pytest.raises(KeyUnavailable, match="no") as caught:
        await WRAPPERS[name](provider).generate()
    assert caught.value.code == "AccessDenied"
    assert provider.asked == ["generate"]


async def test_every_request_is_counted_with_its_result() -> None:
    observer = Observer()
    codes = ["SlowDown", "ServiceUnavailable", "AccessDenied", "KMS.NotFoundException", "KMS.DisabledException"]
    codes += ["KMS.KMSInvalidStateException", "InvalidArgument"]
    provider = ScriptedProvider([None, *(KeyUnavailable("x", code=code) for code in codes)])
    metered = Metered(provider, "orders", observer)
    await metered.generate()
    for _ in codes:
        with pytest.raises(KeyUnavailable):
            await metered.unwrap(URI, b"x")
    results = [call.result for call in observer.calls]
    assert results == [
        "ok", "throttled", "unavailable", "denied", "not_found", "disabled", "disabled", "invalid",
    ]  # fmt: skip
    first = observer.calls[0]
    assert (first.provider, first.scope, first.operation, first.key) == ("scripted", "region", "generate", "orders")
    assert all(call.seconds >= 0 for call in observer.calls)


class Stuck(ScriptedProvider):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()
        #: One request that waits is answered.
        self.answers = asyncio.Semaphore(0)

    def _next(self, operation: str) -> None:
        self.asked.append(operation)

    async def unwrap(self, wrapping_key: str, wrapped: bytes) -> SecretBytes:
        self.asked.append("unwrap")
        waiting = [asyncio.create_task(self.go_on.wait()), asyncio.create_task(self.answers.acquire())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        if self.go_on.is_set():
            raise DOWN.again()
        return SecretBytes(bytes(range(32)))


async def test_a_cancelled_request_is_counted_too() -> None:
    observer = Observer()
    task = asyncio.create_task(cancelled(Metered(Stuck(), "orders", observer).unwrap(URI, b"x")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [call.result for call in observer.calls] == ["cancelled"]


async def cancelled(work: Awaitable[object]) -> None:
    await work


# ---------------------------------------------------------------------------------------------------------------- quota


async def test_writes_without_quota_are_refused_at_once_and_reads_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[str] = []
    provider = ScriptedProvider()
    guard = QuotaGuard(provider, RateBucket(20), refused.append)
    outcomes = await asyncio.gather(*(guard.generate() for _ in range(10)), return_exceptions=True)
    faults = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert faults
    assert all(isinstance(fault, QuotaExceeded) and fault.throttled for fault in faults)
    assert refused == ["write"] * len(faults)
    begun = asyncio.get_running_loop().time()
    await asyncio.gather(*(guard.unwrap(URI, b"x") for _ in range(10)))
    assert asyncio.get_running_loop().time() - begun > 0.4
    assert provider.asked.count("unwrap") == 10
    monkeypatch.setattr(quota, "WAIT_SECONDS", 0.1)
    late = await asyncio.gather(*(guard.unwrap(URI, b"x") for _ in range(20)), return_exceptions=True)
    assert any(isinstance(outcome, QuotaExceeded) for outcome in late)
    assert "read" in refused


async def test_too_many_waiting_reads_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota, "MAX_WAITING", 3)
    guard = QuotaGuard(ScriptedProvider(), RateBucket(5))
    outcomes = await asyncio.gather(*(guard.unwrap(URI, b"x") for _ in range(10)), return_exceptions=True)
    assert sum(isinstance(outcome, QuotaExceeded) for outcome in outcomes) >= 6


async def test_what_waits_for_a_slow_service_does_not_count_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise all of it would leave together when the service recovers."""
    monkeypatch.setattr(quota, "WAIT_SECONDS", 0.1)
    provider, bucket = Stuck(), RateBucket(1000)
    guard = QuotaGuard(provider, bucket)
    under_way = [asyncio.create_task(cancelled(guard.unwrap(URI, b"x"))) for _ in range(MOST_PLACES)]
    await asyncio.sleep(0)
    crowd = [guard.unwrap(URI, b"x") for _ in range(5)] + [guard.generate() for _ in range(5)]
    refused = await asyncio.gather(*crowd, return_exceptions=True)
    assert all(isinstance(fault, NotAsked) and not fault.throttled for fault in refused)
    assert provider.asked == ["unwrap"] * MOST_PLACES
    under_way.append(asyncio.create_task(cancelled(guard.unwrap(URI, b"x"))))
    await asyncio.sleep(0)
    behind = asyncio.create_task(cancelled(guard.generate()))
    await asyncio.sleep(0.05)
    provider.answers.release()
    with pytest.raises(QuotaExceeded):  # one was answered meanwhile: more is wanted than there is
        await behind
    provider.go_on.set()
    await asyncio.gather(*under_way, return_exceptions=True)
    assert (await guard.generate()).wrapped == b"wrapped"


async def test_cancelled_reads_make_room() -> None:
    guard = QuotaGuard(ScriptedProvider(), RateBucket(5))
    for _ in range(3 * MOST_PLACES):
        waiting = [asyncio.create_task(cancelled(guard.unwrap(URI, b"x"))) for _ in range(5)]
        await asyncio.sleep(0.001)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    assert (await guard.unwrap(URI, b"x")).reveal() == bytes(range(32))


async def test_a_throttling_service_is_asked_less() -> None:
    bucket = RateBucket(1000)
    guard = QuotaGuard(ScriptedProvider([THROTTLED, None]), bucket)
    with pytest.raises(KeyUnavailable):
        await guard.unwrap(URI, b"x")
    assert bucket.rate == pytest.approx(0.5, abs=0.01)


# ---------------------------------------------------------------------------------------------------------- the breaker


async def fails(provider: KeyProvider, times: int) -> list[KeyUnavailable]:
    outcomes = [await asyncio.gather(provider.unwrap(URI, b"x"), return_exceptions=True) for _ in range(times)]
    return [outcome for (outcome,) in outcomes if isinstance(outcome, KeyUnavailable)]


async def test_a_service_that_is_down_is_left_alone_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "OPEN_SECONDS", 0.2)
    changes: list[bool] = []
    provider = ScriptedProvider([DOWN] * (breaker.FAILURES + 1))
    guard = CircuitBreaker(provider, changes.append)
    assert len(await fails(guard, breaker.FAILURES)) == breaker.FAILURES
    refused = await fails(guard, 50)
    assert len(refused) == 50
    assert all(isinstance(fault, BreakerOpen) and not fault.permanent for fault in refused)
    assert len(provider.asked) == breaker.FAILURES
    await asyncio.sleep(0.2)
    (trial,) = await fails(guard, 1)
    assert not isinstance(trial, BreakerOpen)
    assert len(await fails(guard, 3)) == 3
    assert len(provider.asked) == breaker.FAILURES + 1
    await asyncio.sleep(0.2)
    assert not await fails(guard, 5)
    assert changes == [True, False]


@pytest.mark.parametrize("fault", [DENIED, THROTTLED])
async def test_answers_that_say_no_do_not_open_the_breaker(fault: KeyUnavailable) -> None:
    guard = CircuitBreaker(ScriptedProvider([fault] * 50))
    assert not any(isinstance(error, BreakerOpen) for error in await fails(guard, 50))


async def test_a_cancelled_trial_makes_room_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "OPEN_SECONDS", 0.05)
    provider = Stuck()
    guard = CircuitBreaker(provider)
    provider.go_on.set()
    await fails(guard, breaker.FAILURES)
    provider.go_on.clear()
    await asyncio.sleep(0.06)
    trial = asyncio.create_task(cancelled(guard.unwrap(URI, b"x")))
    await asyncio.sleep(0.01)
    assert all(isinstance(fault, BreakerOpen) for fault in await fails(guard, 3))
    trial.cancel()
    await asyncio.gather(trial, return_exceptions=True)
    await guard.generate()
    assert provider.asked.count("unwrap") == breaker.FAILURES + 1


# ------------------------------------------------------------------------------------------------- repetition, replicas


@pytest.mark.parametrize("fault", [DOWN, THROTTLED])
async def test_passing_faults_are_asked_again(fault: KeyUnavailable) -> None:
    provider = ScriptedProvider([fault] * (ATTEMPTS - 1))
    await Retrying(provider).generate()
    assert len(provider.asked) == ATTEMPTS
    provider = ScriptedProvider([fault] * 10)
    with pytest.raises(KeyUnavailable):
        await Retrying(provider).generate()
    assert len(provider.asked) == ATTEMPTS


@pytest.mark.parametrize("fault", [BreakerOpen("open"), QuotaExceeded("full", code="SlowDown")])
async def test_what_was_not_asked_is_not_repeated(fault: KeyUnavailable) -> None:
    provider = ScriptedProvider([fault] * 3)
    with pytest.raises(type(fault)):
        await Retrying(provider).generate()
    assert len(provider.asked) == 1


async def test_repetition_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "MAX_SECONDS", 0.0)
    provider = ScriptedProvider([DOWN] * 3)
    with pytest.raises(KeyUnavailable):
        await Retrying(provider).generate()
    assert len(provider.asked) == 1


async def test_the_next_replica_is_asked_and_the_failed_one_comes_last() -> None:
    first, second = ScriptedProvider([DOWN], "eu"), ScriptedProvider(scope="us")
    replicas = Replicas((first, second))
    assert replicas.scope == "eu"
    for _ in range(3):
        assert (await replicas.generate()).wrapping_key == URI
    assert (len(first.asked), len(second.asked)) == (1, 3)
    second.script = [DOWN]
    await replicas.unwrap(URI, b"x")
    assert (len(first.asked), len(second.asked)) == (2, 4)


async def test_no_replica_answers() -> None:
    replicas = Replicas((ScriptedProvider([DOWN]), ScriptedProvider([THROTTLED])))
    with pytest.raises(KeyUnavailable, match="down"):
        await replicas.generate()


async def test_all_together_count_what_the_service_saw_and_stop_when_it_is_down() -> None:
    observer = Observer()
    provider = ScriptedProvider([DOWN] * 100)
    whole = guarded(provider, "orders", observer, RateBucket(1000))
    faults = await fails(whole, 10)
    assert len(faults) == 10
    assert len(observer.calls) == len(provider.asked) == breaker.FAILURES
    assert observer.breakers == [("orders", True)]


async def test_a_token_that_was_replaced_is_no_failure_of_the_service() -> None:
    """Many callers may have sent the old token: none of them waits, and the breaker stays closed."""
    replaced = VaultError("refused", VaultResult.DENIED, code="ServiceUnavailable")
    provider = ScriptedProvider([replaced] * breaker.FAILURES * 2)
    guard = CircuitBreaker(provider)
    for _ in range(breaker.FAILURES * 2):
        with pytest.raises(VaultError):
            await guard.generate()
    assert (await guard.generate()).wrapped == b"wrapped"


def test_only_a_replaced_token_is_mended() -> None:
    assert VaultError("refused", VaultResult.DENIED, code="ServiceUnavailable").mended
    assert not VaultError("refused", VaultResult.DENIED).mended
    assert not VaultError("sealed", VaultResult.SEALED).mended
    assert not KeyUnavailable("down").mended
