"""What measurements share: contestants, clients, and how long to measure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.clients import kept_path
from bench.contestants import Contestant
from bench.loads import KIB
from bench.scale.traffic import Demand, Seen, Traffic
from lab.binaries import LabError

_WARM_SECONDS: Final = 2
_WARM_CONNECTIONS: Final = 16


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs.

    Attributes:
        contestants: in front of one store.
        traffic: starts clients.
        seconds: how long a load lasts.
        overload_seconds: how long there is too much of it.
    """

    contestants: Sequence[Contestant]
    traffic: Traffic
    seconds: float
    overload_seconds: float

    def contestant(self, name: str) -> Contestant:
        return next(each for each in self.contestants if each.name == name)

    def prepare(self) -> None:
        """Write the small object that is read, and let everything be used once."""
        for contestant in self.contestants:
            store_object(self.traffic, contestant, KIB)
            self.traffic.run(contestant, small_get(contestant, _WARM_SECONDS, _WARM_CONNECTIONS))


def small_get(contestant: Contestant, seconds: float, connections: int = 1, rate: float = 0.0) -> Demand:
    """Clients that read the object of 1 KiB again and again."""
    return Demand("GET", kept_path(contestant, KIB), seconds, connections, rate=rate, warm=True)


def small_put(contestant: Contestant, seconds: float, connections: int, rate: float = 0.0) -> Demand:
    """Clients that write an object of 1 KiB again and again."""
    path = f"/{contestant.bucket}/written"
    return Demand("PUT", path, seconds, connections, body_bytes=KIB, rate=rate, warm=True)


def store_object(traffic: Traffic, contestant: Contestant, size: int) -> None:
    """Write the object of this size that loads read.

    Raises:
        LabError: the contestant refused it.
    """
    path = kept_path(contestant, size)
    require_good(traffic.run(contestant, Demand("PUT", path, 1, body_bytes=size, requests=1)), 1)


def require_good(seen: Seen, count: int) -> None:
    """Hold a crowd to ``count`` good answers.

    Raises:
        LabError: there were others, or more, or fewer.
    """
    if seen.good != count or seen.statuses.total() != count:
        raise LabError(f"{count} good answers were expected, there were {dict(seen.statuses)}")


def proxy_pid(contestant: Contestant) -> int:
    """The process whose CPU time and memory are counted.

    Raises:
        LabError: there is none.
    """
    if contestant.pid is None:
        raise LabError(f"{contestant.name} is no proxy")
    return contestant.pid
