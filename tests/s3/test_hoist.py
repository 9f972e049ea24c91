"""Header fields in the query of presigned URLs count like header fields."""

import pytest

from gateway.errors import S3Error
from gateway.s3.encryption_headers import requested_encryption
from gateway.s3.headers import Headers
from gateway.s3.hoist import AUTHENTICATION_PARAMETERS, IGNORED_PARAMETERS, hoist_query
from gateway.s3.parse import parse_request
from gateway.s3.request import RawRequest, S3Request

KEY = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="
KEY_MD5 = "Xsqb0+sHwAbNQ65I395/0w=="


def request(query: str, *fields: tuple[str, str]) -> S3Request:
    headers = Headers((("Host", "s3.example.com"), *fields))
    return parse_request(RawRequest("PUT", "/my-bucket/k", query, headers, "https", "192.0.2.1", "0" * 16), ())


def refusal(query: str, *fields: tuple[str, str]) -> S3Error:
    with pytest.raises(S3Error) as caught:
        hoist_query(request(query, *fields))
    return caught.value


def test_a_customer_key_in_a_version_2_url_is_used_and_removed_from_the_query() -> None:
    """Signature Version 2 signers move every x-amz-* field, the customer key included."""
    before = request(
        "AWSAccessKeyId=A&Expires=1&Signature=s%2B&x-amz-server-side-encryption-customer-algorithm=AES256"
        "&x-amz-server-side-encryption-customer-key=YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE%3D"
        "&x-amz-server-side-encryption-customer-key-MD5=Xsqb0%2BsHwAbNQ65I395/0w%3D%3D&versionId=v"
    )
    after = hoist_query(before)
    assert after.query.render() == after.raw.raw_query == "AWSAccessKeyId=A&Expires=1&Signature=s%2B&versionId=v"
    customer = requested_encryption(after.operation, after.raw.headers).customer
    assert customer is not None
    assert customer.key.reveal() == b"a" * 32
    assert customer.key_md5 == KEY_MD5
    assert after.raw.headers.get("host") == "s3.example.com"


def test_a_method_in_a_version_4_url_is_used() -> None:
    after = hoist_query(request("X-Amz-Signature=00&X-Amz-Server-Side-Encryption=aws%3Akms&X-Amz-Acl=private"))
    assert after.raw.headers.get("x-amz-server-side-encryption") == "aws:kms"
    assert after.raw.headers.get("x-amz-acl") == "private"
    assert after.query.render() == "X-Amz-Signature=00"


@pytest.mark.parametrize("name", sorted(IGNORED_PARAMETERS))
def test_a_checksum_in_a_url_says_nothing_of_the_body(name: str) -> None:
    """SDKs presign an upload with the checksum of an empty body; a header field of that name counts nevertheless."""
    after = hoist_query(request(f"X-Amz-Signature=00&{name}=AAAAAA%3D%3D", (name, "sent")))
    assert after.query.render() == after.raw.raw_query == "X-Amz-Signature=00"
    assert after.raw.headers.all(name) == ("sent",)
    assert name not in hoist_query(request(f"{name.title()}=AAAAAA%3D%3D")).raw.headers


def test_other_checksum_parameters_are_used() -> None:
    after = hoist_query(request("x-amz-checksum-mode=ENABLED&x-amz-checksum-algorithm=CRC32"))
    assert after.raw.headers.get("x-amz-checksum-mode") == "ENABLED"
    assert after.raw.headers.get("x-amz-checksum-algorithm") == "CRC32"


@pytest.mark.parametrize("name", sorted(AUTHENTICATION_PARAMETERS))
@pytest.mark.parametrize("title", [False, True])
def test_what_authenticates_stays(name: str, title: bool) -> None:
    before = request(f"{name.title() if title else name}=v&x-id=PutObject&prefix=x-amz-acl")
    assert hoist_query(before) is before


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("x-amz-acl=private", (("x-amz-acl", "public-read"),)),
        ("x-amz-acl=private", (("x-amz-acl", ""),)),
        ("x-amz-acl=private&X-Amz-Acl=public-read", ()),
        ("x-amz-acl=private&x-amz-acl=public-read", ()),
        ("x-amz-acl", (("x-amz-acl", "private"),)),
        ("x-amz-acl=private", (("x-amz-acl", "private"), ("x-amz-acl", "public-read"))),
    ],
)
def test_contradictions_are_refused(query: str, fields: tuple[tuple[str, str], ...]) -> None:
    error = refusal(query, *fields)
    assert (error.code, error.status) == ("InvalidRequest", 400)
    assert error.message == "Conflicting values provided in HTTP headers and query parameters"


def test_the_same_value_twice_is_one_value() -> None:
    after = hoist_query(request("x-amz-acl=private&X-Amz-ACL=%20private", ("X-Amz-Acl", " private")))
    assert after.raw.headers.all("x-amz-acl") == ("private",)
    assert after.query.render() == ""


@pytest.mark.parametrize(
    "query",
    ["x-amz-acl=a%0D%0AHost:%20b", "x-amz-acl=%00", "x-amz-me%20ta=a", "x-amz-%0A=a", "x-amz-=a", "x-amz-%C3%A9=a"],
)
def test_what_no_header_field_can_have_is_refused(query: str) -> None:
    assert refusal(query).code == "InvalidRequest"


def test_nothing_else_changes() -> None:
    before = request("x-amz-meta-a=%C3%A9&x-amz-copy-source=/b/k", ("content-type", "text/plain"))
    after = hoist_query(before)
    assert after.operation is before.operation
    assert after.raw.headers.get("content-type") == "text/plain"
    assert after.raw.headers.get("x-amz-meta-a") == "é"
    assert (after.bucket, after.object_key, after.raw.raw_path) == ("my-bucket", "k", "/my-bucket/k")
