"""Vectors of whole objects, each with one fault. Everything else about them is authentic."""

from base64 import urlsafe_b64encode
from collections.abc import Iterator

from tests.crypto.raw_sealing import PART, WHOLE, RawSealer, alias_proof, location
from tests.crypto.vector import WRAPPING_KEYS, Making, Vector

#: Fields of the envelope that no writer produces: comment and what is changed.
_ENVELOPES: dict[str, tuple[str, dict[str, object]]] = {
    "envelope_length_768": ("the length of a longer envelope", {"length": 768}),
    "envelope_length_zero": ("an envelope length of zero", {"length": 0}),
    "envelope_part_number_of_whole": ("a whole object with a part number", {"part_number": 1}),
    "envelope_part_number_zero": ("a part without a number", {"kind": PART}),
    "envelope_part_number_10001": ("a part number beyond the last", {"kind": PART, "part_number": 10_001}),
    "envelope_size_too_large": ("one byte more than S3 takes sealed", {"plaintext_bytes": 5_363_470_777}),
    "envelope_wrapping_key_empty": ("no wrapping key", {"uri": b""}),
    "envelope_wrapping_key_not_ascii": ("a URI with a byte beyond ASCII", {"uri": b"local:v\xe9"}),
    "envelope_wrapping_key_with_space": ("a URI with a space", {"uri": b"local:vectors 1"}),
    "envelope_wrapping_key_with_newline": ("a URI that ends in a line feed", {"uri": b"local:vectors-1\n"}),
    "envelope_wrapped_key_empty": ("no wrapped data key", {"wrapped": b""}),
    "envelope_wrapping_key_too_long": ("a URI that ends behind the envelope", {"uri_bytes": 437}),
    "envelope_wrapped_key_too_long": ("a wrapped key that ends behind the envelope", {"wrapped_bytes": 422}),
    "envelope_padding_not_zero": ("something in the padding", {"padding_end": b"\1"}),
    "version_0": ("a version that never was", {"version": 0}),
    "version_2": ("a version that is not known", {"version": 2}),
    "kind_3": ("a kind that is not known", {"kind": 3}),
    "kind_closing_first": ("a closing where an object begins", {"kind": 2}),
    "not_sealed_magic": ("one letter of the magic in upper case", {"magic": b"Sealgate"}),
    "size_of_envelope_larger": ("the envelope says one byte more than there is", {"plaintext_bytes": 101}),
    "size_of_envelope_smaller": ("the envelope says one byte less than there is", {"plaintext_bytes": 99}),
}


def whole_fault_vectors() -> Iterator[tuple[str, Vector]]:
    """Names and vectors. The fault is the beginning of the name."""
    for make in (_envelopes, _bytes, _chunks, _keys, _places, _markers):
        for name, comment, stored, sealer, more in make():
            data_key = None if sealer is None else sealer.data_key
            yield name, Vector(comment, f"fault {_fault(name)}", stored, data_key=data_key, **more)  # type: ignore[arg-type] # of any type


_Case = tuple[str, str, bytes, RawSealer | None, dict[str, object]]


def _envelopes() -> Iterator[_Case]:
    for name, (comment, changed) in _ENVELOPES.items():
        making = Making(name)
        sealer = making.sealer()
        yield name, comment, sealer.whole(making.plaintext(100), **changed), sealer, {}


def _bytes() -> Iterator[_Case]:
    yield "not_sealed_empty", "no bytes at all", b"", None, {}
    yield "not_sealed_plaintext", "an object that nobody sealed", b"id;amount\n1;100\n" * 50, None, {}
    making = Making("bytes")
    sealer = making.sealer()
    stored = sealer.whole(making.plaintext(100))
    yield "not_sealed_first_byte_missing", "the object begins one byte late", stored[1:], sealer, {}
    yield "envelope_only_magic", "the object ends behind the magic", stored[:8], None, {}
    yield "envelope_cut", "the object ends inside the envelope", stored[:511], None, {}
    yield "envelope_alone", "the object ends behind the envelope", stored[:512], None, {}
    yield "envelope_head_cut", "the object ends inside the commitment", stored[:567], None, {}
    yield "commitment_changed", "one bit of the commitment", _flip(stored, 567), sealer, {}
    yield "commitment_salt_changed", "one bit of the salt", _flip(stored, 512), sealer, {}
    yield "commitment_size_changed", "another plaintext size in the envelope", _flip(stored, 23), sealer, {}
    yield "commitment_object_id_changed", "another object id in the envelope", _flip(stored, 24), sealer, {}
    yield "commitment_location_changed", "another location in the envelope", _flip(stored, 40), sealer, {}
    yield "size_head_alone", "there is no chunk", stored[:568], sealer, {}
    yield "size_cut", "the last byte is missing", stored[:-1], sealer, {}
    yield "size_extended", "one byte behind the last chunk", stored + b"\0", sealer, {}


