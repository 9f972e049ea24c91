"""Locations, object ids and alias proofs."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.crypto.sealed.identity import alias_fits, alias_proof, location_of, upload_object_id
from tests.crypto.sealing_under_test import DATA_KEY, LOCATION, OBJECT_ID, OTHER_KEY


def test_the_hashed_bytes() -> None:
    assert location_of("b", "kü") == hashlib.sha256(b"\x00\x01b\x00\x03k\xc3\xbc").digest()
    assert upload_object_id("2~abc") == hashlib.sha256(b"sealgate upload2~abc").digest()[:16]


def test_bytes_that_are_no_utf_8_are_kept() -> None:
    assert (
        location_of("b", b"k\xff".decode("utf-8", "surrogateescape"))
        == hashlib.sha256(b"\x00\x01b\x00\x02k\xff").digest()
    )


def test_where_the_bucket_ends_matters() -> None:
    assert location_of("a", "bc") != location_of("ab", "c")


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_locations_differ(bucket: str, key: str, other_bucket: str, other_key: str) -> None:
    same = (bucket, key) == (other_bucket, other_key)
    assert (location_of(bucket, key) == location_of(other_bucket, other_key)) is same


def test_an_alias_fits_its_object_location_and_data_key_only() -> None:
    proof = alias_proof(DATA_KEY, OBJECT_ID, LOCATION)
    assert len(proof) == 32
    assert alias_fits(proof, DATA_KEY, OBJECT_ID, LOCATION)
    assert not alias_fits(proof, OTHER_KEY, OBJECT_ID, LOCATION)
    assert not alias_fits(proof, DATA_KEY, bytes(16), LOCATION)
    assert not alias_fits(proof, DATA_KEY, OBJECT_ID, location_of("other", "place"))


@pytest.mark.parametrize("proof", [b"", bytes(31), bytes(32), bytes(33)])
def test_no_proof(proof: bytes) -> None:
    assert not alias_fits(proof, DATA_KEY, OBJECT_ID, LOCATION)


def test_the_proof_is_as_specified() -> None:
    """Computed here from RFC 5869 and RFC 2104 by hand."""
    import hmac  # noqa: PLC0415 - only this test

    info = b"sealgate/v1 alias" + OBJECT_ID
    key = hmac.digest(DATA_KEY.reveal(), info + b"\x01", "sha512")[:32]
    assert alias_proof(DATA_KEY, OBJECT_ID, LOCATION) == hmac.digest(key, LOCATION + OBJECT_ID, "sha256")
