"""A POST form becomes a PutObject: its key, its header fields, its answer, and what it may never become."""

import base64
import json
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import S3Error
from gateway.redact import SecretStr
from gateway.s3 import sigv4
from gateway.s3.authenticate import AuthSettings
from gateway.s3.content_sha256 import ContentSha256Kind
from gateway.s3.credentials import Credential, Identity
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.parse import parse_request
from gateway.s3.post_object import PostUpload, SuccessAction, put_object_from_form
from gateway.s3.request import RawRequest, S3Request

SECRET = SecretStr("secret")
ALICE = Identity("alice", Credential("AKID", SECRET))
IDENTITIES = {"AKID": ALICE}
NOW = datetime(2015, 12, 29, 1, tzinfo=UTC)


def form_request(host: str = "s3.example.com", path: str = "/bucket") -> S3Request:
    fields = [
        ("Host", host),
        ("User-Agent", "browser"),
        ("Referer", "https://page.example/"),
        ("Origin", "https://page.example"),
        ("Cookie", "session=1"),
        ("Content-Type", "multipart/form-data; boundary=x"),
        ("Content-Length", "1000"),
        ("x-amz-acl", "public-read"),
    ]
    raw = RawRequest("POST", path, "", Headers(fields), "https", "192.0.2.1", "0123456789ABCDEF")
    return parse_request(raw, ("s3.example.com",))


def signed(fields: dict[str, str], *conditions: object, filename: str | None = None) -> dict[str, str]:
    """A form whose policy allows exactly ``fields``, variables expanded, and what ``conditions`` add."""
    proof = {
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-credential": "AKID/20151229/us-east-1/s3/aws4_request",
        "x-amz-date": "20151229T000000Z",
    }
    allowed = {name: value.replace("${filename}", filename or "") for name, value in fields.items()}
    document = {
        "expiration": "2015-12-30T12:00:00Z",
        "conditions": [{name: value} for name, value in ({"bucket": "bucket"} | proof | allowed).items()]
        + [*conditions],
    }
    policy = base64.b64encode(json.dumps(document).encode()).decode()
    key = sigv4.signing_key(SECRET, "20151229", "us-east-1", "s3")
    return fields | proof | {"policy": policy, "x-amz-signature": sigv4.sign(key, policy)}


def upload(
    fields: dict[str, str], *conditions: object, filename: str | None = None, form: S3Request | None = None
) -> PostUpload:
    base = filename.replace("\\", "/").rpartition("/")[2] if filename else None
    complete = signed({"key": "key"} | fields, *conditions, filename=base)
    return put_object_from_form(form or form_request(), complete, filename, IDENTITIES, NOW, AuthSettings())


def refusal(fields: dict[str, str]) -> S3Error:
    with pytest.raises(S3Error) as caught:
        upload(fields)
    return caught.value


def test_a_form_becomes_a_put_object_of_its_signer() -> None:
    made = upload({"key": "photos/a b+c.jpg", "content-type": "image/jpeg", "x-amz-meta-a": "ü"})
    verified = made.verified
    assert verified.identity is ALICE
    assert (verified.auth_type, verified.signature_version) == ("POST", "AWS4-HMAC-SHA256")
    assert verified.content_sha256.kind is ContentSha256Kind.UNSIGNED
    assert verified.chunk_signer is None
    request = verified.request
    assert request.operation is Operation.PUT_OBJECT
    assert (request.bucket, request.object_key) == ("bucket", "photos/a b+c.jpg")
    assert request.raw_object_key == "photos/a%20b%2Bc.jpg"
    assert (request.raw.method, request.raw.raw_path) == ("PUT", "/bucket/photos/a%20b%2Bc.jpg")
    assert len(request.query) == 0
    assert (request.raw.scheme, request.raw.client_address) == ("https", "192.0.2.1")
    assert dict(request.raw.headers) == {
        "host": "s3.example.com",
        "user-agent": "browser",
        "referer": "https://page.example/",
        "origin": "https://page.example",
        "content-type": "image/jpeg",
        "x-amz-meta-a": "ü",
    }


def test_the_bucket_may_stand_in_the_host() -> None:
    made = upload({"key": "bucket/key"}, form=form_request("bucket.s3.example.com", "/"))
    assert (made.verified.request.bucket, made.verified.request.object_key) == ("bucket", "bucket/key")


@given(st.text(min_size=1, max_size=60).filter(lambda key: "\0" not in key and "$" not in key))
def test_any_key_arrives_as_it_is(key: str) -> None:
    assert upload({"key": key}).verified.request.object_key == key


