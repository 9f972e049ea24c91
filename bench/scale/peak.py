"""How many requests the gateway serves at its best."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Final

from bench.contestants import Contestant
from bench.processes import cpu_seconds
from bench.scale.stage import Stage, proxy_pid
from bench.scale.traffic import Demand

#: Clients, each with one request after the other.
PEAK_CONNECTIONS: Final = (16, 64)
_ROUNDS: Final = 2

DemandOf = Callable[[Contestant, float, int, float], Demand]


@dataclass(frozen=True, slots=True)
class Rate:
    """What became of one crowd of clients.

    Attributes:
        connections: how many clients.
        per_second: good answers a second.
        per_cpu_second: good answers for one CPU second of the gateway.
    """

    connections: int
    per_second: float
    per_cpu_second: float


def rates(stage: Stage, contestant: Contestant, demand_of: DemandOf) -> list[Rate]:
    """Each number of clients, twice."""
    return [_rate(stage, contestant, demand_of, connections) for connections in PEAK_CONNECTIONS * _ROUNDS]


def peak_of(found: Sequence[Rate]) -> Rate:
    """The best number of clients, and means of what became of them.

    The best of all crowds would be the one that met a fast moment of the machine. What the peak is held against takes a
    minute, which has slow moments too.
    """
    means = [
        Rate(
            connections,
            mean(each.per_second for each in found if each.connections == connections),
            mean(each.per_cpu_second for each in found if each.connections == connections),
        )
        for connections in {each.connections for each in found}
    ]
    return max(means, key=lambda each: each.per_second)


def _rate(stage: Stage, contestant: Contestant, demand_of: DemandOf, connections: int) -> Rate:
    seconds = stage.seconds / 4
    pid = proxy_pid(contestant)
    with stage.traffic.begin(contestant, demand_of(contestant, seconds, connections, 0.0)) as crowd:
        crowd.wait_until_connected()
        used = cpu_seconds(pid)
        seen = crowd.result()
    return Rate(connections, seen.good / seconds, seen.good / (cpu_seconds(pid) - used))
