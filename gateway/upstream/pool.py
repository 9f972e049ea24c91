"""The connections to one upstream: kept for reuse, limited in number, given to those who wait in their order."""

import asyncio
import ssl
from collections import deque

from aiohttp.abc import AbstractResolver
from aiohttp.resolver import ThreadedResolver

from gateway.upstream.connecting import Origin, open_connection
from gateway.upstream.connection import UpstreamConnection
from gateway.upstream.deadlines import Deadlines, Watched
from gateway.upstream.faults import ConnectionBroken, ConnectTimeout, Unreachable
from gateway.upstream.settings import UpstreamSettings

_Turn = asyncio.Future[UpstreamConnection | None]


class ConnectionPool:
    """Hands out connections.

    A connection is in exactly one place: unused in the pool, in use, or on its way to the next one in the queue. When
    somebody waits there is neither an unused connection nor room for a new one.

    Args:
        settings: limits and time-outs.
        context: TLS for ``https`` origins.
        resolver: finds the addresses of host names; None asks the system.
    """

    def __init__(
        self, settings: UpstreamSettings, context: ssl.SSLContext, resolver: AbstractResolver | None = None
    ) -> None:
        self._settings = settings
        self._context = context
        self._resolver = resolver or ThreadedResolver()
        self._closed = False
        self._alive: set[UpstreamConnection] = set()  # until nothing is left of them
        self._counted: set[UpstreamConnection] = set()  # those that can be used: the limit is for them
        self._unused: dict[Origin, list[UpstreamConnection]] = {}
        self._opening = 0
        self._waiting: deque[tuple[Origin, _Turn]] = deque()
        self._deadlines = Deadlines(self._counted)
        self._empty: asyncio.Future[None] | None = None

    @property
    def unused(self) -> int:
        """Connections that wait for a request."""
        return sum(map(len, self._unused.values()))

    @property
    def in_use(self) -> int:
        """Connections with a request on them, and those that are being made."""
        return len(self._counted) + self._opening - self.unused

    def take(self, origin: Origin) -> UpstreamConnection | None:
        """The unused connection that was used last, or None. Whoever takes one begins an exchange or aborts it."""
        unused = self._unused.get(origin)
        while unused:
            connection = unused.pop()
            if not unused:
                del self._unused[origin]
            if connection.usable:
                return connection
            connection.abort()
        return None

    async def connect(self, origin: Origin) -> UpstreamConnection:
        """A new connection, or one that has become free while there was no room for a new one.

        Raises:
            ConnectTimeout: there was none in time.
            ConnectionBroken: the pool was closed.
            Unreachable, CertificateRefused, HandshakeFailed: as :func:`gateway.upstream.connecting.open_connection`.
        """
        try:
            async with asyncio.timeout(self._settings.connect_timeout_seconds):
                while (connection := await self._turn(origin)) is not None:
                    if connection.usable:
                        return connection
                return await self._open(origin)
        except TimeoutError as error:
            raise ConnectTimeout from error

    async def close(self) -> None:
        """Close every connection, those in use included, and wait until nothing is left of them."""
        self._closed = True
        self._deadlines.close()
        while self._waiting:
            _, turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(ConnectionBroken("the pool was closed"))
        for connection in tuple(self._alive):
            connection.abort()
        while self._alive:
            self._empty = asyncio.get_running_loop().create_future()
            await self._empty
        await self._resolver.close()

    # What connections tell.

    def set_deadline(self, connection: Watched, seconds: float) -> None:
        """Expire ``connection`` in ``seconds``."""
        self._deadlines.set(connection, seconds)

    def release(self, connection: UpstreamConnection) -> None:
        """Keep ``connection`` for the next request, or give it to the first one in the queue."""
        self._drop_those_who_left()
        if not self._waiting:
            self._unused.setdefault(connection.origin, []).append(connection)
            self._deadlines.set(connection, self._settings.keepalive_seconds)
        elif self._waiting[0][0] == connection.origin:
            _, turn = self._waiting.popleft()
            turn.set_result(connection)
        else:
            connection.abort()  # makes room for a connection to where the first one in the queue wants to go

    def forget(self, connection: UpstreamConnection) -> None:
        """Never hand ``connection`` out again."""
        self._counted.discard(connection)
        unused = self._unused.get(connection.origin)
        if unused is not None and connection in unused:
            unused.remove(connection)
            if not unused:
                del self._unused[connection.origin]
        self._pass_room_on()

    def made(self, connection: UpstreamConnection) -> None:
        """``connection`` has a transport now."""
        self._alive.add(connection)

    def lost(self, connection: UpstreamConnection) -> None:
        """Nothing is left of ``connection``."""
        self._alive.discard(connection)
        if not self._alive and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    # Helpers.

    async def _turn(self, origin: Origin) -> UpstreamConnection | None:
        """Wait for a connection, or for None: room for a new one, which is taken by then."""
        if self._has_room() or self._make_room():
            self._opening += 1
            return None
        turn: _Turn = asyncio.get_running_loop().create_future()
        entry = (origin, turn)
        self._waiting.append(entry)
        try:
            return await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._return(turn.result())
            elif entry in self._waiting:
                self._waiting.remove(entry)
            raise

    def _return(self, given: UpstreamConnection | None) -> None:
        """Give back what came to somebody who left in the same moment."""
        if given is None:
            self._opening -= 1
            self._pass_room_on()
        elif given.usable:
            self.release(given)

    async def _open(self, origin: Origin) -> UpstreamConnection:
        """A new connection in the room that was taken for it."""
        try:
            connection = await open_connection(
                lambda: UpstreamConnection(self, origin), origin, self._context, self._resolver
            )
        except BaseException:
            self._opening -= 1
            self._pass_room_on()
            raise
        self._opening -= 1
        self._counted.add(connection)
        if self._closed:
            connection.abort()
            raise ConnectionBroken("the pool was closed")
        if not connection.usable:
            self.forget(connection)
            raise Unreachable("closed at once")
        return connection

    def _has_room(self) -> bool:
        return len(self._counted) + self._opening < self._settings.max_connections

    def _make_room(self) -> bool:
        """Close the connection to another origin that has not been used for longest."""
        if not self._unused:
            return False
        oldest = min((unused[0] for unused in self._unused.values()), key=lambda connection: connection.due)
        oldest.abort()
        return True

    def _pass_room_on(self) -> None:
        """Room has become free: it belongs to the first in the queue."""
        while self._waiting and self._has_room():
            _, turn = self._waiting.popleft()
            if not turn.done():
                self._opening += 1
                turn.set_result(None)

    def _drop_those_who_left(self) -> None:
        while self._waiting and self._waiting[0][1].done():
            self._waiting.popleft()
