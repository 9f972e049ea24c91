"""What reading needs, and what comes of it."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from gateway.s3.headers import Headers
from gateway.server.handlers.refusal import Refusal
from gateway.server.sealed.authentication import OpeningKeys
from gateway.server.sealed.layouts import Layout, LayoutCache


class ReadingServices(Protocol):
    """What reading needs of the services."""

    @property
    def data_keys(self) -> OpeningKeys:
        """Gives the data keys."""

    @property
    def layouts(self) -> LayoutCache:
        """Keeps what was proven of objects."""


class ReadingMetrics(Protocol):
    """What counts reading."""

    def opened(self, bytes_: int, /) -> None:
        """Plaintext was released."""

    def integrity_failure(self, fault: str, /) -> None:
        """Stored bytes are not what they should be."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of an object.

    Attributes:
        status: the upstream's HTTP status.
        headers: the upstream's header fields.
        layout: the layout of a sealed object; None for one that is not sealed, and with a refusal.
        refusal: why there is no object to read, conditions that do not hold included.
    """

    status: int
    headers: Headers
    layout: Layout | None
    refusal: Refusal | None


@dataclass(frozen=True, slots=True)
class Whole:
    """An answer with a whole sealed object.

    Attributes:
        layout: its layout.
        pieces: its verified plaintext; to be used while the answer is open, and closed.
    """

    layout: Layout
    pieces: "AsyncGenerator[bytes, None] | OpenedAtOnce"


class OpenedAtOnce:
    """The verified plaintext of a small object, in one piece.

    Args:
        plaintext: the bytes.
    """

    __slots__ = ("_plaintext",)

    def __init__(self, plaintext: bytes) -> None:
        self._plaintext = plaintext

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._plaintext:
            raise StopAsyncIteration
        plaintext, self._plaintext = self._plaintext, b""
        return plaintext

    async def aclose(self) -> None:
        """Nothing is left to be closed."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """The answer to a request for a range of plaintext.

    Attributes:
        headers: the upstream's header fields.
        pieces: the verified plaintext; empty with a refusal.
        refusal: the upstream's refusal, conditions that do not hold included.
    """

    headers: Headers
    pieces: AsyncGenerator[bytes, None]
    refusal: Refusal | None = None
