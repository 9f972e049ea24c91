"""A streamed body on its way.

Three promises are kept here. The last byte leaves only when the source ended without raising, so a body that fails
verification is never complete upstream. The source is not asked for more once the server has answered. And a server
that stops taking bytes is noticed.
"""

import asyncio
from typing import Protocol

from gateway.errors import S3Error
from gateway.s3.aws_chunked_encoder import AwsChunkedEncoder
from gateway.s3.checksums import Algorithm
from gateway.upstream.body import StreamedBody
from gateway.upstream.connection import UpstreamConnection
from gateway.upstream.incoming import Incoming


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


class Outgoing:
    """One attempt at sending a streamed body, by the task that sends the request.

    Args:
        body: what to send.
        trailer: the checksum that follows it in ``aws-chunked`` framing, or None for the plain body.

    Attributes:
        touched: whether the source was asked for anything.
        complete: whether the source ended well and its last byte was handed over.
        error: what the source raised.
    """

    def __init__(self, body: StreamedBody, trailer: Algorithm | None) -> None:
        self.touched = False
        self.complete = False
        self.error: Exception | None = None
        self._source = body.pieces
        self._missing = body.size
        self._framer: _Framer = _LastHeldBack(body.size) if trailer is None else AwsChunkedEncoder(body.size, trailer)
        self._ended = False

    async def send(self, connection: UpstreamConnection, incoming: Incoming, head: bytes, stall_seconds: float) -> None:
        """Send ``head`` and the body; returns early, with less than the body, once ``incoming`` is settled.

        Args:
            connection: where to.
            incoming: the answer to this request.
            head: the head of the request.
            stall_seconds: how long the server may take no byte. Waiting for the source is not its fault.

        Raises:
            Exception: what the source raised, or that it was shorter or longer than announced.
        """
        connection.hold(head)
        while not self._ended:
            piece = await self._next(incoming)
            if incoming.settled:
                return
            if piece:
                connection.write(piece)
            await connection.writable(incoming, stall_seconds)
        # A success before the last byte left this process is none, see gateway.upstream.exchange.
        self.complete = not incoming.settled or not connection.has_unsent

    async def _next(self, incoming: Incoming) -> bytes:
        """The next bytes. The wait for them ends when ``incoming`` is settled; what is returned then means nothing."""
        task = asyncio.current_task()
        if task is None:
            raise AssertionError("internal error: a body is sent outside a task")
        cancelled_before = task.cancelling()
        interrupted = False

        def interrupt() -> None:
            nonlocal interrupted
            interrupted = task.cancel()

        incoming.interrupt = interrupt
        try:
            return await self._pull()
        except asyncio.CancelledError:
            # As asyncio.timeout does it: only the cancellation of our own ends here.
            if interrupted and task.cancelling() == cancelled_before + 1:
                return b""
            raise
        except Exception as error:
            self.error = error
            raise
        finally:
            incoming.interrupt = None
            if interrupted:
                task.uncancel()

    async def _pull(self) -> bytes:
        self.touched = True
        async for piece in self._source:
            self._missing -= len(piece)
            if self._missing < 0:
                raise _wrong_length()
            if piece and (encoded := self._framer.encode(piece)):
                return encoded
        if self._missing:
            raise _wrong_length()
        self._ended = True
        return self._framer.finish()


def _wrong_length() -> S3Error:
    return S3Error(
        "IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header."
    )
