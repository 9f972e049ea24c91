"""What clients claim about a body, and which claims are refused."""

import pytest

from gateway.errors import S3Error
from gateway.s3.checksums import Algorithm, checksum
from gateway.s3.content_sha256 import EMPTY_SHA256, parse_content_sha256
from gateway.s3.headers import Headers
from gateway.s3.payload import parse_claims
from gateway.s3.payload_claims import MAX_PAYLOAD_SIZE
from tests.s3.claims import (
    CHUNKED,
    CRC32_HEADER,
    CRC32_TRAILER,
    DECODED,
    ENCODED,
    FIVE,
    HELLO_MD5,
    HELLO_SHA256,
    ONE_CHECKSUM,
    SIGNED,
    SIGNED_TRAILER,
    TRAILER,
    UNSIGNED,
    Fields,
    claims,
)


def refused(content_sha256: str, fields: Fields) -> S3Error:
    with pytest.raises(S3Error) as caught:
        claims(content_sha256, fields)
    return caught.value


def test_a_plain_body() -> None:
    parsed = claims(HELLO_SHA256, [FIVE, ("Content-MD5", HELLO_MD5), CRC32_HEADER])
    assert parsed.payload_size == 5
    assert not parsed.aws_chunked
    assert parsed.content_sha256.digest == HELLO_SHA256
    assert parsed.content_md5 == HELLO_MD5
    assert parsed.checksum == (Algorithm.CRC32, "NhCmhg==")
    assert parsed.algorithm is Algorithm.CRC32
    assert parsed.trailer is None
    assert parsed.content_encoding is None


@pytest.mark.parametrize("length", [ENCODED, CHUNKED, ("Transfer-Encoding", "Chunked")])
@pytest.mark.parametrize("sdk", [[], [("x-amz-sdk-checksum-algorithm", "CRC32")]])
def test_a_chunked_body(length: tuple[str, str], sdk: Fields) -> None:
    """As botocore sends it over TLS, and with the length of the framing in its place."""
    parsed = claims(TRAILER, [length, DECODED, CRC32_TRAILER, ("Content-Encoding", "aws-chunked"), *sdk])
    assert parsed.payload_size == 5
    assert parsed.aws_chunked
    assert parsed.trailer is parsed.algorithm is Algorithm.CRC32
    assert parsed.checksum is None
    assert parsed.content_encoding is None


@pytest.mark.parametrize("content_sha256", [TRAILER, SIGNED])
def test_a_trailer_need_not_be_announced(content_sha256: str) -> None:
    assert claims(content_sha256, [ENCODED, DECODED]).trailer is None


@pytest.mark.parametrize("algorithm", Algorithm)
def test_every_algorithm_in_a_header_and_in_a_trailer(algorithm: Algorithm) -> None:
    value = checksum(algorithm, b"hello")
    assert claims(UNSIGNED, [FIVE, (algorithm.header, value)]).checksum == (algorithm, value)
    announced = ("x-amz-trailer", f" {algorithm.header.upper()} ")
    assert claims(SIGNED_TRAILER, [ENCODED, DECODED, announced]).trailer is algorithm


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ([], None),
        ([""], None),
        (["gzip"], "gzip"),
        (["gzip, br"], "gzip, br"),
        (["aws-chunked"], None),
        (["gzip,aws-chunked"], "gzip"),
        (["AWS-Chunked , gzip, aws-chunked,br"], "gzip,br"),
        (["aws-chunked", "gzip"], "gzip"),
        (["aws-chunkedx"], "aws-chunkedx"),
    ],
)
@pytest.mark.parametrize(("content_sha256", "lengths"), [(TRAILER, [ENCODED, DECODED]), (UNSIGNED, [FIVE])])
def test_aws_chunked_is_no_encoding_of_the_object(
    fields: list[str], kept: str | None, content_sha256: str, lengths: Fields
) -> None:
    assert (
        claims(content_sha256, [*lengths, *(("Content-Encoding", value) for value in fields)]).content_encoding == kept
    )


