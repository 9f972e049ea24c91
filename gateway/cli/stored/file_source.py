"""A file with the stored bytes of an object."""

import asyncio
import os
import stat
from collections.abc import AsyncGenerator
from pathlib import Path
from types import TracebackType
from typing import Self

from gateway.cli.stored.source import PIECE_BYTES, SourceUnavailable
from gateway.crypto.sealed.faults import Fault
from gateway.errors import IntegrityError


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
        data = await asyncio.to_thread(self._read, first, size)
        if len(data) != size:
            raise IntegrityError(Fault.SIZE, "the file became shorter while it was read")
        return data

    async def stream(self, first: int, last: int) -> AsyncGenerator[bytes, None]:
        """See :class:`StoredSource`."""
        while first <= last:
            data = await asyncio.to_thread(self._read, first, min(PIECE_BYTES, last - first + 1))
            if not data:
                return
            yield data
            first += len(data)

    def _read(self, first: int, size: int) -> bytes:
        """Runs in a thread, so that signals are seen between two pieces."""
        try:
            return os.pread(self._descriptor, size, first)
        except OSError as error:
            raise SourceUnavailable(f"{self._path}: {error.strerror}") from None
