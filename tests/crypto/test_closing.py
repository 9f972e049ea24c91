"""The part table, its one form, and the trailer."""

import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.crypto.sealed.closing import (
    MAX_CLOSING_BYTES,
    Part,
    PartRun,
    PartTable,
    closing_size_in_trailer,
    open_closing,
    seal_closing,
)
from gateway.crypto.sealed.envelope import Envelope, Kind
from gateway.crypto.sealed.geometry import MAX_PLAINTEXT_BYTES, SUFFIX_BYTES, sealed_size
from gateway.crypto.sealed.message import seal_message
from gateway.errors import IntegrityError
from tests.crypto.sealing_under_test import DATA_KEY, LOCATION, OBJECT_ID, OTHER_KEY, WRAPPED, envelope

MIB = 1024**2


@st.composite
def part_lists(draw: st.DrawFn) -> list[tuple[int, int]]:
    numbers = draw(st.sets(st.integers(1, 40) | st.integers(1, 10_000), min_size=1, max_size=40))
    # Few sizes, so that runs appear; empty parts among them.
    sizes = st.sampled_from([0, 1, 5 * MIB, 8 * MIB, MAX_PLAINTEXT_BYTES])
    return [(number, draw(sizes)) for number in sorted(numbers)]


def closing_of(table: PartTable) -> bytes:
    return seal_closing(DATA_KEY, OBJECT_ID, LOCATION, "local:2026", WRAPPED, table)


def open_found(stored: bytearray) -> PartTable:
    """What a reader does with an object's end."""
    first = len(stored) - 16 - closing_size_in_trailer(stored[-16:])
    if first < 0:
        raise IntegrityError("trailer", "the closing is larger than the object")
    return open_closing(DATA_KEY, stored[first:-16])


def raw_table(*runs: tuple[int, int, int], total: int | None = None, count: int | None = None) -> bytes:
    data = struct.pack(">I", len(runs) if count is None else count)
    for run in runs:
        data += struct.pack(">IIQ", *run)
    return data + struct.pack(">Q", sum(n * size for _, n, size in runs) if total is None else total)


@pytest.mark.parametrize(
    ("parts", "runs"),
    [
        ([(1, 5)], [(1, 1, 5)]),
        ([(1, 5), (2, 5), (3, 4)], [(1, 2, 5), (3, 1, 4)]),
        ([(1, 5), (3, 5)], [(1, 1, 5), (3, 1, 5)]),
        ([(7, 5), (8, 5), (10_000, 5)], [(7, 2, 5), (10_000, 1, 5)]),
        ([(1, 5), (2, 4), (3, 5)], [(1, 1, 5), (2, 1, 4), (3, 1, 5)]),
        ([(1, 0)], [(1, 1, 0)]),
    ],
)
def test_runs(parts: list[tuple[int, int]], runs: list[tuple[int, int, int]]) -> None:
    table = PartTable.of(parts)
    assert table.runs == tuple(PartRun(*run) for run in runs)
    assert table.render() == raw_table(*runs)


@given(part_lists())
def test_what_is_rendered_is_read_back(parts: list[tuple[int, int]]) -> None:
    table = PartTable.of(parts)
    assert PartTable.parse(table.render()) == table
    assert [(part.number, part.plaintext_bytes) for part in table.parts()] == parts


@given(part_lists(), st.data())
def test_look_ups_agree_with_the_list(parts: list[tuple[int, int]], data: st.DataObject) -> None:
    table = PartTable.of(parts)
    expected = []
    plaintext_offset = sealed_offset = 0
    for number, size in parts:
        expected.append(Part(number, size, plaintext_offset, sealed_offset))
        plaintext_offset += size
        sealed_offset += sealed_size(size)
    assert list(table.parts()) == expected
    assert table.part_count == len(parts)
    assert table.plaintext_bytes == plaintext_offset
    assert table.stored_bytes == sealed_offset
    for part in expected:
        assert table.by_number(part.number) == part
        if part.plaintext_bytes:
            inside = data.draw(st.integers(0, part.plaintext_bytes - 1))
            for at in (0, inside, part.plaintext_bytes - 1):
                assert table.at(part.plaintext_offset + at) == part
    for number in {0, -1, 10_001, *range(1, 42)} - {number for number, _ in parts}:
        assert table.by_number(number) is None
    for offset in (-1, plaintext_offset):
        with pytest.raises(ValueError, match="offset"):
            table.at(offset)


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [(0, 5)],
        [(10_001, 5)],
        [(1, 5), (1, 5)],
        [(2, 5), (1, 5)],
        [(1, -1)],
        [(1, MAX_PLAINTEXT_BYTES + 1)],
    ],
)
def test_impossible_parts_are_refused_when_sealing(parts: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="part table"):
        PartTable.of(parts)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(11),
        raw_table(),
        raw_table((1, 1, 5), count=2),
        raw_table((1, 1, 5), count=0),
        raw_table((1, 1, 5))[:-1],
        raw_table((1, 1, 5)) + b"\0",
        raw_table((1, 0, 5)),
        raw_table((0, 1, 5)),
        raw_table((0, 0, 0)),
        raw_table((10_001, 1, 5)),
        raw_table((9_999, 3, 5)),
        raw_table((1, 0xFFFFFFFF, 5)),
        raw_table((1, 1, 5), (2, 1, 5)),
        raw_table((1, 2, 5), (2, 1, 4)),
        raw_table((2, 1, 5), (1, 1, 4)),
        raw_table((1, 1, MAX_PLAINTEXT_BYTES + 1)),
        raw_table((1, 1, 5), total=6),
        raw_table((1, 2, 2**63), total=0),
    ],
)
def test_only_the_canonical_form_is_read(data: bytes) -> None:
    with pytest.raises(IntegrityError) as caught:
        PartTable.parse(data)
    assert caught.value.fault == "closing"


