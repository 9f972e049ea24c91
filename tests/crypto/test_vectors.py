"""Two decoders that share no code agree about every vector, about fresh objects, and about damaged ones."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.crypto.sealed.closing import PartTable, seal_closing
from gateway.crypto.sealed.envelope import Envelope, Kind
from gateway.crypto.sealed.faults import Fault
from gateway.crypto.sealed.identity import location_of, upload_object_id
from gateway.crypto.sealed.message import seal_message
from gateway.redact import SecretBytes
from tests.crypto.both_decoders import by_package, by_reference
from tests.crypto.make_vectors import all_vectors
from tests.crypto.raw_sealing import RawSealer
from tests.crypto.reference_decoder import open_object
from tests.crypto.vector import BUCKET, DIRECTORY, OBJECT_KEY, UPLOAD_ID, Making, Vector, expect_plaintext, read_vectors

VECTORS = read_vectors()
GOOD = {name: vector for name, vector in VECTORS.items() if vector.expect.startswith("plaintext")}
#: Objects like these are stored somewhere. If this test fails, the format was changed: give it another version.
GOOD_DIGEST = "b602a63af1cc2da9f9369f594d2dad3048c509172d8012c02a5d758cb9c10029"


@pytest.mark.parametrize("name", VECTORS)
def test_vector(name: str) -> None:
    vector = VECTORS[name]
    assert by_reference(vector) == vector.expect
    assert by_package(vector) == vector.expect


def test_the_vectors_are_those_that_are_made() -> None:
    made = all_vectors()
    assert made.keys() == VECTORS.keys()
    for name, vector in made.items():
        assert (DIRECTORY / name).read_bytes() == vector.render(), name


def test_the_vectors_that_open_never_change() -> None:
    digest = hashlib.sha256()
    for name in GOOD:
        digest.update(name.encode() + b"\0" + hashlib.sha256((DIRECTORY / name).read_bytes()).digest())
    assert digest.hexdigest() == GOOD_DIGEST


def test_every_fault_has_a_vector_that_begins_with_its_name() -> None:
    faults = {vector.expect.removeprefix("fault "): name for name, vector in VECTORS.items() if name not in GOOD}
    assert faults.keys() == {*Fault, "key_unavailable"}
    for name, vector in VECTORS.items():
        if name not in GOOD:
            assert name.startswith(f"{vector.expect.removeprefix('fault ')}_")


@pytest.mark.parametrize("name", GOOD)
def test_vectors_read_back_as_they_are_written(name: str) -> None:
    assert Vector.parse(GOOD[name].render()) == GOOD[name]
    assert GOOD[name].data_key is not None


@pytest.mark.parametrize("name", [name for name in GOOD if int(GOOD[name].expect.split()[1]) > 1])
def test_ranges_of_vectors(name: str) -> None:
    """Around every border of chunks and parts, against the plaintext by the reference decoder."""
    vector = GOOD[name]
    size = int(vector.expect.split()[1])
    edges = {0, 1, size // 2, size - 2, size - 1, *(at for base in (16_384, 16_385, 32_769) for at in (base - 1, base))}
    edges = {at for at in edges if 0 <= at < size}
    whole = open_object(vector.stored, vector.wrapping_keys, [])
    for first in edges:
        for last in edges:
            if first <= last:
                assert by_package(vector, (first, last)) == expect_plaintext(whole[first : last + 1])


SIZES = st.sampled_from([0, 1, 100, 16_383, 16_384, 16_385, 40_000])


@st.composite
def fresh_objects(draw: st.DrawFn) -> tuple[bytes, Vector]:
    """Objects that the package seals, with random salts: plaintext and stored bytes."""
    making = Making(str(draw(st.integers())))
    if draw(st.booleans()):
        plaintext = making.plaintext(draw(SIZES))
        return plaintext, _sealed(making.sealer(), [plaintext], None)
    sizes = draw(st.dictionaries(st.integers(1, 10_000), SIZES, min_size=1, max_size=5))
    numbers = sorted(sizes)
    texts = [making.plaintext(sizes[number]) for number in numbers]
    return b"".join(texts), _sealed(making.upload(), texts, numbers)


@given(fresh_objects())
@settings(max_examples=50)
def test_fresh_objects(made: tuple[bytes, Vector]) -> None:
    plaintext, vector = made
    assert by_reference(vector) == by_package(vector) == expect_plaintext(plaintext)


@given(fresh_objects(), st.data())
@settings(max_examples=150)
def test_damaged_objects(made: tuple[bytes, Vector], data: st.DataObject) -> None:
    """Never wrong bytes, never a shorter object: neither decoder gives anything out."""
    _, vector = made
    stored = bytearray(vector.stored)
    at = data.draw(st.integers(0, len(stored) - 1))
    match data.draw(st.sampled_from(["flip", "cut", "drop", "insert", "repeat", "zero"])):
        case "flip":
            stored[at] ^= data.draw(st.integers(1, 255))
        case "cut":
            del stored[at:]
        case "drop":
            del stored[at : at + data.draw(st.integers(1, 20_000))]
        case "insert":
            stored[at:at] = data.draw(st.binary(min_size=1, max_size=20))
        case "repeat":
            end = at + data.draw(st.integers(1, 20_000))
            stored[at:at] = stored[at:end]
        case "zero":
            stored[at : at + 600] = bytes(len(stored[at : at + 600]))
    if bytes(stored) != vector.stored:
        damaged = replace(vector, stored=bytes(stored))
        assert by_reference(damaged).startswith("fault ")
        assert by_package(damaged).startswith("fault ")


def _sealed(sealer: RawSealer, texts: Sequence[bytes], numbers: Sequence[int] | None) -> Vector:
    key, place = SecretBytes(sealer.data_key), location_of(BUCKET, OBJECT_KEY)

    def message(kind: Kind, number: int, text: bytes) -> bytes:
        made = Envelope(kind, number, len(text), sealer.object_id, place, sealer.uri, sealer.wrapped)
        return seal_message(key, made, text)

    if numbers is None:
        return Vector("fresh", "", message(Kind.WHOLE, 0, texts[0]))
    assert sealer.object_id == upload_object_id(UPLOAD_ID)
    table = PartTable.of([(number, len(text)) for number, text in zip(numbers, texts, strict=True)])
    parts = [message(Kind.PART, number, text) for number, text in zip(numbers, texts, strict=True)]
    closing = seal_closing(key, sealer.object_id, place, sealer.uri, sealer.wrapped, table)
    return Vector("fresh", "", b"".join([*parts, closing]), upload_id=UPLOAD_ID)
