"""Two workers beside one: what the second one costs, and what it brings."""

import resource
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bench.contestants import Contestant
from bench.machine import Processors
from bench.processes import cpu_seconds, own_cpu_seconds, pin, tree
from bench.scale.section import Section, Target
from bench.scale.stage import Stage, proxy_pid, small_get
from lab.process import wait_until

_CONNECTIONS: Final = 64
#: Many short ones: what else runs on the machine changes from minute to minute, and is much the same within one round.
_ROUNDS: Final = 8
_TARGET: Final = 1.8
#: Workers, and whether they have every processor.
_TURNS: Final = ((1, False), (2, False), (2, True))
_LISTENING: Final = "0A"


@dataclass(frozen=True, slots=True)
class Turn:
    """One round of one gateway.

    Attributes:
        workers: of the gateway.
        spread: whether they had every processor, or one for all of them.
        requests: that were answered.
        seconds: on the clock.
        cpu_seconds: of the gateway.
        other_cpu_seconds: of clients and store.
        largest_share: of the gateway's CPU time, that of its busiest process.
    """

    workers: int
    spread: bool
    requests: int
    seconds: float
    cpu_seconds: float
    other_cpu_seconds: float
    largest_share: float


def measure_workers(stages: Mapping[int, tuple[Stage, int]], processors: Processors, mode: str) -> Section:
    """Rounds of GETs of 1 KiB, through a gateway with one worker and one with two in turn.

    Args:
        stages: by number of workers, where the gateway is, and the process of the store behind it.
        processors: who runs where.
        mode: of the gateways.
    """
    wait_for_workers(stages[2][0].contestant(mode), 2)
    turns = []
    for number in range(_ROUNDS):
        for workers, spread in _TURNS if number % 2 == 0 else reversed(_TURNS):
            stage, store_pid = stages[workers]
            contestant = stage.contestant(mode)
            pin(proxy_pid(contestant), processors.proxy | (processors.others if spread else set()))
            turns.append(_turn(stage, contestant, workers, spread, store_pid))
    return workers_section(turns)


def workers_section(turns: Sequence[Turn]) -> Section:
    """The figures as they are shown."""
    kinds = [[turn for turn in turns if (turn.workers, turn.spread) == kind] for kind in _TURNS]
    per_cpu = [_median([_per_cpu(turn) for turn in some]) for some in kinds]
    on_clock = [_median([turn.requests / turn.seconds for turn in some]) for some in kinds]
    others = _median([turn.other_cpu_seconds / turn.requests for turn in turns])
    # Two processors for everything: the gateway's part of a request and the others' part.
    most = 2 / (1 + others * per_cpu[0])
    alone, together, _ = kinds
    scaling = 2 * _median([_per_cpu(two) / _per_cpu(one) for one, two in zip(alone, together, strict=True)])
    rows = [
        ["requests for one CPU second of the gateway", *(f"{rate:,.0f}" for rate in per_cpu)],
        ["requests a second on the clock", *(f"{rate:,.0f}" for rate in on_clock)],
        ["share of the busiest process", *(f"{_median([t.largest_share for t in some]):.0%}" for some in kinds)],
    ]
    return Section(
        title="Two workers beside one",
        text=(
            f"GET 1 KiB over {_CONNECTIONS} connections, {_ROUNDS} rounds in which each gateway has its turn, medians; "
            "the target's is that of the rounds' ratios. Workers share nothing but the port, so two on two processors "
            "do twice what one does unless requests cost more with two. That is what the first row tells, with both "
            "workers on the processor that one worker has, and what the target is held against. On the clock, with "
            "workers on every processor, a machine with two processors can not show "
            f"it: clients and store need {others * per_cpu[0]:.0%} of what the gateway needs for a request, so that "
            f"two workers could bring at most {most:.2f}x here if nothing else ran."
        ),
        head=["figure", "1 worker", "2 workers, one processor", "2 workers, every processor"],
        rows=rows,
        targets=[Target("two workers beside one, by CPU time", f"≥ {_TARGET}x", f"{scaling:.2f}x", scaling >= _TARGET)],
        raw={"turns": [asdict(turn) for turn in turns]},
    )


def wait_for_workers(contestant: Contestant, count: int) -> None:
    """Wait until so many processes of the gateway listen: the first one makes it look ready."""
    port = int(contestant.endpoint.rpartition(":")[2])
    wait_until(
        lambda: listeners(Path("/proc/net/tcp").read_text(), port) == count,
        seconds=30,
        what=f"the start of {count} workers",
    )


def listeners(table: str, port: int) -> int:
    """How many sockets listen on a port. Source: proc(5), /proc/net/tcp: local address in hexadecimal, state 0A."""
    found = 0
    for line in table.splitlines()[1:]:
        _, local, _, state, *_ = line.split()
        found += state == _LISTENING and int(local.rpartition(":")[2], 16) == port
    return found


def _turn(stage: Stage, contestant: Contestant, workers: int, spread: bool, store_pid: int) -> Turn:  # noqa: FBT001
    pid = proxy_pid(contestant)
    processes = tree(pid)
    others_before = _others_cpu_seconds(store_pid)
    seconds = stage.seconds / 5
    with stage.traffic.begin(contestant, small_get(contestant, seconds, _CONNECTIONS)) as crowd:
        crowd.wait_until_connected()
        before = [own_cpu_seconds(process) for process in processes]
        seen = crowd.result()
    used = [own_cpu_seconds(process) - then for process, then in zip(processes, before, strict=True)]
    others = _others_cpu_seconds(store_pid) - others_before
    return Turn(workers, spread, seen.good, seconds, sum(used), others, max(used) / sum(used))


def _others_cpu_seconds(store_pid: int) -> float:
    """Of the store, and of all clients that have ended."""
    clients = resource.getrusage(resource.RUSAGE_CHILDREN)
    return cpu_seconds(store_pid) + clients.ru_utime + clients.ru_stime


def _per_cpu(turn: Turn) -> float:
    return turn.requests / turn.cpu_seconds


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)
