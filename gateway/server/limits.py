"""Limits of one worker process: how much, how many, and how long.

Time-outs are enforced by one sweep over all connections, because a timer per read would cost more than most reads. A
connection remembers when something last happened; the sweep, several times within the shortest time-out, asks each one
to look at the clock, and leaves idle ones alone until their time is over.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from typing import Protocol

from gateway.errors import S3Error


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """What clients may use of one worker process.

    Attributes:
        max_header_bytes: longest request line plus header section, also the longest single line.
        max_header_count: most header fields of a request.
        max_connections: most open connections; one more is closed at once.
        max_concurrent_requests: most requests under way at a time; further ones wait.
        queue_seconds: longest wait of a request for its turn; then it is answered 503 SlowDown.
        header_seconds: longest time from connecting, or from a request's first byte, to its complete header section.
            The TLS handshake has the same limit of its own.
        idle_seconds: longest silence between two requests, and longest time in which a reader takes nothing.
        body_seconds: longest silence inside a request body.
        linger_seconds: how long the rest of a refused request is discarded, so that the client can read the answer.
    """

    max_header_bytes: int = 65_536
    max_header_count: int = 100
    max_connections: int = 4096
    max_concurrent_requests: int = 1024
    queue_seconds: float = 2.0
    header_seconds: float = 15.0
    idle_seconds: float = 60.0
    body_seconds: float = 60.0
    linger_seconds: float = 2.0


def too_many_requests() -> S3Error:
    """S3's answer when the server has more to do than it should; SDKs retry it with a delay."""
    return S3Error("SlowDown", "Please reduce your request rate.", headers=(("Retry-After", "1"),))


class TrackedConnection(Protocol):
    """A connection that can be watched and ended."""

    def sweep(self, now: float) -> None:
        """End the connection when it exceeded a time-out; ``now`` is the event loop's time in seconds."""

    def finish(self) -> None:
        """End the connection as soon as it is not in the middle of a request."""

    def abort(self) -> None:
        """End the connection at once."""


class ConnectionTable:
    """Every open connection of this process.

    Args:
        limit: most connections at a time.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._watched: set[TrackedConnection] = set()
        #: Until when, on the event loop's clock; those that rest longest first.
        self._resting: dict[TrackedConnection, float] = {}

    def add(self, connection: TrackedConnection) -> bool:
        """Register a connection; False when there are too many, then it is not registered."""
        if len(self) >= self._limit:
            return False
        self._watched.add(connection)
        return True

    def discard(self, connection: TrackedConnection) -> None:
        """Forget a connection that ended."""
        self._watched.discard(connection)
        self._resting.pop(connection, None)

    def rest(self, connection: TrackedConnection, until: float) -> None:
        """Leave a connection alone until then or until :meth:`wake`, because no time-out can end it before.

        Idle connections are in none of the processor's caches: looking at a thousand of them twice a second takes 1 to
        2 % of its time.
        """
        self._watched.discard(connection)
        self._resting[connection] = until

    def wake(self, connection: TrackedConnection) -> None:
        """Something happened on a connection that rests."""
        if self._resting.pop(connection, None) is not None:
            self._watched.add(connection)

    def due(self, now: float) -> tuple[TrackedConnection, ...]:
        """The connections to look at: those that do not rest, or not any longer.

        One that rested behind another, whose time is not over, has its turn with that one. As all rest for the same
        time after their last request, that is the interval of the sweep at most.
        """
        rested = tuple(connection for connection, _ in takewhile(lambda each: each[1] <= now, self._resting.items()))
        for connection in rested:
            self.wake(connection)
        return tuple(self._watched)

    def snapshot(self) -> tuple[TrackedConnection, ...]:
        """The connections open now; ending one changes the table, so callers iterate over a copy."""
        return (*self._watched, *self._resting)

    def __len__(self) -> int:
        return len(self._watched) + len(self._resting)


class Periodic:
    """Calls a quick function at intervals, from the event loop itself.

    Args:
        interval: seconds between two calls.
        function: must not block.
    """

    def __init__(self, interval: float, function: Callable[[], None]) -> None:
        self._interval = interval
        self._function = function
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin; the first call comes after one interval."""
        self._handle = asyncio.get_running_loop().call_later(self._interval, self._run)

    def stop(self) -> None:
        """End; nothing is called afterwards."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _run(self) -> None:
        self.start()
        self._function()


def sweeper(table: ConnectionTable, limits: LimitSettings) -> Periodic:
    """The periodic look at the connections' time-outs."""
    shortest = min(limits.header_seconds, limits.idle_seconds, limits.body_seconds, limits.linger_seconds)
    loop = asyncio.get_running_loop()

    def sweep() -> None:
        now = loop.time()
        for connection in table.due(now):
            connection.sweep(now)

    return Periodic(min(max(shortest / 4, 0.02), 1.0), sweep)
