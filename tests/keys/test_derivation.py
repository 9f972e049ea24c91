import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.keys.customer_key import CustomerKey
from gateway.keys.derivation import derivation_info, derive
from gateway.redact import SecretBytes

VECTORS = json.loads((Path(__file__).parent / "vectors" / "derivation.json").read_text())["vectors"]
NAMES = st.text(max_size=40)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_published_vectors(vector: dict[str, Any]) -> None:
    """Objects that are stored depend on these: they never change."""
    key = CustomerKey(7, SecretBytes(bytes.fromhex(vector["key"])))
    derived = derive(key, vector["bucket"], vector["object_key"])
    assert derivation_info(vector["bucket"], vector["object_key"]).hex() == vector["info"]
    assert derived.key.reveal().hex() == vector["derived"]
    assert derived.version == 7


@given(key=st.binary(min_size=32, max_size=32), bucket=NAMES, object_key=NAMES)
def test_it_is_hkdf_of_rfc_5869(key: bytes, bucket: str, object_key: str) -> None:
    """Written out: extract with a salt of zeros, then the first block of expand."""
    derived = derive(CustomerKey(1, SecretBytes(key)), bucket, object_key).key.reveal()
    pseudorandom_key = hmac.new(bytes(32), key, hashlib.sha256).digest()
    info = derivation_info(bucket, object_key) + b"\x01"
    assert derived == hmac.new(pseudorandom_key, info, hashlib.sha256).digest()


@given(first=st.tuples(NAMES, NAMES), second=st.tuples(NAMES, NAMES))
def test_no_two_objects_share_the_input(first: tuple[str, str], second: tuple[str, str]) -> None:
    assert (derivation_info(*first) == derivation_info(*second)) is (first == second)


def test_the_border_between_the_names_counts() -> None:
    assert derivation_info("a", "bc") != derivation_info("ab", "c")
    assert derivation_info("", "a") != derivation_info("a", "")


def test_a_name_that_is_not_utf_8_keeps_its_bytes() -> None:
    assert derivation_info("b", b"\xff".decode("utf-8", "surrogateescape")).endswith(b"\x00\x01\xff")


def test_a_name_longer_than_any_of_s3_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        derivation_info("b", "k" * 65_536)
