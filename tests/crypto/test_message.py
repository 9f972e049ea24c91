"""Sealed messages: round trips at every border, ranges, and attacks on the bytes."""

import functools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.crypto.sealed.envelope import Envelope, Kind
from gateway.crypto.sealed.geometry import HEAD_BYTES, SEALED_CHUNK_BYTES, chunk_span, sealed_size
from gateway.crypto.sealed.message import (
    Buffer,
    ChunkOpener,
    MessageHead,
    MessageOpener,
    MessageSealer,
    open_message,
    seal_message,
)
from gateway.errors import IntegrityError
from tests.crypto.sealing_under_test import DATA_KEY, OTHER_KEY, SIZES, envelope, plaintext


@functools.cache
def sealed(size: int) -> bytes:
    return seal_message(DATA_KEY, envelope(size), plaintext(size))


def fault_of(data: bytes) -> str:
    with pytest.raises(IntegrityError) as caught:
        open_message(DATA_KEY, data)
    return caught.value.fault


def open_streamed(data: bytes) -> bytes:
    opener = MessageOpener(DATA_KEY, MessageHead.parse(data[:HEAD_BYTES]))
    return b"".join([*(opener.update(piece) for piece in pieces_of(data[HEAD_BYTES:], 5_000)), opener.finish()])


def pieces_of(data: bytes, step: int) -> list[bytes]:
    return [data[at : at + step] for at in range(0, len(data), step)]


def open_range(stored: bytes, first: int, last: int, step: int = 1 << 20) -> bytes:
    head = MessageHead.parse(stored[:HEAD_BYTES])
    keys = head.unlock(DATA_KEY)
    size = head.envelope.plaintext_bytes
    span = chunk_span(size, first, last)
    opener = ChunkOpener(keys, size, span)
    given_out = [opener.update(piece) for piece in pieces_of(stored[span.sealed_first : span.sealed_last + 1], step)]
    return b"".join([*given_out, opener.finish()])


@pytest.mark.parametrize("size", SIZES)
def test_round_trip(size: int) -> None:
    stored = sealed(size)
    assert len(stored) == sealed_size(size)
    assert stored[:512] == envelope(size).render()
    assert open_message(DATA_KEY, stored) == plaintext(size)


@pytest.mark.parametrize(
    ("size", "step"),
    [
        *((size, step) for size in SIZES for step in (16_383, 16_384, 16_385, 16_400, 40_000)),
        *((size, step) for size in (0, 1, 16, 16_385) for step in (1, 7)),
    ],
)
def test_pieces_of_any_size(size: int, step: int) -> None:
    sealer = MessageSealer(DATA_KEY, envelope(size))
    stored = b"".join([*(sealer.update(piece) for piece in pieces_of(plaintext(size), step)), sealer.finish()])
    assert len(stored) == sealed_size(size)
    opener = MessageOpener(DATA_KEY, MessageHead.parse(stored[:HEAD_BYTES]))
    opened = [*(opener.update(piece) for piece in pieces_of(stored[HEAD_BYTES:], step)), opener.finish()]
    assert b"".join(opened) == plaintext(size)
    if size:
        assert open_range(stored, 0, size - 1, step) == plaintext(size)


@pytest.mark.parametrize("of_type", [bytes, bytearray, memoryview])
def test_types_of_pieces(of_type: type[bytes] | type[bytearray] | type[memoryview]) -> None:
    text, size = plaintext(40_000), 40_000

    def made(data: bytes) -> Buffer:
        return of_type(data)

    sealer = MessageSealer(DATA_KEY, envelope(size))
    stored = sealer.update(made(text)) + sealer.finish()
    head = MessageHead.parse(made(stored[:HEAD_BYTES]))
    opener = MessageOpener(DATA_KEY, head)
    outputs = [opener.update(made(stored[HEAD_BYTES:])), opener.finish()]
    assert b"".join(outputs) == text
    chunks = ChunkOpener(head.unlock(DATA_KEY), size, chunk_span(size, 100, 39_000))
    outputs += [chunks.update(made(stored[HEAD_BYTES:20_000])), chunks.update(made(stored[20_000:]))]
    assert b"".join(outputs[2:]) == text[100:39_001]
    assert {type(output) for output in outputs} == {bytes}


def test_the_first_output_begins_with_the_envelope() -> None:
    sealer = MessageSealer(DATA_KEY, envelope(3))
    first = sealer.update(b"a")
    assert first.startswith(envelope(3).render())
    assert first + sealer.update(b"bc") + sealer.finish()


@pytest.mark.parametrize("size", [1, 16_384, 16_385, 50_000])
def test_every_border_of_a_range(size: int) -> None:
    borders = sorted({at for base in range(0, size + 1, 16_384) for at in (base - 1, base, base + 1)} | {0, size - 1})
    borders = [at for at in borders if 0 <= at < size]
    for first in borders:
        for last in borders:
            if first <= last:
                assert open_range(sealed(size), first, last) == plaintext(size)[first : last + 1], (first, last)