@pytest.mark.parametrize(
    ("filename", "key"),
    [
        ("photo.jpg", "user/photo.jpg"),
        ("C:\\pictures\\photo.jpg", "user/photo.jpg"),
        ("/home/me/photo.jpg", "user/photo.jpg"),
        ("../../photo.jpg", "user/photo.jpg"),
        ("${filename}", "user/${filename}"),
        (None, "user/"),
    ],
)
def test_the_filename_takes_the_place_of_its_variable(filename: str | None, key: str) -> None:
    made = upload({"key": "user/${filename}", "x-amz-meta-name": "${filename}"}, filename=filename)
    assert made.verified.request.object_key == key
    assert made.verified.request.raw.headers.get("x-amz-meta-name") == key.removeprefix("user/")


def test_the_policy_sees_the_expanded_key() -> None:
    fields = signed({}, ["starts-with", "$key", "user/"]) | {"key": "${filename}"}
    with pytest.raises(S3Error, match="Policy Condition failed"):
        put_object_from_form(form_request(), fields, "photo.jpg", IDENTITIES, NOW, AuthSettings())
    fields["key"] = "user/${filename}"
    put_object_from_form(form_request(), fields, "photo.jpg", IDENTITIES, NOW, AuthSettings())


@pytest.mark.parametrize(
    ("field", "header"),
    [
        ("acl", "x-amz-acl"),
        ("cache-control", "cache-control"),
        ("content-disposition", "content-disposition"),
        ("content-encoding", "content-encoding"),
        ("expires", "expires"),
        ("x-amz-storage-class", "x-amz-storage-class"),
        ("x-amz-website-redirect-location", "x-amz-website-redirect-location"),
        ("x-amz-server-side-encryption", "x-amz-server-side-encryption"),
        ("x-amz-server-side-encryption-customer-key", "x-amz-server-side-encryption-customer-key"),
        ("x-amz-object-lock-mode", "x-amz-object-lock-mode"),
        ("x-amz-grant-read", "x-amz-grant-read"),
        ("x-amz-checksum-crc32", "x-amz-checksum-crc32"),
        ("x-amz-checksum-algorithm", "x-amz-sdk-checksum-algorithm"),
    ],
)
def test_fields_become_header_fields(field: str, header: str) -> None:
    headers = upload({field: " value "}).verified.request.raw.headers
    assert headers.all(header) == ("value",)


@pytest.mark.parametrize(
    "field", ["submit", "x-ignore-csrf", "success_action_status", "redirect", "host", "authorization", "connection"]
)
def test_other_fields_do_not(field: str) -> None:
    headers = upload({field: "value"}).verified.request.raw.headers
    assert "value" not in {text for _, text in headers}
    assert headers.get("host") == "s3.example.com"


@pytest.mark.parametrize(
    "field",
    [
        "x-amz-copy-source",
        "x-amz-content-sha256",
        "x-amz-decoded-content-length",
        "x-amz-trailer",
        "x-amz-mfa",
        "x-amz-copy-source-server-side-encryption-customer-key",
    ],
)
def test_fields_that_would_make_it_another_operation_are_refused(field: str) -> None:
    error = refusal({field: "value"})
    assert (error.code, error.details) == ("NotImplemented", (("Header", field),))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("x-amz-meta-a", "1\r\nx-amz-acl: public-read"),
        ("x-amz-meta-a", "1\n2"),
        ("x-amz-meta-a", "\0"),
        ("content-type", "\x7f"),
        ("x-amz-meta-a b", "1"),
        ("x-amz-meta-a:b", "1"),
        ("x-amz-meta-ü", "1"),
        ("x-amz-meta-a\r\nx", "1"),
    ],
)
def test_fields_that_no_header_can_hold_are_refused(field: str, value: str) -> None:
    error = refusal({field: value})
    assert (error.code, error.details[0]) == ("InvalidArgument", ("ArgumentName", field))


def test_two_fields_for_one_header_must_agree() -> None:
    assert refusal({"acl": "private", "x-amz-acl": "public-read"}).code == "InvalidArgument"
    assert upload({"acl": "private", "x-amz-acl": "private"}).verified.request.raw.headers.all("x-amz-acl") == (
        "private",
    )