@given(st.binary(max_size=100))
def test_garbage_is_an_integrity_error_or_canonical(data: bytes) -> None:
    try:
        table = PartTable.parse(data)
    except IntegrityError:
        return
    assert table.render() == data


def test_closing_and_trailer() -> None:
    table = PartTable.of([(number, 8 * MIB) for number in range(1, 10_000)] + [(10_000, 3)])
    stored = closing_of(table)
    assert len(stored) == 568 + 12 + 2 * 16 + 16 + 16
    assert closing_size_in_trailer(stored[-16:]) == len(stored) - 16
    assert stored[-16:] == b"sealgate" + struct.pack(">II", len(stored) - 16, 0)
    assert open_closing(DATA_KEY, stored[:-16]) == table
    made = Envelope.parse(stored[:512])
    assert (made.kind, made.part_number, made.object_id, made.location) == (Kind.CLOSING, 0, OBJECT_ID, LOCATION)


def test_the_largest_table_is_read() -> None:
    table = PartTable.of([(number, 5 * MIB + number % 2) for number in range(1, 10_001)])
    stored = closing_of(table)
    assert len(stored) - 16 == MAX_CLOSING_BYTES
    assert open_closing(DATA_KEY, stored[: closing_size_in_trailer(stored[-16:])]) == table


@pytest.mark.parametrize(("runs", "fits"), [(217, True), (218, False)])
def test_the_first_suffix_brings_closings_of_many_runs(runs: int, fits: bool) -> None:
    table = PartTable.of([(number, 5 * MIB + number % 2) for number in range(1, runs + 1)])
    assert (len(closing_of(table)) <= SUFFIX_BYTES) is fits


@pytest.mark.parametrize(
    "trailer",
    [
        b"",
        bytes(16),
        b"sealgate" + struct.pack(">II", 612, 0)[:-1],
        b"sealgate" + struct.pack(">II", 612, 0) + b"\0",
        b"Sealgate" + struct.pack(">II", 612, 0),
        b"sealgate" + struct.pack(">II", 612, 1),
        b"sealgate" + struct.pack(">II", 0, 0),
        b"sealgate" + struct.pack(">II", 584, 0),
        b"sealgate" + struct.pack(">II", 596, 0),
        b"sealgate" + struct.pack(">II", 611, 0),
        b"sealgate" + struct.pack(">II", 613, 0),
        b"sealgate" + struct.pack(">II", MAX_CLOSING_BYTES + 16, 0),
        b"sealgate" + struct.pack(">II", 0xFFFFFFFF, 0),
    ],
)
def test_no_trailer(trailer: bytes) -> None:
    assert closing_size_in_trailer(b"sealgate" + struct.pack(">II", 612, 0)) == 612
    with pytest.raises(IntegrityError) as caught:
        closing_size_in_trailer(trailer)
    assert caught.value.fault == "trailer"


def test_another_message_is_no_closing() -> None:
    table = PartTable.of([(1, 5)]).render()
    for made in (envelope(len(table)), envelope(len(table), kind=Kind.PART, number=1)):
        with pytest.raises(IntegrityError) as caught:
            open_closing(DATA_KEY, seal_message(DATA_KEY, made, table))
        assert caught.value.fault == "kind"


def test_every_flipped_bit_of_a_closing_is_found() -> None:
    stored = bytearray(closing_of(PartTable.of([(1, 6 * MIB), (2, 5)])))
    for bit in range(len(stored) * 8):
        stored[bit // 8] ^= 1 << bit % 8
        with pytest.raises(IntegrityError):
            open_found(stored)
        stored[bit // 8] ^= 1 << bit % 8


def test_another_data_key_opens_no_closing() -> None:
    with pytest.raises(IntegrityError) as caught:
        open_closing(OTHER_KEY, closing_of(PartTable.of([(1, 5)]))[:-16])
    assert caught.value.fault == "commitment"


def test_look_ups_do_not_walk_the_table() -> None:
    """A reader looks one part up per request: 2,000 look-ups in a table of 10,000 parts, well under a second."""
    table = PartTable.of([(number, 8 * MIB) for number in range(1, 10_001)])
    begun = time.perf_counter()
    for number in range(1, 2_001):
        assert table.by_number(number * 5) is not None
        table.at(number * 8 * MIB)
        next(table.parts())
    assert time.perf_counter() - begun < 1
