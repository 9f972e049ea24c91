"""Whether several runs of the benchmark say the same: how far each ratio to nginx moves between them. Pure."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.contestants import DIRECT, NGINX
from bench.figures import Result, cpu_per_request, result_from_json
from bench.tables import markdown_table
from lab.binaries import LabError

#: How far a ratio may move between runs.
ALLOWED: Final = 0.15
_STORES: Final = ("stub", "seaweedfs")

_Key = tuple[str, str, int, str]


@dataclass(frozen=True, slots=True)
class Movement:
    """One load through one contestant, in several runs.

    Attributes:
        store: behind the contestant.
        load: its name.
        connections: of the load.
        contestant: its name.
        ratios: of CPU time for a request to that of nginx, the median of each run's rounds.
    """

    store: str
    load: str
    connections: int
    contestant: str
    ratios: tuple[float, ...]

    @property
    def middle(self) -> float:
        return statistics.median(self.ratios)

    @property
    def farthest(self) -> float:
        """The distance of the run that is farthest from the middle one, as a part of it."""
        return max(abs(ratio / self.middle - 1) for ratio in self.ratios)


def movements(runs: Sequence[Mapping[str, Any]]) -> list[Movement]:
    """Every ratio of every run.

    Args:
        runs: raw figures, as ``make bench`` writes them.

    Raises:
        LabError: there are fewer than two runs, or they did not measure the same.
    """
    if len(runs) < 2:
        raise LabError("there is nothing to compare with fewer than two runs")
    found = [_ratios(run) for run in runs]
    if any(ratios.keys() != found[0].keys() for ratios in found):
        raise LabError("the runs did not measure the same loads and contestants")
    return [Movement(*key, tuple(ratios[key] for ratios in found)) for key in found[0]]


def movements_table(found: Sequence[Movement]) -> str:
    """Every ratio, the farthest first."""
    rows = [
        [
            each.load,
            str(each.connections),
            each.store,
            each.contestant,
            *(f"{ratio:.2f}x" for ratio in each.ratios),
            f"{each.farthest:.1%}",
        ]
        for each in sorted(found, key=lambda each: each.farthest, reverse=True)
    ]
    runs = [f"run {number}" for number in range(1, len(found[0].ratios) + 1)] if found else []
    return markdown_table(["load", "connections", "store", "contestant", *runs, "moved"], rows)


def verdict(found: Sequence[Movement]) -> tuple[bool, str]:
    """Whether all ratios are stable, and the same in words."""
    unstable = sum(each.farthest > ALLOWED for each in found)
    largest = max((each.farthest for each in found), default=0.0)
    return (
        unstable == 0,
        f"largest movement {largest:.1%}; {unstable} of {len(found)} ratios moved by more than {ALLOWED:.0%}",
    )


def _ratios(run: Mapping[str, Any]) -> dict[_Key, float]:
    ratios: dict[_Key, float] = {}
    for store in _STORES:
        results = [result_from_json(record) for record in run[store]]
        nginx = {result.load: result for result in results if result.contestant == NGINX}
        for result in results:
            if result.contestant not in {DIRECT, NGINX} and result.load in nginx:
                key = (store, result.load.name, result.load.connections, result.contestant)
                ratios[key] = _ratio(result, nginx[result.load])
    return ratios


def _ratio(result: Result, nginx: Result) -> float:
    return result.ratio_to(nginx, cpu_per_request).median
