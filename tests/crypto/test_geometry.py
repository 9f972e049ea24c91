"""Sizes and offsets of the sealed format."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.crypto.sealed.geometry import (
    MAX_PLAINTEXT_BYTES,
    MAX_SEALED_BYTES,
    SEALED_CHUNK_BYTES,
    chunk_span,
    plaintext_size,
    sealed_size,
)


@pytest.mark.parametrize(
    ("plaintext_bytes", "sealed_bytes"),
    [
        (0, 584),
        (1, 585),
        (16_383, 16_967),
        (16_384, 16_984),
        (16_385, 16_985),
        (32_768, 33_384),
        (5 * 1024**2, 5_248_584),
    ],
)
def test_size(plaintext_bytes: int, sealed_bytes: int) -> None:
    assert sealed_size(plaintext_bytes) == sealed_bytes
    assert plaintext_size(sealed_bytes) == plaintext_bytes


@given(st.integers(0, 2**45))
def test_sizes_convert_both_ways(plaintext_bytes: int) -> None:
    assert plaintext_size(sealed_size(plaintext_bytes)) == plaintext_bytes


@given(st.integers(-10, 2**45))
def test_no_other_size_is_that_of_a_message(sealed_bytes: int) -> None:
    plaintext_bytes = plaintext_size(sealed_bytes)
    if plaintext_bytes is not None:
        assert sealed_size(plaintext_bytes) == sealed_bytes
    else:
        # The sixteen sizes in front of each that leaves a full last chunk.
        assert sealed_bytes < 584 or (sealed_bytes - 568) % SEALED_CHUNK_BYTES < 16


@pytest.mark.parametrize("sealed_bytes", [0, 567, 568, 583, 584 + 16_384, 584 + 16_399])
def test_sizes_of_no_message(sealed_bytes: int) -> None:
    assert plaintext_size(sealed_bytes) is None


def test_the_largest_plaintext_just_fits() -> None:
    assert sealed_size(MAX_PLAINTEXT_BYTES) <= MAX_SEALED_BYTES < sealed_size(MAX_PLAINTEXT_BYTES + 1)


@pytest.mark.parametrize(
    ("size", "first", "last", "chunks", "sealed", "skip"),
    [
        (1, 0, 0, (0, 0), (568, 584), 0),
        (16_384, 0, 16_383, (0, 0), (568, 16_967), 0),
        (16_385, 16_384, 16_384, (1, 1), (16_968, 16_984), 0),
        (16_385, 16_383, 16_384, (0, 1), (568, 16_984), 16_383),
        (100_000, 20_000, 40_000, (1, 2), (16_968, 49_767), 3_616),
        (100_000, 99_999, 99_999, (6, 6), (98_968, 100_679), 1_695),
    ],
)
def test_span(size: int, first: int, last: int, chunks: tuple[int, int], sealed: tuple[int, int], skip: int) -> None:
    span = chunk_span(size, first, last)
    assert (span.first_chunk, span.last_chunk) == chunks
    assert (span.sealed_first, span.sealed_last) == sealed
    assert span.skip == skip
    assert span.plaintext_bytes == last - first + 1
    assert span.sealed_bytes == sealed[1] - sealed[0] + 1


@given(st.integers(1, 200_000), st.data())
def test_a_span_stays_inside_the_message_and_holds_the_range(size: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, size - 1))
    last = data.draw(st.integers(first, size - 1))
    span = chunk_span(size, first, last)
    assert 568 <= span.sealed_first <= span.sealed_last < sealed_size(size)
    assert span.first_chunk * 16_384 + span.skip == first
    assert span.last_chunk * 16_384 <= last < (span.last_chunk + 1) * 16_384


@pytest.mark.parametrize(("size", "first", "last"), [(0, 0, 0), (10, 0, 10), (10, 5, 4), (10, -1, 4)])
def test_a_range_outside_the_message_is_refused(size: int, first: int, last: int) -> None:
    with pytest.raises(ValueError, match="not inside"):
        chunk_span(size, first, last)
