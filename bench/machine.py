"""The machine: which processors the proxy gets and which everything else, and what a reader has to know about it."""

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Processors:
    """Who runs where.

    Attributes:
        proxy: the one processor of the proxy that is measured.
        others: those of the load generator and the store.
    """

    proxy: frozenset[int]
    others: frozenset[int]


def divide_processors(available: set[int]) -> Processors:
    """The last processor for the proxy, the others for everything else; with one only, everybody shares it."""
    *others, last = sorted(available)
    return Processors(frozenset({last}), frozenset(others or {last}))


def own_processors() -> Processors:
    return divide_processors(os.sched_getaffinity(0))


def describe() -> dict[str, str | int]:
    """Processor, memory, kernel and interpreter; no names."""
    return {
        "processor": _first(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo")) or platform.machine(),
        "processors": len(os.sched_getaffinity(0)),
        "memory_gib": int(_first(r"^MemTotal:\s*(\d+)", Path("/proc/meminfo")) or 0) // 1024**2,
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
    }


def busy() -> float:
    """How many processes wanted to run during the last minute, on average."""
    return os.getloadavg()[0]


def _first(pattern: str, path: Path) -> str | None:
    found = re.search(pattern, path.read_text(), re.MULTILINE)
    return found[1] if found else None
