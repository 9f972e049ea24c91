"""From rounds to figures: medians, spreads, ratios. Pure."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.loads import Kind, Load

_GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Round:
    """One round of one load through one contestant.

    Attributes:
        requests: how many were answered.
        seconds: from the first byte of the first to the last of the last.
        cpu_seconds: what the proxy's processes used meanwhile; 0 without a proxy.
        p50_ms: of the latencies.
        p99_ms: of the latencies.
        peak_bytes: most resident memory of the proxy meanwhile.
    """

    requests: int
    seconds: float
    cpu_seconds: float
    p50_ms: float
    p99_ms: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure over all rounds: its median and how far the rounds lie apart."""

    median: float
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class Result:
    """All rounds of one load through one contestant."""

    load: Load
    contestant: str
    rounds: tuple[Round, ...]

    def requests_per_second(self) -> Figure:
        return self._figure(lambda taken: taken.requests / taken.seconds)

    def megabytes_per_second(self) -> Figure:
        return self._figure(lambda taken: taken.requests * self.load.payload_bytes / taken.seconds / 1e6)

    def cpu_per_thousand(self) -> Figure:
        """CPU seconds of the proxy for 1,000 requests."""
        return self._figure(lambda taken: taken.cpu_seconds / taken.requests * 1000)

    def cpu_per_gib(self) -> Figure:
        """CPU seconds of the proxy for one GiB of object data."""
        return self._figure(lambda taken: taken.cpu_seconds / (taken.requests * self.load.payload_bytes) * _GIB)

    def requests_per_core(self) -> Figure:
        """Requests for one second of the proxy's CPU time: its rate if nothing else were in the way."""
        return self._figure(lambda taken: taken.requests / taken.cpu_seconds)

    def p50_ms(self) -> Figure:
        return self._figure(lambda taken: taken.p50_ms)

    def p99_ms(self) -> Figure:
        return self._figure(lambda taken: taken.p99_ms)

    def peak_mib(self) -> Figure:
        return self._figure(lambda taken: taken.peak_bytes / 1024**2)

    def ratio_to(self, other: "Result", cost: Callable[[Round], float]) -> Figure:
        """How a cost compares with another contestant's, round by round: rounds that ran side by side share the noise.

        Args:
            other: of the same load.
            cost: the figure of one round.
        """
        pairs = zip(self.rounds, other.rounds, strict=True)
        return summary([cost(mine) / cost(theirs) for mine, theirs in pairs])

    def _figure(self, of_round: Callable[[Round], float]) -> Figure:
        return summary([of_round(taken) for taken in self.rounds])


def joined(sittings: Sequence[Sequence[Result]]) -> list[Result]:
    """The results of all sittings, each of which measured the same loads and contestants, as those of one."""
    return [
        Result(each[0].load, each[0].contestant, tuple(taken for result in each for taken in result.rounds))
        for each in zip(*sittings, strict=True)
    ]


def summary(values: Sequence[float]) -> Figure:
    return Figure(statistics.median(values), min(values), max(values))


def cpu_per_request(taken: Round) -> float:
    return taken.cpu_seconds / taken.requests


def percentile(ordered: Sequence[float], percent: int) -> float:
    """The smallest value that at least ``percent`` of all do not exceed."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def result_as_json(result: Result) -> dict[str, Any]:
    load = result.load
    return {
        "kind": load.kind.name,
        "size": load.size,
        "connections": load.connections,
        "contestant": result.contestant,
        "rounds": [asdict(taken) for taken in result.rounds],
    }


def result_from_json(record: Mapping[str, Any]) -> Result:
    """What :func:`result_as_json` made of a result."""
    load = Load(Kind[record["kind"]], record["size"], record["connections"])
    return Result(load, record["contestant"], tuple(Round(**taken) for taken in record["rounds"]))
