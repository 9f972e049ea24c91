"""What is written about a run: tables, plots, raw figures."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.contestants import DIRECT
from bench.figures import Result, result_as_json
from bench.loads import KIB, MIB, Kind, Load
from bench.plots import Group, bar_chart
from bench.rounds import Effort
from bench.tables import (
    cpu_table,
    first_byte_table,
    latency_table,
    memory_table,
    names_in,
    per_core_table,
    rate_table,
    result_of,
)
from bench.targets import targets_table

_METHOD = Path(__file__).parent / "method.md"
_PLOT_LOADS = {
    "large": tuple(Load(kind, 256 * MIB, 1) for kind in (Kind.PUT, Kind.GET)),
    "small": tuple(Load(kind, KIB, 16) for kind in (Kind.PUT, Kind.GET)),
    "latency": tuple(Load(Kind.GET, KIB, count) for count in (1, 16, 128)),
}


@dataclass(frozen=True, slots=True)
class Report:
    """One run.

    Attributes:
        machine: what it ran on.
        proxy_processors: how many the proxy had.
        other_processors: how many everything else had.
        shared: whether these are the same.
        effort: how often each load was measured, and how long.
        seconds: all of it.
        load_average: before and after.
        idle_bytes: resident memory of each proxy before the first request.
        stub: results with the stub store.
        realistic: results with SeaweedFS.
    """

    machine: dict[str, str | int]
    proxy_processors: int
    other_processors: int
    shared: bool
    effort: Effort
    seconds: float
    load_average: tuple[float, ...]
    idle_bytes: dict[str, int]
    stub: tuple[Result, ...]
    realistic: tuple[Result, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "machine": self.machine,
            "proxy_processors": self.proxy_processors,
            "other_processors": self.other_processors,
            "sittings": self.effort.sittings,
            "rounds": self.effort.rounds,
            "long_rounds": self.effort.long_rounds,
            "seconds": round(self.seconds),
            "load_average": self.load_average,
            "idle_bytes": self.idle_bytes,
            "stub": [result_as_json(result) for result in self.stub],
            "seaweedfs": [result_as_json(result) for result in self.realistic],
        }


def render_tables(report: Report) -> str:
    """All tables, in Markdown."""
    results = report.stub
    sections = [
        ("Targets", targets_table(results, report.idle_bytes)),
        ("CPU time of the proxy", cpu_table(results)),
        ("Requests for one second of the proxy's CPU", per_core_table(results)),
        ("Throughput", rate_table(results)),
        ("Latency", latency_table(results)),
        ("First byte", first_byte_table(results)),
        ("Memory", memory_table(results, report.idle_bytes)),
        ("CPU time with SeaweedFS as the store", cpu_table(report.realistic)),
        ("Throughput with SeaweedFS as the store", rate_table(report.realistic)),
    ]
    return "\n".join(f"### {title}\n\n{text}" for title, text in sections if text)


def write_documents(report: Report, directory: Path) -> None:
    """``performance.md``, its plots and ``performance.json``."""
    for name, text in _plots(report.stub).items():
        (directory / f"performance-{name}.svg").write_text(text)
    (directory / "performance.json").write_text(json.dumps(report.as_json(), indent=1) + "\n")
    (directory / "performance.md").write_text(f"{_introduction(report)}\n{render_tables(report)}")


def _introduction(report: Report) -> str:
    machine = report.machine
    where = "on the same one" if report.shared else f"on {report.other_processors} other"
    before, after = report.load_average
    return _METHOD.read_text().format(
        processors=machine["processors"],
        processor=machine["processor"],
        memory_gib=machine["memory_gib"],
        system=machine["system"],
        python=machine["python"],
        where=where,
        sittings=report.effort.sittings,
        rounds=report.effort.sittings * report.effort.rounds,
        long_rounds=report.effort.sittings * report.effort.long_rounds,
        minutes=round(report.seconds / 60),
        before=f"{before:.1f}",
        after=f"{after:.1f}",
    )


def _plots(results: Sequence[Result]) -> dict[str, str]:
    everybody = names_in(results)
    proxies = [name for name in everybody if name != DIRECT]
    return {
        "large": bar_chart(
            "CPU time of the proxy, 256 MiB",
            "seconds per GiB",
            proxies,
            [
                Group(load.name, [result_of(results, load, name).cpu_per_gib() for name in proxies])
                for load in _PLOT_LOADS["large"]
            ],
        ),
        "small": bar_chart(
            "CPU time of the proxy, 1 KiB",
            "seconds per 1,000 requests",
            proxies,
            [
                Group(load.name, [result_of(results, load, name).cpu_per_thousand() for name in proxies])
                for load in _PLOT_LOADS["small"]
            ],
        ),
        "latency": bar_chart(
            "Median latency of GET 1 KiB",
            "milliseconds",
            everybody,
            [
                Group(
                    f"{load.connections} connections", [result_of(results, load, name).p50_ms() for name in everybody]
                )
                for load in _PLOT_LOADS["latency"]
            ],
        ),
    }
