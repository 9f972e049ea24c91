"""Sealed objects as they are stored, and a store in memory that counts what is asked of it."""

import hashlib
import random
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateway.crypto.sealed.closing import PartTable, seal_closing
from gateway.crypto.sealed.envelope import Envelope, Kind
from gateway.crypto.sealed.identity import location_of
from gateway.crypto.sealed.marker import MARKER, Marker
from gateway.crypto.sealed.message import seal_message
from gateway.errors import KeyUnavailable
from gateway.redact import SecretBytes
from gateway.s3.headers import Headers
from gateway.upstream.request import UpstreamRequest
from gateway.upstream.response import UpstreamResponse

BUCKET, KEY = "bucket", "some/key"
WRAPPING_KEY = "local:test"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True)
class Sealed:
    """One sealed object.

    Attributes:
        plaintext: what clients see.
        stored: what the store holds.
        marker: the metadata entry.
    """

    plaintext: bytes = field(repr=False)
    stored: bytes = field(repr=False)
    marker: str


class Sealer:
    """Makes sealed objects, each message under one of a few data keys.

    Args:
        bucket: the bucket that they are sealed for.
        key: the object key.
    """

    def __init__(self, bucket: str = BUCKET, key: str = KEY, *, seed: int = 0) -> None:
        self.random = random.Random(seed)
        self.location = location_of(bucket, key)
        self.object_id = self.random.randbytes(16)
        self.keys = {f"wrapped-{number}".encode(): SecretBytes(self.random.randbytes(32)) for number in range(3)}

    async def for_opening(self, wrapping_key: str, wrapped: bytes) -> SecretBytes:
        if wrapping_key != WRAPPING_KEY or wrapped not in self.keys:
            raise KeyUnavailable("no such data key", code="AccessDenied")
        return self.keys[wrapped]

    def message(self, kind: Kind, number: int, plaintext: bytes) -> bytes:
        wrapped, data_key = self.random.choice(sorted(self.keys.items(), key=lambda item: item[0]))
        envelope = Envelope(kind, number, len(plaintext), self.object_id, self.location, WRAPPING_KEY, wrapped)
        return seal_message(data_key, envelope, plaintext)

    def whole(self, size: int) -> Sealed:
        plaintext = self.random.randbytes(size)
        return Sealed(plaintext, self.message(Kind.WHOLE, 0, plaintext), Marker(size, None).render())

    def multipart(self, sizes: Sequence[int] | dict[int, int]) -> Sealed:
        numbered = dict(sizes) if isinstance(sizes, dict) else dict(enumerate(sizes, 1))
        parts = {number: self.random.randbytes(size) for number, size in numbered.items()}
        stored = [self.message(Kind.PART, number, plaintext) for number, plaintext in parts.items()]
        stored.append(self.closing(PartTable.of(list(numbered.items()))))
        return Sealed(b"".join(parts.values()), b"".join(stored), Marker(None, None).render())

    def closing(self, table: PartTable) -> bytes:
        wrapped, data_key = next(iter(self.keys.items()))
        return seal_closing(data_key, self.object_id, self.location, WRAPPING_KEY, wrapped, table)


class _Answer(UpstreamResponse):
    """An answer out of memory, in pieces of odd sizes."""

    def __init__(self, status: int, headers: Headers, body: bytes, store: "MemoryStore") -> None:
        self.status = status
        self.headers = headers
        self._body = body
        self._at = 0
        self._store = store

    async def iter_chunks(self) -> AsyncGenerator[bytes, None]:
        while self._at < len(self._body):
            size = self._store.random.choice((1, 567, 16_400, 65_536, 131_072))
            chunk = self._body[self._at : self._at + size]
            self._at += len(chunk)
            self._store.bytes_out += len(chunk)
            yield chunk

    async def read(self, limit: int) -> bytes:
        return self._body[:limit]

    async def peek(self, limit: int) -> bytes:
        # The real one gives more than was asked for when more has come.
        return self._body[: limit + 100]


class MemoryStore:
    """A store with one object.

    Attributes:
        requests: the range of every request so far, and whether it was pinned.
        bytes_out: bytes of bodies so far that were taken.
        open: answers in use.
    """

    def __init__(self, held: Sealed, *, etag: str | None = None) -> None:
        self.random = random.Random(1)
        self.requests: list[tuple[str | None, bool]] = []
        self.bytes_out = 0
        self.announced_bytes = 0
        self.open = 0
        self.most_open = 0
        self.put(held, etag=etag)

    def put(self, held: Sealed, *, etag: str | None = None) -> None:
        self.stored = held.stored
        self.marker: str | None = held.marker
        self.etag = etag or f'"{hashlib.md5(held.stored).hexdigest()}"'  # noqa: S324 - S3's own

    @asynccontextmanager
    async def fetch(self, request: UpstreamRequest) -> AsyncIterator[UpstreamResponse]:
        assert request.bucket == BUCKET
        wanted, pinned = request.headers.get("range"), request.headers.get("if-match")
        self.requests.append((wanted, pinned is not None))
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        try:
            answer = self._answer(request, wanted, pinned)
            self.announced_bytes += len(answer._body)
            yield answer
        finally:
            self.open -= 1

    def _answer(self, request: UpstreamRequest, wanted: str | None, pinned: str | None) -> _Answer:
        if pinned not in {None, self.etag}:
            return _Answer(412, Headers(), b"<Error><Code>PreconditionFailed</Code></Error>", self)
        if request.headers.get("if-none-match") == self.etag:
            return _Answer(304, Headers((("etag", self.etag),)), b"", self)
        size = len(self.stored)
        fields = [("etag", self.etag)]
        if self.marker is not None:
            fields.append((MARKER, self.marker))
        if wanted is None:
            return _Answer(200, Headers((*fields, ("content-length", str(size)))), self.stored, self)
        match = _RANGE.fullmatch(wanted)
        assert match is not None
        first = int(match[1]) if match[1] else max(0, size - int(match[2]))
        last = min(int(match[2]), size - 1) if match[1] and match[2] else size - 1
        if first >= size:
            return _Answer(416, Headers(), b"<Error><Code>InvalidRange</Code></Error>", self)
        fields += [("content-range", f"bytes {first}-{last}/{size}"), ("content-length", str(last - first + 1))]
        return _Answer(206, Headers(fields), self.stored[first : last + 1], self)


@dataclass
class Counted:
    """Counts what a reader tells."""

    released: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    lookups: list[bool] = field(default_factory=list)

    def opened(self, bytes_: int, /) -> None:
        self.released.append(bytes_)

    def integrity_failure(self, fault: str, /) -> None:
        self.faults.append(fault)

    def layout_lookup(self, *, hit: bool) -> None:
        self.lookups.append(hit)
