"""Accepting TLS connections."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from typing import Final

from gateway.event_log import get_logger
from gateway.net.tls_handshake import TlsHandshake
from gateway.net.tls_transport import TlsTransport

_log = get_logger("gateway.net.tls_listener")

#: Most connections that one callback accepts, so that open ones are served as well.
_ACCEPTED_AT_ONCE: Final = 64
#: What ``accept`` fails with when the process or the system has no room for another connection.
_NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_NO_ROOM_PAUSE_SECONDS: Final = 1.0


class TlsListener:
    """Accepts connections, makes their handshakes, and gives each a protocol.

    Args:
        listening: a bound socket; it belongs to this object from now on.
        context: the server's side of TLS.
        factory: makes the protocol of a connection whose handshake is done.
        handshake_seconds: how long a handshake may take.
        farewell_seconds: how long closing a connection may take.
        most_handshakes: at a time; a connection beyond is closed at once.
        on_shed: told of each connection beyond.
    """

    def __init__(
        self,
        listening: socket.socket,
        context: ssl.SSLContext,
        factory: Callable[[], asyncio.BaseProtocol],
        *,
        handshake_seconds: float,
        farewell_seconds: float,
        most_handshakes: int,
        on_shed: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listening = listening
        self._context = context
        self._factory = factory
        self._handshake_seconds = handshake_seconds
        self._farewell_seconds = farewell_seconds
        self._most_handshakes = most_handshakes
        self._on_shed = on_shed
        self._handshakes: set[ssl.SSLSocket] = set()
        self._pause: asyncio.TimerHandle | None = None

    def open(self, backlog: int) -> None:
        """Begin to accept; the kernel holds up to ``backlog`` connections until then."""
        self._listening.setblocking(False)
        self._listening.listen(backlog)
        self._await_connections()

    def close(self) -> None:
        """Accept no further connections; open ones stay, and handshakes go on."""
        if self._pause is not None:
            self._pause.cancel()
        if self._listening.fileno() >= 0:
            self._loop.remove_reader(self._listening.fileno())
            self._listening.close()

    def _await_connections(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listening.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                accepted, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                _log.error("accept_failed", reason=error.strerror)
                self._loop.remove_reader(self._listening.fileno())
                self._pause = self._loop.call_later(_NO_ROOM_PAUSE_SECONDS, self._await_connections)
                return
            if len(self._handshakes) < self._most_handshakes:
                self._begin(accepted)
            else:
                accepted.close()
                self._on_shed()

    def _begin(self, accepted: socket.socket) -> None:
        try:
            accepted.setblocking(False)
            if accepted.family in (socket.AF_INET, socket.AF_INET6):
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = self._context.wrap_socket(
                accepted, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=False
            )
        except OSError:
            accepted.close()  # the client has gone again
            return
        self._handshakes.add(connection)
        TlsHandshake(connection, self._handshake_seconds, self._on_handshake)

    def _on_handshake(self, connection: ssl.SSLSocket, error: Exception | None) -> None:
        self._handshakes.discard(connection)
        if error is None:
            TlsTransport(connection, self._factory(), self._farewell_seconds).begin()
            return
        # What a stranger sends is no event for the log of everybody; the reason holds no data of the connection.
        _log.debug("tls_handshake_failed", reason=str(error))
        connection.close()
