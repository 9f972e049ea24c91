"""What is read from clients of many kinds, and what is said about them."""

import os
from collections import Counter
from pathlib import Path

import pytest

from bench.processes import cpu_seconds, own_cpu_seconds
from bench.scale.idle import Idle, idle_section
from bench.scale.overload import Overload, overload_section, recovery_seconds
from bench.scale.peak import Rate, peak_of
from bench.scale.report import Report, render, write_documents
from bench.scale.section import Section
from bench.scale.streams import Streams, streams_section
from bench.scale.traffic import parse_answers
from bench.scale.transfers import Beside, transfers_section
from bench.scale.workers import _TURNS, Turn, listeners, workers_section
from lab.binaries import LabError

_MIB = 2**20
_MACHINE: dict[str, str | int] = {
    "processor": "a",
    "processors": 2,
    "memory_gib": 8,
    "system": "Linux 6",
    "python": "3.11",
}


def met(section: Section) -> list[bool]:
    return [target.met for target in section.targets]


def test_answers_of_clients() -> None:
    text = "connected\n1000000\t200\t3000\t1024\n2000000\t503\t1000\t300\n3000000\t0\t500\t77\n4000000\t-1\t9\t0\n"
    seen = parse_answers(text + "5000000\t200\t1000\t1024\n")
    assert seen.statuses == Counter({200: 2, 503: 1, 0: 1, -1: 1})
    assert (seen.good, seen.refused, seen.failed) == (2, 1, 1)
    assert (seen.p50_ms, seen.p99_ms) == (1.0, 3.0)
    assert list(seen.refused_ms) == [1.0]
    assert list(seen.good_until) == pytest.approx([1.003, 5.001])
    assert list(seen.received) == [1024, 300, 77, 0, 1024]


@pytest.mark.parametrize(
    "text", ["", "2026/11/30 no such file\n", "connected\nx\n", "connected\n1\t200\t3\n"], ids=["none", "log", "x", "3"]
)
def test_a_load_generator_that_failed(text: str) -> None:
    with pytest.raises(LabError, match="the load generator said"):
        parse_answers(text)


def test_the_peak_is_no_lucky_moment() -> None:
    found = [Rate(16, 3000, 3100), Rate(64, 2500, 2600), Rate(16, 2000, 2100), Rate(64, 2700, 2800)]
    assert peak_of(found) == Rate(64, 2600, 2700)


def test_who_listens() -> None:
    table = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0\n"
        "   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0\n"
        "   2: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0\n"
        "   3: 0100007F:1F90 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 4 1 0 20 4\n"
    )
    assert listeners(table, 8080) == 2
    assert listeners(table, 8082) == 0


def test_cpu_time_of_this_process_is_part_of_that_of_its_tree() -> None:
    assert 0 < own_cpu_seconds(os.getpid()) <= cpu_seconds(os.getpid())


@pytest.mark.parametrize(
    ("cpu", "scaling", "expected"), [(1.0, "2.00x", True), (1.1, "1.82x", True), (1.2, "1.67x", False)], ids=str
)
def test_a_second_worker_is_judged_by_cpu_time(cpu: float, scaling: str, expected: bool) -> None:
    """What it does on the clock, here not faster at all, is shown and not judged."""
    one, two = Turn(1, False, 1000, 1.0, 1.0, 0.25, 1.0), Turn(2, False, 1000, 1.0, cpu, 0.25, 0.6)
    turns = [one, two, Turn(2, True, 1000, 1.0, 9.0, 0.25, 0.6)] * 3
    section = workers_section(turns)
    assert met(section) == [expected]
    assert section.targets[0].measured == scaling
    assert "at most 1.60x" in section.text


def test_workers_are_compared_within_rounds() -> None:
    """A machine that gets slower from round to round changes nothing."""
    turns = [
        Turn(workers, spread, 1000, 1.0, slower * (1.1 if workers == 2 else 1.0), 0.25, 0.6)
        for slower in (1.0, 1.3, 1.6)
        for workers, spread in _TURNS
    ]
    assert workers_section(turns).targets[0].measured == "1.82x"


