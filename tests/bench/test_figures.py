"""Medians, spreads and ratios of a benchmark, and what is read from the log of its load generator."""

import json

import pytest

from bench.clients import parse_log
from bench.figures import Figure, Result, Round, cpu_per_request, joined, percentile, result_as_json, summary
from bench.loads import FULL, KIB, MIB, QUICK, REALISTIC, Kind, Load
from bench.machine import divide_processors
from bench.rounds import Effort, fewest_requests, planned_requests
from lab.binaries import LabError


def rounds_of(*cpu_seconds: float, requests: int = 100, seconds: float = 2.0) -> tuple[Round, ...]:
    return tuple(Round(requests, seconds, cpu, p50_ms=1.0, p99_ms=9.0, peak_bytes=64 * MIB) for cpu in cpu_seconds)


def test_a_figure_is_the_median_with_its_extremes() -> None:
    assert summary([3.0, 1.0, 10.0]) == Figure(3.0, 1.0, 10.0)


@pytest.mark.parametrize(
    ("percent", "expected"), [(50, 5), (99, 10), (90, 9), (1, 1), (100, 10)], ids=["50", "99", "90", "1", "100"]
)
def test_a_percentile_is_a_value_that_occurred(percent: int, expected: float) -> None:
    assert percentile(range(1, 11), percent) == expected


def test_figures_of_a_small_load() -> None:
    result = Result(Load(Kind.PUT, 1024, 16), "sse-s3", rounds_of(0.1, 0.2, 0.4))
    assert result.requests_per_second() == Figure(50.0, 50.0, 50.0)
    assert result.cpu_per_thousand().median == pytest.approx(2.0)
    assert result.requests_per_core() == Figure(500.0, 250.0, 1000.0)
    assert result.peak_mib().median == 64


def test_figures_of_a_large_load_count_object_data() -> None:
    result = Result(Load(Kind.GET, 256 * MIB, 1), "nginx", rounds_of(1.0, requests=4, seconds=2.0))
    assert result.cpu_per_gib().median == pytest.approx(1.0)
    assert result.megabytes_per_second().median == pytest.approx(4 * 256 * MIB / 2e6)


def test_a_range_counts_what_was_asked_for() -> None:
    assert Load(Kind.RANGE, 256 * MIB, 16).payload_bytes == 64 * 1024
    assert Load(Kind.LIST, 0, 16).payload_bytes == 0


def test_ratios_compare_rounds_that_ran_side_by_side() -> None:
    """The machine was twice as slow in the second round; that is nobody's fault."""
    load = Load(Kind.GET, 1024, 1)
    ours, theirs = Result(load, "cse", rounds_of(0.3, 0.6, 0.33)), Result(load, "nginx", rounds_of(0.1, 0.2, 0.1))
    ratio = ours.ratio_to(theirs, cpu_per_request)
    assert (ratio.median, ratio.lowest, ratio.highest) == pytest.approx((3.0, 3.0, 3.3))


def test_sittings_are_one_result() -> None:
    loads = [Load(kind, 1024, 1) for kind in (Kind.GET, Kind.PUT)]
    sittings = [[Result(load, "cse", rounds_of(cpu, 2 * cpu)) for load in loads] for cpu in (0.1, 0.3)]
    assert joined(sittings) == [Result(load, "cse", rounds_of(0.1, 0.2, 0.3, 0.6)) for load in loads]
    with pytest.raises(ValueError, match="zip"):
        joined([sittings[0], sittings[1][:1]])


def test_ratios_of_different_numbers_of_rounds_are_refused() -> None:
    load = Load(Kind.GET, 1024, 1)
    with pytest.raises(ValueError, match="zip"):
        Result(load, "cse", rounds_of(0.3)).ratio_to(Result(load, "nginx", rounds_of(0.1, 0.2)), cpu_per_request)


def test_raw_figures_as_json() -> None:
    record = json.loads(
        json.dumps(result_as_json(Result(Load(Kind.PUT_TRAILER, MIB, 16), "cse", rounds_of(0.25, 0.5))))
    )
    assert (record["kind"], record["size"], record["connections"]) == ("PUT_TRAILER", MIB, 16)
    assert [taken["cpu_seconds"] for taken in record["rounds"]] == [0.25, 0.5]


def test_the_log_of_h2load() -> None:
    """Begin in µs, status, duration in µs. The time is that from the first begin to the last end."""
    taken = parse_log("1000000\t200\t3000\n1001000\t200\t1000\n1500000\t206\t500000\n", 3)
    assert (taken.requests, taken.seconds) == (3, 1.0)
    assert (taken.p50_ms, taken.p99_ms) == (3.0, 500.0)


@pytest.mark.parametrize(
    ("log", "requests"),
    [("1\t200\t1\n", 2), ("1\t200\t1\n2\t503\t1\n", 2), ("1\t-1\t1\n", 1), ("", 1)],
    ids=["too-few", "refused", "no-answer", "nothing"],
)
def test_a_failed_request_spoils_the_round(log: str, requests: int) -> None:
    with pytest.raises(LabError, match="were answered"):
        parse_log(log, requests)


@pytest.mark.parametrize(
    ("available", "proxy", "others"),
    [({0, 1}, {1}, {0}), ({2, 5, 7, 3}, {7}, {2, 3, 5}), ({4}, {4}, {4})],
    ids=["two", "four", "one"],
)
def test_the_proxy_has_a_processor_of_its_own(available: set[int], proxy: set[int], others: set[int]) -> None:
    divided = divide_processors(available)
    assert (set(divided.proxy), set(divided.others)) == (proxy, others)


@pytest.mark.parametrize(
    ("rate", "connections", "fewest", "expected"),
    [(1000, 16, 256, 496), (10, 16, 256, 256), (1.5, 1, 1, 1), (33_000, 128, 2048, 16_512)],
    ids=["by-time", "too-slow", "large", "fast"],
)
def test_rounds_last_as_long_as_they_should(rate: float, connections: int, fewest: int, expected: int) -> None:
    assert planned_requests(rate, 0.5, connections, fewest) == expected


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        (Load(Kind.GET, KIB, 128), 2048),
        (Load(Kind.RANGE, 256 * MIB, 16), 256),
        (Load(Kind.PUT, MIB, 1), 3),
        (Load(Kind.PUT, MIB, 128), 384),
        (Load(Kind.PUT, 16 * MIB, 4), 4),
        (Load(Kind.PUT, 256 * MIB, 1), 2),
    ],
    ids=lambda value: f"{value.name}-{value.connections}" if isinstance(value, Load) else None,
)
def test_handshakes_weigh_little_in_a_round(load: Load, expected: int) -> None:
    assert fewest_requests(load) == expected


@pytest.mark.parametrize("loads", [FULL, QUICK, REALISTIC], ids=["full", "quick", "realistic"])
def test_no_load_is_measured_twice(loads: tuple[Load, ...]) -> None:
    assert len(set(loads)) == len(loads)
    assert len({(load.name, load.connections) for load in loads}) == len(loads)


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        (Load(Kind.GET, 1024, 16), 5),
        (Load(Kind.GET, 1024, 128), 3),
        (Load(Kind.PUT, MIB, 16), 5),
        (Load(Kind.PUT, 256 * MIB, 1), 3),
        (Load(Kind.RANGE, 256 * MIB, 16), 5),
    ],
    ids=lambda value: f"{value.name}-{value.connections}" if isinstance(value, Load) else "",
)
def test_loads_of_long_rounds_are_measured_less_often(load: Load, expected: int) -> None:
    assert Effort(sittings=1, rounds=5, long_rounds=3, seconds=0.5).rounds_of(load) == expected
