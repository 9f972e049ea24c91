"""The handshake of a TLS connection, on a socket that does not block."""

import asyncio
import ssl
from collections.abc import Callable

from gateway.net.readiness import running_readiness


class TlsHandshake:
    """One handshake on its way; it begins at once.

    Args:
        connection: non-blocking, made with ``do_handshake_on_connect=False``.
        seconds: how long it may take; None for as long as it likes.
        done: called once, with None or with what went wrong; the connection is open in both cases.
    """

    def __init__(
        self, connection: ssl.SSLSocket, seconds: float | None, done: Callable[[ssl.SSLSocket, Exception | None], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._readiness = running_readiness()
        self._connection = connection
        self._descriptor = connection.fileno()
        self._done: Callable[[ssl.SSLSocket, Exception | None], None] | None = done
        self._timer: asyncio.TimerHandle | None = None
        if seconds is not None:
            self._timer = self._loop.call_later(seconds, self._end, TimeoutError("the TLS handshake took too long"))
        self._readiness.add_reader(self._descriptor, self._step)
        self._step()

    def stop(self) -> None:
        """Do not go on, and call nobody."""
        self._done = None
        self._end(None)

    def _step(self) -> None:
        try:
            self._connection.do_handshake()
        except ssl.SSLWantReadError:
            self._readiness.remove_writer(self._descriptor)
        except ssl.SSLWantWriteError:
            self._readiness.add_writer(self._descriptor, self._step)
        except (OSError, ValueError) as error:
            self._end(error)
        else:
            self._end(None)

    def _end(self, error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._readiness.remove_reader(self._descriptor)
        self._readiness.remove_writer(self._descriptor)
        done, self._done = self._done, None
        if done is not None:
            done(self._connection, error)