@pytest.mark.parametrize(
    ("content_sha256", "fields"),
    [
        (UNSIGNED, []),
        (EMPTY_SHA256, []),
        (TRAILER, [DECODED]),
        (TRAILER, [CHUNKED]),
        (TRAILER, [ENCODED]),
        (SIGNED, [ENCODED]),
        (SIGNED, [ENCODED, ("X-Amz-Decoded-Content-Length", "abc")]),
        (SIGNED, [ENCODED, DECODED, DECODED]),
        (SIGNED, [("Content-Length", "x"), DECODED]),
        (UNSIGNED, [("Content-Length", "")]),
        (UNSIGNED, [("Content-Length", "-5")]),
        (UNSIGNED, [("Content-Length", "+5")]),
        (UNSIGNED, [("Content-Length", "5 ")]),
        (UNSIGNED, [("Content-Length", "5_0")]),
        (UNSIGNED, [("Content-Length", "٥")]),
        (UNSIGNED, [("Content-Length", "²")]),
        (UNSIGNED, [("Content-Length", "5, 5")]),
        (UNSIGNED, [("Content-Length", "0" * 20)]),
        (UNSIGNED, [("Content-Length", "9" * 5000)]),
        (UNSIGNED, [FIVE, FIVE]),
    ],
)
def test_a_body_needs_a_length(content_sha256: str, fields: Fields) -> None:
    error = refused(content_sha256, fields)
    assert (error.code, error.status) == ("MissingContentLength", 411)


def test_a_request_without_a_body_needs_none() -> None:
    parsed = parse_claims(Headers(), parse_content_sha256(EMPTY_SHA256), requires_length=False)
    assert parsed.payload_size == 0


@pytest.mark.parametrize(
    ("content_sha256", "fields"),
    [
        (UNSIGNED, [CHUNKED]),
        (HELLO_SHA256, [CHUNKED, DECODED]),
        (TRAILER, [("Transfer-Encoding", "gzip, chunked"), DECODED]),
        (TRAILER, [CHUNKED, CHUNKED, DECODED]),
        (TRAILER, [("Transfer-Encoding", "identity"), DECODED]),
    ],
)
def test_other_transfer_encodings_are_not_implemented(content_sha256: str, fields: Fields) -> None:
    error = refused(content_sha256, fields)
    assert (error.code, error.status) == ("NotImplemented", 501)
    assert error.message == "A header you provided implies functionality that is not implemented."
    assert error.details == (("Header", "Transfer-Encoding"),)


@pytest.mark.parametrize("requires_length", [True, False])
def test_bare_chunked_is_not_implemented_anywhere(requires_length: bool) -> None:
    with pytest.raises(S3Error, match="NotImplemented"):
        parse_claims(Headers([CHUNKED]), parse_content_sha256(UNSIGNED), requires_length=requires_length)


def test_the_largest_body() -> None:
    assert claims(UNSIGNED, [("Content-Length", str(MAX_PAYLOAD_SIZE))]).payload_size == 5 * 1024**3
    for content_sha256, fields in (
        (UNSIGNED, [("Content-Length", "5368709121")]),
        (TRAILER, [CHUNKED, ("x-amz-decoded-content-length", "5368709121")]),
    ):
        error = refused(content_sha256, fields)
        assert (error.code, error.status) == ("EntityTooLarge", 400)
        assert error.details == (("ProposedSize", "5368709121"), ("MaxSizeAllowed", "5368709120"))


def test_a_smaller_limit() -> None:
    with pytest.raises(S3Error) as caught:
        parse_claims(Headers([FIVE]), parse_content_sha256(UNSIGNED), size_limit=4)
    assert caught.value.details == (("ProposedSize", "5"), ("MaxSizeAllowed", "4"))


