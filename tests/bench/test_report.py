"""Tables, targets and plots of a benchmark."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.contestants import DIRECT, NAMES, NGINX
from bench.figures import Figure, Result, Round
from bench.loads import FULL, KIB, MIB, Kind, Load
from bench.plots import Group, axis_end, bar_chart
from bench.profile.allocations import parse_stats
from bench.profile.sampled import parse_stacks
from bench.report import Report, render_tables, write_documents
from bench.rounds import Effort
from bench.tables import cpu_table, markdown_table
from bench.targets import targets_table

_LARGE = Load(Kind.GET, 256 * MIB, 1)
_SMALL = Load(Kind.GET, KIB, 16)


def result(load: Load, contestant: str, cpu: float) -> Result:
    taken = Round(100, 1.0, 0.0 if contestant == DIRECT else cpu, 2.0, 5.0, 100 * MIB)
    return Result(load, contestant, (taken, taken))


def test_a_table_in_markdown() -> None:
    assert markdown_table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --: |\n| 1 | 2 |\n"


def test_cpu_beside_nginx() -> None:
    table = cpu_table([result(_SMALL, DIRECT, 0), result(_SMALL, NGINX, 0.01), result(_SMALL, "cse", 0.02)])
    assert table.splitlines()[2] == "| GET 1 KiB | 16 | s/1,000 | 0.100 | 0.200 · 2.00x (2.00-2.00) |"


def test_cpu_without_nginx_has_no_ratio() -> None:
    assert "x (" not in cpu_table([result(_SMALL, "cse", 0.02)])


@pytest.mark.parametrize(("cpu", "met"), [(1.0, "yes"), (1.14, "yes"), (1.2, "no")], ids=["equal", "within", "beyond"])
def test_large_objects_are_held_against_nginx(cpu: float, met: str) -> None:
    table = targets_table([result(_LARGE, NGINX, 1.0), result(_LARGE, "cse", cpu)], {})
    assert table.splitlines()[2].endswith(f"| ≤ 1.15x | {cpu:.2f}x | {met} |")


@pytest.mark.parametrize(("cpu", "met"), [(0.02, "yes"), (0.05, "no")], ids=["5,000", "2,000"])
def test_small_objects_are_held_against_a_rate(cpu: float, met: str) -> None:
    assert targets_table([result(_SMALL, "sse-s3", cpu)], {}).splitlines()[2].endswith(f"| {met} |")


def test_memory_is_held_against_its_limit() -> None:
    lines = targets_table([], {"sse-s3": 80 * MIB, "cse": 81 * MIB, NGINX: 500 * MIB}).splitlines()[2:]
    assert [line.rpartition("| ")[2] for line in lines] == ["yes |", "no |"]


def test_no_results_no_targets() -> None:
    assert targets_table([], {}) == ""


@pytest.mark.parametrize(
    ("highest", "end"), [(0.9, 1), (1.0, 1), (1.1, 2), (3, 4), (41, 50), (60, 80), (81, 100)], ids=str
)
def test_the_axis_ends_above_the_highest_bar(highest: float, end: float) -> None:
    assert axis_end(highest) == pytest.approx(end)


def test_a_chart_is_xml_with_a_bar_for_each_figure() -> None:
    groups = [Group("<small>", [Figure(1, 0.9, 1.2), None]), Group("large", [Figure(2, 2, 2), Figure(3, 2, 4)])]
    chart = ElementTree.fromstring(bar_chart("A & B", "s", ["x", "y"], groups))  # noqa: S314 - made above
    bars = [shape for shape in chart.iter("{http://www.w3.org/2000/svg}rect") if shape.get("height") != "10"]
    assert len(bars) == 3
    assert chart.findtext("{http://www.w3.org/2000/svg}title") == "A & B"


def test_bars_are_as_high_as_their_figures() -> None:
    chart = ElementTree.fromstring(  # noqa: S314 - made above
        bar_chart("t", "s", ["x", "y"], [Group("g", [Figure(1, 1, 1), Figure(4, 4, 4)])])
    )
    heights = [float(shape.get("height", 0)) for shape in chart.iter("{http://www.w3.org/2000/svg}rect")][2:]
    assert heights[1] == pytest.approx(4 * heights[0], rel=0.01)


def test_a_whole_report(tmp_path: Path) -> None:
    """Every table has a row for each load it is about, and everything that is written is there."""
    results = tuple(result(load, name, 0.01 * (1 + NAMES.index(name))) for load in FULL for name in NAMES)
    idle = {name: 90 * MIB for name in NAMES if name != DIRECT}
    machine: dict[str, str | int] = {
        "processor": "a",
        "processors": 2,
        "memory_gib": 8,
        "system": "Linux 6",
        "python": "3.11",
    }
    report = Report(machine, 1, 1, False, Effort(3, 2, 1, 0.5), 700.0, (1.0, 2.0), idle, results, results)
    tables = render_tables(report)
    assert all(tables.count(f"| {load.name} | {load.connections} |") >= 1 for load in FULL)
    write_documents(report, tmp_path)
    written = sorted(path.name for path in tmp_path.iterdir())
    plots = ["performance-large.svg", "performance-latency.svg", "performance-small.svg"]
    assert written == sorted([*plots, "performance.json", "performance.md"])
    page = (tmp_path / "performance.md").read_text()
    assert all(f"({name})" in page for name in [*plots, "performance.json"])
    assert "{" not in page


def test_collapsed_stacks() -> None:
    text = "main (app.py:1);f (/x/site-packages/lib/a.py:7) 3\nmain (app.py:2);f (/x/site-packages/lib/a.py:9) 1\n"
    sampled = parse_stacks(text + "main (app.py:3) 4\n")
    assert sampled.total == 8
    assert sampled.inside == {"f (lib/a.py)": 4, "main (app.py)": 4}
    assert sampled.below == {"f (lib/a.py)": 4, "main (app.py)": 8}


def test_recursion_counts_once_for_each_sample() -> None:
    assert parse_stacks("f (a.py:1);f (a.py:1) 5\n").below == {"f (a.py)": 5}


def test_statistics_of_memray() -> None:
    entry = {"location": "read:/x/site-packages/ssl.py:921"}
    stats = {
        "metadata": {"peak_memory": 7},
        "top_allocations_by_count": [{**entry, "count": 3}],
        "top_allocations_by_size": [{**entry, "size": 9}],
    }
    read = parse_stats(stats)
    assert (read.peak_bytes, read.by_count, read.by_size) == (7, [("ssl.py:921", 3)], [("ssl.py:921", 9)])
