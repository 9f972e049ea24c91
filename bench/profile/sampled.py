"""Profiles of a running gateway by py-spy: samples of its stack, shown as the functions that cost most."""

import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.binaries import LabError, require_binary

_RATE = 250
_ATTACH_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Sampled:
    """Samples of one load.

    Attributes:
        total: how many.
        inside: by function, in how many it was on top of the stack.
        below: by function, in how many it was anywhere on the stack.
    """

    total: int
    inside: Counter[str]
    below: Counter[str]


@contextmanager
def sampling(pid: int, raw: Path, seconds: float) -> Iterator[None]:
    """Sample a process for ``seconds``, or shorter when the block ends before; the stacks are in ``raw`` afterwards.

    Raises:
        LabError: py-spy can not read the process.
    """
    spy = require_binary("py-spy", hint="It is in the dependency group bench.")
    recording = subprocess.Popen(
        [
            spy,
            "record",
            *("--pid", str(pid)),
            *("--rate", str(_RATE)),
            *("--duration", str(round(seconds))),
            *("--format", "raw"),
            *("--output", str(raw)),
            "--nonblocking",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield
    finally:
        try:
            _, errors = recording.communicate(timeout=seconds + _ATTACH_SECONDS)
        except subprocess.TimeoutExpired:
            recording.kill()
            recording.communicate()
            raise LabError("py-spy did not end") from None
    if recording.returncode != 0:
        raise LabError(f"py-spy failed:\n{errors[-1000:]}")


def parse_stacks(text: str) -> Sampled:
    """Collapsed stacks: ``outermost;...;innermost count`` on every line; a function is named without its line."""
    inside: Counter[str] = Counter()
    below: Counter[str] = Counter()
    total = 0
    for line in text.splitlines():
        stack, _, count_text = line.rpartition(" ")
        count = int(count_text)
        functions = [_function(frame) for frame in stack.split(";")]
        total += count
        inside[functions[-1]] += count
        for function in set(functions):
            below[function] += count
    return Sampled(total, inside, below)


def _function(frame: str) -> str:
    """``name (path/file.py:12)`` without the line, the path from the package on."""
    name, _, place = frame.partition(" (")
    path = place.rstrip(")").rpartition(":")[0] or place.rstrip(")")
    for root in ("site-packages/", "lib/python3"):
        path = path.rpartition(root)[2]
    return f"{name} ({path})" if path else name
