"""What of a client's request goes upstream."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.s3.encryption_headers import ENCRYPTION_HEADERS
from gateway.s3.forwarding import encryption_headers_of, forwarded_headers, forwarded_query
from gateway.s3.headers import Headers
from gateway.s3.query import Query


@pytest.mark.parametrize(
    "name",
    [
        "Authorization", "Host", "Date", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-Sha256", "Content-Length",
        "Transfer-Encoding", "Connection", "TE", "Trailer", "Upgrade", "Expect", "Keep-Alive", "Proxy-Authorization",
        "Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Amz-Decoded-Content-Length", "X-Amz-Trailer",
        "X-Amz-Sdk-Checksum-Algorithm", *sorted(ENCRYPTION_HEADERS),
    ],
)  # fmt: skip
def test_what_concerns_the_clients_own_hop_stays_behind(name: str) -> None:
    assert forwarded_headers(Headers(((name, "value"), ("x-amz-meta-a", "1")))) == Headers((("x-amz-meta-a", "1"),))


@pytest.mark.parametrize(
    "name",
    [
        "content-type", "content-md5", "cache-control", "content-disposition", "expires", "range", "if-match",
        "if-none-match", "x-amz-acl", "x-amz-meta-a", "x-amz-tagging", "x-amz-storage-class", "x-amz-copy-source",
        "x-amz-checksum-sha256", "x-amz-object-lock-mode", "x-amz-checksum-mode", "accept-encoding", "origin",
    ],
)  # fmt: skip
def test_what_describes_the_object_goes_upstream(name: str) -> None:
    assert forwarded_headers(Headers(((name, "value"),))) == Headers(((name, "value"),))


def test_fields_that_the_connection_field_names_stay_behind() -> None:
    received = Headers((("Connection", "close, X-Hop"), ("Connection", "x-other"), ("x-hop", "1"), ("x-other", "2")))
    assert forwarded_headers(received) == Headers()


@pytest.mark.parametrize(("sent", "kept"), [("aws-chunked", None), ("gzip,aws-chunked", "gzip"), ("gzip", "gzip")])
def test_the_framing_is_not_stored_as_an_encoding(sent: str, kept: str | None) -> None:
    assert forwarded_headers(Headers((("content-encoding", sent),))).get("content-encoding") == kept


def test_the_clients_own_encryption_can_be_taken_apart() -> None:
    received = Headers((("x-amz-server-side-encryption", "AES256"), ("x-amz-meta-a", "1")))
    assert encryption_headers_of(received) == Headers((("x-amz-server-side-encryption", "AES256"),))


@pytest.mark.parametrize(
    ("received", "sent"),
    [
        (
            "X-Amz-Algorithm=a&X-Amz-Signature=b&X-Amz-Credential=c&X-Amz-Date=d&X-Amz-Expires=1&versionId=v",
            "versionId=v",
        ),
        ("X-Amz-SignedHeaders=host&X-Amz-Security-Token=t&response-content-type=x%2Fy", "response-content-type=x%2Fy"),
        ("AWSAccessKeyId=a&Signature=b&Expires=1&acl", "acl"),
        ("x-amz-signature=b&prefix=a%2Bb&prefix=", "prefix=a%2Bb&prefix="),
        ("list-type=2&signature=kept", "list-type=2&signature=kept"),
    ],
)
def test_the_query_loses_what_authenticated_the_client_and_nothing_else(received: str, sent: str) -> None:
    assert forwarded_query(Query.parse(received)).render() == sent


@given(st.lists(st.tuples(st.sampled_from(sorted(ENCRYPTION_HEADERS)), st.text("abc=", max_size=9)), max_size=5))
def test_no_encryption_field_is_ever_forwarded_by_accident(fields: list[tuple[str, str]]) -> None:
    assert forwarded_headers(Headers(fields)) == Headers()
