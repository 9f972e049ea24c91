"""Signature Version 4: canonical form, signing key and signing, against AWS's published examples and botocore."""

import re
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from gateway.redact import SecretStr
from gateway.s3 import sigv4
from gateway.s3.content_sha256 import EMPTY_SHA256
from gateway.s3.credentials import Credential
from gateway.s3.headers import Headers

# Amazon S3 API Reference, "Signature Calculations ...: Transferring Payload in a Single Chunk".
ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
NOW = datetime(2013, 5, 24, tzinfo=UTC)
HOST = ("Host", "examplebucket.s3.amazonaws.com")
CREDENTIAL = Credential(ACCESS_KEY, SecretStr(SECRET_KEY))

EXAMPLES = [
    pytest.param(
        "GET", "/test.txt", "", [("Range", "bytes=0-9")], EMPTY_SHA256,
        "host;range;x-amz-content-sha256;x-amz-date",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        id="get-object-with-range",
    ),
    pytest.param(
        "PUT", "/test%24file.text", "",
        [("Date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
        "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
        "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        id="put-object",
    ),
    pytest.param(
        "GET", "/", "lifecycle", [], EMPTY_SHA256,
        "host;x-amz-content-sha256;x-amz-date",
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        id="get-bucket-lifecycle",
    ),
    pytest.param(
        "GET", "/", "max-keys=2&prefix=J", [], EMPTY_SHA256,
        "host;x-amz-content-sha256;x-amz-date",
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        id="list-objects",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "query", "fields", "payload_hash", "signed", "signature"), EXAMPLES)
def test_sign_headers_gives_the_signatures_aws_published(
    method: str,
    path: str,
    query: str,
    fields: list[tuple[str, str]],
    payload_hash: str,
    signed: str,
    signature: str,
) -> None:
    headers = sigv4.sign_headers(
        method, path, query, Headers([HOST, *fields]), CREDENTIAL, "us-east-1", "s3", NOW, payload_hash
    )
    assert headers.get("authorization") == (
        f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20130524/us-east-1/s3/aws4_request, "
        f"SignedHeaders={signed}, Signature={signature}"
    )
    assert headers.get("x-amz-date") == "20130524T000000Z"
    assert headers.get("x-amz-content-sha256") == payload_hash


def test_the_canonical_request_and_string_to_sign_of_the_published_get_example() -> None:
    headers = Headers(
        [
            HOST,
            ("Range", "bytes=0-9"),
            ("x-amz-content-sha256", EMPTY_SHA256),
            ("x-amz-date", "20130524T000000Z"),
        ]
    )
    names = ("host", "range", "x-amz-content-sha256", "x-amz-date")
    canonical = sigv4.canonical_request("GET", "/test.txt", "", headers, names, EMPTY_SHA256)
    assert canonical.split("\n") == [
        "GET",
        "/test.txt",
        "",
        "host:examplebucket.s3.amazonaws.com",
        "range:bytes=0-9",
        f"x-amz-content-sha256:{EMPTY_SHA256}",
        "x-amz-date:20130524T000000Z",
        "",
        "host;range;x-amz-content-sha256;x-amz-date",
        EMPTY_SHA256,
    ]
    assert sigv4.string_to_sign("20130524T000000Z", "20130524/us-east-1/s3/aws4_request", canonical).split("\n") == [
        "AWS4-HMAC-SHA256",
        "20130524T000000Z",
        "20130524/us-east-1/s3/aws4_request",
        "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972",
    ]


@pytest.mark.parametrize(
    ("raw", "canonical"),
    [
        ("", "/"),
        ("/", "/"),
        ("/bucket/a+b(c)!*',:=@&$", "/bucket/a%2Bb%28c%29%21%2A%27%2C%3A%3D%40%26%24"),
        ("/bucket/%41%2f%c3%bc", "/bucket/A%2F%C3%BC"),
        ("/bucket//a/./b/../c/", "/bucket//a/./b/../c/"),
        ("/bucket/%zz%", "/bucket/%25zz%25"),
        ("/bucket/ü", "/bucket/%C3%BC"),
        ("/bucket/\udcff", "/bucket/%FF"),
        ("/bucket/-_.~", "/bucket/-_.~"),
    ],
)
def test_canonical_path_encodes_once_and_normalises_nothing(raw: str, canonical: str) -> None:
    assert sigv4.canonical_path(raw) == canonical
    assert sigv4.canonical_path(canonical) == canonical


@pytest.mark.parametrize(
    ("raw", "canonical"),
    [
        ("", ""),
        ("uploads", "uploads="),
        ("uploads=", "uploads="),
        ("b=2&a=1", "a=1&b=2"),
        ("a=2&a=1&a", "a=&a=1&a=2"),
        ("a-b=1&a=2", "a=2&a-b=1"),
        ("prefix=a+b%20c%2Bd", "prefix=a%20b%20c%2Bd"),
        ("prefix=a/b&x=(1)", "prefix=a%2Fb&x=%281%29"),
        ("x=a=b", "x=a%3Db"),
        ("&&a=1&", "a=1"),
        ("X-Amz-Signature=ab&a=1", "a=1"),
        ("X%2DAmz-Signature=ab&a=1", "a=1"),
        ("x-amz-signature=ab", "x-amz-signature=ab"),
    ],
)
def test_canonical_query_encodes_sorts_and_leaves_the_signature_out(raw: str, canonical: str) -> None:
    assert sigv4.canonical_query(raw, without=frozenset({"X-Amz-Signature"})) == canonical


def test_canonical_headers_are_trimmed_collapsed_joined_and_absent_ones_empty() -> None:
    headers = Headers([("X-B", "  two   words\t here "), ("x-a", "1"), ("X-A", " 2 ")])
    canonical = sigv4.canonical_request("GET", "/", "", headers, ("x-a", "x-b", "x-c"), "hash")
    assert canonical == "GET\n/\n\nx-a:1,2\nx-b:two words here\nx-c:\n\nx-a;x-b;x-c\nhash"


_VALUES = st.text(st.sampled_from(" \tab,"), max_size=8)


@given(st.lists(st.tuples(st.sampled_from(["host", "x-a", "x-b"]), _VALUES), max_size=5))
def test_canonical_headers_are_made_value_by_value(fields: list[tuple[str, str]]) -> None:
    """Source: "Create a canonical request" (IAM User Guide): trim, one space for several, join by commas."""
    names = ("host", "x-a", "x-b")
    trimmed = [(name, re.sub(r"[ \t]+", " ", value.strip(" \t"))) for name, value in fields]
    lines = [f"{name}:{','.join(value for other, value in trimmed if other == name)}" for name in names]
    canonical = sigv4.canonical_request("PUT", "/k", "", Headers(fields), names, "hash")
    assert canonical == "\n".join(["PUT", "/k", "", *lines, "", "host;x-a;x-b", "hash"])


@pytest.mark.parametrize(
    "value",
    ["", "20130524", "20130524T000000", "20130524T000000z", "20131324T000000Z", "20130524T250000Z", " ", "٢" * 8],
)
def test_timestamps_of_any_other_form_are_not_taken(value: str) -> None:
    assert sigv4.parse_timestamp(value) is None


@given(st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - hypothesis wants it naive
def test_timestamps_survive_a_round_trip(moment: datetime) -> None:
    whole = moment.replace(microsecond=0)
    assert sigv4.parse_timestamp(sigv4.render_timestamp(whole)) == whole


def test_the_signing_key_is_cached_per_secret_and_never_shared_between_secrets() -> None:
    first, second = SecretStr("one"), SecretStr("two")
    key = sigv4.signing_key(first, "20130524", "us-east-1", "s3")
    assert sigv4.signing_key(first, "20130524", "us-east-1", "s3") is key
    assert sigv4.signing_key(second, "20130524", "us-east-1", "s3").reveal() != key.reveal()
    assert sigv4.signing_key(first, "20130525", "us-east-1", "s3").reveal() != key.reveal()


def test_the_signing_key_cache_is_bounded() -> None:
    secret = SecretStr("secret")
    for number in range(sigv4.SIGNING_KEY_CACHE_SIZE + 10):
        sigv4.signing_key(secret, "20130524", f"region-{number}", "s3")
    assert sigv4.signing_key.cache_info().currsize == sigv4.SIGNING_KEY_CACHE_SIZE


def test_the_signing_key_does_not_print() -> None:
    key = sigv4.signing_key(SecretStr("secret"), "20130524", "us-east-1", "s3")
    assert key.reveal().hex() not in f"{key!r} {key}"


def test_sign_headers_refuses_a_request_without_host() -> None:
    with pytest.raises(ValueError, match="host"):
        sigv4.sign_headers("GET", "/", "", Headers(), CREDENTIAL, "us-east-1", "s3", NOW, EMPTY_SHA256)


def test_sign_headers_replaces_an_older_signature_and_token() -> None:
    old = Headers([HOST, ("Authorization", "old"), ("X-Amz-Date", "old"), ("X-Amz-Security-Token", "old")])
    headers = sigv4.sign_headers("GET", "/", "", old, CREDENTIAL, "us-east-1", "s3", NOW, EMPTY_SHA256)
    assert "old" not in {value for _, value in headers}
    assert len(headers.all("authorization")) == 1
    assert "x-amz-security-token" not in headers


PRINTABLE = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
NAMES = st.from_regex(r"(x-amz-meta-[a-z0-9-]{1,8}|range|content-type|if-match|user-agent|expect)", fullmatch=True)


@given(
    method=st.sampled_from(["GET", "PUT", "HEAD", "POST", "DELETE"]),
    object_key=st.text(min_size=1, max_size=40),
    parameters=st.lists(st.tuples(st.text(min_size=1, max_size=8), st.text(max_size=8)), max_size=4),
    fields=st.dictionaries(NAMES, st.text(PRINTABLE, max_size=20), max_size=4),
    token=st.none() | st.text(PRINTABLE.filter(lambda character: character != " "), min_size=1),
    body=st.binary(max_size=20),
)
def test_sign_headers_agrees_with_botocore(
    method: str,
    object_key: str,
    parameters: list[tuple[str, str]],
    fields: dict[str, str],
    token: str | None,
    body: bytes,
) -> None:
    path = "/bucket/" + "/".join(quote(segment, safe="-_.~") for segment in object_key.split("/"))
    query = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in parameters)
    request = AWSRequest(method=method, url=f"https://s3.example.com{path}?{query}", data=body, headers=fields)
    S3SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY, token), "s3", "eu-central-1").add_auth(request)
    theirs: HTTPHeaders = request.headers
    moment = sigv4.parse_timestamp(theirs["X-Amz-Date"])
    assert moment is not None
    credential = Credential(ACCESS_KEY, SecretStr(SECRET_KEY), None if token is None else SecretStr(token))
    ours = sigv4.sign_headers(
        method,
        path,
        query,
        Headers([("host", "s3.example.com"), *fields.items()]),
        credential,
        "eu-central-1",
        "s3",
        moment,
        theirs["X-Amz-Content-SHA256"],
    )
    assert ours.get("authorization") == theirs["Authorization"]
    assert ours.get("x-amz-security-token") == theirs.get("X-Amz-Security-Token")
