"""Where stored bytes come from, and the file as the simplest such place."""

import os
import stat
from collections.abc import AsyncGenerator
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from gateway.crypto.sealed.faults import Fault
from gateway.errors import GatewayError, IntegrityError

#: How much is taken from a source at a time, bytes.
PIECE_BYTES = 1024 * 1024


class SourceUnavailable(GatewayError):
    """The stored bytes can not be read: there is no such file or object, or no right to it, or no answer."""


class StoredSource(Protocol):
    """The stored bytes of one object, which do not change while they are read."""

    @property
    def stored_bytes(self) -> int:
        """How many there are."""

    @property
    def etag(self) -> str:
        """The store's ETag; empty when there is none."""

    async def read(self, first: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``first`` on.

        Raises:
            GatewayError: they can not be read.
        """

    def stream(self, first: int, last: int) -> AsyncGenerator[bytes, None]:
        """The bytes ``first`` to ``last``, inclusive, piece by piece.

        Raises:
            GatewayError: they can not be read.
        """


class FileSource:
    """A file with the stored bytes of an object. Use it with ``with``.

    Args:
        path: the file.

    Raises:
        SourceUnavailable: it is no file that can be read.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise SourceUnavailable(f"{path}: {error.strerror}") from None
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(self._descriptor)
            raise SourceUnavailable(f"{path} is not a regular file")
        self.stored_bytes = status.st_size
        self.etag = ""
        self._path = path

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    async def read(self, first: int, size: int) -> bytes:
        """See :class:`StoredSource`."""
        data = self._read(first, size)
        if len(data) != size:
            raise IntegrityError(Fault.SIZE, "the file became shorter while it was read")
        return data

    async def stream(self, first: int, last: int) -> AsyncGenerator[bytes, None]:
        """See :class:`StoredSource`."""
        while first <= last:
            data = self._read(first, min(PIECE_BYTES, last - first + 1))
            if not data:
                return
            yield data
            first += len(data)

    def _read(self, first: int, size: int) -> bytes:
        try:
            return os.pread(self._descriptor, size, first)
        except OSError as error:
            raise SourceUnavailable(f"{self._path}: {error.strerror}") from None
