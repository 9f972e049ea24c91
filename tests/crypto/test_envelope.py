"""The envelope: one form per value, and nothing else is read."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.crypto.sealed.envelope import MAX_KEY_FIELDS_BYTES, Envelope, Kind
from gateway.crypto.sealed.geometry import MAX_PLAINTEXT_BYTES
from gateway.errors import IntegrityError
from tests.crypto.sealing_under_test import LOCATION, OBJECT_ID, WRAPPED, envelope


@st.composite
def envelopes(draw: st.DrawFn) -> Envelope:
    kind = draw(st.sampled_from(Kind))
    uri = draw(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=200))
    return Envelope(
        kind,
        draw(st.integers(1, 10_000)) if kind is Kind.PART else 0,
        draw(st.integers(0, MAX_PLAINTEXT_BYTES)),
        draw(st.binary(min_size=16, max_size=16)),
        draw(st.binary(min_size=32, max_size=32)),
        uri,
        draw(st.binary(min_size=1, max_size=MAX_KEY_FIELDS_BYTES - len(uri))),
    )


@given(envelopes())
def test_what_is_rendered_is_read_back(made: Envelope) -> None:
    rendered = made.render()
    assert len(rendered) == 512
    assert Envelope.parse(rendered) == made
    assert Envelope.parse(memoryview(rendered)) == made


def test_the_bytes() -> None:
    """Written by hand from the layout, so that writer and reader can not be wrong together."""
    fixed = bytes.fromhex("7365616c67617465 01 01 0200 00000007 0000000000500000")
    expected = fixed + OBJECT_ID + LOCATION + bytes.fromhex("000a 003c") + b"local:2026" + WRAPPED
    made = envelope(0x500000, kind=Kind.PART, number=7)
    assert made.render() == expected + bytes(512 - len(expected))


def _with(offset: int, replacement: bytes) -> bytes:
    data = bytearray(envelope(100).render())
    data[offset : offset + len(replacement)] = replacement
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "not_sealed"),
        (b"sealgat", "not_sealed"),
        (b"x" * 512, "not_sealed"),
        (_with(0, b"S"), "not_sealed"),
        (b"sealgate", "envelope"),
        (envelope(100).render()[:-1], "envelope"),
        (envelope(100).render() + b"\0", "envelope"),
        (_with(8, b"\x00"), "version"),
        (_with(8, b"\x02"), "version"),
        (_with(9, b"\x03"), "kind"),
        (_with(10, b"\x02\x01"), "envelope"),
        (_with(10, b"\x03\x00"), "envelope"),
        (_with(12, struct.pack(">I", 1)), "envelope"),
        (_with(9, b"\x01"), "envelope"),
        (_with(9, b"\x01\x02\x00" + struct.pack(">I", 10_001)), "envelope"),
        (_with(9, b"\x02\x02\x00" + struct.pack(">I", 1)), "envelope"),
        (_with(16, struct.pack(">Q", MAX_PLAINTEXT_BYTES + 1)), "envelope"),
        (_with(72, b"\x00\x00"), "envelope"),
        (_with(72, b"\xff\xff"), "envelope"),
        (_with(74, b"\xff\xff"), "envelope"),
        (_with(74, b"\x00\x3b"), "envelope"),
        (_with(76, b" "), "envelope"),
        (_with(76, b"\xc3"), "envelope"),
        (_with(511, b"\x01"), "envelope"),
    ],
)
def test_faults(data: bytes, fault: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        Envelope.parse(data)
    assert caught.value.fault == fault


@given(st.binary(max_size=600) | st.binary(min_size=504, max_size=504).map(lambda rest: b"sealgate" + rest))
def test_garbage_is_an_integrity_error(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        Envelope.parse(data)


@given(st.integers(0, 511), st.integers(1, 255))
def test_a_changed_byte_never_reads_as_the_same_envelope(offset: int, change: int) -> None:
    """The context of the encryption is the rendered envelope, so reading and rendering must lose nothing."""
    data = bytearray(envelope(100).render())
    data[offset] ^= change
    try:
        read = Envelope.parse(data)
    except IntegrityError:
        return
    assert read.render() == bytes(data)


@pytest.mark.parametrize(
    "change",
    [
        {"part_number": 1},
        {"kind": Kind.PART, "part_number": 0},
        {"kind": Kind.PART, "part_number": 10_001},
        {"plaintext_bytes": -1},
        {"plaintext_bytes": MAX_PLAINTEXT_BYTES + 1},
        {"object_id": b"short"},
        {"location": b"short"},
        {"wrapping_key": ""},
        {"wrapping_key": "local:ü"},
        {"wrapping_key": "local: x"},
        {"wrapped_data_key": b""},
        {"wrapped_data_key": bytes(427)},
    ],
)
def test_impossible_values_are_refused_when_sealing(change: dict[str, object]) -> None:
    values: dict[str, object] = {
        "kind": Kind.WHOLE,
        "part_number": 0,
        "plaintext_bytes": 1,
        "object_id": OBJECT_ID,
        "location": LOCATION,
        "wrapping_key": "local:2026",
        "wrapped_data_key": WRAPPED,
    }
    Envelope(**values)  # type: ignore[arg-type] # a table of values of many types
    with pytest.raises(ValueError, match="envelope"):
        Envelope(**{**values, **change})  # type: ignore[arg-type] # a table of values of many types


def test_the_largest_keys_fit_exactly() -> None:
    made = Envelope(Kind.WHOLE, 0, 0, OBJECT_ID, LOCATION, "k" * 36, bytes(range(200)) * 2)
    assert len(made.wrapping_key) + len(made.wrapped_data_key) == MAX_KEY_FIELDS_BYTES == 436
    assert Envelope.parse(made.render()) == made
