"""What the package and the reference decoder make of stored bytes, in the words of the vectors."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

from gateway.cli.stored.opening import Place, examine, plaintext
from gateway.crypto.sealed.marker import Marker
from gateway.errors import IntegrityError, KeyUnavailable
from gateway.keys.local import LocalKeyProvider
from gateway.keys.local_keyring import Keyring, WrappingKey
from gateway.redact import SecretBytes
from tests.crypto.reference_decoder import open_object
from tests.crypto.vector import Vector, expect_plaintext


class VectorKeys:
    """The wrapping keys of a vector."""

    def __init__(self, vector: Vector) -> None:
        ids = {uri.removeprefix("local:"): SecretBytes(key) for uri, key in vector.wrapping_keys.items()}
        keys = {key_id: WrappingKey(key_id, datetime.now(UTC), key) for key_id, key in ids.items()}
        self._provider = LocalKeyProvider(Keyring(keys, next(iter(keys))))

    async def for_opening(self, wrapping_key: str, wrapped: bytes) -> SecretBytes:
        return await self._provider.unwrap(wrapping_key, wrapped)


class MemorySource:
    """Stored bytes in memory, given out in small pieces."""

    etag = ""

    def __init__(self, stored: bytes, piece_bytes: int = 10_000) -> None:
        self.stored_bytes = len(stored)
        self._stored = stored
        self._piece_bytes = piece_bytes

    async def read(self, first: int, size: int) -> bytes:
        assert first + size <= self.stored_bytes
        return self._stored[first : first + size]

    async def stream(self, first: int, last: int) -> AsyncGenerator[bytes, None]:
        for at in range(first, last + 1, self._piece_bytes):
            yield self._stored[at : min(at + self._piece_bytes, last + 1)]


def by_package(vector: Vector, wanted: tuple[int, int] | None = None) -> str:
    """What the package makes of a vector."""
    try:
        return expect_plaintext(asyncio.run(open_by_package(vector, wanted)))
    except IntegrityError as error:
        return f"fault {error.fault}"
    except KeyUnavailable:
        return "fault key_unavailable"


async def open_by_package(vector: Vector, wanted: tuple[int, int] | None = None) -> bytes:
    source, keys = MemorySource(vector.stored), VectorKeys(vector)
    place = None
    if vector.bucket is not None and vector.object_key is not None:
        place = Place(vector.bucket, vector.object_key)
    marker = None if vector.marker is None else Marker.parse(vector.marker)
    layout = await examine(source, keys, place=place, marker=marker)
    return b"".join([piece async for piece in plaintext(source, keys, layout, wanted)])


def by_reference(vector: Vector) -> str:
    """What the reference decoder makes of a vector."""
    place = []
    if vector.bucket is not None and vector.object_key is not None:
        place = [vector.bucket.encode(), vector.object_key.encode()]
    try:
        return expect_plaintext(open_object(vector.stored, vector.wrapping_keys, place, vector.marker or "v1"))
    except ValueError as error:
        return f"fault {error}"
