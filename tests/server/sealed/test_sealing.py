"""Bodies on their way into the store: sealed, of the promised size, and never whole before the plaintext was."""

import random
from collections.abc import AsyncIterator

import pytest

from gateway.crypto.sealed.envelope import Envelope, Kind
from gateway.crypto.sealed.geometry import ENVELOPE_BYTES, MAX_PLAINTEXT_BYTES, MAX_SEALED_BYTES, sealed_size
from gateway.crypto.sealed.identity import location_of, upload_object_id
from gateway.crypto.sealed.message import open_message
from gateway.errors import KeyUnavailable, S3Error, UpstreamUnavailable
from gateway.keys.data_keys import DataKeyLimits, DataKeys
from gateway.keys.provider import DataKey, WrappedKey
from gateway.redact import SecretBytes
from gateway.server.sealed.sealing import SealingTarget, require_sealable, sealed_body
from gateway.upstream.body import BufferedBody, StreamedBody

_KEY = SecretBytes(bytes(range(32)))
_DATA = random.Random(5).randbytes(300_000)
_BUFFERED = 64 * 1024


class Provider:
    """Gives one data key to everybody."""

    kind = "test"
    scope = ""
    current = "test:1"

    async def generate(self) -> DataKey:
        return DataKey(_KEY, self.current, b"wrapped")

    async def unwrap(self, wrapping_key: str, wrapped: bytes) -> SecretBytes:
        return _KEY

    async def rewrap(self, wrapping_key: str, wrapped: bytes) -> WrappedKey:
        raise AssertionError("sealing rewraps nothing")

    def handles(self, wrapping_key: str) -> bool:
        return wrapping_key == self.current

    def version_of(self, wrapping_key: str, wrapped: bytes) -> str:
        return ""

    async def aclose(self) -> None:
        """Nothing to close."""


class Kept:
    """A draft that shows what it got."""

    def __init__(self, *, fails: bool = False) -> None:
        self.data = b""
        self._fails = fails

    async def write(self, data: bytes) -> None:
        if self._fails:
            raise UpstreamUnavailable("the store is full")
        self.data += data

    async def publish(self, etag: str) -> None:
        raise AssertionError("whoever uploads publishes")

    async def discard(self) -> None:
        raise AssertionError("whoever uploads discards")


@pytest.fixture
def data_keys() -> DataKeys:
    return DataKeys({"w": Provider()}, DataKeyLimits())


async def pieces(data: bytes, step: int = 70_000, error: Exception | None = None) -> AsyncIterator[bytes]:
    for start in range(0, len(data), step):
        if error is not None and start + step >= len(data):
            raise error
        yield data[start : start + step]


async def joined(body: object) -> bytes:
    if isinstance(body, BufferedBody):
        return body.data
    assert isinstance(body, StreamedBody)
    assert body.algorithm is None
    return b"".join([piece async for piece in body.pieces])


async def collect(source: AsyncIterator[bytes], into: bytearray) -> None:
    async for piece in source:
        into += piece


@pytest.mark.parametrize("step", [1000, 16_384, 70_000, 300_000])
@pytest.mark.parametrize("size", [0, 1, 16_383, 16_384, 16_385, _BUFFERED, _BUFFERED + 1, 300_000])
async def test_a_body_is_the_sealed_message_of_its_plaintext(data_keys: DataKeys, size: int, step: int) -> None:
    target = SealingTarget.part("w", "bucket", "key", "upload", 7)
    draft = Kept()
    body = await sealed_body(data_keys, target, size, pieces(_DATA[:size], step), draft)
    assert isinstance(body, BufferedBody if size <= _BUFFERED else StreamedBody)
    stored = await joined(body)
    assert len(stored) == sealed_size(size)
    if isinstance(body, StreamedBody):
        assert body.size == len(stored)
    assert draft.data == stored
    assert open_message(_KEY, stored) == _DATA[:size]
    envelope = Envelope.parse(stored[:ENVELOPE_BYTES])
    assert envelope == Envelope(
        Kind.PART, 7, size, upload_object_id("upload"), location_of("bucket", "key"), "test:1", b"wrapped"
    )


