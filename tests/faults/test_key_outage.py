"""A key service that is gone for a while, and a vault that revokes tokens, while clients read and write."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from gateway.keys.breaker import OPEN_SECONDS
from lab.certificates import CertificateAuthority
from lab.openbao import OpenBao
from lab.seaweed import SeaweedFS
from tests.faults.key_services import KeyService, TransitService
from tests.faults.key_stage import KeyStage, Outcome, ask, at_a_rate, content, summary

pytestmark = pytest.mark.alone

_WARM, _COLD, _RATE = 20, 200, 20
#: A refusal while nobody knows yet that the service is down takes a few attempts, each with its time-out.
_FIRST_REFUSALS_SECONDS = 8.0
#: Once it is known, a refusal takes no time; this is much, because the machine may be busy.
_REFUSAL_SECONDS = 1.0
_KNOWN_SECONDS = 3.0
_RECOVERS_SECONDS = 5.0
_LOGINS = 3
_WORKERS = 2


@pytest.fixture
def stage(
    tmp_path: Path, authority: CertificateAuthority, seaweed: SeaweedFS, key_service: KeyService
) -> Iterator[KeyStage]:
    """Each object has a data key of its own, so that no cold one is opened with a warm one."""
    stage = KeyStage(tmp_path, authority, seaweed, key_service, bucket=f"outage-{time.monotonic_ns()}", messages=1)
    stage.gateway.start()
    yield stage
    stage.gateway.stop()


async def _prepared(stage: KeyStage) -> tuple[list[str], list[str]]:
    """Objects that both workers have opened, and objects that neither has since it started."""
    warm, cold = [f"warm/{number}" for number in range(_WARM)], [f"cold/{number:03}" for number in range(_COLD)]
    assert summary(await stage.all_of("PUT", [*warm, *cold])) == {"200": _WARM + _COLD}
    stage.restart()
    for _ in range(60):
        # The kernel spreads connections over the workers as it likes.
        assert summary(await stage.all_of("GET", warm, connections=8)) == {"200": _WARM}
        if stage.counted(operation="unwrap", result="ok") == 2 * _WARM:
            return warm, cold
    pytest.fail("a worker got no connections")


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        ("down", 4.0),
        pytest.param("down", 60.0, marks=[pytest.mark.slow, pytest.mark.timeout(300)]),
        pytest.param("failing", 4.0, marks=pytest.mark.slow),
        pytest.param("hanging", 4.0, marks=pytest.mark.slow),
    ],
)
async def test_an_outage_under_load(stage: KeyStage, key_service: KeyService, fault: str, seconds: float) -> None:
    """Warm reads go on, cold ones and writes are refused fast, nothing is written in the clear; then all is well."""
    warm, cold = await _prepared(stage)
    written = [f"during/{number:05}" for number in range(int(seconds * _RATE))]
    get, put = stage.urls("GET", [*warm, *cold]), stage.urls("PUT", written)
    async with stage.session(64) as session:
        with key_service.during(fault):
            began = time.monotonic()
            read, missed, wrote = await asyncio.gather(
                at_a_rate(_RATE, seconds, lambda n: ask(session, "GET", warm[n % _WARM], get[warm[n % _WARM]])),
                at_a_rate(_RATE, seconds, lambda n: ask(session, "GET", cold[n % _COLD], get[cold[n % _COLD]])),
                at_a_rate(_RATE, seconds, lambda n: ask(session, "PUT", written[n], put[written[n]])),
            )
        over = time.monotonic()
        first_read = await _first_good(lambda: ask(session, "GET", cold[-1], get[cold[-1]]))
        first_write = await _first_good(lambda: ask(session, "PUT", written[-1], put[written[-1]]))
    print(f"\n{fault} {seconds:g} s: warm {summary(read)}, cold {summary(missed)}, written {summary(wrote)};")  # noqa: T201 - the figures, for who asks with -s
    print(f"  recovered in {first_read.ended - over:.2f} s and {first_write.ended - over:.2f} s")  # noqa: T201
    assert summary(read) == {"200": len(read)}
    assert all(one.body == content(one.key) for one in read)
    assert max(one.seconds for one in read) < _FIRST_REFUSALS_SECONDS
    _refused_fast(missed, began)
    _refused_fast([one for one in wrote if not one.good], began)
    assert summary(missed).keys() == {"503 ServiceUnavailable"}
    assert summary(wrote).keys() <= {"200", "503 ServiceUnavailable"}
    assert first_read.ended - over < _RECOVERS_SECONDS
    assert first_write.ended - over < _RECOVERS_SECONDS
    assert stage.marks_at_store() == []
    await _whatever_was_written_is_read(stage, wrote)


async def _whatever_was_written_is_read(stage: KeyStage, wrote: list[Outcome]) -> None:
    """An answer 200 is an object, and a refusal is none."""
    good = {one.key for one in wrote if one.good}
    kept = {entry["Key"] for page in _pages(stage) for entry in page.get("Contents", [])}
    assert kept - {wrote[-1].key} == good - {wrote[-1].key}
    got = await stage.all_of("GET", sorted(good))
    assert all(one.good and one.body == content(one.key) for one in got)


def _pages(stage: KeyStage) -> Iterator[dict[str, list[dict[str, str]]]]:
    yield from stage.direct.get_paginator("list_objects_v2").paginate(Bucket=stage.bucket, Prefix="during/")


def _refused_fast(refused: list[Outcome], began: float) -> None:
    assert refused
    assert {one.retry_after for one in refused} == {"1"}
    assert max(one.seconds for one in refused) < _FIRST_REFUSALS_SECONDS
    known = [one for one in refused if one.ended - one.seconds > began + _KNOWN_SECONDS]
    slow = [one for one in known if one.seconds >= _REFUSAL_SECONDS]
    # One in a while is the trial of a worker, which asks whether the service is there again.
    last = max(one.ended for one in refused)
    assert len(slow) <= _WORKERS * (1 + (last - began) / (OPEN_SECONDS / 2 + _REFUSAL_SECONDS))


async def _first_good(send: Callable[[], Awaitable[Outcome]]) -> Outcome:
    """The first answer 200."""
    for _ in range(400):
        outcome = await send()
        if outcome.good:
            return outcome
        await asyncio.sleep(0.05)
    pytest.fail("it does not recover")


async def test_tokens_are_revoked_under_load(
    tmp_path: Path, authority: CertificateAuthority, seaweed: SeaweedFS, openbao: OpenBao
) -> None:
    """Clients notice nothing that their own retries do not mend, and the workers log in once each."""
    service = TransitService(openbao, authority)
    stage = KeyStage(tmp_path, authority, seaweed, service, bucket=f"revoked-{time.monotonic_ns()}", messages=1)
    try:
        stage.gateway.start()
        await _revoked_under_load(stage, service)
    finally:
        stage.gateway.stop()
        service.stop()


async def _revoked_under_load(stage: KeyStage, service: TransitService) -> None:
    keys = [f"revoked/{number:04}" for number in range(8 * _RATE)]
    put = stage.urls("PUT", keys)
    async with stage.session() as session:
        begun = await asyncio.gather(
            *(ask(session, "PUT", key, url) for key, url in stage.urls("PUT", "abcdefgh").items())
        )
        assert summary(begun) == {"200": 8}
        before = service.logins()
        writing = asyncio.ensure_future(at_a_rate(2 * _RATE, 4, lambda n: ask(session, "PUT", keys[n], put[keys[n]])))
        await asyncio.sleep(1)
        revoked = time.monotonic()
        await asyncio.to_thread(service.revoke_tokens)
        wrote = await writing
        last = await _first_good(lambda: ask(session, "PUT", keys[-1], put[keys[-1]]))
    logins, refused = service.logins() - before, [one for one in wrote if not one.good]
    late = max((one.ended - revoked for one in refused), default=0.0)
    print(f"\n{summary(wrote)}; {logins} logins; last refusal after {late:.2f} s")  # noqa: T201 - for who asks with -s
    assert 1 <= logins <= _LOGINS
    assert len(refused) <= 2  # the gateway asks again by itself, with the new token
    assert last.good
    assert summary(refused).keys() <= {"503 ServiceUnavailable"}
    assert late < _RECOVERS_SECONDS
    assert stage.marks_at_store() == []
