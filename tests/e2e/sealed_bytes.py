"""Where everything is in the stored bytes of a sealed object, by the published format alone; no key is needed.

Nothing of the gateway's own code is used here, so that an error in it can not hide behind itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

ENVELOPE = 512
SALT = 24
COMMITMENT = 32
HEAD = ENVELOPE + SALT + COMMITMENT
CHUNK = 16_384
TAG = 16
SEALED_CHUNK = CHUNK + TAG
TRAILER = 16

#: First byte and length of the envelope's fields.
ENVELOPE_FIELDS: dict[str, tuple[int, int]] = {
    "magic": (0, 8),
    "version": (8, 1),
    "kind": (9, 1),
    "envelope length": (10, 2),
    "part number": (12, 4),
    "plaintext size": (16, 8),
    "object id": (24, 16),
    "location": (40, 32),
    "length of wrapping key": (72, 2),
    "length of wrapped data key": (74, 2),
    "wrapping key": (76, 1),
    "padding": (ENVELOPE - 1, 1),
}


def sealed_size(plaintext_bytes: int) -> int:
    """Stored size of a message with its envelope."""
    return HEAD + plaintext_bytes + TAG * (plaintext_bytes // CHUNK + 1)


@dataclass(frozen=True, slots=True)
class Message:
    """Where one message with its envelope is.

    Attributes:
        start: first byte in the stored object.
        plaintext_bytes: what its envelope says.
    """

    start: int
    plaintext_bytes: int

    @property
    def end(self) -> int:
        """The byte behind it."""
        return self.start + sealed_size(self.plaintext_bytes)

    @property
    def chunk_starts(self) -> list[int]:
        """The first byte of every chunk."""
        return list(range(self.start + HEAD, self.end, SEALED_CHUNK))

    def places(self) -> Iterator[tuple[str, int]]:
        """One byte of everything that it consists of, by name."""
        for name, (offset, length) in ENVELOPE_FIELDS.items():
            yield name, self.start + offset + length - 1
        wrapped = self.start + 76
        yield "wrapped data key", wrapped + 100
        yield "salt", self.start + ENVELOPE
        yield "commitment", self.start + ENVELOPE + SALT
        chunks = self.chunk_starts
        for name, start in (("first", chunks[0]), ("middle", chunks[len(chunks) // 2]), ("last", chunks[-1])):
            end = min(start + SEALED_CHUNK, self.end)
            yield f"{name} chunk", start
            yield f"{name} tag", end - 1


@dataclass(frozen=True, slots=True)
class Multipart:
    """Where everything of a multipart object is.

    Attributes:
        parts: the parts in order.
        closing: the closing message.
    """

    parts: tuple[Message, ...]
    closing: Message

    @property
    def trailer(self) -> int:
        """First byte of the trailer."""
        return self.closing.end

    def pieces(self, stored: bytes) -> list[bytes]:
        """The bytes of every part, of the closing and of the trailer."""
        ends = [message.end for message in (*self.parts, self.closing)]
        return [stored[start:end] for start, end in zip([0, *ends], [*ends, self.trailer + TRAILER], strict=True)]


def message_at(stored: bytes, start: int) -> Message:
    """The message that begins here."""
    assert stored[start : start + 8] == b"sealgate"
    assert int.from_bytes(stored[start + 10 : start + 12]) == ENVELOPE
    return Message(start, int.from_bytes(stored[start + 16 : start + 24]))


def multipart_of(stored: bytes) -> Multipart:
    """The structure of a multipart object."""
    trailer = stored[-TRAILER:]
    assert (trailer[:8], trailer[12:]) == (b"sealgate", bytes(4))
    closing_start = len(stored) - TRAILER - int.from_bytes(trailer[8:12])
    closing = message_at(stored, closing_start)
    assert closing.end == len(stored) - TRAILER
    parts = []
    start = 0
    while start < closing_start:
        parts.append(message_at(stored, start))
        start = parts[-1].end
    assert start == closing_start
    return Multipart(tuple(parts), closing)


def flipped(stored: bytes, *positions: int, mask: int = 1) -> bytes:
    """With one bit changed at each place."""
    changed = bytearray(stored)
    for position in positions:
        changed[position] ^= mask
    return bytes(changed)


def written(stored: bytes, start: int, value: bytes) -> bytes:
    """With other bytes of the same length at a place."""
    return stored[:start] + value + stored[start + len(value) :]


def joined(pieces: Sequence[bytes]) -> bytes:
    """The stored bytes of these pieces."""
    return b"".join(pieces)