@pytest.mark.parametrize(
    ("beside", "cpu", "still_open", "expected"),
    [
        (1.4, 0.02, True, [True, True]),
        (1.6, 0.02, True, [False, True]),
        (1.4, 0.06, True, [True, False]),
        (1.4, 0.02, False, [False, True]),
    ],
    ids=["well", "slower", "busy", "closed"],
)
def test_idle_connections(beside: float, cpu: float, still_open: bool, expected: list[bool]) -> None:
    assert met(idle_section(Idle(1000, 30_000, 0.001, cpu, 1.0, beside, still_open))) == expected


@pytest.mark.parametrize(
    ("failed", "peak", "expected"),
    [(0, 600 * _MIB, [True, True]), (1, 600 * _MIB, [False, True]), (0, 601 * _MIB, [True, False])],
    ids=["well", "failed", "large"],
)
def test_streams(failed: int, peak: int, expected: list[bool]) -> None:
    section = streams_section([Streams("cse", "uploads of 1 MiB", 500, 500 - failed, failed, {}, 100 * _MIB, peak)])
    assert met(section) == expected


def test_memory_that_shrinks_is_none() -> None:
    assert Streams("cse", "uploads", 500, 500, 0, {}, 100 * _MIB, 90 * _MIB).bytes_each == 0


@pytest.mark.parametrize(("p99", "expected"), [(9.9, True), (10.0, False)], ids=["below", "at"])
def test_small_requests_beside_transfers(p99: float, expected: bool) -> None:
    """nginx and the store are there to compare with; they have no target."""
    section = transfers_section([Beside("nginx", 1.0, 2.0, 3.0, 99.0, 1000), Beside("cse", 1.0, 2.0, 3.0, p99, 1000)])
    assert met(section) == [expected]
    assert len(section.rows) == 2


def overload(good: float = 950, per_cpu: float = 1900, failed: int = 0, recovered: float = 1.0) -> Overload:
    return Overload(
        "GET",
        60,
        1000,
        2000,
        3000,
        good,
        per_cpu,
        10,
        failed,
        900,
        2000,
        2500,
        100 * _MIB,
        400 * _MIB,
        20,
        1,
        recovered,
    )


@pytest.mark.parametrize(
    ("found", "missed"),
    [
        (overload(), []),
        (overload(good=890), [0]),
        (overload(per_cpu=1790), [1]),
        (overload(failed=1), [2]),
        (overload(recovered=5.1), [4]),
    ],
    ids=["well", "clock", "cpu", "failed", "late"],
)
def test_overload(found: Overload, missed: list[int]) -> None:
    section = overload_section([found])
    assert [index for index, fine in enumerate(met(section)) if not fine] == missed


@pytest.mark.parametrize(
    ("moments", "expected"),
    [
        ([(0.6, 9.0), (1.2, 2.0), (1.8, 9.0)], 1.2),
        ([(0.6, 1.0)], 0.6),
        ([(0.6, 2.1)], float("inf")),
        ([], float("inf")),
    ],
    ids=["second", "first", "never", "nothing"],
)
def test_recovery(moments: list[tuple[float, float]], expected: float) -> None:
    assert recovery_seconds(moments, 1.0) == expected


def test_the_page_has_every_target_and_every_table(tmp_path: Path) -> None:
    sections = (
        workers_section([Turn(workers, spread, 1000, 1.0, 1.0, 0.25, 0.6) for workers, spread in _TURNS]),
        idle_section(Idle(1000, 30_000, 0.001, 0.002, 1.0, 1.1, still_open=True)),
        streams_section([Streams("cse", "slow readers", 100, 100, 0, {200: 100}, 1, 2)]),
        transfers_section([Beside("cse", 1.0, 2.0, 3.0, 4.0, 1000)]),
        overload_section([overload()]),
    )
    report = Report(_MACHINE, 400.0, (1.0, 2.0), sections)
    write_documents(report, tmp_path)
    page = (tmp_path / "scaling.md").read_text()
    assert page == render(report)
    for section in sections:
        assert f"## {section.title}\n" in page
        assert all(f"| {target.name} | {target.wanted} |" in page for target in section.targets)
    assert set(report.as_json()["measurements"]) == {section.title for section in sections}
    assert (tmp_path / "scaling.json").exists()
