"""Where the body of an answer ends: by its size, by its chunks, or with the connection.

Bodies are handed on as they arrive. Only chunks are taken apart, by llhttp (through httptools).

Source: RFC 9112, sections 6.3 and 7.1.
"""

from typing import Final, Protocol

from httptools import HttpParserError, HttpResponseParser

from gateway.upstream.answer_head import MAX_HEAD_BYTES, AnswerHead
from gateway.upstream.faults import AnswerInvalid

#: Puts a parser into the state of one that has read the head of an answer in chunks.
_CHUNKED_HEAD: Final = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class AnswerBody(Protocol):
    """Finds the end of one body.

    Attributes:
        complete: whether the end was found.
        surplus: whether bytes came behind the end.
    """

    complete: bool
    surplus: bool

    def feed(self, data: bytes) -> tuple[bytes, ...] | list[bytes]:
        """The pieces of the body in ``data``, none of them empty.

        Raises:
            AnswerInvalid: the framing is broken.
        """

    def end_of_connection(self) -> None:
        """The server sent its last byte; that may be the end of the body."""


class SizedBody:
    """A body of a known size."""

    __slots__ = ("_missing", "complete", "surplus")

    def __init__(self, size: int) -> None:
        self._missing = size
        self.complete = size == 0
        self.surplus = False

    def feed(self, data: bytes) -> tuple[bytes, ...]:
        """The piece, cut where the body ends."""
        missing = self._missing - len(data)
        if missing > 0:
            self._missing = missing
            return (data,)
        piece = data if missing == 0 else data[: self._missing]
        self._missing = 0
        self.surplus = missing < 0
        self.complete = True
        return (piece,) if piece else ()

    def end_of_connection(self) -> None:
        """What is missing stays missing."""


class UnboundedBody:
    """A body that ends with the connection."""

    __slots__ = ("complete", "surplus")

    def __init__(self) -> None:
        self.complete = False
        self.surplus = False

    def feed(self, data: bytes) -> tuple[bytes, ...]:
        """The piece as it is."""
        return (data,)

    def end_of_connection(self) -> None:
        """This is the end."""
        self.complete = True


class ChunkedBody:
    """A body in chunks. Extensions of chunks and the trailer section are skipped, up to the size of a head."""

    def __init__(self) -> None:
        self.complete = False
        self.surplus = False
        self._pieces: list[bytes] = []
        self._without_data = 0
        self._last_bytes = b""
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self._parser.feed_data(_CHUNKED_HEAD)

    def feed(self, data: bytes) -> list[bytes]:
        """The data of the chunks in ``data``."""
        if self._parser is None:
            self.surplus = True
            return []
        pieces: list[bytes] = []
        self._pieces = pieces
        self._without_data += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            # What the parser says about bytes behind the end is of no interest: they are no part of this answer.
            if not self.complete:
                raise AnswerInvalid("the chunks of the answer are malformed") from error
            self.surplus = True
        # The parser keeps an extension or a trailer field until its end.
        if self._without_data > MAX_HEAD_BYTES:
            raise AnswerInvalid("the trailer of the answer is too long")
        self._last_bytes = (self._last_bytes + data[-5:])[-5:]
        if self.complete:
            self._parser = None  # it refers to this object: without this, only the garbage collector frees the two
            # The parser skips empty lines behind the end.
            self.surplus |= not self._last_bytes.endswith(b"\r\n\r\n") or self._last_bytes.startswith(b"\n")
        return pieces

    def on_body(self, data: bytes) -> None:
        """Called by the parser for the data of a chunk."""
        self._pieces.append(data)
        self._without_data = 0

    def on_message_complete(self) -> None:
        """Called by the parser behind the trailer section."""
        self.complete = True

    def on_message_begin(self) -> None:
        """Called by the parser for the head before the chunks, and for anything behind them."""
        self.surplus = self.complete

    def end_of_connection(self) -> None:
        """What is missing stays missing."""


def body_of(head: AnswerHead) -> AnswerBody:
    """What finds the end of the body behind ``head``."""
    if head.chunked:
        return ChunkedBody()
    return UnboundedBody() if head.body_size is None else SizedBody(head.body_size)
