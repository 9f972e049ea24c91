"""Many connections on which nothing happens: what they hold, what they cost, and whether others notice them."""

import time
from dataclasses import asdict, dataclass
from typing import Final

from bench.clients import kept_path
from bench.loads import KIB, MIB
from bench.processes import cpu_seconds, resident_bytes
from bench.scale.section import Section, Target
from bench.scale.stage import Stage, proxy_pid, small_get
from bench.scale.traffic import Demand

_CONNECTIONS: Final = 1000
_MODE: Final = "sse-s3"
#: Until the memory and the timers of what went before are gone.
_SETTLE_SECONDS: Final = 1.0
_SLOWER: Final = 1.5
_CPU_SHARE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Idle:
    """The figures.

    Attributes:
        bytes_each: resident memory of the gateway for each connection.
        cpu_before: share of a processor that the gateway takes with no connection.
        cpu_beside: the same with the idle connections.
        p50_before_ms: of a GET of 1 KiB over a connection of its own, with no other.
        p50_beside_ms: the same beside the idle connections.
        still_open: idle connections that were still there at the end.
    """

    connections: int
    bytes_each: int
    cpu_before: float
    cpu_beside: float
    p50_before_ms: float
    p50_beside_ms: float
    still_open: bool


def measure_idle(stage: Stage) -> Section:
    """A thousand connections, each with one request behind it."""
    contestant = stage.contestant(_MODE)
    pid = proxy_pid(contestant)
    small = small_get(contestant, stage.seconds / 2)
    cpu_before = _cpu_share(pid, stage.seconds / 2)
    before = stage.traffic.run(contestant, small)
    memory = resident_bytes(pid)
    asked = Demand("GET", kept_path(contestant, KIB), 30, _CONNECTIONS, requests=1, hold_seconds=3 * stage.seconds + 10)
    with stage.traffic.begin(contestant, asked) as crowd:
        crowd.wait_for_answers(_CONNECTIONS)
        time.sleep(_SETTLE_SECONDS)
        held = resident_bytes(pid) - memory
        cpu_beside = _cpu_share(pid, stage.seconds)
        beside = stage.traffic.run(contestant, small)
        still_open = crowd.is_running()
    return idle_section(
        Idle(_CONNECTIONS, held // _CONNECTIONS, cpu_before, cpu_beside, before.p50_ms, beside.p50_ms, still_open)
    )


def idle_section(idle: Idle) -> Section:
    """The figures as they are shown."""
    rows = [
        ["memory for each connection", f"{idle.bytes_each / KIB:.0f} KiB"],
        ["memory of all", f"{idle.bytes_each * idle.connections / MIB:.0f} MiB"],
        ["CPU use without them", f"{idle.cpu_before:.2%} of a processor"],
        ["CPU use with them", f"{idle.cpu_beside:.2%} of a processor"],
        ["GET 1 KiB without them, p50", f"{idle.p50_before_ms:.2f} ms"],
        ["GET 1 KiB beside them, p50", f"{idle.p50_beside_ms:.2f} ms"],
    ]
    slower = idle.p50_beside_ms / idle.p50_before_ms
    return Section(
        title=f"{idle.connections:,} idle connections",
        text=(
            "TLS connections that are kept open after one request each. Memory is the growth of the gateway's resident "
            "memory, so what a thousand handshakes leave behind is part of it."
        ),
        head=["figure", _MODE],
        rows=rows,
        targets=[
            Target(
                f"GET 1 KiB beside {idle.connections:,} idle connections, p50",
                f"≤ {_SLOWER:.1f}x",
                f"{slower:.2f}x",
                slower <= _SLOWER and idle.still_open,
            ),
            Target(
                f"CPU use of {idle.connections:,} idle connections",
                f"≤ {_CPU_SHARE:.0%}",
                f"{idle.cpu_beside:.1%}",
                idle.cpu_beside <= _CPU_SHARE,
            ),
        ],
        raw=asdict(idle),
    )


def _cpu_share(pid: int, seconds: float) -> float:
    begun, used = time.monotonic(), cpu_seconds(pid)
    time.sleep(seconds)
    return (cpu_seconds(pid) - used) / (time.monotonic() - begun)
