"""Requests of both address styles; keys are never normalised."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import S3Error
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.parse import MAX_OBJECT_KEY_BYTES, check_bucket_name, parse_request
from gateway.s3.request import RawRequest, S3Request

DOMAINS = ("s3.example.com", "example.com", "s3.eu-west-1.example.com")


def raw_request(
    target: str, *, method: str = "GET", host: str | None = "s3.example.com", fields: tuple[tuple[str, str], ...] = ()
) -> RawRequest:
    path, _, query = target.partition("?")
    hosts = () if host is None else (("Host", host),)
    return RawRequest(method, path, query, Headers((*hosts, *fields)), "https", "192.0.2.1", "0123456789ABCDEF")


def parsed(target: str, *, method: str = "GET", host: str = "s3.example.com") -> S3Request:
    return parse_request(raw_request(target, method=method, host=host), DOMAINS)


def refusal(raw: RawRequest) -> S3Error:
    with pytest.raises(S3Error) as caught:
        parse_request(raw, DOMAINS)
    return caught.value


KEYS = [
    # raw, decoded
    ("k", "k"),
    ("a/b", "a/b"),
    ("a//b", "a//b"),
    ("/a", "/a"),
    ("//", "//"),
    ("a/", "a/"),
    (".", "."),
    ("..", ".."),
    ("../x", "../x"),
    ("a/./b/../c", "a/./b/../c"),
    ("%2E%2E/x", "../x"),
    ("a%2Fb", "a/b"),
    ("%2F", "/"),
    ("a%20b", "a b"),
    ("a%2Bb", "a+b"),
    ("a%3Fb%26c=d", "a?b&c=d"),
    ("a%23b", "a#b"),
    ("a%25b", "a%b"),
    ("100%2525", "100%25"),
    ("%D0%BA%D0%BB%D1%8E%D1%87", "ключ"),
    ("%F0%9F%94%91", "🔑"),
    ("e%CC%81", "e\u0301"),
    ("%0A%09%7F", "\n\t\x7f"),
    ("a:b@c!d$e'f(g)*,;=~", "a:b@c!d$e'f(g)*,;=~"),
    ('"<>\\^`{|}', '"<>\\^`{|}'),
    ("uploads", "uploads"),
    ("%75", "u"),
    ("bucket.s3.example.com", "bucket.s3.example.com"),
]


@pytest.mark.parametrize(("raw_object_key", "object_key"), KEYS)
@pytest.mark.parametrize(("host", "prefix"), [("s3.example.com", "/my-bucket/"), ("my-bucket.s3.example.com", "/")])
def test_keys_keep_their_bytes(host: str, prefix: str, raw_object_key: str, object_key: str) -> None:
    request = parsed(f"{prefix}{raw_object_key}?versionId=x", host=host)
    assert (request.bucket, request.raw_object_key, request.object_key) == ("my-bucket", raw_object_key, object_key)
    assert request.operation is Operation.GET_OBJECT
    assert request.query.render() == "versionId=x"


def test_a_plus_in_a_path_is_a_plus_on_both_hops() -> None:
    request = parsed("/my-bucket/a+b%20c")
    assert (request.raw_object_key, request.object_key) == ("a%2Bb%20c", "a+b c")
    assert request.raw.raw_path == "/my-bucket/a+b%20c"


@pytest.mark.parametrize(
    ("host", "target", "bucket", "object_key", "operation"),
    [
        ("s3.example.com", "/", None, None, Operation.LIST_BUCKETS),
        ("s3.example.com", "/my-bucket", "my-bucket", None, Operation.LIST_OBJECTS),
        ("s3.example.com", "/my-bucket/", "my-bucket", None, Operation.LIST_OBJECTS),
        ("s3.example.com", "/my-bucket/?uploads", "my-bucket", None, Operation.LIST_MULTIPART_UPLOADS),
        ("s3.example.com", "/my%2Dbucket/k", "my-bucket", "k", Operation.GET_OBJECT),
        ("S3.Example.COM:9000", "/my-bucket/k", "my-bucket", "k", Operation.GET_OBJECT),
        ("s3.example.com.", "/my-bucket/k", "my-bucket", "k", Operation.GET_OBJECT),
        ("my-bucket.s3.example.com", "/", "my-bucket", None, Operation.LIST_OBJECTS),
        ("my-bucket.s3.example.com", "/?acl", "my-bucket", None, Operation.GET_BUCKET_ACL),
        ("my-bucket.s3.example.com:443", "/my-bucket/k", "my-bucket", "my-bucket/k", Operation.GET_OBJECT),
        ("MY-bucket.s3.example.com", "/k", "my-bucket", "k", Operation.GET_OBJECT),
        ("my.dotted.bucket.s3.example.com", "/k", "my.dotted.bucket", "k", Operation.GET_OBJECT),
        # The longest domain decides; a base domain itself is never a bucket of a shorter one.
        ("s3.eu-west-1.example.com", "/my-bucket/k", "my-bucket", "k", Operation.GET_OBJECT),
        ("my-bucket.s3.eu-west-1.example.com", "/k", "my-bucket", "k", Operation.GET_OBJECT),
        ("my-bucket.example.com", "/k", "my-bucket", "k", Operation.GET_OBJECT),
        # Any other host is path-style.
        ("gateway.internal", "/my-bucket/k", "my-bucket", "k", Operation.GET_OBJECT),
        ("notexample.com", "/my-bucket/k", "my-bucket", "k", Operation.GET_OBJECT),
        ("127.0.0.1:8080", "/my-bucket/k", "my-bucket", "k", Operation.GET_OBJECT),
        ("[::1]:8080", "/my-bucket/k", "my-bucket", "k", Operation.GET_OBJECT),
        # Older names that servers still hold.
        ("s3.example.com", "/My_Old.Bucket/k", "My_Old.Bucket", "k", Operation.GET_OBJECT),
    ],
)
def test_addresses(host: str, target: str, bucket: str | None, object_key: str | None, operation: Operation) -> None:
    request = parsed(target, host=host)
    assert (request.bucket, request.object_key, request.operation) == (bucket, object_key, operation)


@pytest.mark.parametrize("filler", ["a", "é", "🔑"])
def test_a_key_has_1024_bytes_at_most(filler: str) -> None:
    width = len(filler.encode())
    longest = filler * (MAX_OBJECT_KEY_BYTES // width)
    assert len(longest.encode()) == 1024
    assert parsed("/my-bucket/" + quote(longest)).object_key == longest
    error = refusal(raw_request("/my-bucket/" + quote(longest + "a")))
    assert (error.code, error.status) == ("KeyTooLongError", 400)
    assert error.details == (("Size", "1025"), ("MaxSizeAllowed", "1024"))


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("//key", "InvalidBucketName"),
        ("/ab", "InvalidBucketName"),
        ("/" + "a" * 256, "InvalidBucketName"),
        ("/-bucket/k", "InvalidBucketName"),
        ("/../k", "InvalidBucketName"),
        ("/my%2Fbucket/k", "InvalidBucketName"),
        ("/my%20bucket/k", "InvalidBucketName"),
        ("/my%0Abucket/k", "InvalidBucketName"),
        ("/arn:aws:s3:us-east-1:1:accesspoint/x", "InvalidBucketName"),
        ("/data--use1-az4--x-s3/k", "NotImplemented"),
        ("/lambda--ol-s3/k", "NotImplemented"),
        ("/my-bucket/%", "InvalidURI"),
        ("/my-bucket/%zz", "InvalidURI"),
        ("/my-bucket/%ff", "InvalidURI"),
        ("/my-bucket/%ed%a0%80", "InvalidURI"),
        ("/my-bucket/a%00b", "InvalidURI"),
        ("/my-bucket/a b", "InvalidURI"),
        ("/my-bucket/a\nb", "InvalidURI"),
        ("/my-bucket/a#b", "InvalidURI"),
        ("/my-bucket/é", "InvalidURI"),
        ("/my-bucket/\udcff", "InvalidURI"),
        ("/my-bucket/k?prefix=%", "InvalidURI"),
        ("", "InvalidURI"),
        ("*", "InvalidURI"),
        ("my-bucket/k", "InvalidURI"),
        ("ftp://s3.example.com/my-bucket/k", "InvalidURI"),
        ("s3.example.com:443", "InvalidURI"),
    ],
)
def test_refused_targets(target: str, code: str) -> None:
    assert refusal(raw_request(target)).code == code


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        " ",
        "a b",
        "s3.example.com/x",
        "user@s3.example.com",
        "s3.example.com:",
        "s3.example.com:x",
        "a,b",
        "[::1",
        "é",
    ],
)
def test_exactly_one_valid_host_is_needed(host: str | None) -> None:
    assert refusal(raw_request("/my-bucket/k", host=host)).code == "InvalidRequest"


def test_two_hosts_are_refused() -> None:
    assert refusal(raw_request("/my-bucket/k", fields=(("host", "s3.example.com"),))).code == "InvalidRequest"


def test_the_bucket_of_the_host_is_checked_too() -> None:
    assert refusal(raw_request("/k", host="-a.s3.example.com")).code == "InvalidBucketName"
    assert refusal(raw_request("/k", host="data--use1-az4--x-s3.s3.example.com")).code == "NotImplemented"


@pytest.mark.parametrize(
    ("target", "host", "path", "bucket", "object_key"),
    [
        ("http://s3.example.com/my-bucket/a//b?acl", "s3.example.com", "/my-bucket/a//b", "my-bucket", "a//b"),
        ("HTTPS://S3.example.com:9000/my-bucket/k", "s3.example.com:9000", "/my-bucket/k", "my-bucket", "k"),
        ("https://my-bucket.s3.example.com/k", "my-bucket.s3.example.com", "/k", "my-bucket", "k"),
        ("https://my-bucket.s3.example.com", "my-bucket.s3.example.com", "/", "my-bucket", None),
    ],
)
def test_absolute_form(target: str, host: str, path: str, bucket: str, object_key: str | None) -> None:
    request = parsed(target, host=host)
    assert (request.raw.raw_path, request.bucket, request.object_key) == (path, bucket, object_key)


@pytest.mark.parametrize(
    "target", ["http://other.example.com/my-bucket/k", "http://user@s3.example.com/my-bucket/k", "http:///my-bucket/k"]
)
def test_absolute_form_for_another_host_is_refused(target: str) -> None:
    assert refusal(raw_request(target)).code == "InvalidRequest"


@pytest.mark.parametrize("target", ["/WriteGetObjectResponse", "/my-bucket/WriteGetObjectResponse"])
def test_object_lambda_is_not_served(target: str) -> None:
    raw = raw_request(target, method="POST", fields=(("x-amz-request-route", "r"), ("x-amz-request-token", "t")))
    assert refusal(raw).code == "NotImplemented"


def test_the_operation_sees_the_headers() -> None:
    raw = raw_request("/my-bucket/k", method="PUT", fields=(("X-Amz-Copy-Source", "/b/k"),))
    assert parse_request(raw, ()).operation is Operation.COPY_OBJECT


@pytest.mark.parametrize(
    ("name", "valid"),
    [("abc", True), ("a" * 255, True), ("ab", False), ("a" * 256, False), ("a\n\n", False), ("192.0.2.1", True)],
)
def test_bucket_names(name: str, valid: bool) -> None:
    if valid:
        check_bucket_name(name)
        return
    with pytest.raises(S3Error) as caught:
        check_bucket_name(name)
    assert caught.value.details == (("BucketName", name),)


def test_more_than_nothing_is_recorded_as_received() -> None:
    raw = raw_request("/my-bucket/k?X-Amz-Signature=1")
    assert parse_request(raw, DOMAINS).raw is raw


@given(st.text(min_size=1, max_size=200), st.sampled_from(["s3.example.com", "my-bucket.s3.example.com"]))
def test_any_key_that_is_encoded_comes_out(object_key: str, host: str) -> None:
    prefix = "/" if host.startswith("my-bucket") else "/my-bucket/"
    if "\0" in object_key:
        assert refusal(raw_request(prefix + quote(object_key, safe=""), host=host)).code == "InvalidURI"
    else:
        assert parsed(prefix + quote(object_key, safe=""), host=host).object_key == object_key


@given(st.text(), st.text(), st.text(), st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "BREW"]))
def test_garbage_is_refused_with_an_s3_error(path: str, query: str, host: str, method: str) -> None:
    for target in (path, "/" + path, "/my-bucket/" + path):
        try:
            request = parse_request(
                RawRequest(method, target, query, Headers([("host", host)]), "https", "unix", "0" * 16), DOMAINS
            )
        except S3Error:
            continue
        assert request.raw.raw_query == query
