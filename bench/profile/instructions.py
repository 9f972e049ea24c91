"""How many instructions the interpreter executes for one request, by function and by package.

Unlike times, these figures are the same on a busy machine and in every run.
"""

import json
import os
import re
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.process import wait_until

_SECONDS = 30
_OWN_DEPTH = 2
_INSTALLED = re.compile(r".*/(?:site-packages|lib/python3\.\d+)/(.*)")


@dataclass(frozen=True, slots=True)
class Instructions:
    """What one request of a load executes.

    Attributes:
        by_package: instructions; the gateway's own rooms apart.
        by_function: instructions and calls.
    """

    by_package: Counter[str]
    by_function: dict[str, tuple[float, float]]

    @property
    def total(self) -> float:
        return sum(self.by_package.values())


def counter(record: Path) -> list[str | Path]:
    """Arguments of the interpreter that run a module with its instructions counted."""
    return ["-m", "bench.profile.counted", record]


@contextmanager
def counting(pid: int, record: Path) -> Iterator[None]:
    """Count while the block runs; the counts are in ``record`` afterwards.

    Raises:
        LabError: the process does not react.
    """
    os.kill(pid, signal.SIGUSR1)
    wait_until(record.with_suffix(".begun").exists, seconds=_SECONDS, what="the start of counting")
    yield
    os.kill(pid, signal.SIGUSR2)
    wait_until(record.exists, seconds=_SECONDS, what="the end of counting")


def read_counts(text: str, requests: int) -> Instructions:
    """What was counted, divided by the number of requests."""
    by_package: Counter[str] = Counter()
    by_function: dict[str, tuple[float, float]] = {}
    for path, name, instructions, calls in json.loads(text):
        place = _place(path)
        by_package[_package(place)] += instructions / requests
        before, called = by_function.get(f"{name} ({place})", (0.0, 0.0))
        by_function[f"{name} ({place})"] = (before + instructions / requests, called + calls / requests)
    return Instructions(by_package, by_function)


def _place(path: str) -> str:
    """The file, from its package on."""
    installed = _INSTALLED.fullmatch(path)
    if installed is not None:
        return installed[1]
    return f"gateway/{path.rpartition('/gateway/')[2]}" if "/gateway/" in path else path


def _package(place: str) -> str:
    parts = place.split("/")
    return "/".join(parts[: _OWN_DEPTH if parts[0] == "gateway" else 1])
