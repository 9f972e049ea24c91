"""A streamed body on its way: what the HTTP client iterates.

Three promises are kept here. The last byte leaves only when the source ended without raising, so a body that fails
verification is never complete upstream. The source is not asked for more once the server has answered. And a server
that stops taking bytes is noticed, which the HTTP client's own time-outs do not cover.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

from gateway.errors import S3Error
from gateway.s3.aws_chunked_encoder import AwsChunkedEncoder
from gateway.s3.checksums import Algorithm
from gateway.upstream.body import StreamedBody


class _Framer(Protocol):
    """Turns payload into what is sent."""

    def encode(self, piece: bytes) -> bytes:
        """What ``piece`` becomes; may be empty."""

    def finish(self) -> bytes:
        """What follows the payload."""


class _LastHeldBack:
    """The payload as it is, but for the piece that completes it, which is the end."""

    def __init__(self, size: int) -> None:
        self._missing = size
        self._last = b""

    def encode(self, piece: bytes) -> bytes:
        self._missing -= len(piece)
        if self._missing > 0:
            return piece
        self._last = piece
        return b""

    def finish(self) -> bytes:
        return self._last


class _Patience:
    """A deadline that is moved for every piece of a body.

    Most moves only note the new time; a timer that finds the deadline moved is set again. Setting one for every piece
    takes 5 % of the CPU time of a large upload.

    Args:
        deadline: entered by the attempt.
    """

    def __init__(self, deadline: asyncio.Timeout) -> None:
        self._deadline = deadline
        self._loop = asyncio.get_running_loop()
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def wait(self, seconds: float) -> None:
        """The deadline is in ``seconds``."""
        self._due = self._loop.time() + seconds
        if self._timer is not None and self._timer.when() > self._due:
            self.end()
        if self._timer is None:
            self._timer = self._loop.call_at(self._due, self._look)

    def suspend(self) -> None:
        """There is no deadline for now."""
        self._due = None

    def end(self) -> None:
        """There is no deadline any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._due is None:
            return
        if self._due <= self._loop.time():
            self._deadline.reschedule(self._loop.time())
        else:
            self._timer = self._loop.call_at(self._due, self._look)


class Outgoing:
    """One attempt at sending a streamed body.

    Args:
        body: what to send.
        trailer: the checksum that follows it in ``aws-chunked`` framing, or None for the plain body.
        deadline: entered by the attempt; moved while the body flows.
        stall_seconds: how long the server may take no byte.
        answer_seconds: how long it may take from the last byte to its answer.

    Attributes:
        touched: whether the source was asked for anything.
        complete: whether the source ended well and its last byte was handed over.
        error: what the source raised.
    """

    def __init__(
        self,
        body: StreamedBody,
        trailer: Algorithm | None,
        *,
        deadline: asyncio.Timeout,
        stall_seconds: float,
        answer_seconds: float,
    ) -> None:
        self.touched = False
        self.complete = False
        self.error: Exception | None = None
        self._source = body.pieces
        self._missing = body.size
        self._framer: _Framer = _LastHeldBack(body.size) if trailer is None else AwsChunkedEncoder(body.size, trailer)
        self._patience = _Patience(deadline)
        self._stall_seconds = stall_seconds
        self._answer_seconds = answer_seconds
        self._stopped = False
        self._writer: asyncio.Task[object] | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    def stop(self) -> None:
        """Ask the source for nothing more: the server has answered, or the attempt failed."""
        self._stopped = True
        self._patience.end()
        if self._writer is not None and not self._idle.is_set():
            self._writer.cancel()

    async def settled(self) -> None:
        """Wait until nothing is being asked of the source; after :meth:`stop`, it stays so."""
        await self._idle.wait()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """The next bytes for the wire."""
        self._patience.suspend()  # the server took the piece before; waiting for the client is not its fault
        piece = b""
        if not self.complete and not self._stopped:
            piece = await self._next()
        if piece and not self._stopped:
            self._patience.wait(self._stall_seconds)
            return piece
        if self.complete:
            if not self._stopped:
                self._patience.wait(self._answer_seconds)
            raise StopAsyncIteration
        # Ending here would look like the end of the body, and the connection would be used again with the server still
        # waiting for the rest. The HTTP client cancels this wait, and closes the connection, when it is done with the
        # answer.
        await asyncio.get_running_loop().create_future()
        raise AssertionError("internal error: a stopped body went on")

    async def _next(self) -> bytes:
        """The next bytes; empty only when the body is complete or was stopped."""
        self._writer = writer = asyncio.current_task()
        self.touched = True
        self._idle.clear()
        try:
            return await self._pull()
        except asyncio.CancelledError:
            # Either stop() cancelled the wait for the source, which ends here, or the HTTP client cancels its writer.
            if not self._stopped or writer is None or writer.uncancel() > 0:
                raise
            return b""
        except Exception as error:
            self.error = error
            raise
        finally:
            self._idle.set()

    async def _pull(self) -> bytes:
        while not self._stopped:
            piece = await anext(self._source, None)
            if piece is None:
                return self._end()
            self._missing -= len(piece)
            if self._missing < 0:
                raise _wrong_length()
            if piece and (encoded := self._framer.encode(piece)):
                return encoded
        return b""

    def _end(self) -> bytes:
        if self._missing:
            raise _wrong_length()
        self.complete = True
        return self._framer.finish()


def _wrong_length() -> S3Error:
    return S3Error(
        "IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header."
    )
