"""What processes cost, from /proc: CPU time in nanoseconds, resident memory; and on which processors they run.

A server is the process that was started with everything below it.
"""

import os
from collections.abc import Iterable
from pathlib import Path

_PROC = Path("/proc")


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    parents: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdecimal() and (parent := _parent(entry)) is not None:
            parents.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for process in found:
        found.extend(parents.get(process, ()))
    return found


def pin(pid: int, processors: Iterable[int]) -> None:
    """Let a server run on these processors only. Threads that it starts later inherit that."""
    chosen = set(processors)
    for process in tree(pid):
        for task in _tasks(process):
            os.sched_setaffinity(int(task.name), chosen)


def cpu_seconds(pid: int) -> float:
    """User and system time of a server so far.

    From schedstat, in nanoseconds: the 10 ms ticks of /proc/PID/stat are as long as 50 small requests.
    """
    return sum(map(own_cpu_seconds, tree(pid)))


def own_cpu_seconds(pid: int) -> float:
    """The same of one process, without those below it."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in _tasks(pid)) / 1e9


def resident_bytes(pid: int) -> int:
    """Resident memory of a server now."""
    return sum(_status_bytes(process, "VmRSS") for process in tree(pid))


def peak_resident_bytes(pid: int) -> int:
    """The most resident memory of each of a server's processes since :func:`forget_peak`, summed up."""
    return sum(_status_bytes(process, "VmHWM") for process in tree(pid))


def forget_peak(pid: int) -> None:
    """Begin a new peak of resident memory. Source: proc(5), /proc/PID/clear_refs."""
    for process in tree(pid):
        (_PROC / str(process) / "clear_refs").write_text("5")


def _parent(entry: Path) -> int | None:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None  # it has ended meanwhile


def _tasks(pid: int) -> list[Path]:
    return list((_PROC / str(pid) / "task").iterdir())


def _status_bytes(pid: int, field: str) -> int:
    for line in (_PROC / str(pid) / "status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    return 0
