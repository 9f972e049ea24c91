"""One connection to an upstream server: writes requests, reads answers, and knows whether it can be used again.

It is used again only when the last exchange left no doubt about where the next answer begins: the request was sent
whole, the answer ended where its head said, nothing came behind it, and both sides want to go on.
"""

import asyncio
from math import inf
from typing import Final, Protocol, cast

from gateway.upstream.answer_body import AnswerBody, body_of
from gateway.upstream.answer_head import HeadReader
from gateway.upstream.connecting import Origin
from gateway.upstream.deadlines import Watched
from gateway.upstream.faults import AnswerInvalid, ConnectionBroken
from gateway.upstream.incoming import Incoming

#: Up to this size a piece of a body is copied behind the head, so that both leave as one TLS record and one packet.
_JOINED_BYTES: Final = 16 * 1024


class Owner(Protocol):
    """The pool."""

    def set_deadline(self, connection: Watched, seconds: float) -> None:
        """Expire ``connection`` in ``seconds``."""

    def release(self, connection: "UpstreamConnection") -> None:
        """``connection`` can be used again."""

    def forget(self, connection: "UpstreamConnection") -> None:
        """``connection`` can not be used again."""

    def made(self, connection: "UpstreamConnection") -> None:
        """``connection`` has a transport now."""

    def lost(self, connection: "UpstreamConnection") -> None:
        """Nothing is left of ``connection``."""


class UpstreamConnection(asyncio.Protocol):
    """The protocol of one connection.

    Args:
        owner: the pool.
        origin: where it leads.

    Attributes:
        origin: where it leads.
        due: when the pool expires it.
    """

    def __init__(self, owner: Owner, origin: Origin) -> None:
        self.origin = origin
        self.due = inf
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._incoming: Incoming | None = None
        self._reader = HeadReader(bodiless=True)
        self._body: AnswerBody | None = None
        self._sent = True
        self._writing_paused = False
        self._held = b""

    # The exchange, called by whoever sends a request.

    @property
    def usable(self) -> bool:
        """Whether a request can be sent."""
        return self._transport is not None and not self._transport.is_closing() and self._incoming is None

    @property
    def has_unsent(self) -> bool:
        """Whether bytes wait that the kernel has not taken yet."""
        return self._transport is None or self._transport.get_write_buffer_size() > 0

    def begin(self, *, bodiless: bool) -> Incoming:
        """Start an exchange; its answer is going to arrive in what is returned.

        Args:
            bodiless: whether the answer has no body, as one to HEAD.
        """
        self._incoming = incoming = Incoming(self)
        self._reader = HeadReader(bodiless=bodiless)
        self._body = None
        self._sent = False
        self.due = inf
        return incoming

    def hold(self, head: bytes) -> None:
        """Send ``head`` together with the first piece of the body.

        Both leave in one packet, and a request whose body fails at once is never begun. A head alone would be worse
        than nothing: there are servers that store an empty object when the connection ends behind it.
        """
        self._held = head

    def write(self, data: bytes) -> None:
        """Send ``data``."""
        if self._transport is None:
            return
        if self._held:
            held, self._held = self._held, b""
            if len(data) <= _JOINED_BYTES:
                data = held + data
            else:
                self._transport.write(held)
        self._transport.write(data)

    async def writable(self, incoming: Incoming, stall_seconds: float) -> None:
        """Wait until the server has taken most of what was sent, or the exchange is settled.

        Args:
            incoming: the exchange's answer.
            stall_seconds: how long the server may take nothing.
        """
        while self._writing_paused and not incoming.settled:
            self.set_deadline(stall_seconds)
            await incoming.change()
        self.due = inf

    def sent(self, answer_seconds: float) -> None:
        """The request is sent whole; its answer is due in ``answer_seconds``."""
        if self._held:  # the body was empty
            self.write(b"")
        self._sent = True
        self.set_deadline(answer_seconds)

    def set_deadline(self, seconds: float | None) -> None:
        """Break the exchange off in ``seconds``; None for no deadline."""
        if seconds is None:
            self.due = inf
        else:
            self._owner.set_deadline(self, seconds)

    def pause_reading(self) -> None:
        """Let no more of the answer come."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close the connection at once.

        An orderly end of TLS waits up to 30 seconds for the peer's consent. Until then a server that is in the middle
        of an answer goes on sending, and one that waits for the rest of a body goes on waiting.
        """
        self._break(ConnectionBroken("the connection was given up"))

    def expire(self) -> None:
        """The deadline has passed: an unused connection is closed in order, an exchange broken off."""
        if self._incoming is None and self._transport is not None:
            self._owner.forget(self)
            self._transport.close()
        else:
            self._break(TimeoutError("nothing happened for too long"))

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there, TLS included."""
        self._transport = cast("asyncio.Transport", transport)
        self._owner.made(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._broken_by_server(exc)
        self._transport = None
        self._owner.lost(self)

    def eof_received(self) -> None:
        """The server sends nothing more; the transport closes itself."""
        incoming = self._incoming
        if incoming is not None and self._body is not None:
            self._body.end_of_connection()
            if self._body.complete:
                self._finish(incoming)
                return
        self._broken_by_server(None)

    def pause_writing(self) -> None:
        """The server takes less than is sent."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """The server has taken most of it."""
        self._writing_paused = False
        if self._incoming is not None and not self._incoming.settled and self._incoming.interrupt is None:
            self._incoming.wake()

    def data_received(self, data: bytes) -> None:
        """Bytes of an answer."""
        incoming = self._incoming
        if incoming is None:
            self.abort()  # nothing was asked: whatever this is, the next answer would not be the next request's
            return
        try:
            if self._body is None:
                begun = self._reader.feed(data)
                if begun is None:
                    return
                head, data = begun
                self._body = body_of(head)
                incoming.head = head
            self._take(incoming, self._body, data)
        except AnswerInvalid as error:
            self._break(error)

    # Helpers.

    def _take(self, incoming: Incoming, body: AnswerBody, data: bytes) -> None:
        """Bytes behind the head."""
        self.due = inf  # the server is not silent, and nobody may ask for more before long
        if data:
            for piece in body.feed(data):
                incoming.add(piece)
        if body.complete:
            self._finish(incoming)
        else:
            incoming.wake()

    def _finish(self, incoming: Incoming) -> None:
        """The answer is whole."""
        transport, head, body = self._transport, incoming.head, self._body
        incoming.finish()
        self._incoming = None
        self.due = inf
        reusable = (
            self._sent
            and head is not None
            and head.persistent
            and body is not None
            and not body.surplus
            and transport is not None
            and not transport.is_closing()
            and not self.has_unsent
        )
        if reusable:
            self._owner.release(self)
        else:
            self.abort()

    def _broken_by_server(self, cause: Exception | None) -> None:
        if self._incoming is None and cause is None:
            self._owner.forget(self)
            return
        error = ConnectionBroken("the server closed the connection")
        error.__cause__ = cause
        self._break(error)

    def _break(self, error: Exception) -> None:
        """Close the connection at once; ``error`` is what a request in progress gets."""
        incoming, self._incoming = self._incoming, None
        self._held = b""
        self.due = inf
        self._owner.forget(self)
        if self._transport is not None:
            self._transport.abort()
        if incoming is not None:
            incoming.fail(error)