@given(st.data())
@settings(max_examples=200)
def test_a_range_is_the_slice_of_the_plaintext(data: st.DataObject) -> None:
    size = data.draw(st.sampled_from([size for size in SIZES if size]))
    first = data.draw(st.integers(0, size - 1))
    last = data.draw(st.integers(first, size - 1))
    step = data.draw(st.integers(500, 50_000))
    assert open_range(sealed(size), first, last, step) == plaintext(size)[first : last + 1]


@pytest.mark.parametrize(("said", "given_out"), [(10, 11), (10, 9), (16_384, 16_385), (0, 1), (1, 0)])
def test_the_size_of_the_envelope_binds_the_sealer(said: int, given_out: int) -> None:
    with pytest.raises(ValueError, match="plaintext"):
        seal_message(DATA_KEY, envelope(said), bytes(given_out))


def test_two_messages_share_no_salt_and_no_ciphertext() -> None:
    one, two = (seal_message(DATA_KEY, envelope(100), bytes(100)) for _ in range(2))
    assert one[:512] == two[:512]
    assert one[512:536] != two[512:536]
    assert one[568:] != two[568:]


@pytest.mark.parametrize("size", [0, 5, 16_384])
def test_every_flipped_bit_is_found(size: int) -> None:
    stored = bytearray(sealed(size))
    bits = range(len(stored) * 8) if size < 100 else [*range(568 * 8), *range(568 * 8, len(stored) * 8, 97)]
    for bit in bits:
        stored[bit // 8] ^= 1 << bit % 8
        with pytest.raises(IntegrityError):
            open_message(DATA_KEY, stored)
        stored[bit // 8] ^= 1 << bit % 8
    assert open_message(DATA_KEY, stored) == plaintext(size)


def test_every_flipped_bit_of_a_range_is_found() -> None:
    stored = bytearray(sealed(16_385))
    for bit in [*range(568 * 8), *range(16_968 * 8, len(stored) * 8)]:
        stored[bit // 8] ^= 1 << bit % 8
        with pytest.raises(IntegrityError):
            open_range(bytes(stored), 16_384, 16_384)
        stored[bit // 8] ^= 1 << bit % 8


@pytest.mark.parametrize("size", [0, 5, 16_384, 40_000])
def test_every_truncation_is_found(size: int) -> None:
    stored = sealed(size)
    ends = {*range(600), *range(0, len(stored), 997), *range(568, len(stored), SEALED_CHUNK_BYTES), len(stored) - 1}
    for end in ends:
        if end < len(stored):
            with pytest.raises(IntegrityError):
                open_message(DATA_KEY, stored[:end])


CHUNKS = [sealed(40_000)[568 + 16_400 * k : 568 + 16_400 * (k + 1)] for k in range(3)]
HEAD = sealed(40_000)[:568]
FULL = sealed(32_768)


@pytest.mark.parametrize(
    ("data", "fault", "streamed"),
    [
        (HEAD + CHUNKS[0] + CHUNKS[2], "size", "chunk"),
        (HEAD + CHUNKS[1] + CHUNKS[0] + CHUNKS[2], "chunk", "chunk"),
        (HEAD + CHUNKS[0] + CHUNKS[0] + CHUNKS[2], "chunk", "chunk"),
        (HEAD + CHUNKS[0] + CHUNKS[1], "size", "chunk"),
        (HEAD + CHUNKS[0] + CHUNKS[1] + CHUNKS[2] + b"\0", "size", "chunk"),
        (HEAD + CHUNKS[0] + CHUNKS[1] + CHUNKS[2] + CHUNKS[2], "size", "chunk"),
        (HEAD + CHUNKS[0] + CHUNKS[1] + CHUNKS[1] + CHUNKS[2], "size", "chunk"),
        (HEAD, "size", "chunk"),
        (FULL[:-16], "size", "chunk"),
        (FULL + FULL[-16:], "size", "chunk"),
        (FULL + FULL, "size", "chunk"),
        (HEAD[:512] + sealed(32_768)[512:], "commitment", "commitment"),
        (HEAD[:512] + seal_message(DATA_KEY, envelope(40_001), plaintext(40_001))[512:], "commitment", "commitment"),
        (seal_message(OTHER_KEY, envelope(10), bytes(10)), "commitment", "commitment"),
        (HEAD[:567], "envelope", "envelope"),
        (HEAD[:100], "envelope", "envelope"),
        (b"", "not_sealed", "not_sealed"),
    ],
)
def test_rearranged_bytes(data: bytes, fault: str, streamed: str) -> None:
    """With all bytes at hand the size is looked at first; a stream finds the same by the chunks."""
    assert fault_of(data) == fault
    with pytest.raises(IntegrityError) as caught:
        open_streamed(data)
    assert caught.value.fault == streamed


def test_a_size_that_the_sealer_lied_about_is_found() -> None:
    """Nobody without the data key can make such bytes; a faulty writer could."""
    said = envelope(16_384)
    sealer = MessageSealer(DATA_KEY, said)
    sealer._left = 20_000
    longer = sealer.update(plaintext(20_000)) + sealer.finish()
    for open_all in (open_streamed, lambda data: open_message(DATA_KEY, data)):
        with pytest.raises(IntegrityError, match="size"):
            open_all(longer)
    sealer = MessageSealer(DATA_KEY, said)
    sealer._left = 10
    shorter = sealer.update(bytes(10)) + sealer.finish()
    for open_all in (open_streamed, lambda data: open_message(DATA_KEY, data)):
        with pytest.raises(IntegrityError, match="size"):
            open_all(shorter)


@pytest.mark.parametrize("size", [20_000, 32_768])
def test_nothing_is_released_before_its_tag(size: int) -> None:
    stored = sealed(size)
    opener = MessageOpener(DATA_KEY, MessageHead.parse(stored[:HEAD_BYTES]))
    assert opener.update(stored[HEAD_BYTES : HEAD_BYTES + SEALED_CHUNK_BYTES - 1]) == b""
    head = MessageHead.parse(stored[:HEAD_BYTES])
    chunks = ChunkOpener(head.unlock(DATA_KEY), size, chunk_span(size, 0, size - 1))
    assert chunks.update(stored[HEAD_BYTES : HEAD_BYTES + SEALED_CHUNK_BYTES - 1]) == b""
    changed = bytes([stored[HEAD_BYTES + SEALED_CHUNK_BYTES - 1] ^ 1])
    for broken in (opener, chunks):
        with pytest.raises(IntegrityError, match="chunk"):
            broken.update(changed)


def _chunk_opener(size: int, first: int, last: int) -> tuple[ChunkOpener, bytes]:
    head = MessageHead.parse(sealed(size)[:HEAD_BYTES])
    span = chunk_span(size, first, last)
    opener = ChunkOpener(head.unlock(DATA_KEY), size, span)
    return opener, sealed(size)[span.sealed_first : span.sealed_last + 1]


@pytest.mark.parametrize("missing", [1, 16, 17, 16_400, 20_000])
def test_a_range_that_is_cut_short(missing: int) -> None:
    opener, stored = _chunk_opener(40_000, 100, 39_000)
    opener.update(stored[:-missing])
    with pytest.raises(IntegrityError) as caught:
        opener.finish()
    assert caught.value.fault == "chunk"


@pytest.mark.parametrize("extra", [b"\0", bytes(16_400)])
def test_a_range_with_more_bytes_than_asked_for(extra: bytes) -> None:
    opener, stored = _chunk_opener(40_000, 100, 200)
    with pytest.raises(IntegrityError) as caught:
        opener.update(stored + extra)
    assert caught.value.fault == "size"
    opener, stored = _chunk_opener(40_000, 100, 200)
    opener.update(stored)
    with pytest.raises(IntegrityError) as caught:
        opener.update(extra)
    assert caught.value.fault == "size"


def test_the_last_chunk_of_a_range_has_its_one_length() -> None:
    """A shorter chunk where a full one belongs, and the other way round."""
    head = MessageHead.parse(sealed(40_000)[:HEAD_BYTES])
    span = chunk_span(33_000, 32_768, 32_999)
    opener = ChunkOpener(head.unlock(DATA_KEY), 33_000, span)
    with pytest.raises(IntegrityError):
        opener.update(CHUNKS[2])


def test_keys_are_not_shown() -> None:
    keys = MessageHead.parse(HEAD).unlock(DATA_KEY)
    assert repr(keys) == "MessageKeys()"


@pytest.mark.parametrize("length", [0, 8, 567, 569])
def test_a_head_has_one_length(length: int) -> None:
    with pytest.raises(IntegrityError):
        MessageHead.parse((HEAD + b"\0")[:length])


@given(st.binary(min_size=504, max_size=700))
def test_garbage_is_an_integrity_error(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        open_message(DATA_KEY, b"sealgate" + data)
    with pytest.raises(IntegrityError):
        open_message(DATA_KEY, envelope(100).render() + data)


def test_parts_and_closings_are_messages_too() -> None:
    for made in (envelope(3, kind=Kind.PART, number=10_000), envelope(3, kind=Kind.CLOSING)):
        assert open_message(DATA_KEY, seal_message(DATA_KEY, made, b"abc")) == b"abc"
        assert Envelope.parse(made.render()).kind is made.kind
