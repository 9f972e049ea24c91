"""Whether what a client sends waits in the kernel until it is its connection's turn to be read.

The first bytes of a request do, see :mod:`gateway.net.readiness`; the rest of it is read as soon as it comes.
"""

import asyncio

from gateway.net.tls_transport import TlsTransport
from gateway.server.progress import has_unread, seconds_since_received


class ReadingTurns:
    """The turns of one connection. A connection without TLS takes none: it is read as soon as something comes."""

    __slots__ = ("_taken", "_transport")

    def __init__(self) -> None:
        self._transport: TlsTransport | None = None
        self._taken = False

    def begin(self, transport: asyncio.Transport) -> None:
        """The connection is there, and has no request yet."""
        if isinstance(transport, TlsTransport):
            self._transport = transport
            self.take(True)

    def take(self, turns: bool) -> None:  # noqa: FBT001 - the one thing that is said
        """Read what arrives when it is its turn, or before what newcomers want."""
        if turns != self._taken and self._transport is not None:
            self._taken = turns
            self._transport.take_turns(turns)

    def is_awaited(self) -> bool:
        """Whether the client sent something that was not read because others had their turn."""
        transport = self._transport
        return self._taken and transport is not None and not transport.is_closing() and has_unread(transport)

    def seconds_waited(self) -> float:
        """How long the request waited that was just read."""
        return seconds_since_received(self._transport) if self._taken and self._transport is not None else 0.0
