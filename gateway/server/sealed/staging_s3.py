"""The staging store in a bucket, for replicas of the gateway that share no disk.

    prefix/<upload's hash>/data-<random>      the sealed bytes of a part
    prefix/<upload's hash>/<part's name>      name and size of those bytes; there once the upload of the part succeeded
    prefix/<upload's hash>/own-<part's name>  what is known of a part that is the gateway's own

The bucket is one of the upstream server's. It needs no versions and no rule of the gateway, for everything in it is
sealed, and clients need no access to it. All requests are signed with the same credentials, because an upload may be
begun by one client and completed by another.
"""

import asyncio
import re
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from typing import Final

from gateway.errors import UpstreamUnavailable
from gateway.server.sealed.staging import MAX_RECORD_BYTES, Draft, OwnPart, StagedPart, StagedUpload, part_name
from gateway.server.sealed.staging_bucket import StagingBucket
from gateway.upstream.body import BufferedBody, StreamedBody

_DATA: Final = "data-"
_OWN: Final = "own-"
_POINTER: Final = re.compile(rb"(data-[0-9a-f]{32}) ([0-9]{1,10})", re.ASCII)
_POINTER_BYTES: Final = 64
#: Pieces of a part that may wait for the store while the part itself is uploaded.
_QUEUED_PIECES: Final = 2
#: Parts up to this size are sent when they are complete, so that they can be sent again. Bytes.
_BUFFERED_BYTES: Final = 128 * 1024


class S3Staging:
    """Sealed parts in a bucket.

    Args:
        bucket: where.
        prefix: what object keys begin with; may be empty.
        now: the time, UTC.
    """

    def __init__(
        self, bucket: StagingBucket, prefix: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._now = now

    async def draft(self, upload: StagedUpload, part_number: int, size: int) -> Draft:
        """Begin to keep a part; see :class:`~gateway.server.sealed.staging.Staging`."""
        return _S3Draft(self._bucket, self._place(upload), part_number, size)

    async def part(self, upload: StagedUpload, part_number: int, etag: str) -> StagedPart | None:
        """The sealed bytes of a part; see :class:`~gateway.server.sealed.staging.Staging`."""
        place = self._place(upload)
        pointer = await self._bucket.get(place + part_name(part_number, etag), _POINTER_BYTES)
        if pointer is None:
            return None
        found = _POINTER.fullmatch(pointer)
        if found is None:
            raise UpstreamUnavailable("the staging bucket holds something that the gateway did not write")
        return StagedPart(int(found[2]), self._bucket.content(place + found[1].decode("ascii")))

    async def note_own(self, upload: StagedUpload, part: OwnPart) -> None:
        """Remember a part as the gateway's own; see :class:`~gateway.server.sealed.staging.Staging`."""
        await self._bucket.put(self._place(upload) + _OWN + part.name, BufferedBody(part.render()))

    async def own_parts(self, upload: StagedUpload) -> tuple[OwnPart, ...]:
        """The gateway's own parts; see :class:`~gateway.server.sealed.staging.Staging`."""
        found = []
        for file in await self._bucket.list(self._place(upload) + _OWN):
            record = await self._bucket.get(file.object_key, MAX_RECORD_BYTES)
            if record is not None:
                with suppress(ValueError):
                    found.append(OwnPart.parse(record))
        return tuple(found)

    async def clear(self, upload: StagedUpload) -> None:
        """Forget an upload; see :class:`~gateway.server.sealed.staging.Staging`."""
        with suppress(UpstreamUnavailable):
            for file in await self._bucket.list(self._place(upload)):
                await self._bucket.delete(file.object_key)

    async def sweep(self, maximum_age_seconds: float) -> int:
        """Remove what is old; see :class:`~gateway.server.sealed.staging.Staging`."""
        uploads: dict[str, list[str]] = {}
        newest: dict[str, datetime] = {}
        for file in await self._bucket.list(self._prefix):
            name, slash, _ = file.object_key.removeprefix(self._prefix).partition("/")
            if slash:
                uploads.setdefault(name, []).append(file.object_key)
                newest[name] = max(newest.get(name, file.modified), file.modified)
        old = [name for name in uploads if (self._now() - newest[name]).total_seconds() > maximum_age_seconds]
        for name in old:
            for object_key in uploads[name]:
                await self._bucket.delete(object_key)
        return len(old)

    async def aclose(self) -> None:
        """The connections are the upstream client's."""

    def _place(self, upload: StagedUpload) -> str:
        return f"{self._prefix}{upload.name}/"


class _S3Draft:
    """A part that is written to the bucket while it is uploaded, under a name that nobody knows yet."""

    def __init__(self, bucket: StagingBucket, place: str, part_number: int, size: int) -> None:
        self._bucket = bucket
        self._place = place
        self._part_number = part_number
        self._size = size
        self._missing = size
        self._name = _DATA + secrets.token_hex(16)
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue(_QUEUED_PIECES)
        self._gathered: list[bytes] = []
        self._writing: asyncio.Task[None] | None = None
        self._published = False

    async def write(self, data: bytes) -> None:
        if self._size <= _BUFFERED_BYTES:
            self._gathered.append(data)
            return
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_queued())
        putting = asyncio.ensure_future(self._pieces.put(data))
        try:
            await asyncio.wait((putting, self._writing), return_when=asyncio.FIRST_COMPLETED)
            if not putting.done():
                self._writing.result()  # it ended before it had everything
                raise UpstreamUnavailable("the staging bucket took less than the whole part")
        finally:
            putting.cancel()

    async def publish(self, etag: str) -> None:
        if self._writing is None:
            await self._bucket.put(self._place + self._name, BufferedBody(b"".join(self._gathered)))
        else:
            await self._writing
        pointer = f"{self._name} {self._size}".encode()
        await self._bucket.put(self._place + part_name(self._part_number, etag), BufferedBody(pointer))
        self._published = True

    async def discard(self) -> None:
        if self._published or self._writing is None:
            return
        if self._missing:
            self._writing.cancel()
        # Otherwise the store has the last byte, and only its answer tells when there is something to remove.
        await asyncio.wait((self._writing,))
        if not self._writing.cancelled() and self._writing.exception() is None:
            with suppress(UpstreamUnavailable):
                await self._bucket.delete(self._place + self._name)

    async def _write_queued(self) -> None:
        async with aclosing(self._queued()) as pieces:
            await self._bucket.put(self._place + self._name, StreamedBody(self._size, pieces))

    async def _queued(self) -> AsyncGenerator[bytes, None]:
        while self._missing > 0:
            piece = await self._pieces.get()
            self._missing -= len(piece)
            yield piece
