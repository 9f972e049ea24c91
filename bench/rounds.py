"""The order of things: warm up, then rounds in which all contestants take their turns.

The machine is noisy. Contestants follow each other within seconds, in an order that changes from round to round, so
that what is compared ran under the same conditions. One process has more luck with its memory than another, for as long
as it runs, which can make 10 % of a small request: everything is started anew for every sitting.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bench.clients import Clients, Taken
from bench.contestants import NGINX, Contestant
from bench.figures import Result, Round
from bench.loads import MIB, Kind, Load
from bench.processes import cpu_seconds, forget_peak, peak_resident_bytes
from lab.binaries import LabError

#: Fewest requests of one round for each connection: the TLS handshakes at its beginning must not weigh.
_FEWEST_PER_CONNECTION: Final = 16
#: The same for objects of 1 MiB, each of which is as much work as a handshake.
_FEWEST_OF_MIB_PER_CONNECTION: Final = 3
#: Fewest transfers of the largest objects, for the same reason.
_FEWEST_TRANSFERS: Final = 2
#: What nginx needs for small requests is so little that its rounds have to be longer: every ratio is to its figures.
_NGINX_TIMES_LONGER: Final = 3
#: When a plan is that many times what it was made from, it is made once more.
_MANY_TIMES: Final = 4
_FIRST_BYTE_REQUESTS: Final = 150
_ATTEMPTS: Final = 2

#: How many requests the rounds of a load have through the contestant of a name: the same in all sittings.
Planned = dict[tuple[Load, str], int]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured.

    Attributes:
        sittings: how often everything is started, and every load measured.
        rounds: in a sitting, of every load but the long ones. Medians of short rounds need many to be the same in the
            next run.
        long_rounds: of loads whose rounds are long by themselves.
        seconds: that one round of one contestant should last.
    """

    sittings: int
    rounds: int
    long_rounds: int
    seconds: float

    def rounds_of(self, load: Load) -> int:
        """How often a load is measured in a sitting."""
        return self.long_rounds if load.is_long else self.rounds


def measure(
    loads: Sequence[Load],
    contestants: Sequence[Contestant],
    clients: Clients,
    effort: Effort,
    planned: Planned,
    tell: Callable[[str], None],
) -> list[Result]:
    """Every load through every contestant, in one sitting.

    Args:
        loads: in this order.
        contestants: they hold the objects that are read already, or get them now.
        clients: the load generators.
        effort: how much.
        planned: the first sitting fills it.
        tell: progress.
    """
    for contestant in contestants:
        clients.store_objects(loads, contestant)
    results: list[Result] = []
    for number, load in enumerate(loads, start=1):
        tell(f"{number} of {len(loads)}: {load.name}, {load.connections} connections")
        results += _measure_load(load, contestants, clients, effort, planned)
    return results


def _measure_load(
    load: Load, contestants: Sequence[Contestant], clients: Clients, effort: Effort, planned: Planned
) -> list[Result]:
    for each in contestants:
        if (load, each.name) not in planned:
            seconds = effort.seconds * _times_longer(load, each)
            planned[load, each.name] = _plan(load, each, clients, seconds)
        elif load.payload_bytes <= MIB:
            _run(load, each, clients, load.connections)
    rounds: dict[str, list[Round]] = {each.name: [] for each in contestants}
    for turn in range(effort.rounds_of(load)):
        shift = turn % len(contestants)
        for contestant in (*contestants[shift:], *contestants[:shift]):
            rounds[contestant.name].append(_round(load, contestant, clients, planned[load, contestant.name]))
    return [Result(load, name, tuple(taken)) for name, taken in rounds.items()]


def _plan(load: Load, contestant: Contestant, clients: Clients, seconds: float) -> int:
    """Run the load once, which warms up too; how many requests the rounds should have."""
    if load.kind is Kind.FIRST_BYTE:
        clients.run(load, contestant, _FIRST_BYTE_REQUESTS)
        return _FIRST_BYTE_REQUESTS
    if load.kind is Kind.MULTIPART:
        _run(load, contestant, clients, 1)
        return 1
    fewest = fewest_requests(load)

    def planned_after(requests: int) -> int:
        taken = _run(load, contestant, clients, requests)
        return planned_requests(taken.requests / taken.seconds, seconds, load.connections, fewest)

    planned = planned_after(fewest)
    # The first requests meet a proxy that has done nothing of the kind yet: a few say little about many.
    return planned_after(_MANY_TIMES * fewest) if planned > _MANY_TIMES * fewest else planned


def _times_longer(load: Load, contestant: Contestant) -> int:
    return _NGINX_TIMES_LONGER if contestant.name == NGINX and load.payload_bytes < MIB else 1


def fewest_requests(load: Load) -> int:
    """How many requests a round has at least."""
    if load.payload_bytes > MIB:
        return max(load.connections, _FEWEST_TRANSFERS)
    return load.connections * (_FEWEST_PER_CONNECTION if load.payload_bytes < MIB else _FEWEST_OF_MIB_PER_CONNECTION)


def planned_requests(rate: float, seconds: float, connections: int, fewest: int) -> int:
    """How many requests last ``seconds``: as many on every connection, and not fewer than ``fewest``."""
    return max(fewest, round(rate * seconds / connections) * connections)


def _round(load: Load, contestant: Contestant, clients: Clients, requests: int) -> Round:
    if contestant.pid is None:
        taken = _run(load, contestant, clients, requests)
        return Round(taken.requests, taken.seconds, 0.0, taken.p50_ms, taken.p99_ms, 0)
    forget_peak(contestant.pid)
    before = cpu_seconds(contestant.pid)
    taken = _run(load, contestant, clients, requests)
    cpu = cpu_seconds(contestant.pid) - before
    peak = peak_resident_bytes(contestant.pid)
    return Round(taken.requests, taken.seconds, cpu, taken.p50_ms, taken.p99_ms, peak)


def _run(load: Load, contestant: Contestant, clients: Clients, requests: int) -> Taken:
    """Run a load; when it fails, once more, because a store may have been busy with something else.

    Raises:
        LabError: it failed again.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return clients.run(load, contestant, requests)
        except LabError as error:
            print(f"{contestant.name}, {load.name}: {error}; once more", flush=True)
    return clients.run(load, contestant, requests)
