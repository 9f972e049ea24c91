"""What is written about a run: tables and raw figures. Pure but for the files."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.scale.section import Section
from bench.tables import markdown_table

_PAGE = """\
# Scaling

This page is made by `make scale`. The raw figures are in [scaling.json](scaling.json).

What the gateway does with many connections, slow clients, long transfers, and more requests than it can serve. One
request after the other is what [performance.md](performance.md) is about; the store, the way the gateway is started,
and the division of the processors are those described there. Clients are connections of one Go program (`bench/load`),
each with one request at a time.

The machine is a virtual one with {processors} processors ({processor}, {memory_gib} GiB, {system}, Python {python}). It
was not idle: the load average was {before:.1f} before and {after:.1f} after the run of {minutes:.0f} minutes, programs
that do not belong to the benchmark included. Times and rates on the clock move with that; CPU time and memory much
less.

## Targets

{targets}
{sections}"""


@dataclass(frozen=True, slots=True)
class Report:
    """One run.

    Attributes:
        machine: what it ran on.
        seconds: all of it.
        load_average: before and after.
        sections: one for each measurement.
    """

    machine: dict[str, str | int]
    seconds: float
    load_average: tuple[float, float]
    sections: Sequence[Section]

    def as_json(self) -> dict[str, Any]:
        return {
            "machine": self.machine,
            "seconds": round(self.seconds),
            "load_average": self.load_average,
            "measurements": {section.title: section.raw for section in self.sections},
        }


def render(report: Report) -> str:
    """The whole page, in Markdown."""
    before, after = report.load_average
    return _PAGE.format(
        **report.machine,
        before=before,
        after=after,
        minutes=report.seconds / 60,
        targets=_targets(report.sections),
        sections="\n".join(_section(section) for section in report.sections),
    )


def write_documents(report: Report, directory: Path) -> None:
    """``scaling.md`` and ``scaling.json``."""
    # JSON has no infinity: what did not happen at all is null there.
    plain = json.loads(json.dumps(report.as_json()), parse_constant=lambda _: None)
    (directory / "scaling.json").write_text(json.dumps(plain, indent=1) + "\n")
    (directory / "scaling.md").write_text(render(report))


def _targets(sections: Sequence[Section]) -> str:
    rows = [
        [target.name, target.wanted, target.measured, "yes" if target.met else "no"]
        for section in sections
        for target in section.targets
    ]
    return markdown_table(["target", "wanted", "measured", "met"], rows)


def _section(section: Section) -> str:
    return f"## {section.title}\n\n{section.text}\n\n{markdown_table(section.head, section.rows)}"
