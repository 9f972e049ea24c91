"""Which stored bytes hold a stretch of an object's plaintext, and how they become plaintext as they arrive.

A stretch is one segment per message that it touches: the one message of a whole object, or parts of a multipart object,
which lie one behind the other. So every stretch is one contiguous range of stored bytes.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from gateway.crypto.sealed.closing import Part
from gateway.crypto.sealed.faults import Fault
from gateway.crypto.sealed.geometry import HEAD_BYTES, ChunkSpan, chunk_span, sealed_size
from gateway.errors import IntegrityError
from gateway.server.sealed.layouts import Layout


@dataclass(frozen=True, slots=True)
class Segment:
    """What is read of one message. Offsets are those of the stored object.

    Attributes:
        number: the part's number; 0 for the one message of a whole object.
        plaintext_bytes: the plaintext size of the message.
        message_at: where the message begins.
        first: the first byte that is read.
        last: the last byte that is read.
        span: the chunks among them; None when all of the message is read.
    """

    number: int
    plaintext_bytes: int
    message_at: int
    first: int
    last: int
    span: ChunkSpan | None

    @property
    def brings_head(self) -> bool:
        """Whether the head of the message is among the bytes."""
        return self.first == self.message_at


class Opener(Protocol):
    """Turns the chunks of one segment into verified plaintext."""

    def update(self, sealed: memoryview) -> bytes:
        """What these stored bytes bring."""

    def finish(self) -> bytes:
        """The rest, when all stored bytes were given."""


#: Makes the opener of a segment, out of the head that came with it if one did.
Unlock = Callable[[Segment, bytes | None], Awaitable[Opener]]


def whole_segments(layout: Layout) -> Iterator[Segment]:
    """Every message of an object, made one by one."""
    if layout.table is None:
        yield _whole(0, layout.plaintext_bytes, 0)
        return
    for part in layout.table.parts():
        yield _whole(part.number, part.plaintext_bytes, part.sealed_offset)


def segments(layout: Layout, first: int, last: int, *, known_head: Callable[[int], bool]) -> list[Segment]:
    """The messages that hold the plaintext bytes ``first`` to ``last``, inclusive.

    Args:
        layout: the object's layout.
        first: the first byte; inside the object.
        last: the last byte; inside the object, and not before ``first``.
        known_head: whether the head of a message is known, by its part number. Only the first one's is asked about:
            those of the others lie between their chunks anyway.
    """
    if layout.table is None:
        return [_some(0, layout.plaintext_bytes, 0, first, last, known=known_head(0))]
    found: list[Segment] = []
    at = first
    while at <= last:
        part = layout.table.at(at)
        known = not found and known_head(part.number)
        found.append(_of_part(part, at, last, known=known))
        at = part.plaintext_offset + part.plaintext_bytes
    return found


def _of_part(part: Part, first: int, last: int, *, known: bool) -> Segment:
    end = min(last - part.plaintext_offset, part.plaintext_bytes - 1)
    first -= part.plaintext_offset
    return _some(part.number, part.plaintext_bytes, part.sealed_offset, first, end, known=known)


def _some(number: int, size: int, message_at: int, first: int, last: int, *, known: bool) -> Segment:
    """A range of one message. The head comes along when it is not known and lies right in front of the chunks."""
    if first == 0 and last == size - 1:
        return _whole(number, size, message_at)
    span = chunk_span(size, first, last)
    with_head = span.first_chunk == 0 and not known
    begin = message_at if with_head else message_at + span.sealed_first
    return Segment(number, size, message_at, begin, message_at + span.sealed_last, span)


def _whole(number: int, size: int, message_at: int) -> Segment:
    return Segment(number, size, message_at, message_at, message_at + sealed_size(size) - 1, None)


class StoredBytes:
    """Stored bytes as they arrive, taken in the sizes that the format has.

    Args:
        chunks: the answer's body.
        position: where in the stored object it begins.
    """

    def __init__(self, chunks: AsyncIterator[bytes], position: int = 0) -> None:
        self._chunks = chunks
        self._position = position
        self._pending = memoryview(b"")

    async def up_to(self, limit: int) -> memoryview:
        """The next bytes: at least one, at most ``limit``.

        Raises:
            IntegrityError: ``size`` when there are none.
        """
        while not self._pending:
            try:
                self._pending = memoryview(await anext(self._chunks))
            except StopAsyncIteration:
                raise IntegrityError(Fault.SIZE, "it ends before its last chunk") from None
        taken, self._pending = self._pending[:limit], self._pending[limit:]
        self._position += len(taken)
        return taken

    async def exactly(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        taken = bytearray()
        while len(taken) < size:
            taken += await self.up_to(size - len(taken))
        return bytes(taken)

    async def skip_to(self, position: int) -> None:
        """Leave out what comes before ``position``: the stored bytes of empty parts between two others."""
        while self._position < position:
            await self.up_to(position - self._position)


async def opened(stored: StoredBytes, wanted: Iterable[Segment], unlock: Unlock) -> AsyncGenerator[bytes, None]:
    """The verified plaintext of segments, in order.

    Raises:
        GatewayError: a key is not there, or something about the bytes does not hold.
    """
    for segment in wanted:
        await stored.skip_to(segment.first)
        head = await stored.exactly(HEAD_BYTES) if segment.brings_head else None
        opener = await unlock(segment, head)
        left = segment.last - segment.first + 1 - (HEAD_BYTES if segment.brings_head else 0)
        while left:
            sealed = await stored.up_to(left)
            left -= len(sealed)
            if plaintext := opener.update(sealed):
                yield plaintext
        if plaintext := opener.finish():
            yield plaintext
