"""The end of a TLS connection, after everything was sent."""

import socket
import ssl
from collections.abc import Callable

from gateway.net.readiness import running_readiness

#: What nobody reads any more ends up here.
_refuse = bytearray(65_536)


class TlsFarewell:
    """Says TLS's farewell, then throws away what arrives until the peer has closed its side as well.

    Closing at once would reset the connection when something arrives late, and the reset could overtake the last bytes
    of an answer.

    Args:
        connection: non-blocking; nobody else waits for it or uses it from now on.
        done: called once when nothing more is to be waited for, unless :meth:`stop` was called before.
    """

    def __init__(self, connection: ssl.SSLSocket, done: Callable[[], None]) -> None:
        self._readiness = running_readiness()
        self._connection = connection
        self._descriptor = connection.fileno()
        self._done = done

    def begin(self) -> None:
        """Say it, now or when the socket takes it."""
        self._readiness.remove_writer(self._descriptor)
        try:
            self._connection.unwrap()
        except ssl.SSLWantWriteError:
            self._readiness.add_writer(self._descriptor, self.begin)
        except (OSError, ValueError):
            self._await_end()  # it is said; the peer's is missing, or something else arrives
        else:
            self._done()  # the peer had said it before

    def stop(self) -> None:
        """Wait for nothing."""
        self._readiness.remove_reader(self._descriptor)
        self._readiness.remove_writer(self._descriptor)

    def _await_end(self) -> None:
        try:
            self._connection.shutdown(socket.SHUT_WR)
        except OSError:
            self._done()
        else:
            self._readiness.add_reader(self._descriptor, self._throw_away)

    def _throw_away(self) -> None:
        """What arrives is not even decrypted."""
        try:
            if socket.socket.recv_into(self._connection, _refuse):
                return
        except BlockingIOError:
            return
        except OSError:
            pass  # a reset is an end too
        self._done()
