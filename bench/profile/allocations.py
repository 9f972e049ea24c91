"""What a gateway allocates, by memray: which places do so most often, and which ask for most memory."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.prepare import run_program

_SHOWN = 20
_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Allocations:
    """Allocations of one run, its start included: only what happens for every request comes up often.

    Attributes:
        peak_bytes: most memory at a time.
        by_count: places, and how often each allocated.
        by_size: places, and how many bytes each asked for.
    """

    peak_bytes: int
    by_count: list[tuple[str, int]]
    by_size: list[tuple[str, int]]


def recorder(record: Path) -> list[str | Path]:
    """Arguments of the interpreter that run a module under memray."""
    return ["-m", "memray", "run", "--quiet", "--force", "--output", record]


def read_record(record: Path) -> Allocations:
    """What memray recorded.

    Raises:
        LabError: memray can not read it.
    """
    target = record.with_suffix(".json")
    run_program(
        [
            sys.executable,
            "-m",
            "memray",
            "stats",
            "--json",
            "--force",
            f"-n{_SHOWN}",
            "--output",
            str(target),
            str(record),
        ],
        _SECONDS,
    )
    return parse_stats(json.loads(target.read_text()))


def parse_stats(stats: dict[str, Any]) -> Allocations:
    return Allocations(
        peak_bytes=int(stats["metadata"]["peak_memory"]),
        by_count=[(_place(entry["location"]), int(entry["count"])) for entry in stats["top_allocations_by_count"]],
        by_size=[(_place(entry["location"]), int(entry["size"])) for entry in stats["top_allocations_by_size"]],
    )


def _place(location: str) -> str:
    return location.rpartition("site-packages/")[2]
