"""Whether a body holds what its client claimed."""

import base64
import hashlib
import random
from io import BytesIO

import pytest
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import S3Error
from gateway.s3.aws_chunked_encoder import AwsChunkedEncoder
from gateway.s3.checksums import Algorithm, checksum
from gateway.s3.content_sha256 import EMPTY_SHA256, parse_content_sha256
from gateway.s3.headers import Headers
from gateway.s3.payload import PayloadClaims, PayloadReader, parse_claims
from tests.s3.chunked_bodies import ClientSigner, feed, feed_at, frame, outcome, read, verifier
from tests.s3.claims import (
    CHUNKED,
    CRC32_HEADER,
    CRC32_TRAILER,
    DECODED,
    ENCODED,
    FIVE,
    HELLO_MD5,
    HELLO_SHA256,
    SIGNED,
    SIGNED_TRAILER,
    TRAILER,
    UNSIGNED,
    Fields,
    claims,
)


def test_no_body_at_all() -> None:
    parsed = parse_claims(Headers(), parse_content_sha256(EMPTY_SHA256), requires_length=False)
    assert PayloadReader(parsed).finish().size == 0


def failure(parsed: PayloadClaims, body: bytes, step: int = 0) -> S3Error:
    """The error that reading ``body`` ends with."""
    reader = PayloadReader(parsed, verifier())
    with pytest.raises(S3Error) as caught:
        read(reader, body, step)
    return caught.value


@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_plain_body_that_holds(step: int) -> None:
    reader = PayloadReader(claims(HELLO_SHA256, [FIVE, ("Content-MD5", HELLO_MD5), CRC32_HEADER]))
    assert feed(reader, b"hello", step) == b"hello"
    verified = reader.finish()
    assert verified.size == 5
    assert verified.checksums == {Algorithm.CRC32: "NhCmhg=="}
    assert verified.md5 == HELLO_MD5


def test_only_what_was_claimed_is_reported() -> None:
    reader = PayloadReader(claims(HELLO_SHA256, [FIVE]))
    feed(reader, b"hello", 0)
    verified = reader.finish()
    assert (verified.checksums, verified.md5) == ({}, None)


def test_a_plain_body_is_not_copied() -> None:
    data = b"hello"
    assert PayloadReader(claims(UNSIGNED, [FIVE])).feed(data)[0] is data


def test_empty_feeds_give_nothing() -> None:
    assert PayloadReader(claims(UNSIGNED, [FIVE])).feed(b"") == []


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("body", [b"", b"hell", b"hello!"])
def test_a_plain_body_of_another_length(body: bytes, step: int) -> None:
    error = failure(claims(UNSIGNED, [FIVE]), body, step)
    assert (error.code, error.status) == ("IncompleteBody", 400)
    assert error.details == (("NumberBytesExpected", "5"), ("NumberBytesProvided", str(len(body))))


def test_too_long_a_body_is_refused_before_it_is_passed_on() -> None:
    with pytest.raises(S3Error, match="IncompleteBody"):
        PayloadReader(claims(UNSIGNED, [FIVE])).feed(b"hello!")


def test_another_sha256() -> None:
    error = failure(claims(HELLO_SHA256, [FIVE]), b"hellp")
    assert (error.code, error.status) == ("XAmzContentSHA256Mismatch", 400)
    assert error.details == (
        ("ClientComputedContentSHA256", HELLO_SHA256),
        ("S3ComputedContentSHA256", hashlib.sha256(b"hellp").hexdigest()),
    )


def test_another_md5() -> None:
    computed = base64.b64encode(hashlib.md5(b"hellp", usedforsecurity=False).digest()).decode()
    error = failure(claims(UNSIGNED, [FIVE, ("Content-MD5", HELLO_MD5)]), b"hellp")
    assert (error.code, error.status) == ("BadDigest", 400)
    assert error.message == "The Content-MD5 you specified did not match what we received."
    assert error.details == (("ExpectedDigest", HELLO_MD5), ("CalculatedDigest", computed))


@pytest.mark.parametrize("algorithm", Algorithm)
def test_another_checksum(algorithm: Algorithm) -> None:
    message = f"The {algorithm.value} you specified did not match the calculated checksum."
    value = checksum(algorithm, b"hello")
    plain = failure(claims(UNSIGNED, [FIVE, (algorithm.header, value)]), b"hellp")
    assert (plain.code, plain.message) == ("BadDigest", message)
    announced = claims(TRAILER, [CHUNKED, DECODED, ("x-amz-trailer", algorithm.header)])
    body = f"5\r\nhellp\r\n0\r\n{algorithm.header}:{value}\r\n\r\n".encode()
    trailing = failure(announced, body)
    assert (trailing.code, trailing.message) == ("BadDigest", message)


def test_a_malformed_trailing_checksum() -> None:
    body = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg\r\n\r\n"
    error = failure(claims(TRAILER, [CHUNKED, DECODED, CRC32_TRAILER]), body)
    assert error.code == "InvalidRequest"
    assert error.message == "Value for x-amz-checksum-crc32 trailing header is invalid."


