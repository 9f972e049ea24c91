"""Sizes and offsets of the sealed format. Arithmetic only.

A sealed message is an envelope, a salt, a key commitment, and chunks. Each chunk but the last holds exactly 16 KiB of
plaintext; the last one is always shorter, and empty when the plaintext's size is a multiple of 16 KiB. Each carries a
tag of 16 bytes. So the number of chunks is ``n // 16384 + 1``, and sizes convert both ways without looking at a byte.
"""

from dataclasses import dataclass

#: The envelope of version 1. Its length field allows later versions to choose another.
ENVELOPE_BYTES = 512
SALT_BYTES = 24
COMMITMENT_BYTES = 32
#: Everything that is needed to check a message's data key and envelope.
HEAD_BYTES = ENVELOPE_BYTES + SALT_BYTES + COMMITMENT_BYTES
CHUNK_BYTES = 16_384
TAG_BYTES = 16
SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES
TRAILER_BYTES = 16
#: S3: every part but the last has at least this many bytes. Applied to the plaintext, as clients expect.
MIN_PART_BYTES = 5 * 1024**2
#: S3: the most bytes that one PutObject or UploadPart takes.
MAX_SEALED_BYTES = 5 * 1024**3
#: The largest plaintext whose sealed form S3 takes in one PutObject or UploadPart: it fills the limit exactly.
MAX_PLAINTEXT_BYTES = 5_363_470_776
MAX_PARTS = 10_000
#: How much of an object's end is asked for at first: brings the closing of any upload with up to 217 runs of parts.
SUFFIX_BYTES = 4_096


def sealed_size(plaintext_bytes: int) -> int:
    """The stored size of one message, envelope included."""
    return HEAD_BYTES + plaintext_bytes + TAG_BYTES * (plaintext_bytes // CHUNK_BYTES + 1)


def plaintext_size(sealed_bytes: int) -> int | None:
    """The plaintext size of a message that is stored in ``sealed_bytes``; None when no message has that size."""
    full_chunks, last_chunk = divmod(sealed_bytes - HEAD_BYTES, SEALED_CHUNK_BYTES)
    if full_chunks < 0 or last_chunk < TAG_BYTES:
        return None
    return full_chunks * CHUNK_BYTES + last_chunk - TAG_BYTES


def sealed_chunk_size(message_plaintext_bytes: int, chunk: int) -> int:
    """The stored size of one chunk of a message, tag included."""
    last_chunk, rest = divmod(message_plaintext_bytes, CHUNK_BYTES)
    return SEALED_CHUNK_BYTES if chunk < last_chunk else rest + TAG_BYTES


@dataclass(frozen=True, slots=True)
class ChunkSpan:
    """The chunks of one message that hold a range of its plaintext.

    Attributes:
        first_chunk: the number of the first chunk, from 0.
        last_chunk: the number of the last chunk, inclusive.
        sealed_first: where the first chunk begins in the stored message, envelope included.
        sealed_last: the last stored byte of the last chunk, inclusive.
        skip: how many plaintext bytes of the first chunk come before the range.
        plaintext_bytes: the size of the range.
    """

    first_chunk: int
    last_chunk: int
    sealed_first: int
    sealed_last: int
    skip: int
    plaintext_bytes: int

    @property
    def sealed_bytes(self) -> int:
        """How many stored bytes the chunks take."""
        return self.sealed_last - self.sealed_first + 1


def chunk_span(message_plaintext_bytes: int, first: int, last: int) -> ChunkSpan:
    """The chunks that hold the plaintext bytes ``first`` to ``last``, inclusive, of one message.

    Raises:
        ValueError: the message has no such range; in particular an empty message has none.
    """
    if not 0 <= first <= last < message_plaintext_bytes:
        raise ValueError("the range is not inside the message")
    first_chunk, skip = divmod(first, CHUNK_BYTES)
    last_chunk = last // CHUNK_BYTES
    return ChunkSpan(
        first_chunk=first_chunk,
        last_chunk=last_chunk,
        sealed_first=HEAD_BYTES + SEALED_CHUNK_BYTES * first_chunk,
        sealed_last=HEAD_BYTES
        + SEALED_CHUNK_BYTES * last_chunk
        + sealed_chunk_size(message_plaintext_bytes, last_chunk)
        - 1,
        skip=skip,
        plaintext_bytes=last - first + 1,
    )
