"""The staging store in a directory, for all gateway processes of one host or on one shared file system.

    directory/                 0700
      drafts/<random>          0600  a part while it is uploaded
      uploads/<upload's hash>/ 0700
        <part's name>          0600  the sealed bytes of a part
        own-<part's name>      0600  what is known of a part that is the gateway's own

What is published is on the disk before its name is, and gets its name in one step. No process needs to know of others.
"""

import asyncio
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from gateway.errors import ConfigError, UpstreamUnavailable
from gateway.server.sealed.staging import Draft, OwnPart, StagedPart, StagedUpload, part_name

_OWN: Final = "own-"
_DIRECTORY_MODE: Final = 0o700
_FILE_MODE: Final = 0o600
#: Bytes that are gathered before a thread writes them.
_WRITE_BYTES: Final = 256 * 1024
_READ_BYTES: Final = 256 * 1024
#: A draft is given up when nothing was written to it for this time; no upload stands still for so long.
ABANDONED_DRAFT_SECONDS: Final = 24 * 3600.0
#: A part that was sent again replaces the one before, but two that are sent at the same time may end in another order
#: here than upstream. Both are kept for so long. Seconds.
SUPERSEDED_SECONDS: Final = 3600.0


class FileStaging:
    """Sealed parts in a directory.

    Args:
        directory: made when it is not there.

    Raises:
        ConfigError: the directory can not be used.
    """

    def __init__(self, directory: Path) -> None:
        self._uploads = directory / "uploads"
        self._drafts = directory / "drafts"
        try:
            for wanted in (directory, self._uploads, self._drafts):
                wanted.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
            if directory.stat().st_mode & 0o077:
                raise ConfigError((f"staging.location: {directory} is open to other users; its mode must be 0700",))
            if not os.access(self._drafts, os.W_OK | os.X_OK) or not os.access(self._uploads, os.W_OK | os.X_OK):
                raise ConfigError((f"staging.location: {directory} can not be written to",))
        except OSError as error:
            raise ConfigError((f"staging.location: {directory}: {error.strerror}",)) from error

    async def draft(self, upload: StagedUpload, part_number: int, size: int) -> Draft:
        """Begin to keep a part; see :class:`~gateway.server.sealed.staging.Staging`."""
        del size  # a file grows
        return _FileDraft(self._drafts / secrets.token_hex(16), self._uploads / upload.name, part_number)

    async def part(self, upload: StagedUpload, part_number: int, etag: str) -> StagedPart | None:
        """The sealed bytes of a part; see :class:`~gateway.server.sealed.staging.Staging`."""
        path = self._uploads / upload.name / part_name(part_number, etag)
        with _faults():
            try:
                found = await asyncio.to_thread(path.stat)
            except FileNotFoundError:
                return None
        return StagedPart(found.st_size, _read(path))

    async def note_own(self, upload: StagedUpload, part: OwnPart) -> None:
        """Remember a part as the gateway's own; see :class:`~gateway.server.sealed.staging.Staging`."""
        draft = self._drafts / secrets.token_hex(16)
        path = self._uploads / upload.name / (_OWN + part.name)
        with _faults():
            await asyncio.to_thread(_note, draft, path, part.render())

    async def own_parts(self, upload: StagedUpload) -> tuple[OwnPart, ...]:
        """The gateway's own parts; see :class:`~gateway.server.sealed.staging.Staging`."""
        with _faults():
            return await asyncio.to_thread(_own_parts, self._uploads / upload.name)

    async def clear(self, upload: StagedUpload) -> None:
        """Forget an upload; see :class:`~gateway.server.sealed.staging.Staging`."""
        await asyncio.to_thread(_remove, self._uploads / upload.name, self._drafts)

    async def sweep(self, maximum_age_seconds: float) -> int:
        """Remove what is old; see :class:`~gateway.server.sealed.staging.Staging`."""
        with _faults():
            return await asyncio.to_thread(self._sweep, maximum_age_seconds)

    async def aclose(self) -> None:
        """Nothing is open between two calls."""

    def _sweep(self, maximum_age_seconds: float) -> int:
        now = time.time()
        swept = 0
        for name in _names(self._uploads):
            # Adding a file to a directory changes the directory's time.
            if _age(self._uploads / name, now) > maximum_age_seconds:
                swept += _remove(self._uploads / name, self._drafts)
        for name in _names(self._drafts):
            if _age(self._drafts / name, now) > min(maximum_age_seconds, ABANDONED_DRAFT_SECONDS):
                swept += _remove(self._drafts / name, self._drafts)
        return swept


