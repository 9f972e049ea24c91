"""The forms of ``x-amz-content-sha256``."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import S3Error
from gateway.s3.content_sha256 import EMPTY_SHA256, UNSIGNED, ContentSha256, ContentSha256Kind, parse_content_sha256
from tests.s3.chunked_bodies import outcome

Kind = ContentSha256Kind


def test_the_empty_digest_is_the_digest_of_nothing() -> None:
    assert hashlib.sha256(b"").hexdigest() == EMPTY_SHA256


@pytest.mark.parametrize(
    ("value", "kind", "streaming", "signed_chunks", "trailing"),
    [
        ("UNSIGNED-PAYLOAD", Kind.UNSIGNED, False, False, False),
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", Kind.STREAMING_UNSIGNED_TRAILER, True, False, True),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", Kind.STREAMING_SIGNED, True, True, False),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", Kind.STREAMING_SIGNED_TRAILER, True, True, True),
        (EMPTY_SHA256, Kind.LITERAL, False, False, False),
    ],
)
def test_known_forms(value: str, kind: Kind, streaming: bool, signed_chunks: bool, trailing: bool) -> None:
    parsed = parse_content_sha256(value)
    assert parsed.kind is kind
    assert (parsed.streaming, parsed.signed_chunks, parsed.trailing) == (streaming, signed_chunks, trailing)
    assert parsed.digest == (EMPTY_SHA256 if kind is Kind.LITERAL else None)


def test_a_digest_is_kept_in_lower_case() -> None:
    assert parse_content_sha256(EMPTY_SHA256.upper()) == ContentSha256(Kind.LITERAL, EMPTY_SHA256)


def test_the_absent_header_has_a_value_of_its_own() -> None:
    assert parse_content_sha256("UNSIGNED-PAYLOAD") == UNSIGNED


@pytest.mark.parametrize(
    "value", ["STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER"]
)
def test_sigv4a_forms_are_not_implemented(value: str) -> None:
    with pytest.raises(S3Error) as caught:
        parse_content_sha256(value)
    assert caught.value.code == "NotImplemented"
    assert caught.value.details == (("Header", "x-amz-content-sha256"),)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "literal",
        "unsigned-payload",
        "UNSIGNED-PAYLOAD ",
        EMPTY_SHA256[1:],
        f"{EMPTY_SHA256}0",
        "g" * 64,
        "٠" * 64,
        EMPTY_SHA256 + "\n",
    ],
)
def test_anything_else_is_refused(value: str) -> None:
    with pytest.raises(S3Error) as caught:
        parse_content_sha256(value)
    assert caught.value.code == "InvalidArgument"
    assert "or a valid sha256 value" in caught.value.message
    assert caught.value.details == (("ArgumentName", "x-amz-content-sha256"), ("ArgumentValue", value))


@given(st.text())
def test_garbage_raises_only_s3_errors(value: str) -> None:
    error = outcome(lambda: parse_content_sha256(value))
    assert error is not None
    assert error.code == "InvalidArgument"
