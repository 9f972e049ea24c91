"""Clients of many kinds, by the program ``bench/load``: how they behave, and what became of their requests."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.clients import signed_request
from bench.contestants import Contestant
from bench.figures import percentile
from bench.machine import Processors
from bench.prepare import build_program
from lab.binaries import LabError
from lab.process import ServerProcess, wait_until

#: How long answers may take beyond the time of a demand.
_PATIENCE_SECONDS: Final = 60
#: The niceness of processes that come after all others.
_LAST_IN_TURN: Final = 19
_CONNECTED: Final = "connected"
_UNFINISHED: Final = 0
_OK: Final = 200
_REFUSED: Final = 503


@dataclass(frozen=True, slots=True)
class Demand:
    """What clients want.

    Attributes:
        method: of every request.
        path: of every request.
        seconds: how long they send requests.
        connections: how many clients, each with one request at a time.
        body_bytes: of every request.
        requests: of each client; 0 for as many as there is time for.
        rate: requests a second of all clients together, whether or not the server keeps up; 0 for one request after
            the other.
        pace: bytes a second that each client sends or reads of a body; 0 for as many as it can.
        hold_seconds: how long connections stay open after their last request.
        warm: whether each connection begins with a request that does not count.
        patient: whether all other processes on the same processors go first.
    """

    method: str
    path: str
    seconds: float
    connections: int = 1
    body_bytes: int = 0
    requests: int = 0
    rate: float = 0.0
    pace: int = 0
    hold_seconds: float = 0.0
    warm: bool = False
    patient: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of the requests of one demand.

    Attributes:
        statuses: how many answers had which status; -1 stands for none at all, 0 for one that was not whole at the end.
        good_ms: how long the good answers took, ascending.
        refused_ms: how long the answers with status 503 took, ascending.
        good_until: for every good answer, the second in which it was complete, on the clock.
        received: bytes of the body that each request received.
    """

    statuses: Counter[int]
    good_ms: Sequence[float]
    refused_ms: Sequence[float]
    good_until: Sequence[float]
    received: Sequence[int]

    @property
    def good(self) -> int:
        return self.statuses[_OK]

    @property
    def refused(self) -> int:
        return self.statuses[_REFUSED]

    @property
    def failed(self) -> int:
        """Requests that were neither served nor refused in order, nor still on their way."""
        return self.statuses.total() - self.good - self.refused - self.statuses[_UNFINISHED]

    @property
    def p50_ms(self) -> float:
        return percentile(self.good_ms, 50)

    @property
    def p99_ms(self) -> float:
        return percentile(self.good_ms, 99)


def parse_answers(text: str) -> Seen:
    """What ``bench/load`` prints: that it is connected, then the requests.

    Each has a line: when it was sent (µs), its status, how long it took (µs), and how many bytes came.

    Raises:
        LabError: it printed something else.
    """
    statuses: Counter[int] = Counter()
    good: list[float] = []
    refused: list[float] = []
    until: list[float] = []
    received: list[int] = []
    first, *lines = text.splitlines() or [""]
    if first != _CONNECTED:
        raise LabError(f"the load generator said {first[:200]!r}")
    for line in lines:
        try:
            sent, status, took, size = map(int, line.split("\t"))
        except ValueError:
            raise LabError(f"the load generator said {line[:200]!r}") from None
        statuses[status] += 1
        received.append(size)
        if status == _OK:
            good.append(took / 1000)
            until.append((sent + took) / 1e6)
        elif status == _REFUSED:
            refused.append(took / 1000)
    return Seen(statuses, sorted(good), sorted(refused), until, received)


class Crowd:
    """One crowd of clients, running."""

    def __init__(self, process: ServerProcess, demand: Demand) -> None:
        self._process = process
        self._demand = demand

    def wait_until_connected(self) -> None:
        """Wait until all connections are open; the time of the demand begins then."""

        def connected() -> bool:
            return not self.is_running() or self._process.log_file.read_bytes().startswith(_CONNECTED.encode())

        wait_until(connected, seconds=_PATIENCE_SECONDS, what=f"the opening of {self._demand.connections} connections")

    def wait_for_answers(self, count: int) -> None:
        """Wait until ``count`` requests have come to their end."""

        def came() -> bool:
            return not self.is_running() or self._process.log_file.read_bytes().count(b"\n") > count

        wait_until(came, seconds=_PATIENCE_SECONDS, what=f"{count} answers")

    def is_running(self) -> bool:
        return self._process.is_alive()

    def result(self) -> Seen:
        """Wait for the end.

        Raises:
            LabError: the load generator failed.
        """
        status = self._process.wait(seconds=self._demand.seconds + self._demand.hold_seconds + _PATIENCE_SECONDS)
        if status != 0:
            raise LabError(f"the load generator failed:\n{self._process.log_tail()}")
        return parse_answers(self._process.log_file.read_text())


class Traffic:
    """Starts clients on their own processors.

    Args:
        directory: everything is written there.
        processors: where they run.
    """

    def __init__(self, directory: Path, processors: Processors) -> None:
        self._directory = directory
        self._program = build_program("load", directory / "bin")
        self._pinned = ["taskset", "--cpu-list", ",".join(map(str, sorted(processors.others)))]
        self._started = 0
        directory.mkdir(exist_ok=True)

    @contextmanager
    def begin(self, contestant: Contestant, demand: Demand) -> Iterator[Crowd]:
        """Clients that run beside what is inside; those still there at its end are ended."""
        self._started += 1
        directory = self._directory / f"load-{self._started}"
        directory.mkdir()
        head = directory / "head"
        head.write_bytes(_request_head(contestant, demand))
        options: dict[str, object] = {
            "address": f"127.0.0.1:{contestant.endpoint.rpartition(':')[2]}",
            "authority": contestant.ca_file,
            "head": head,
            "body": demand.body_bytes,
            "connections": demand.connections,
            "requests": demand.requests,
            "rate": demand.rate,
            "pace": demand.pace,
            "seconds": demand.seconds,
            "hold": demand.hold_seconds,
            "warm": str(demand.warm).lower(),
        }
        words = [f"-{name}={value}" for name, value in options.items()]
        turn = ["nice", "-n", str(_LAST_IN_TURN)] if demand.patient else []
        process = ServerProcess("load", [*turn, *self._pinned, self._program, *words], directory=directory)
        process.start(lambda: True)
        if demand.patient:
            _let_other_sessions_first(process.pid)
        try:
            yield Crowd(process, demand)
        finally:
            process.kill()

    def run(self, contestant: Contestant, demand: Demand) -> Seen:
        """Clients from beginning to end."""
        with self.begin(contestant, demand) as crowd:
            return crowd.result()


def _let_other_sessions_first(pid: int) -> None:
    """Niceness counts inside a session only where the kernel shares processors out among sessions.

    Every program that is started here has a session of its own. Source: sched(7), "The autogroup feature".
    """
    autogroup = Path("/proc") / str(pid) / "autogroup"
    if autogroup.exists():
        autogroup.write_text(str(_LAST_IN_TURN))


def _request_head(contestant: Contestant, demand: Demand) -> bytes:
    """Request line and header fields, signed now."""
    _, headers = signed_request(contestant, demand.method, demand.path, {})
    fields = {"Host": contestant.endpoint.removeprefix("https://"), **headers}
    if demand.method == "PUT":
        fields["Content-Length"] = str(demand.body_bytes)
    lines = [f"{demand.method} {demand.path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("ascii")