@pytest.mark.parametrize("namespace", ["", ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'])
def test_tags_become_a_header(namespace: str) -> None:
    tags = "<Tag><Key>a b</Key><Value>1&amp;2</Value></Tag><Tag><Key>c</Key><Value></Value></Tag>"
    made = upload({"tagging": f"<Tagging{namespace}><TagSet>{tags}</TagSet></Tagging>"})
    assert made.verified.request.raw.headers.get("x-amz-tagging") == "a%20b=1%262&c="


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("", "MalformedXML"),
        ("a=b", "MalformedXML"),
        ("<Other><TagSet/></Other>", "MalformedXML"),
        ("<Tagging><TagSet><Tag><Value>1</Value></Tag></TagSet></Tagging>", "MalformedXML"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><Tagging>&b;</Tagging>', "MalformedXML"),
        (f"<Tagging><TagSet>{'<Tag><Key>a</Key></Tag>' * 11}</TagSet></Tagging>", "InvalidArgument"),
    ],
)
def test_malformed_tags_are_refused(document: str, code: str) -> None:
    assert refusal({"tagging": document}).code == code


@pytest.mark.parametrize(
    ("key", "code"), [("", "InvalidArgument"), ("a" * 1025, "KeyTooLongError"), ("\0", "InvalidURI")]
)
def test_a_bad_key_is_refused(key: str, code: str) -> None:
    assert refusal({"key": key}).code == code


def test_a_form_without_a_key_is_refused() -> None:
    with pytest.raises(S3Error, match="Bucket POST must contain a field named 'key'"):
        put_object_from_form(form_request(), signed({}), None, IDENTITIES, NOW, AuthSettings())


def test_a_form_without_proof_is_refused() -> None:
    with pytest.raises(S3Error, match="AccessDenied"):
        put_object_from_form(form_request(), {"key": "a"}, None, IDENTITIES, NOW, AuthSettings())


def test_only_a_form_is_taken() -> None:
    made = upload({})
    with pytest.raises(AssertionError):
        put_object_from_form(made.verified.request, signed({"key": "a"}), None, IDENTITIES, NOW, AuthSettings())


def test_the_size_of_the_file_is_checked_and_becomes_the_length() -> None:
    made = upload({}, ["content-length-range", 1, 10])
    verified = made.with_file_size(10)
    assert verified.request.raw.headers.all("content-length") == ("10",)
    assert (verified.identity, verified.auth_type) == (ALICE, "POST")
    with pytest.raises(S3Error, match="EntityTooLarge"):
        made.with_file_size(11)
    with pytest.raises(S3Error, match="EntityTooSmall"):
        made.with_file_size(0)


@pytest.mark.parametrize(
    ("fields", "action"),
    [
        ({}, SuccessAction()),
        ({"success_action_status": "200"}, SuccessAction(200)),
        ({"success_action_status": "201"}, SuccessAction(201)),
        ({"success_action_status": "204"}, SuccessAction(204)),
        ({"success_action_status": "500"}, SuccessAction(204)),
        ({"success_action_status": "garbage"}, SuccessAction(204)),
        ({"success_action_redirect": "https://a.example/ok"}, SuccessAction(204, "https://a.example/ok")),
        ({"redirect": "http://a.example/ok"}, SuccessAction(204, "http://a.example/ok")),
        (
            {"redirect": "https://old.example/", "success_action_redirect": "https://new.example/"},
            SuccessAction(204, "https://new.example/"),
        ),
        ({"success_action_redirect": "javascript:alert(1)"}, SuccessAction()),
        ({"success_action_redirect": "/relative"}, SuccessAction()),
        ({"success_action_redirect": "https://"}, SuccessAction()),
        ({"success_action_redirect": "https://[a"}, SuccessAction()),
        ({"success_action_redirect": "https://a.example/\r\nSet-Cookie: a=b"}, SuccessAction()),
        ({"success_action_redirect": "https://a.example/ü"}, SuccessAction()),
    ],
)
def test_how_success_is_answered(fields: dict[str, str], action: SuccessAction) -> None:
    assert upload(fields).success == action


@pytest.mark.parametrize(
    ("redirect", "begin", "end"),
    [
        ("https://a.example/ok", "https://a.example/ok?", ""),
        ("https://a.example/ok?id=1", "https://a.example/ok?id=1&", ""),
        ("https://a.example/ok#top", "https://a.example/ok?", "#top"),
    ],
)
def test_a_redirect_tells_what_was_stored(redirect: str, begin: str, end: str) -> None:
    location = SuccessAction(204, redirect).location("bucket", "a b&c", '"etag"')
    assert location is not None
    assert location.startswith(f"{begin}bucket=")
    assert location.endswith(end)
    parameters = parse_qs(urlsplit(location).query)
    assert (parameters["bucket"], parameters["key"], parameters["etag"]) == (["bucket"], ["a b&c"], ['"etag"'])
    assert SuccessAction(201).location("bucket", "key", '"etag"') is None
