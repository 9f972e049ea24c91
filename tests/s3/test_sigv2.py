"""Signature Version 2: AWS's published examples and botocore's signers, and what the signature does not cover."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import quote

import pytest
from botocore.auth import HmacV1Auth, HmacV1QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import S3Error
from gateway.redact import SecretStr
from gateway.s3.credentials import Credential, Identity
from gateway.s3.headers import Headers
from gateway.s3.parse import parse_request
from gateway.s3.query import Query
from gateway.s3.request import RawRequest
from gateway.s3.sigv2 import is_presigned_v2, verify_header_v2, verify_presigned_v2

ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
HOST = "s3.example.com"
ALICE = Identity("alice", Credential(ACCESS_KEY, SecretStr(SECRET_KEY)))
BOB = Identity("bob", Credential("ASIATEMPORARY", SecretStr("other-secret"), SecretStr("session+token")))
IDENTITIES = {each.credential.access_key_id: each for each in (ALICE, BOB)}


def raw_request(method: str, target: str, fields: list[tuple[str, str]]) -> RawRequest:
    path, _, query = target.partition("?")
    return RawRequest(method, path, query, Headers(fields), "https", "192.0.2.1", "0123456789ABCDEF")


def verify_header(raw: RawRequest, now: datetime) -> Identity:
    return verify_header_v2(parse_request(raw, ("s3.amazonaws.com",)), IDENTITIES, now, 900)


def verify_presigned(raw: RawRequest, now: datetime) -> Identity:
    return verify_presigned_v2(parse_request(raw, ("s3.amazonaws.com",)), IDENTITIES, now)


def refusal(verify: Callable[[RawRequest, datetime], Identity], raw: RawRequest, now: datetime) -> S3Error:
    with pytest.raises(S3Error) as caught:
        verify(raw, now)
    return caught.value


def signed(
    method: str, target: str, fields: dict[str, str] | None = None, identity: Identity = ALICE
) -> tuple[RawRequest, datetime]:
    request = AWSRequest(method, f"https://{HOST}{target}", headers=dict(fields or {}))
    token = identity.credential.session_token
    credentials = Credentials(
        identity.credential.access_key_id,
        identity.credential.secret_access_key.reveal(),
        None if token is None else token.reveal(),
    )
    HmacV1Auth(credentials).add_auth(request)
    return raw_request(method, target, [("host", HOST), *request.headers.items()]), datetime.now(UTC)


def presigned(
    method: str,
    target: str,
    fields: dict[str, str] | None = None,
    identity: Identity = ALICE,
    expires: int = 3600,
) -> tuple[RawRequest, datetime]:
    """A URL that carries its ``x-amz-*`` fields in its query, as botocore makes it."""
    request = AWSRequest(method, f"https://{HOST}{target}", headers=dict(fields or {}))
    token = identity.credential.session_token
    credentials = Credentials(
        identity.credential.access_key_id,
        identity.credential.secret_access_key.reveal(),
        None if token is None else token.reveal(),
    )
    HmacV1QueryAuth(credentials, expires).add_auth(request)
    raw = raw_request(method, str(request.url).removeprefix(f"https://{HOST}"), [("host", HOST)])
    return raw, datetime.now(UTC)


# Amazon S3 User Guide, "Signing and authenticating REST requests", "Request signature examples".
EXAMPLES = [
    pytest.param(
        "GET", "/photos/puppy.jpg", [("Date", "Tue, 27 Mar 2007 19:36:42 +0000")], "awsexamplebucket1",
        "qgk2+6Sv9/oM7G3qLEjTH1a1l1g=",
        id="get",
    ),
    pytest.param(
        "PUT", "/photos/puppy.jpg",
        [("Content-Type", "image/jpeg"), ("Content-Length", "94328"), ("Date", "Tue, 27 Mar 2007 21:15:45 +0000")],
        "awsexamplebucket1", "iqRzw+ileNPu1fhspnRs8nOjjIA=",
        id="put",
    ),
    pytest.param(
        "GET", "/?prefix=photos&max-keys=50&marker=puppy",
        [("User-Agent", "Mozilla/5.0"), ("Date", "Tue, 27 Mar 2007 19:42:41 +0000")], "awsexamplebucket1",
        "m0WP8eCtspQl5Ahe6L1SozdX9YA=",
        id="list",
    ),
    pytest.param(
        "GET", "/?acl", [("Date", "Tue, 27 Mar 2007 19:44:46 +0000")], "awsexamplebucket1",
        "82ZHiFIjc+WbcwFKGUVEQspPn+0=",
        id="get-acl",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("method", "target", "fields", "bucket", "signature"), EXAMPLES)
def test_the_examples_that_aws_published_are_verified(
    method: str, target: str, fields: list[tuple[str, str]], bucket: str, signature: str
) -> None:
    authorization = ("authorization", f"AWS {ACCESS_KEY}:{signature}")
    raw = raw_request(method, target, [("Host", f"{bucket}.s3.amazonaws.com"), *fields, authorization])
    assert verify_header(raw, parsedate_to_datetime(fields[-1][1])) is ALICE


PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=20)
KEYS = st.text(min_size=1, max_size=30).map(lambda key: "/".join(quote(part, safe="-_.~") for part in key.split("/")))
QUERIES = st.sampled_from(
    ["", "?acl", "?versionId=abc", "?response-content-type=text%2Fplain&versionId=1", "?tagging", "?x-id=GetObject"]
)
FIELDS = st.dictionaries(
    st.from_regex(r"(x-amz-meta-[a-z0-9]{1,8}|content-type|content-md5)", fullmatch=True), PRINTABLE, max_size=3
)


@given(
    method=st.sampled_from(["GET", "PUT"]),
    raw_key=KEYS.filter(lambda raw: "%00" not in raw),
    query=QUERIES,
    fields=FIELDS,
    identity=st.sampled_from([ALICE, BOB]),
)
def test_what_botocore_signs_is_verified(
    method: str, raw_key: str, query: str, fields: dict[str, str], identity: Identity
) -> None:
    target = f"/bucket/{raw_key}{query if method == 'GET' else ''}"
    raw, now = signed(method, target, fields, identity)
    assert verify_header(raw, now) is identity
    raw, now = presigned(method, target, fields, identity)
    assert verify_presigned(raw, now) is identity


TARGET = "/bucket/some/key?response-content-type=text%2Fplain&versionId=1"
TAMPERINGS: list[tuple[str, Callable[[RawRequest], RawRequest]]] = [
    ("method", lambda raw: replace(raw, method="HEAD")),
    ("bucket", lambda raw: replace(raw, raw_path="/bucket2/some/key")),
    ("key", lambda raw: replace(raw, raw_path="/bucket/some/key2")),
    ("version", lambda raw: replace(raw, raw_query=raw.raw_query.replace("versionId=1", "versionId=2"))),
    ("version-dropped", lambda raw: replace(raw, raw_query=raw.raw_query.replace("&versionId=1", ""))),
    ("sub-resource-added", lambda raw: replace(raw, raw_query=f"{raw.raw_query}&acl")),
    ("sub-resource-encoded", lambda raw: replace(raw, raw_query=f"{raw.raw_query}&%61cl")),
    ("response", lambda raw: replace(raw, raw_query=raw.raw_query.replace("plain", "html"))),
    ("metadata-added", lambda raw: replace(raw, headers=Headers([*raw.headers, ("x-amz-meta-b", "1")]))),
    ("metadata-repeated", lambda raw: replace(raw, headers=Headers([*raw.headers, ("x-amz-meta-a", "2")]))),
    ("metadata-in-query", lambda raw: replace(raw, raw_query=f"{raw.raw_query}&x-amz-meta-b=1")),
    ("metadata-upper-case", lambda raw: replace(raw, raw_query=f"{raw.raw_query}&X-Amz-Meta-A=2")),
    ("content-type", lambda raw: replace(raw, headers=Headers([*raw.headers, ("content-type", "text/html")]))),
]


@pytest.mark.parametrize("make", [signed, presigned])
@pytest.mark.parametrize("tamper", [pytest.param(do, id=name) for name, do in TAMPERINGS])
def test_a_request_changed_after_it_was_signed_is_refused(
    make: Callable[..., tuple[RawRequest, datetime]], tamper: Callable[[RawRequest], RawRequest]
) -> None:
    verify = verify_header if make is signed else verify_presigned
    raw, now = make("GET", TARGET, {"x-amz-meta-a": "1", "content-type": "text/plain"})
    assert verify(raw, now) is ALICE
    assert refusal(verify, tamper(raw), now).code == "SignatureDoesNotMatch"


def test_the_expiry_is_signed_and_kept() -> None:
    raw, now = presigned("GET", "/bucket/key", expires=60)
    assert verify_presigned(raw, now + timedelta(seconds=59)) is ALICE
    error = refusal(verify_presigned, raw, now + timedelta(seconds=62))
    assert (error.code, error.message) == ("AccessDenied", "Request has expired")
    assert [name for name, _ in error.details] == ["Expires", "ServerTime"]
    expires = raw.raw_query.partition("Expires=")[2].partition("&")[0]
    later = replace(raw, raw_query=raw.raw_query.replace(expires, str(int(expires) + 1)))
    assert refusal(verify_presigned, later, now).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("PUT", "/bucket?encryption"),
        ("PUT", "/bucket/key?retention"),
        ("PUT", "/bucket/key?legal-hold"),
        ("GET", "/bucket?publicAccessBlock"),
        ("PUT", "/bucket?ownershipControls"),
    ],
)
def test_a_sub_resource_that_the_signature_does_not_cover_is_refused(method: str, target: str) -> None:
    """botocore leaves these out of what it signs, so the signature of ``/bucket`` would do for them as well."""
    raw, now = signed(method, target)
    assert refusal(verify_header, raw, now).code == "InvalidRequest"


def test_the_second_form_of_a_listing_may_stay_unsigned() -> None:
    raw, now = signed("GET", "/bucket?list-type=2&prefix=a")
    assert verify_header(raw, now) is ALICE


@pytest.mark.parametrize(
    ("host", "target", "resource"),
    [
        ("bucket.s3.amazonaws.com", "/key", "/bucket/key"),
        ("bucket.s3.amazonaws.com", "/bucket/key", "/bucket/bucket/key"),
        ("bucket.s3.amazonaws.com", "/a+b", "/bucket/a+b"),
        ("bucket.s3.amazonaws.com", "/", "/bucket/"),
        ("s3.amazonaws.com", "/bucket/a+b", "/bucket/a+b"),
        ("s3.amazonaws.com", "/bucket", "/bucket"),
        ("s3.amazonaws.com", "/bucket/", "/bucket/"),
        ("s3.amazonaws.com", "/", "/"),
    ],
)
def test_the_signed_resource_names_the_bucket_once(host: str, target: str, resource: str) -> None:
    signer = HmacV1Auth(Credentials(ACCESS_KEY, SECRET_KEY))
    signature = signer.sign_string(f"GET\n\n\nTue, 27 Mar 2007 19:36:42 +0000\n{resource}")
    fields = [("host", host), ("date", "Tue, 27 Mar 2007 19:36:42 +0000")]
    raw = raw_request("GET", target, [*fields, ("authorization", f"AWS {ACCESS_KEY}:{signature}")])
    assert verify_header(raw, datetime(2007, 3, 27, 19, 36, tzinfo=UTC)) is ALICE


def test_the_date_line_is_empty_where_amz_date_is_given() -> None:
    signer = HmacV1Auth(Credentials(ACCESS_KEY, SECRET_KEY))
    date = "Tue, 27 Mar 2007 19:36:42 +0000"
    signature = signer.sign_string(f"GET\n\n\n\nx-amz-date:{date}\n/bucket/key")
    fields = [("host", HOST), ("date", "Tue, 27 Mar 2007 19:30:00 +0000"), ("x-amz-date", date)]
    raw = raw_request("GET", "/bucket/key", [*fields, ("authorization", f"AWS {ACCESS_KEY}:{signature}")])
    assert verify_header(raw, datetime(2007, 3, 27, 19, 36, tzinfo=UTC)) is ALICE


@pytest.mark.parametrize("seconds", [-902, 902])
def test_a_wrong_clock_is_told_so(seconds: int) -> None:
    raw, now = signed("GET", "/bucket/key")
    assert refusal(verify_header, raw, now + timedelta(seconds=seconds)).code == "RequestTimeTooSkewed"


@pytest.mark.parametrize("authorization", ["AWS ", "AWS :", "AWS a", "AWS :signature"])
def test_a_malformed_header_is_refused(authorization: str) -> None:
    raw = raw_request("GET", "/bucket/key", [("host", HOST), ("authorization", authorization)])
    assert refusal(verify_header, raw, datetime.now(UTC)).code == "InvalidArgument"


@pytest.mark.parametrize(
    "query",
    [
        "AWSAccessKeyId=a&Expires=1",
        "AWSAccessKeyId=a&Signature=b",
        "Signature=b&Expires=1",
        "AWSAccessKeyId=a&Expires=1&Signature=",
        "AWSAccessKeyId=a&Expires=soon&Signature=b",
        "AWSAccessKeyId=a&Expires=-1&Signature=b",
        "AWSAccessKeyId=a&Expires=999999999999999999&Signature=b",
    ],
)
def test_a_malformed_url_is_refused(query: str) -> None:
    raw = raw_request("GET", f"/bucket/key?{query}", [("host", HOST)])
    assert refusal(verify_presigned, raw, datetime.now(UTC)).code == "AccessDenied"


def test_a_repeated_parameter_is_refused() -> None:
    raw, now = presigned("GET", "/bucket/key")
    request = parse_request(raw, ())
    twice = replace(request, query=Query.parse(f"{raw.raw_query}&Expires=99999999999"))
    with pytest.raises(S3Error, match="AccessDenied: Query-string authentication requires"):
        verify_presigned_v2(twice, IDENTITIES, now)


@pytest.mark.parametrize("make", [signed, presigned])
def test_unknown_keys_wrong_secrets_and_wrong_tokens_are_told_apart(
    make: Callable[..., tuple[RawRequest, datetime]],
) -> None:
    raw, now = make("GET", "/bucket/key", identity=BOB)
    request = parse_request(raw, ())

    def outcome(identities: dict[str, Identity]) -> S3Error:
        with pytest.raises(S3Error) as caught:
            verify(identities)
        return caught.value

    def verify(identities: dict[str, Identity]) -> Identity:
        if make is signed:
            return verify_header_v2(request, identities, now, 900)
        return verify_presigned_v2(request, identities, now)

    key = BOB.credential.access_key_id
    assert outcome({}).code == "InvalidAccessKeyId"
    wrong_secret = replace(BOB, credential=replace(BOB.credential, secret_access_key=SecretStr("wrong")))
    mismatch = outcome({key: wrong_secret})
    assert mismatch.code == "SignatureDoesNotMatch"
    assert "session" not in f"{mismatch} {mismatch.details}"
    wrong_token = replace(BOB, credential=replace(BOB.credential, session_token=SecretStr("wrong")))
    assert outcome({key: wrong_token}).code == "InvalidToken"


def test_a_mismatch_shows_the_string_to_sign_unless_it_holds_a_customer_key() -> None:
    raw, now = presigned("GET", "/bucket/key")
    error = refusal(verify_presigned, replace(raw, raw_path="/bucket/other"), now)
    assert dict(error.details)["StringToSign"].endswith("\n/bucket/other")
    raw, now = presigned("GET", "/bucket/key", {"x-amz-server-side-encryption-customer-key": "c2VjcmV0"})
    error = refusal(verify_presigned, replace(raw, raw_path="/bucket/other"), now)
    assert [name for name, _ in error.details] == ["AWSAccessKeyId", "SignatureProvided"]


def test_presigned_urls_are_known_by_their_parameters() -> None:
    raw, _ = presigned("GET", "/bucket/key")
    assert is_presigned_v2(parse_request(raw, ()).query)
    other, _ = signed("GET", "/bucket/key?prefix=Signature")
    assert not is_presigned_v2(parse_request(other, ()).query)