def _chunks() -> Iterator[_Case]:
    making = Making("chunks")
    sealer = making.sealer()
    pieces = sealer.pieces(sealer.envelope(WHOLE, 0, 32_868), making.plaintext(32_868))
    head, (first, second, last) = b"".join(pieces[:2]), pieces[2:]
    good = head + first + second + last
    yield "chunk_changed", "one bit of the first byte", _flip(good, 568), sealer, {}
    yield "chunk_tag_changed", "one bit of the last tag", _flip(good, len(good) - 1), sealer, {}
    yield "chunk_order", "the first two chunks exchanged", head + second + first + last, sealer, {}
    yield "chunk_twice", "the first chunk in place of the second", head + first + first + last, sealer, {}
    yield "size_chunk_missing", "the chunk in the middle is missing", head + first + last, sealer, {}
    yield "size_chunk_last_missing", "the last chunk is missing", head + first + second, sealer, {}
    yield "size_chunk_added", "the last chunk comes twice", good + last, sealer, {}
    other = making.sealer()
    others = other.pieces(other.envelope(WHOLE, 0, 32_868), making.plaintext(32_868))
    yield "chunk_of_other_message", "a chunk of another object", head + others[2] + second + last, sealer, {}
    full = sealer.pieces(sealer.envelope(WHOLE, 0, 16_384), making.plaintext(16_384))
    yield "size_chunk_last_empty_missing", "the empty last chunk is missing", b"".join(full[:-1]), sealer, {}


def _keys() -> Iterator[_Case]:
    making = Making("keys")
    sealer, other = making.sealer(), making.sealer()
    plaintext = making.plaintext(100)
    stored = sealer.whole(plaintext)
    exchanged = stored.replace(sealer.wrapped, other.wrapped)
    yield "commitment_other_data_key", "the wrapped key of another object", exchanged, other, {}
    flipped = _flip(stored, 91 + 20)
    yield "key_unavailable_wrapped_key_changed", "one bit of the wrapped data key", flipped, None, {}
    only = {"local:vectors-2": WRAPPING_KEYS["local:vectors-2"]}
    unknown: dict[str, object] = {"wrapping_keys": only}
    yield "key_unavailable_wrapping_key_not_there", "the keyring lacks the key", stored, None, unknown
    renamed = sealer.whole(plaintext, uri=b"local:vectors-2")
    yield "key_unavailable_wrapping_key_renamed", "the name of another key of the keyring", renamed, None, {}
    both: dict[str, object] = {"wrapping_keys": dict.fromkeys(WRAPPING_KEYS, WRAPPING_KEYS["local:vectors-1"])}
    yield "key_unavailable_associated_data", "the same key under another name", renamed, None, both


def _places() -> Iterator[_Case]:
    for name, comment, place in (
        ("location_other_object_key", "sealed for another object key", ("orders", "2026/11/24.csv")),
        ("location_other_bucket", "sealed for another bucket", ("archive", "2026/11/23.csv")),
        ("location_moved_border", "the same letters, divided otherwise", ("orders2026", "/11/23.csv")),
    ):
        making = Making(name)
        sealer = making.sealer(place=place)
        yield name, comment, sealer.whole(making.plaintext(100)), sealer, {}
    making = Making("location_alias")
    sealer = making.sealer(place=("archive", "old.csv"))
    stored = sealer.whole(making.plaintext(100))
    here = location("orders", "2026/11/23.csv")
    for name, comment, proof in (
        (
            "location_alias_of_other_place",
            "a proof for another copy",
            alias_proof(sealer.data_key, sealer.object_id, location("orders", "copy.csv")),
        ),
        (
            "location_alias_of_other_object",
            "a proof for another object",
            alias_proof(sealer.data_key, bytes(16), here),
        ),
        (
            "location_alias_of_other_data_key",
            "a proof made with another data key",
            alias_proof(bytes(32), sealer.object_id, here),
        ),
    ):
        yield name, comment, stored, sealer, {"marker": f"v1;size=100;alias={_text(proof)}"}


def _markers() -> Iterator[_Case]:
    making = Making("marker")
    sealer = making.sealer()
    stored = sealer.whole(making.plaintext(100))
    fits = _text(alias_proof(sealer.data_key, sealer.object_id, sealer.place))
    for name, comment, marker in (
        ("marker_size_wrong", "another size than the envelope says", "v1;size=101"),
        ("marker_version_2", "a version that is not known", "v2;size=100"),
        ("marker_leading_zero", "a number in another form", "v1;size=0100"),
        ("marker_without_size_value", "no number", "v1;size="),
        ("marker_unknown_field", "a field that is not known", "v1;size=100;more=1"),
        ("marker_order", "the fields in another order", f"v1;alias={fits};size=100"),
        ("marker_alias_padded", "base64 with padding", f"v1;size=100;alias={fits}="),
        ("marker_alias_cut", "a proof that is too short", f"v1;size=100;alias={fits[:-1]}"),
        ("marker_alias_stray_bits", "bits behind the end of the proof", f"v1;size=100;alias={fits[:-1]}_"),
        ("marker_alias_standard_alphabet", "base64, but not base64url", f"v1;size=100;alias={'+' * 42}A"),
    ):
        yield name, comment, stored, sealer, {"marker": marker}


def _flip(stored: bytes, at: int) -> bytes:
    return stored[:at] + bytes([stored[at] ^ 1]) + stored[at + 1 :]


def _text(proof: bytes) -> str:
    return urlsafe_b64encode(proof).decode().rstrip("=")


def _fault(name: str) -> str:
    """The fault that a name begins with; some faults have two words."""
    return next(
        (fault for fault in ("not_sealed", "object_id", "key_unavailable") if name.startswith(fault)),
        name.split("_", maxsplit=1)[0],
    )
