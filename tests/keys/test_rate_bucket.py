"""Never more than the limit in any second, reads first, writes never starved; over processes, restarts and damage."""

import multiprocessing
import random
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.keys.rate_bucket import LOWEST_RATE, RateBucket


class Clock:
    """A time that passes when told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def most_in_a_second(times: list[float]) -> int:
    ordered = sorted(times)
    first, most = 0, 0
    for index, moment in enumerate(ordered):
        while ordered[first] <= moment - 1.0:
            first += 1
        most = max(most, index - first + 1)
    return most


STEPS = st.lists(st.tuples(st.floats(0, 0.4), st.sampled_from(["read", "write", "throttled"])), max_size=400)


@given(st.floats(1, 300), STEPS)
@example(1.5, [(0.0, "read"), (0.875, "read")])
@example(11.9, [(0.0, "write")] + [(0.0999, "read")] * 10 + [(0.0, "write")])
@settings(max_examples=60)
def test_no_second_has_more_than_the_limit(limit: float, steps: list[tuple[float, str]]) -> None:
    clock = Clock()
    bucket = RateBucket(limit, clock=clock)
    taken = []
    for seconds, what in steps:
        clock.now += seconds
        if what == "throttled":
            bucket.throttled()
        elif (bucket.take_read() if what == "read" else bucket.take_write()) <= 0:
            taken.append(clock.now)
    assert most_in_a_second(taken) <= limit


@pytest.mark.parametrize(
    ("limit", "processes", "places"),
    [(1, 1, 1), (5, 2, 1), (10, 1, 1), (50, 1, 7), (50, 2, 3), (50, 4, 1), (100, 1, 8), (5_000, 1, 8), (500, 20, 3)],
)
def test_places_of_all_processes_fit_into_the_headroom(limit: float, processes: int, places: int) -> None:
    assert RateBucket(limit, processes=processes).places._value == places


@given(st.integers(10, 60), st.lists(st.floats(0, 3), min_size=40, max_size=200), st.integers(0, 2**32))
@settings(max_examples=60)
def test_no_second_of_the_service_has_more_however_late_requests_arrive(
    limit: int, delays: list[float], seed: int
) -> None:
    """Each request arrives when it likes while it is under way; its place is free again only afterwards."""
    clock, chance = Clock(), random.Random(seed)
    bucket = RateBucket(limit, clock=clock)
    free = [clock.now] * bucket.places._value
    arrived = []
    for delay in delays:
        place = min(range(len(free)), key=free.__getitem__)
        clock.now = max(clock.now, free[place])
        while (seconds := bucket.take_read()) > 0:
            clock.now += seconds + 1e-9
        arrived.append(clock.now + delay)
        free[place] = clock.now + delay + chance.random() / 100
    assert most_in_a_second(sorted(arrived)) <= limit


@pytest.mark.parametrize("limit", [1, 2, 5, 10, 50, 500])
def test_a_greedy_caller_gets_most_of_the_limit_and_no_more(limit: int) -> None:
    clock = Clock()
    bucket = RateBucket(limit, clock=clock)
    taken: list[float] = []
    end = clock.now + 12
    while clock.now < end:
        for take in (bucket.take_read, bucket.take_write):
            while take() <= 0:
                taken.append(clock.now)
        clock.now += 0.25 / limit
    assert most_in_a_second(taken) <= limit
    assert len([moment for moment in taken if moment >= end - 10]) >= 10 * max(1, 0.75 * limit)


def test_what_is_asked_to_wait_gets_its_request_after_that_time() -> None:
    clock = Clock()
    bucket = RateBucket(50, clock=clock)
    for _ in range(200):
        seconds = bucket.take_read()
        clock.now += seconds + 1e-9
        if seconds:
            assert bucket.take_read() == 0


def test_reads_go_first_and_writes_keep_their_share() -> None:
    clock = Clock()
    bucket = RateBucket(100, clock=clock)
    clock.now += 5
    reads = writes = 0
    for _ in range(10_000):
        clock.now += 0.001
        reads += bucket.take_read() <= 0
        writes += bucket.take_write() <= 0
    assert 70 * 10 <= reads <= 90 * 10
    assert 8 * 10 <= writes <= 12 * 10


def test_writes_take_what_reads_leave() -> None:
    clock = Clock()
    bucket = RateBucket(100, clock=clock)
    clock.now += 5
    writes = 0
    for _ in range(10_000):
        clock.now += 0.001
        writes += bucket.take_write() <= 0
    assert writes >= 70 * 10


def test_throttling_halves_the_rate_once_a_second_and_it_grows_back() -> None:
    clock = Clock()
    bucket = RateBucket(100, clock=clock)
    for _ in range(5):
        bucket.throttled()
    assert bucket.rate == pytest.approx(0.5)
    clock.now += 1
    bucket.throttled()
    assert bucket.rate == pytest.approx(0.275)
    for _ in range(30):
        clock.now += 1
        bucket.throttled()
    assert bucket.rate >= LOWEST_RATE
    clock.now += 30
    assert bucket.rate == 1.0


@pytest.mark.parametrize(
    "damage",
    [b"", b"\xff" * 32, b"\x00" * 31, b"\x07\x03\x01sealed", b"\x00" * 8 + b"\x00\x00\x00\x00\x00\x00\xf8\x7f" * 3],
)
def test_a_damaged_file_begins_anew(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "bucket"
    path.write_bytes(damage)
    bucket = RateBucket(10, path)
    assert bucket.take_read() <= 1.0
    time.sleep(1.05)
    assert bucket.take_read() == 0
    bucket.close()


def test_a_file_from_before_a_restart_begins_anew(tmp_path: Path) -> None:
    later, earlier = Clock(), Clock()
    later.now = 1e9
    before = RateBucket(10, tmp_path / "bucket", later)
    later.now += 5
    assert before.take_read() == 0
    before.close()
    after = RateBucket(10, tmp_path / "bucket", earlier)
    assert 0 < after.take_read() <= 1.0
    earlier.now += 1.1
    assert after.take_read() == 0
    after.close()


def _take(path: Path, limit: int, seconds: float, results: "multiprocessing.Queue[list[float]]") -> None:
    bucket = RateBucket(limit, path)
    taken = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if bucket.take_read() <= 0:
            taken.append(time.monotonic())
        time.sleep(0.0005)
    results.put(taken)


def test_processes_share_one_limit(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[list[float]] = context.Queue()
    workers = [context.Process(target=_take, args=(tmp_path / "bucket", 100, 3.0, results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    shares = [results.get(timeout=30) for _ in workers]
    for worker in workers:
        worker.join()
    assert most_in_a_second([moment for share in shares for moment in share]) <= 100
    assert all(len(share) > 20 for share in shares)


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        RateBucket(0.5)
