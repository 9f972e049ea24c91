"""The checksums of object data."""

import base64
import hashlib

import pytest
from awscrt.checksums import crc32
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import S3Error
from gateway.s3.checksums import (
    BY_HEADER,
    Algorithm,
    checksum,
    composite_checksum,
    encode_digest,
    new_digest,
    new_md5,
    parse_checksum_value,
    parse_content_md5,
)
from tests.s3.chunked_bodies import outcome

# Check values of the CRC catalogue for "123456789": CRC-32/ISO-HDLC cbf43926, CRC-32/ISCSI e3069283, CRC-64/NVME
# ae8b14860a799888. The values for "hello" and for nothing were captured from botocore.
VECTORS = [
    (Algorithm.CRC32, b"", "AAAAAA=="),
    (Algorithm.CRC32, b"hello", "NhCmhg=="),
    (Algorithm.CRC32, b"123456789", "y/Q5Jg=="),
    (Algorithm.CRC32C, b"123456789", "4waSgw=="),
    (Algorithm.CRC64NVME, b"123456789", "rosUhgp5mIg="),
    (Algorithm.SHA1, b"123456789", "98O8HYCOBHMq32eZZczDTKeuNEE="),
    (Algorithm.SHA256, b"", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
]


@pytest.mark.parametrize(("algorithm", "data", "value"), VECTORS)
def test_vectors(algorithm: Algorithm, data: bytes, value: str) -> None:
    assert checksum(algorithm, data) == value
    assert parse_checksum_value(algorithm, value) == value


@pytest.mark.parametrize("algorithm", Algorithm)
def test_names_and_sizes(algorithm: Algorithm) -> None:
    assert algorithm.header == f"x-amz-checksum-{algorithm.value.lower()}"
    assert BY_HEADER[algorithm.header] is algorithm
    assert len(new_digest(algorithm).digest()) == algorithm.digest_size


@given(st.lists(st.binary()), st.sampled_from(Algorithm))
def test_pieces_give_the_checksum_of_the_whole(pieces: list[bytes], algorithm: Algorithm) -> None:
    digest = new_digest(algorithm)
    for piece in pieces:
        digest.update(piece)
    assert encode_digest(digest.digest()) == checksum(algorithm, b"".join(pieces))


@given(st.binary())
def test_digests_agree_with_other_implementations(data: bytes) -> None:
    assert base64.b64decode(checksum(Algorithm.CRC32, data)) == crc32(data).to_bytes(4, "big")
    assert base64.b64decode(checksum(Algorithm.SHA1, data)) == hashlib.sha1(data, usedforsecurity=False).digest()
    assert base64.b64decode(checksum(Algorithm.SHA256, data)) == hashlib.sha256(data).digest()
    md5 = new_md5()
    md5.update(data)
    assert md5.digest() == hashlib.md5(data, usedforsecurity=False).digest()


MALFORMED = [
    "",
    "NhCmhg",
    "NhCmhg=",
    "NhCmhg===",
    "NhCmhg==\n",
    " NhCmhg==",
    "NhCmhh==",
    "NhCm-g==",
    "AAAA",
    "AAAAAAA=",
]


@pytest.mark.parametrize("value", [*MALFORMED, "AAAAAAAA", "ÿhCmhg==", "NhCmhg==-2"])
@pytest.mark.parametrize(("trailing", "where"), [(False, "header"), (True, "trailing header")])
def test_malformed_values_are_refused(value: str, trailing: bool, where: str) -> None:
    """Also base64 that is not canonical: one digest has one spelling."""
    with pytest.raises(S3Error) as caught:
        parse_checksum_value(Algorithm.CRC32, value, trailing=trailing)
    assert caught.value.code == "InvalidRequest"
    assert caught.value.message == f"Value for x-amz-checksum-crc32 {where} is invalid."


def test_a_content_md5_is_checked() -> None:
    value = encode_digest(hashlib.md5(b"hello", usedforsecurity=False).digest())
    assert parse_content_md5(value) == value


@pytest.mark.parametrize("value", ["", "5d41402abc4b2a76b9719d911017c592", "XUFAKrxLKna5cZ2REBfFkg", "AAAAAA=="])
def test_a_malformed_content_md5_is_refused(value: str) -> None:
    with pytest.raises(S3Error) as caught:
        parse_content_md5(value)
    assert (caught.value.code, caught.value.status) == ("InvalidDigest", 400)


def test_a_composite_covers_the_digests_of_the_parts() -> None:
    parts = [checksum(Algorithm.CRC32C, b"first"), checksum(Algorithm.CRC32C, b"second")]
    digests = b"".join(base64.b64decode(part) for part in parts)
    assert composite_checksum(Algorithm.CRC32C, parts) == checksum(Algorithm.CRC32C, digests) + "-2"


@given(st.text(), st.sampled_from(Algorithm))
def test_garbage_raises_only_s3_errors(value: str, algorithm: Algorithm) -> None:
    errors = [outcome(lambda: parse_checksum_value(algorithm, value)), outcome(lambda: parse_content_md5(value))]
    assert all(error is None or error.status == 400 for error in errors)
