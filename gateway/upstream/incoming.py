"""One answer while it arrives: filled by its connection, emptied by whoever sent the request."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from gateway.upstream.answer_head import AnswerHead

#: Bytes of an answer that wait in memory for a slow client. The connection is no longer read beyond that, which can be
#: by one read, and read again when no more is left. Twice as much takes 3 % less CPU time for one large GET at a time,
#: nothing less for four, and 256 KiB more memory for each slow reader.
READ_BUFFER_BYTES: Final = 128 * 1024


class Carrier(Protocol):
    """The connection that an answer comes on."""

    def set_deadline(self, seconds: float | None) -> None:
        """Break the exchange off if nothing changes this within ``seconds``."""

    def pause_reading(self) -> None:
        """Let no more of the answer come."""

    def resume_reading(self) -> None:
        """Go on."""

    def abort(self) -> None:
        """Close the connection at once."""


class Incoming:
    """The answer to one request. One task at a time waits for it.

    Attributes:
        head: the head, once it is there.
        failure: why the rest does not come.
        complete: whether the last byte of the body has arrived.
        interrupt: called once, instead of waking the one who waits, while it waits for something else.
    """

    __slots__ = ("_buffered", "_carrier", "_paused", "_pieces", "_waiter", "complete", "failure", "head", "interrupt")

    def __init__(self, carrier: Carrier) -> None:
        self.head: AnswerHead | None = None
        self.failure: Exception | None = None
        self.complete = False
        self.interrupt: Callable[[], object] | None = None
        self._carrier: Carrier | None = carrier
        self._pieces: deque[bytes] = deque()
        self._buffered = 0
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None

    @property
    def settled(self) -> bool:
        """Whether nothing of the request needs to be sent any more: it is answered, or it has failed."""
        return self.head is not None or self.failure is not None

    async def arrived(self) -> AnswerHead:
        """The head of the answer.

        Raises:
            Exception: what :attr:`failure` is.
        """
        while self.head is None:
            if self.failure is not None:
                raise self.failure
            await self.change()
        return self.head

    async def piece(self, silence_seconds: float) -> bytes:
        """The next bytes of the body; empty at its end.

        Args:
            silence_seconds: how long the server may send nothing.

        Raises:
            Exception: what :attr:`failure` is.
        """
        while not self._pieces:
            if self.complete:
                return b""
            if self.failure is not None:
                raise self.failure
            if self._carrier is not None:
                self._carrier.set_deadline(silence_seconds)
            await self.change()
        piece = self._pieces.popleft()
        self._buffered -= len(piece)
        if self._paused and self._buffered <= READ_BUFFER_BYTES and self._carrier is not None:
            self._paused = False
            self._carrier.resume_reading()
        return piece

    def give_up(self) -> None:
        """Nobody reads on. An answer that has not arrived whole takes its connection with it."""
        if self._carrier is not None:
            self._carrier.abort()

    async def change(self) -> None:
        """Wait until something happens to the answer or to its connection."""
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def wake(self) -> None:
        """Let the one who waits have a look."""
        interrupt, self.interrupt = self.interrupt, None
        if interrupt is not None:
            interrupt()
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def add(self, piece: bytes) -> None:
        """Keep a piece of the body for its reader."""
        self._pieces.append(piece)
        self._buffered += len(piece)
        if self._buffered > READ_BUFFER_BYTES and not self._paused and self._carrier is not None:
            self._paused = True
            self._carrier.pause_reading()

    def finish(self) -> None:
        """The body is whole; the connection has other things to do."""
        if self._paused and self._carrier is not None:
            self._carrier.resume_reading()
        self.complete = True
        self._carrier = None
        self.wake()

    def fail(self, error: Exception) -> None:
        """The rest does not come."""
        self.failure = error
        self._carrier = None
        self.wake()
