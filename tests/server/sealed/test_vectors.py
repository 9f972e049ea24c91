"""The reader of the gateway agrees with every vector of the format."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from gateway.errors import IntegrityError, KeyUnavailable
from gateway.server.sealed.layouts import LayoutCache
from gateway.server.sealed.opening import ObjectReader
from gateway.server.sealed.stored import StoredObject
from gateway.upstream.request import UpstreamRequest
from gateway.upstream.response import UpstreamResponse
from tests.crypto.both_decoders import VectorKeys
from tests.crypto.vector import Vector, expect_plaintext, read_vectors
from tests.server.sealed.sealed_objects import BUCKET, Counted, MemoryStore, Sealed

#: The gateway always knows where an object is stored.
VECTORS = {name: vector for name, vector in read_vectors().items() if vector.bucket is not None}


@dataclass
class Services:
    data_keys: VectorKeys
    layouts: LayoutCache


@pytest.mark.parametrize(
    ("name", "likely_multipart"),
    [
        *((name, False) for name in VECTORS),
        # An end is looked at first where the ETag counts parts, so there are some.
        *((name, True) for name, vector in VECTORS.items() if len(vector.stored) > 568),
    ],
)
async def test_vector(name: str, likely_multipart: bool) -> None:
    vector = VECTORS[name]
    try:
        opened = expect_plaintext(await _opened(vector, likely_multipart=likely_multipart))
    except IntegrityError as error:
        opened = f"fault {error.fault}"
    except KeyUnavailable:
        opened = "fault key_unavailable"
    assert opened == vector.expect


async def _opened(vector: Vector, *, likely_multipart: bool) -> bytes:
    counted = Counted()
    store = MemoryStore(Sealed(b"", vector.stored, vector.marker or "v1"))

    @asynccontextmanager
    async def fetch(request: UpstreamRequest) -> AsyncIterator[UpstreamResponse]:
        async with store.fetch(replace(request, bucket=BUCKET)) as answer:
            yield answer

    assert vector.bucket is not None
    assert vector.object_key is not None
    reader = ObjectReader(Services(VectorKeys(vector), LayoutCache(100)), counted, fetch)
    stored = StoredObject(vector.bucket, vector.object_key, "key")
    found = await reader.find(stored, likely_multipart=likely_multipart)
    if found.layout is None:
        # An object without a byte, which no request for a range can bring.
        assert not vector.stored
        raise IntegrityError("not_sealed", "it is empty")
    async with fetch(stored.get()) as answer:
        whole = await reader.whole(stored, answer)
        assert whole is not None
        return b"".join([piece async for piece in whole.pieces])
