"""Where stored bytes come from."""

from collections.abc import AsyncGenerator
from typing import Protocol

from gateway.errors import GatewayError

#: How much is taken from a source at a time, bytes.
PIECE_BYTES = 1024 * 1024


class SourceUnavailable(GatewayError):
    """The stored bytes can not be read: there is no such file or object, or no right to it, or no answer."""


class ReadableSource(Protocol):
    """The stored bytes of one object, which do not change while they are read, piece by piece."""

    @property
    def stored_bytes(self) -> int:
        """How many there are."""

    async def read(self, first: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``first`` on.

        Raises:
            GatewayError: they can not be read.
        """


class StoredSource(ReadableSource, Protocol):
    """The stored bytes of one object in any order, and in one go."""

    @property
    def etag(self) -> str:
        """The store's ETag; empty when there is none."""

    def stream(self, first: int, last: int) -> AsyncGenerator[bytes, None]:
        """The bytes ``first`` to ``last``, inclusive, piece by piece.

        Raises:
            GatewayError: they can not be read.
        """