async def test_whole_objects_have_ids_of_their_own(data_keys: DataKeys) -> None:
    targets = [SealingTarget.whole("w", "bucket", "key") for _ in range(2)]
    stored = [await joined(await sealed_body(data_keys, target, 5, pieces(b"hello"))) for target in targets]
    envelopes = [Envelope.parse(data[:ENVELOPE_BYTES]) for data in stored]
    assert [(envelope.kind, envelope.part_number) for envelope in envelopes] == [(Kind.WHOLE, 0)] * 2
    assert envelopes[0].object_id != envelopes[1].object_id
    assert stored[0][ENVELOPE_BYTES:] != stored[1][ENVELOPE_BYTES:]


async def test_the_end_comes_after_the_last_piece_of_plaintext(data_keys: DataKeys) -> None:
    """What is withheld until it was verified keeps the end of the message back, also when it is one byte."""
    for size in (100_000, 98_304):  # the second is a multiple of the chunk size
        body = await sealed_body(
            data_keys,
            SealingTarget.whole("w", "b", "k"),
            size,
            pieces(_DATA[:size], size - 1, S3Error("BadDigest", "")),
        )
        assert isinstance(body, StreamedBody)
        seen = bytearray()
        with pytest.raises(S3Error, match="BadDigest"):
            await collect(body.pieces, seen)
        assert len(seen) < sealed_size(size) - 16


@pytest.mark.parametrize("size", [1000, 100_000])
async def test_what_plaintext_raises_comes_out_unchanged(data_keys: DataKeys, size: int) -> None:
    source = pieces(_DATA[:size], 500, S3Error("BadDigest", "wrong"))
    with pytest.raises(S3Error, match="BadDigest: wrong"):
        await joined(await sealed_body(data_keys, SealingTarget.whole("w", "b", "k"), size, source))


@pytest.mark.parametrize("change", [-1, 1])
@pytest.mark.parametrize("size", [1000, 100_000])
async def test_plaintext_of_another_size_is_an_error(data_keys: DataKeys, size: int, change: int) -> None:
    with pytest.raises(S3Error, match="IncompleteBody"):
        await joined(
            await sealed_body(data_keys, SealingTarget.whole("w", "b", "k"), size, pieces(_DATA[: size + change]))
        )


@pytest.mark.parametrize("size", [1000, 100_000])
async def test_a_draft_that_does_not_take_the_bytes_stops_the_body(data_keys: DataKeys, size: int) -> None:
    with pytest.raises(UpstreamUnavailable, match="full"):
        await joined(
            await sealed_body(
                data_keys, SealingTarget.whole("w", "b", "k"), size, pieces(_DATA[:size]), Kept(fails=True)
            )
        )


async def test_without_a_data_key_no_plaintext_is_read(data_keys: DataKeys) -> None:
    with pytest.raises(KeyUnavailable):
        await sealed_body(
            data_keys, SealingTarget.whole("no such key", "b", "k"), 5, pieces(b"hello", 1, AssertionError("read"))
        )


async def test_the_limit_is_that_of_the_store_less_the_overhead(data_keys: DataKeys) -> None:
    require_sealable(MAX_PLAINTEXT_BYTES)
    assert sealed_size(MAX_PLAINTEXT_BYTES) <= MAX_SEALED_BYTES < sealed_size(MAX_PLAINTEXT_BYTES + 1)
    with pytest.raises(S3Error, match="5 GiB less") as caught:
        await sealed_body(data_keys, SealingTarget.whole("w", "b", "k"), MAX_PLAINTEXT_BYTES + 1, pieces(b""))
    assert dict(caught.value.details)["MaxSizeAllowed"] == str(MAX_PLAINTEXT_BYTES)