@pytest.mark.parametrize("step", [0, 1, 3])
def test_a_literal_digest_beside_a_sha256_checksum(step: int) -> None:
    value = checksum(Algorithm.SHA256, b"hello")
    reader = PayloadReader(claims(HELLO_SHA256, [FIVE, ("x-amz-checksum-sha256", value)]))
    feed(reader, b"hello", step)
    assert reader.finish().checksums == {Algorithm.SHA256: value}


def test_md5_of_a_chunked_body_covers_the_payload() -> None:
    parsed = claims(TRAILER, [CHUNKED, DECODED, ("Content-MD5", HELLO_MD5)])
    reader = PayloadReader(parsed)
    assert feed(reader, b"5\r\nhello\r\n0\r\n\r\n", 1) == b"hello"
    assert reader.finish().md5 == HELLO_MD5


@pytest.mark.parametrize("step", [0, 1])
def test_a_chunked_body_cut_short(step: int) -> None:
    parsed = claims(TRAILER, [CHUNKED, DECODED, CRC32_TRAILER])
    body = frame([b"hello"], b"x-amz-checksum-crc32:NhCmhg==")
    for end in range(len(body)):
        assert failure(parsed, body[:end], step).code == "IncompleteBody"
    assert failure(parsed, body + b"\r\n", step).code == "IncompleteBody"


@pytest.mark.parametrize("content_sha256", [SIGNED, SIGNED_TRAILER])
def test_signed_chunks_are_verified(content_sha256: str) -> None:
    trailing = content_sha256 == SIGNED_TRAILER
    parsed = claims(content_sha256, [ENCODED, DECODED, *([CRC32_TRAILER] if trailing else [])])
    body = frame([b"hello"], b"x-amz-checksum-crc32:NhCmhg==" if trailing else b"", ClientSigner())
    reader = PayloadReader(parsed, verifier())
    assert feed(reader, body, 3) == b"hello"
    assert reader.finish().checksums == ({Algorithm.CRC32: "NhCmhg=="} if trailing else {})
    assert failure(parsed, body.replace(b"hello", b"hellp")).code == "SignatureDoesNotMatch"


def test_signed_chunks_need_a_verifier() -> None:
    with pytest.raises(ValueError, match="internal error"):
        PayloadReader(claims(SIGNED, [ENCODED, DECODED]))


@pytest.mark.parametrize("step", [0, 1, 4099])
@pytest.mark.parametrize("size", [0, 1, 8192, 8193, 30_000])
def test_bodies_that_botocore_frames(size: int, step: int) -> None:
    payload = random.Random(size).randbytes(size)
    body = AwsChunkedWrapper(BytesIO(payload), Crc32Checksum, "x-amz-checksum-crc32", chunk_size=8192).read()
    fields = [CHUNKED, ("x-amz-decoded-content-length", str(size)), CRC32_TRAILER]
    reader = PayloadReader(claims(TRAILER, fields))
    assert feed(reader, body, step) == payload
    assert reader.finish().checksums == {Algorithm.CRC32: checksum(Algorithm.CRC32, payload)}


@settings(deadline=None)
@given(
    st.integers(0, 70_000),
    st.lists(st.integers(0, 10**6), max_size=20),
    st.sampled_from(Algorithm),
)
def test_any_payload_survives_encoder_and_reader(size: int, cuts: list[int], algorithm: Algorithm) -> None:
    payload = random.Random(size).randbytes(size)
    encoder = AwsChunkedEncoder(size, algorithm)
    body = encoder.encode(payload) + encoder.finish()
    lengths = [("Content-Length", str(len(body))), ("x-amz-decoded-content-length", str(size))]
    reader = PayloadReader(claims(TRAILER, [*lengths, ("x-amz-trailer", algorithm.header)]))
    assert feed_at(reader, body, cuts) == payload
    assert reader.finish().checksums == {algorithm: checksum(algorithm, payload)}


NAMES = [
    "content-length",
    "transfer-encoding",
    "content-encoding",
    "content-md5",
    "x-amz-decoded-content-length",
    "x-amz-trailer",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-checksum-crc32",
    "x-amz-checksum-sha512",
    "x-amz-checksum-",
]
VALUES = ["5", "chunked", "gzip", "CRC32", "x-amz-checksum-crc32", "NhCmhg==", HELLO_MD5, "aws-chunked", ""]


@given(
    st.sampled_from([UNSIGNED, TRAILER, SIGNED, SIGNED_TRAILER, HELLO_SHA256]),
    st.lists(st.tuples(st.sampled_from(NAMES), st.one_of(st.sampled_from(VALUES), st.text()))),
    st.binary(max_size=64),
)
def test_garbage_raises_only_s3_errors(content_sha256: str, fields: Fields, body: bytes) -> None:
    def attempt() -> None:
        parsed = claims(content_sha256, fields)
        reader = PayloadReader(parsed, verifier())
        payload = feed(reader, body, 0)
        assert reader.finish().size == len(payload) == parsed.payload_size

    error = outcome(attempt)
    assert error is None or error.status in {400, 403, 411, 501}
