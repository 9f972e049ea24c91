"""The three kinds of body that a request may have."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from gateway.s3.checksums import Algorithm


@dataclass(frozen=True, slots=True)
class EmptyBody:
    """No body."""


@dataclass(frozen=True, slots=True)
class BufferedBody:
    """A body that is held whole, such as an XML document; it can be sent again."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class StreamedBody:
    """A body that passes through once.

    The last byte leaves only after ``pieces`` ended without raising; when it raises, the server gets a truncated body
    and the caller gets what was raised.

    Attributes:
        size: bytes in all.
        pieces: the bytes; never asked for more once the server has answered. Whoever made it closes it.
        algorithm: the checksum to send behind the body where the upstream takes one; None lets the gateway choose.
    """

    size: int
    pieces: AsyncIterator[bytes] = field(repr=False)
    algorithm: Algorithm | None = None


Body = EmptyBody | BufferedBody | StreamedBody