INVALID = [
    ("both lengths", TRAILER, [ENCODED, CHUNKED, DECODED], "must not both"),
    ("decoded length of a plain body", UNSIGNED, [FIVE, DECODED], "x-amz-decoded-content-length needs"),
    ("checksum", UNSIGNED, [FIVE, ("x-amz-checksum-crc32", "x")], "Value for x-amz-checksum-crc32 header is invalid."),
    ("two checksums", UNSIGNED, [FIVE, CRC32_HEADER, ("x-amz-checksum-sha1", "x")], f"{ONE_CHECKSUM}. Multiple"),
    ("one checksum twice", UNSIGNED, [FIVE, CRC32_HEADER, CRC32_HEADER], f"{ONE_CHECKSUM}. Multiple"),
    ("checksum and trailer", TRAILER, [ENCODED, DECODED, CRC32_HEADER, CRC32_TRAILER], ONE_CHECKSUM),
    ("unknown checksum", UNSIGNED, [FIVE, ("x-amz-checksum-crc16", "AA==")], "The algorithm type you specified"),
    ("unknown trailer", TRAILER, [ENCODED, DECODED, ("x-amz-trailer", "x-amz-meta-a")], "x-amz-trailer header is not"),
    ("empty trailer", TRAILER, [ENCODED, DECODED, ("x-amz-trailer", "")], "x-amz-trailer header is not supported"),
    (
        "two trailers",
        TRAILER,
        [ENCODED, DECODED, ("x-amz-trailer", "x-amz-checksum-crc32,x-amz-checksum-sha1")],
        "x-amz-trailer header is not supported",
    ),
    ("trailer twice", TRAILER, [ENCODED, DECODED, CRC32_TRAILER, CRC32_TRAILER], "x-amz-trailer header is not"),
    ("trailer of a plain body", UNSIGNED, [FIVE, CRC32_TRAILER], "x-amz-trailer needs"),
    ("trailer of a form without", SIGNED, [ENCODED, DECODED, CRC32_TRAILER], "x-amz-trailer needs"),
    (
        "algorithm without checksum",
        UNSIGNED,
        [FIVE, ("x-amz-sdk-checksum-algorithm", "CRC32")],
        "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were",
    ),
    (
        "another algorithm",
        UNSIGNED,
        [FIVE, CRC32_HEADER, ("x-amz-sdk-checksum-algorithm", "SHA1")],
        "Value for x-amz-sdk-checksum-algorithm header is invalid.",
    ),
]


@pytest.mark.parametrize(
    ("content_sha256", "fields", "message"), [case[1:] for case in INVALID], ids=[case[0] for case in INVALID]
)
def test_invalid_requests(content_sha256: str, fields: Fields, message: str) -> None:
    error = refused(content_sha256, fields)
    assert (error.code, error.status) == ("InvalidRequest", 400)
    assert message in error.message


@pytest.mark.parametrize("name", ["md5", "sha512", "xxhash64", "xxhash3", "xxhash128"])
def test_checksums_that_are_not_computed_are_named(name: str) -> None:
    header = f"x-amz-checksum-{name}"
    for content_sha256, fields in (
        (UNSIGNED, [FIVE, (header, "AAAA"), ("x-amz-sdk-checksum-algorithm", name.upper())]),
        (TRAILER, [ENCODED, DECODED, ("x-amz-trailer", header)]),
    ):
        error = refused(content_sha256, fields)
        assert (error.code, error.details) == ("NotImplemented", (("Header", header),))


def test_a_signed_trailer_must_be_announced() -> None:
    assert refused(SIGNED_TRAILER, [ENCODED, DECODED]).code == "MalformedTrailerError"


def test_other_fields_of_the_family_are_no_checksums() -> None:
    fields = [FIVE, ("x-amz-checksum-type", "FULL_OBJECT"), ("x-amz-checksum-mode", "ENABLED")]
    assert claims(UNSIGNED, [*fields, ("x-amz-checksum-algorithm", "SHA512")]).checksum is None


def test_checksums_of_the_object_are_left_alone() -> None:
    """CompleteMultipartUpload: ``x-amz-checksum-*`` describes the object, also as a composite, and not the XML."""
    fields = [FIVE, ("x-amz-checksum-crc32", "NhCmhg==-2"), ("x-amz-sdk-checksum-algorithm", "SHA1")]
    parsed = parse_claims(Headers(fields), parse_content_sha256(UNSIGNED), covers_body=False)
    assert parsed.algorithm is None


@pytest.mark.parametrize("values", [["x"], [""], [HELLO_MD5, HELLO_MD5], ["5d41402abc4b2a76b9719d911017c592"]])
def test_a_malformed_content_md5(values: list[str]) -> None:
    error = refused(UNSIGNED, [FIVE, *(("Content-MD5", value) for value in values)])
    assert (error.code, error.status) == ("InvalidDigest", 400)
