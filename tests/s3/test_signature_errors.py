"""What the answers to a wrong signature tell, and when they stay silent."""

from datetime import UTC, datetime

import pytest

from gateway.s3.headers import Headers
from gateway.s3.request import RawRequest
from gateway.s3.signature_errors import (
    carries_secret,
    headers_not_signed,
    printable,
    request_time_too_skewed,
    signature_does_not_match,
)


def raw_request(query: str, *names: str) -> RawRequest:
    return RawRequest("GET", "/", query, Headers((name, "v") for name in names), "https", "192.0.2.1", "0" * 16)


@pytest.mark.parametrize(
    ("query", "names", "secret"),
    [
        ("", (), False),
        ("prefix=x-amz-security-token", ("range",), False),
        ("", ("X-Amz-Server-Side-Encryption-Customer-Key-MD5",), False),
        ("", ("X-Amz-Server-Side-Encryption-Customer-Key",), True),
        ("", ("X-Amz-Copy-Source-Server-Side-Encryption-Customer-Key",), True),
        ("", ("X-Amz-Security-Token",), True),
        ("X-Amz-Security-Token=t", (), True),
        ("x-amz-server-side-encryption-customer-key=k", (), True),
        ("a=1&%78-amz-server-side-encryption-customer-key=k", (), True),
        ("X-AMZ-Copy-Source-Server-Side-Encryption-Customer-Key", (), True),
    ],
)
def test_requests_with_secrets_are_known(query: str, names: tuple[str, ...], secret: bool) -> None:
    assert carries_secret(raw_request(query, *names)) is secret


def test_a_mismatch_tells_what_it_is_given_and_no_more() -> None:
    assert signature_does_not_match("AKID", "ab").details == (("AWSAccessKeyId", "AKID"), ("SignatureProvided", "ab"))
    assert signature_does_not_match("AKID", "ab", "A\n").details == (
        ("AWSAccessKeyId", "AKID"),
        ("StringToSign", "A\n"),
        ("SignatureProvided", "ab"),
        ("StringToSignBytes", "41 0a"),
    )
    assert signature_does_not_match("AKID", "ab", "A", "ü\udcff").details[-2:] == (
        ("CanonicalRequest", "ü\ufffd"),
        ("CanonicalRequestBytes", "c3 bc ff"),
    )


@pytest.mark.parametrize("text", ["", "a", "ü", "\udcff", chr(0xD800), "\udcc3\udcbc"])
def test_printable_text_can_be_encoded(text: str) -> None:
    assert printable(text).encode() is not None
    assert printable(printable(text)) == printable(text)


def test_skew_is_told_in_milliseconds() -> None:
    error = request_time_too_skewed("20130524T000000Z", datetime(2013, 5, 25, tzinfo=UTC), 60)
    assert dict(error.details)["MaxAllowedSkewMilliseconds"] == "60000"
    assert dict(error.details)["ServerTime"] == "2013-05-25T00:00:00Z"


def test_unsigned_fields_are_listed() -> None:
    assert headers_not_signed(("host", "x-amz-acl")).details == (("HeadersNotSigned", "host, x-amz-acl"),)