class _FileDraft:
    """A part in a file that has no name to be found by yet.

    The file is made with its first bytes. All work on it runs in threads, which go on when a request is cancelled:
    :meth:`discard` waits for their end, so nothing is made behind its back.
    """

    def __init__(self, path: Path, directory: Path, part_number: int) -> None:
        self._file: BinaryIO | None = None
        self._path = path
        self._directory = directory
        self._part_number = part_number
        self._gathered = bytearray()
        self._busy: asyncio.Future[object] | None = None
        self._done = False

    async def write(self, data: bytes) -> None:
        self._gathered += data
        if len(self._gathered) >= _WRITE_BYTES:
            gathered, self._gathered = self._gathered, bytearray()
            await self._in_thread(lambda: self._opened().write(gathered))

    async def publish(self, etag: str) -> None:
        name = part_name(self._part_number, etag)
        await self._in_thread(lambda: self._publish(name))
        self._done = True

    async def discard(self) -> None:
        if self._done:
            return
        if self._busy is not None:
            await asyncio.wait((self._busy,))
            self._busy.exception()  # the writer was told, unless it was cancelled
        self._done = True
        if self._file is not None:
            with suppress(OSError):  # closing writes what is left, and the disk may be full
                self._file.close()
            self._path.unlink(missing_ok=True)

    async def _in_thread(self, work: Callable[[], object]) -> None:
        self._busy = asyncio.ensure_future(asyncio.to_thread(work))
        with _faults():
            await asyncio.shield(self._busy)

    def _opened(self) -> BinaryIO:
        if self._file is None:
            self._file = _create(self._path)
        return self._file

    def _publish(self, name: str) -> None:
        file = self._opened()
        file.write(self._gathered)
        file.flush()
        os.fsync(file.fileno())
        file.close()
        _move(self._path, self._directory / name)
        _remove_superseded(self._directory, name)


def _create(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE), "wb")


def _note(draft: Path, path: Path, record: bytes) -> None:
    with _create(draft) as file:
        file.write(record)
        file.flush()
        os.fsync(file.fileno())
    _move(draft, path)


def _own_parts(directory: Path) -> tuple[OwnPart, ...]:
    found = []
    for name in _names(directory):
        if name.startswith(_OWN):
            with suppress(FileNotFoundError, ValueError):
                found.append(OwnPart.parse((directory / name).read_bytes()))
    return tuple(found)


def _move(source: Path, target: Path) -> None:
    """Give a file its name, in one step that survives a crash."""
    for last in (False, True):
        target.parent.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)
        try:
            source.rename(target)
            break
        except FileNotFoundError:
            if last:  # once may be a sweeper that took the directory away in between
                raise
    for directory in (target.parent, target.parent.parent):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_superseded(directory: Path, newest: str) -> None:
    """Remove what was kept before for the same part."""
    now = time.time()
    number, _, _ = newest.partition("-")
    for name in _names(directory):
        if name != newest and name.startswith(f"{number}-") and _age(directory / name, now) > SUPERSEDED_SECONDS:
            (directory / name).unlink(missing_ok=True)


def _names(directory: Path) -> list[str]:
    try:
        return [path.name for path in directory.iterdir()]
    except FileNotFoundError:
        return []


def _age(path: Path, now: float) -> float:
    """Seconds since a file was written or a directory got a file; 0 for what is gone."""
    try:
        return now - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _remove(path: Path, drafts: Path) -> bool:
    """Remove a file or a directory; whether it was there. Its name goes first, so nobody finds half of it."""
    grave = drafts / f"removed-{secrets.token_hex(16)}"
    try:
        path.rename(grave)
    except FileNotFoundError:
        return False
    if grave.is_dir():
        shutil.rmtree(grave, ignore_errors=True)
    else:
        grave.unlink(missing_ok=True)
    return True


async def _read(path: Path) -> AsyncIterator[bytes]:
    with _faults(), await asyncio.to_thread(path.open, "rb") as file:
        while data := await asyncio.to_thread(file.read, _READ_BYTES):
            yield data


@contextmanager
def _faults() -> Iterator[None]:
    """A full or broken disk is a passing fault of the gateway."""
    try:
        yield
    except OSError as error:
        raise UpstreamUnavailable(f"the staging directory does not work: {error.strerror}") from error
