"""Who sent a request: signatures made by botocore and by AWS's documentation are taken, anything else is refused."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import HmacV1Auth, HmacV1QueryAuth, S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import S3Error
from gateway.redact import SecretStr
from gateway.s3.authenticate import AuthSettings, VerifiedRequest, authenticate, verified_form
from gateway.s3.content_sha256 import EMPTY_SHA256, ContentSha256Kind
from gateway.s3.credentials import Credential, Identity
from gateway.s3.headers import Headers
from gateway.s3.parse import parse_request
from gateway.s3.query import Query
from gateway.s3.request import RawRequest
from gateway.s3.sigv4 import canonical_path, parse_timestamp, render_timestamp

ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TOKEN = "session/token+with=signs"
HOST = "s3.example.com"
NOW = datetime(2013, 5, 24, tzinfo=UTC)

ALICE = Identity("alice", Credential(ACCESS_KEY, SecretStr(SECRET_KEY)))
BOB = Identity("bob", Credential("ASIATEMPORARY", SecretStr("other-secret"), SecretStr(TOKEN)))
IDENTITIES = {each.credential.access_key_id: each for each in (ALICE, BOB)}
STRICT = AuthSettings()
WITH_SIGV2 = AuthSettings(allow_sigv2=True)


def raw_request(method: str, target: str, headers: Headers) -> RawRequest:
    path, _, query = target.partition("?")
    return RawRequest(method, path, query, headers, "https", "192.0.2.1", "0123456789ABCDEF")


def verify(
    raw: RawRequest,
    now: datetime = NOW,
    settings: AuthSettings = STRICT,
    identities: Mapping[str, Identity] = IDENTITIES,
) -> VerifiedRequest:
    return authenticate(parse_request(raw, ("s3.amazonaws.com",)), identities, now, settings)


def refusal(
    raw: RawRequest,
    now: datetime = NOW,
    settings: AuthSettings = STRICT,
    identities: Mapping[str, Identity] = IDENTITIES,
) -> S3Error:
    with pytest.raises(S3Error) as caught:
        verify(raw, now, settings, identities)
    return caught.value


def credentials_of(identity: Identity) -> Credentials:
    token = identity.credential.session_token
    return Credentials(
        identity.credential.access_key_id,
        identity.credential.secret_access_key.reveal(),
        None if token is None else token.reveal(),
    )


def signed_by_botocore(
    method: str = "GET",
    target: str = "/bucket/key",
    headers: Mapping[str, str] | None = None,
    identity: Identity = ALICE,
    region: str = "us-east-1",
    body: bytes = b"",
) -> tuple[RawRequest, datetime]:
    """A request signed in its headers, and the time at which that was done."""
    request = AWSRequest(method=method, url=f"https://{HOST}{target}", data=body, headers=dict(headers or {}))
    S3SigV4Auth(credentials_of(identity), "s3", region).add_auth(request)
    raw = raw_request(method, target, Headers([("Host", HOST), *request.headers.items()]))
    moment = parse_timestamp(raw.headers.get("x-amz-date") or "")
    assert moment is not None
    return raw, moment


def presigned_by_botocore(
    method: str = "GET",
    target: str = "/bucket/key",
    headers: Mapping[str, str] | None = None,
    identity: Identity = ALICE,
    expires: int = 3600,
) -> tuple[RawRequest, datetime]:
    """A presigned request, and the time at which it was signed."""
    request = AWSRequest(method=method, url=f"https://{HOST}{target}", headers=dict(headers or {}))
    S3SigV4QueryAuth(credentials_of(identity), "s3", "us-east-1", expires).add_auth(request)
    parts = urlsplit(str(request.url))
    raw = raw_request(method, f"{parts.path}?{parts.query}", Headers([("Host", HOST), *((headers or {}).items())]))
    stamp = parts.query.partition("X-Amz-Date=")[2][:16]
    moment = parse_timestamp(stamp)
    assert moment is not None
    return raw, moment


def with_fields(raw: RawRequest, *fields: tuple[str, str]) -> RawRequest:
    return replace(raw, headers=raw.headers.replacing(fields))


# Amazon S3 API Reference, "Transferring Payload in a Single Chunk": four examples, here as a server receives them.
EXAMPLES = [
    pytest.param(
        "GET", "/test.txt", [("Range", "bytes=0-9")], EMPTY_SHA256,
        "host;range;x-amz-content-sha256;x-amz-date",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        id="get-object-with-range",
    ),
    pytest.param(
        "PUT", "/test$file.text",
        [("Date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
        "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
        "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        id="put-object-whose-key-is-sent-unencoded",
    ),
    pytest.param(
        "GET", "/?lifecycle", [], EMPTY_SHA256, "host;x-amz-content-sha256;x-amz-date",
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        id="get-bucket-lifecycle",
    ),
    pytest.param(
        "GET", "/?max-keys=2&prefix=J", [], EMPTY_SHA256, "host;x-amz-content-sha256;x-amz-date",
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        id="list-objects",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("method", "target", "fields", "payload_hash", "signed", "signature"), EXAMPLES)
@pytest.mark.parametrize("separator", [",", ", ", " , "])
def test_the_examples_that_aws_published_are_verified(
    method: str,
    target: str,
    fields: list[tuple[str, str]],
    payload_hash: str,
    signed: str,
    signature: str,
    separator: str,
) -> None:
    authorization = "AWS4-HMAC-SHA256 " + separator.join(
        (
            f"Credential={ACCESS_KEY}/20130524/us-east-1/s3/aws4_request",
            f"SignedHeaders={signed}",
            f"Signature={signature}",
        )
    )
    headers = Headers(
        [
            ("Host", "examplebucket.s3.amazonaws.com"),
            ("x-amz-date", "20130524T000000Z"),
            ("x-amz-content-sha256", payload_hash),
            ("Authorization", authorization),
            *fields,
        ]
    )
    verified = verify(raw_request(method, target, headers))
    assert verified.identity is ALICE
    assert verified.auth_type == "REST-HEADER"
    assert verified.signature_version == "AWS4-HMAC-SHA256"
    assert verified.content_sha256.digest == payload_hash
    assert verified.chunk_signer is None
    assert verified.signed_at == NOW
    assert verified.request.bucket == "examplebucket"


# Amazon S3 API Reference, "Authenticating Requests: Using Query Parameters", "An Example".
PRESIGNED_EXAMPLE = (
    "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
    f"&X-Amz-Credential={ACCESS_KEY}%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
    "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
    "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
)
PRESIGNED_HEADERS = Headers([("Host", "examplebucket.s3.amazonaws.com")])


def test_the_presigned_example_that_aws_published_is_verified() -> None:
    verified = verify(raw_request("GET", PRESIGNED_EXAMPLE, PRESIGNED_HEADERS))
    assert verified.identity is ALICE
    assert verified.auth_type == "REST-QUERY-STRING"
    assert verified.content_sha256.kind is ContentSha256Kind.UNSIGNED
    assert verified.signed_at == NOW


KEYS = st.text(min_size=1, max_size=40).map(lambda key: "/".join(quote(part, safe="-_.~") for part in key.split("/")))
KEY_TARGETS = KEYS.filter(lambda raw: len(raw) <= 1024 and "%00" not in raw)
PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
PARAMETERS = st.lists(
    st.tuples(
        st.sampled_from(["prefix", "marker", "delimiter", "response-content-type", "x-unknown"]),
        st.text(min_size=1, max_size=8),
    ),
    max_size=3,
    unique_by=lambda pair: pair[0],
)
FIELDS = st.dictionaries(
    st.from_regex(r"(x-amz-meta-[a-z0-9-]{1,8}|range|content-type|user-agent|if-match)", fullmatch=True),
    PRINTABLE,
    max_size=4,
)
METHODS = st.sampled_from(["GET", "PUT", "HEAD", "DELETE"])


def target_of(raw_key: str, parameters: list[tuple[str, str]]) -> str:
    query = "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in parameters)
    return f"/bucket/{raw_key}" + (f"?{query}" if query else "")


@given(
    method=METHODS,
    raw_key=KEY_TARGETS,
    parameters=PARAMETERS,
    fields=FIELDS,
    identity=st.sampled_from([ALICE, BOB]),
    region=st.from_regex(r"[a-z]{2}-[a-z]+-[0-9]", fullmatch=True),
    body=st.binary(max_size=10),
)
def test_what_botocore_signs_in_headers_is_verified(
    method: str,
    raw_key: str,
    parameters: list[tuple[str, str]],
    fields: dict[str, str],
    identity: Identity,
    region: str,
    body: bytes,
) -> None:
    raw, moment = signed_by_botocore(method, target_of(raw_key, parameters), fields, identity, region, body)
    verified = verify(raw, moment)
    assert verified.identity is identity
    assert verified.content_sha256.kind is ContentSha256Kind.LITERAL


@given(
    method=METHODS,
    raw_key=KEY_TARGETS,
    parameters=PARAMETERS,
    fields=FIELDS,
    identity=st.sampled_from([ALICE, BOB]),
    expires=st.integers(1, 604800),
)
def test_what_botocore_presigns_is_verified(
    method: str,
    raw_key: str,
    parameters: list[tuple[str, str]],
    fields: dict[str, str],
    identity: Identity,
    expires: int,
) -> None:
    raw, moment = presigned_by_botocore(method, target_of(raw_key, parameters), fields, identity, expires)
    assert verify(raw, moment + timedelta(seconds=expires)).identity is identity
    assert refusal(raw, moment + timedelta(seconds=expires + 1)).message == "Request has expired"


SIGNED_FIELDS = {"x-amz-meta-a": "one", "content-type": "text/plain", "range": "bytes=0-9"}
SIGNED_TARGET = "/bucket/some/key?response-content-type=text%2Fplain&partNumber=3"


def flipped(text: str) -> str:
    return ("0" if text[-1] != "0" else "1").join((text[:-1], ""))


TAMPERINGS: list[tuple[str, Callable[[RawRequest], RawRequest]]] = [
    ("method", lambda raw: replace(raw, method="HEAD")),
    ("bucket", lambda raw: replace(raw, raw_path="/bucket2/some/key")),
    ("key", lambda raw: replace(raw, raw_path="/bucket/some/key2")),
    ("key-slash", lambda raw: replace(raw, raw_path="/bucket/some//key")),
    ("key-encoded-slash", lambda raw: replace(raw, raw_path="/bucket/some%2Fkey")),
    ("key-dots", lambda raw: replace(raw, raw_path="/bucket/x/../some/key")),
    ("query-value", lambda raw: replace(raw, raw_query=raw.raw_query.replace("plain", "html"))),
    ("query-dropped", lambda raw: replace(raw, raw_query=raw.raw_query.replace("partNumber=3", "x-id=3"))),
    ("query-added", lambda raw: replace(raw, raw_query=f"{raw.raw_query}&versionId=1")),
    ("query-empty-added", lambda raw: replace(raw, raw_query=f"{raw.raw_query}&prefix")),
    ("host", lambda raw: with_fields(raw, ("host", "s3.example.org"))),
    ("signed-field", lambda raw: with_fields(raw, ("range", "bytes=0-8"))),
    ("signed-field-dropped", lambda raw: replace(raw, headers=raw.headers.without(["range"]))),
    ("signed-field-repeated", lambda raw: replace(raw, headers=Headers([*raw.headers, ("range", "bytes=0-9")]))),
    ("metadata", lambda raw: with_fields(raw, ("x-amz-meta-a", "two"))),
    ("metadata-dropped", lambda raw: replace(raw, headers=raw.headers.without(["x-amz-meta-a"]))),
    ("metadata-repeated", lambda raw: replace(raw, headers=Headers([*raw.headers, ("x-amz-meta-a", "two")]))),
]
HEADER_TAMPERINGS: list[tuple[str, Callable[[RawRequest], RawRequest]]] = [
    ("payload-hash", lambda raw: with_fields(raw, ("x-amz-content-sha256", "0" * 64))),
    ("payload-unsigned", lambda raw: with_fields(raw, ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"))),
    ("signature", lambda raw: with_fields(raw, ("authorization", flipped(raw.headers.get("authorization") or "")))),
    ("signature-cut", lambda raw: with_fields(raw, ("authorization", (raw.headers.get("authorization") or "")[:-1]))),
    (
        "signature-not-ascii",
        lambda raw: with_fields(raw, ("authorization", f"{raw.headers.get('authorization')}\udcffé")),
    ),
    (
        "region",
        lambda raw: with_fields(
            raw, ("authorization", (raw.headers.get("authorization") or "").replace("us-east-1", "eu-west-1"))
        ),
    ),
    (
        "signed-names",
        lambda raw: with_fields(raw, ("authorization", (raw.headers.get("authorization") or "").replace("range;", ""))),
    ),
]
QUERY_TAMPERINGS: list[tuple[str, Callable[[RawRequest], RawRequest]]] = [
    ("signature", lambda raw: replace(raw, raw_query=flipped(raw.raw_query))),
    ("expires", lambda raw: replace(raw, raw_query=raw.raw_query.replace("Expires=3600", "Expires=3601"))),
    ("region", lambda raw: replace(raw, raw_query=raw.raw_query.replace("us-east-1", "eu-west-1"))),
    ("signed-names", lambda raw: replace(raw, raw_query=raw.raw_query.replace("range%3B", ""))),
    ("payload-hash", lambda raw: replace(raw, raw_query=f"{raw.raw_query}&X-Amz-Content-Sha256={'0' * 64}")),
]


@pytest.mark.parametrize("tamper", [pytest.param(do, id=name) for name, do in TAMPERINGS + HEADER_TAMPERINGS])
def test_a_request_changed_after_it_was_signed_is_refused(tamper: Callable[[RawRequest], RawRequest]) -> None:
    raw, moment = signed_by_botocore("GET", SIGNED_TARGET, SIGNED_FIELDS)
    assert verify(raw, moment).identity is ALICE
    changed = tamper(raw)
    assert changed != raw
    assert refusal(changed, moment).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("tamper", [pytest.param(do, id=name) for name, do in TAMPERINGS + QUERY_TAMPERINGS])
def test_a_presigned_url_changed_after_it_was_signed_is_refused(tamper: Callable[[RawRequest], RawRequest]) -> None:
    raw, moment = presigned_by_botocore("GET", SIGNED_TARGET, SIGNED_FIELDS)
    assert verify(raw, moment).identity is ALICE
    changed = tamper(raw)
    assert changed != raw
    assert refusal(changed, moment).code == "SignatureDoesNotMatch"


def test_a_date_moved_within_the_allowed_skew_is_still_refused() -> None:
    raw, moment = signed_by_botocore()
    other = moment + timedelta(seconds=1 if moment.second < 59 else -1)
    assert refusal(with_fields(raw, ("x-amz-date", render_timestamp(other))), moment).code == "SignatureDoesNotMatch"


def test_the_secret_decides() -> None:
    raw, moment = signed_by_botocore()
    impostor = replace(ALICE, credential=replace(ALICE.credential, secret_access_key=SecretStr("wrong")))
    assert refusal(raw, moment, identities={ACCESS_KEY: impostor}).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    "raw_key", ["a+b", "a(b)!c*d'e", "a,b:c=d@e", "a&b$c;d", "%e4%b8%ad", "%41", "a//b", "..%2f.."]
)
def test_a_path_sent_otherwise_than_it_was_signed_names_the_same_key_and_is_verified(raw_key: str) -> None:
    """Clients send characters such as ``+`` raw and sign them encoded."""
    raw, moment = signed_by_botocore(target=canonical_path(f"/bucket/{raw_key}"))
    verified = verify(replace(raw, raw_path=f"/bucket/{raw_key}"), moment)
    assert verified.identity is ALICE


def test_an_unsigned_range_is_allowed_on_a_presigned_url() -> None:
    raw, moment = presigned_by_botocore()
    assert verify(with_fields(raw, ("range", "bytes=0-1"), ("user-agent", "curl")), moment).identity is ALICE


@pytest.mark.parametrize("make", [signed_by_botocore, presigned_by_botocore])
@pytest.mark.parametrize(
    ("added", "named"),
    [
        ([("x-amz-server-side-encryption", "AES256")], "x-amz-server-side-encryption"),
        ([("X-Amz-Meta-B", ""), ("x-amz-acl", "public-read")], "x-amz-acl, x-amz-meta-b"),
        ([("x-amz-security-token", "token")], "x-amz-security-token"),
        ([("x-amz-copy-source", "/a/b")], "x-amz-copy-source"),
    ],
)
def test_every_amz_field_must_be_signed(
    make: Callable[..., tuple[RawRequest, datetime]], added: list[tuple[str, str]], named: str
) -> None:
    raw, moment = make("PUT")
    error = refusal(with_fields(raw, *added), moment)
    assert (error.code, error.message) == (
        "AccessDenied",
        "There were headers present in the request which were not signed",
    )
    assert error.details == (("HeadersNotSigned", named),)


@pytest.mark.parametrize("make", [signed_by_botocore, presigned_by_botocore])
def test_host_must_be_signed(make: Callable[..., tuple[RawRequest, datetime]]) -> None:
    raw, moment = make()
    without_host = replace(
        raw,
        raw_query=raw.raw_query.replace("SignedHeaders=host", "SignedHeaders=range"),
        headers=Headers((name, value.replace("host;", "")) for name, value in raw.headers),
    )
    assert refusal(without_host, moment).details == (("HeadersNotSigned", "host"),)


@pytest.mark.parametrize("seconds", [-901, 901, 86400 * 400])
def test_a_clock_that_is_wrong_by_more_than_fifteen_minutes_is_told_so(seconds: int) -> None:
    raw, moment = signed_by_botocore()
    now = moment + timedelta(seconds=seconds)
    error = refusal(raw, now)
    assert error.code == "RequestTimeTooSkewed"
    assert error.details == (
        ("RequestTime", raw.headers.get("x-amz-date")),
        ("ServerTime", now.strftime("%Y-%m-%dT%H:%M:%SZ")),
        ("MaxAllowedSkewMilliseconds", "900000"),
    )


@pytest.mark.parametrize("seconds", [-900, 900])
def test_a_clock_that_is_wrong_by_fifteen_minutes_is_right_enough(seconds: int) -> None:
    raw, moment = signed_by_botocore()
    assert verify(raw, moment + timedelta(seconds=seconds)).identity is ALICE
    tight = AuthSettings(max_skew_seconds=899)
    assert refusal(raw, moment + timedelta(seconds=seconds), tight).code == "RequestTimeTooSkewed"


def test_the_date_field_counts_where_amz_date_is_missing() -> None:
    request = AWSRequest("GET", f"https://{HOST}/bucket/key", headers={"Date": "soon replaced"})
    S3SigV4Auth(credentials_of(ALICE), "s3", "us-east-1").add_auth(request)
    assert "X-Amz-Date" not in request.headers
    raw = raw_request("GET", "/bucket/key", Headers([("host", HOST), *request.headers.items()]))
    assert verify(raw, datetime.now(UTC)).identity is ALICE
    assert refusal(with_fields(raw, ("date", "garbage")), datetime.now(UTC)).message == (
        "AWS authentication requires a valid Date or x-amz-date header"
    )


def test_an_unknown_access_key_is_named_and_nothing_else_is_told() -> None:
    raw, moment = signed_by_botocore()
    error = refusal(raw, moment, identities={})
    assert (error.code, error.status) == ("InvalidAccessKeyId", 403)
    assert error.details == (("AWSAccessKeyId", ACCESS_KEY),)


def test_a_missing_payload_hash_is_refused() -> None:
    raw, moment = signed_by_botocore()
    error = refusal(replace(raw, headers=raw.headers.without(["x-amz-content-sha256"])), moment)
    assert (error.code, error.message) == (
        "InvalidRequest",
        "Missing required header for this request: x-amz-content-sha256",
    )


@pytest.mark.parametrize(
    ("value", "kind", "chunks_signed"),
    [
        ("UNSIGNED-PAYLOAD", ContentSha256Kind.UNSIGNED, False),
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", ContentSha256Kind.STREAMING_UNSIGNED_TRAILER, False),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", ContentSha256Kind.STREAMING_SIGNED, True),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", ContentSha256Kind.STREAMING_SIGNED_TRAILER, True),
        (EMPTY_SHA256, ContentSha256Kind.LITERAL, False),
    ],
)
def test_every_form_of_payload_hash_is_taken(value: str, kind: ContentSha256Kind, chunks_signed: bool) -> None:
    class Signer(S3SigV4Auth):
        def payload(self, request: object) -> str:
            return value

    request = AWSRequest("PUT", f"https://{HOST}/bucket/key")
    Signer(credentials_of(ALICE), "s3", "us-east-1").add_auth(request)
    raw = raw_request("PUT", "/bucket/key", Headers([("host", HOST), *request.headers.items()]))
    verified = verify(raw, datetime.now(UTC))
    assert verified.content_sha256.kind is kind
    assert (verified.chunk_signer is not None) is chunks_signed


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "NotImplemented"),
        ("garbage", "InvalidArgument"),
        ("", "InvalidArgument"),
    ],
)
def test_a_payload_hash_of_another_form_is_refused(value: str, code: str) -> None:
    raw, moment = signed_by_botocore()
    assert refusal(with_fields(raw, ("x-amz-content-sha256", value)), moment).code == code


def test_a_repeated_payload_hash_is_refused() -> None:
    raw, moment = signed_by_botocore()
    twice = replace(raw, headers=Headers([*raw.headers, ("x-amz-content-sha256", "UNSIGNED-PAYLOAD")]))
    assert refusal(twice, moment).code == "InvalidArgument"


@pytest.mark.parametrize("make", [signed_by_botocore, presigned_by_botocore])
@pytest.mark.parametrize(
    ("signer", "expected"),
    [(BOB, None), (BOB, SecretStr("another")), (ALICE, SecretStr("any"))],
    ids=["unexpected", "wrong", "missing"],
)
def test_session_tokens_must_be_the_identitys_own(
    make: Callable[..., tuple[RawRequest, datetime]], signer: Identity, expected: SecretStr | None
) -> None:
    raw, moment = make(identity=signer)
    known = replace(signer, credential=replace(signer.credential, session_token=expected))
    error = refusal(raw, moment, identities={known.credential.access_key_id: known})
    assert (error.code, error.message) == ("InvalidToken", "The provided token is malformed or otherwise invalid.")
    assert error.details == ()


def test_a_wrong_signature_shows_what_was_signed_here() -> None:
    raw, moment = signed_by_botocore()
    error = refusal(with_fields(raw, ("x-amz-content-sha256", "UNSIGNED-PAYLOAD")), moment)
    details = dict(error.details)
    assert list(details) == [
        "AWSAccessKeyId",
        "StringToSign",
        "SignatureProvided",
        "StringToSignBytes",
        "CanonicalRequest",
        "CanonicalRequestBytes",
    ]
    assert details["AWSAccessKeyId"] == ACCESS_KEY
    assert details["SignatureProvided"] == (raw.headers.get("authorization") or "")[-64:]
    assert details["CanonicalRequest"].startswith(f"GET\n/bucket/key\n\nhost:{HOST}\n")
    assert details["CanonicalRequest"].endswith("\nUNSIGNED-PAYLOAD")
    for name in ("StringToSign", "CanonicalRequest"):
        assert bytes.fromhex(details[f"{name}Bytes"]).decode() == details[name]


CUSTOMER_KEY = "c2VjcmV0LWN1c3RvbWVyLWtleS0zMi1ieXRlcy1sb25nISE="


@pytest.mark.parametrize("make", [signed_by_botocore, presigned_by_botocore])
@pytest.mark.parametrize(
    ("target", "fields", "identity", "secret"),
    [
        ("/bucket/key", {"X-Amz-Server-Side-Encryption-Customer-Key": CUSTOMER_KEY}, ALICE, CUSTOMER_KEY),
        (
            "/bucket/key",
            {"x-amz-copy-source-server-side-encryption-customer-key": CUSTOMER_KEY},
            ALICE,
            CUSTOMER_KEY,
        ),
        (
            f"/bucket/key?X-Amz-Server-Side-Encryption-Customer-Key={quote(CUSTOMER_KEY)}",
            {},
            ALICE,
            quote(CUSTOMER_KEY, safe=""),
        ),
        (
            f"/bucket/key?x-amz-server-side-encryption-customer%2Dkey={quote(CUSTOMER_KEY)}",
            {},
            ALICE,
            quote(CUSTOMER_KEY, safe=""),
        ),
        ("/bucket/key", {}, BOB, TOKEN),
        ("/bucket/key", {}, BOB, quote(TOKEN, safe="")),
    ],
)
def test_a_wrong_signature_never_shows_a_customer_key_or_a_session_token(
    make: Callable[..., tuple[RawRequest, datetime]],
    target: str,
    fields: dict[str, str],
    identity: Identity,
    secret: str,
) -> None:
    raw, moment = make("PUT", target, fields, identity)
    stranger = replace(identity, credential=replace(identity.credential, secret_access_key=SecretStr("wrong")))
    error = refusal(raw, moment, identities={stranger.credential.access_key_id: stranger})
    assert error.code == "SignatureDoesNotMatch"
    assert [name for name, _ in error.details] == ["AWSAccessKeyId", "SignatureProvided"]
    assert secret not in f"{error!r} {error} {error.details}"


@pytest.mark.parametrize(
    ("target", "fields"),
    [
        (PRESIGNED_EXAMPLE, [("authorization", "AWS4-HMAC-SHA256 Credential=a")]),
        ("/key?Signature=a&AWSAccessKeyId=b&Expires=1", [("authorization", "AWS a:b")]),
        (f"{PRESIGNED_EXAMPLE}&Signature=a", []),
        ("/key", [("authorization", "AWS a:b"), ("authorization", "AWS c:d")]),
    ],
)
def test_only_one_mechanism_is_allowed(target: str, fields: list[tuple[str, str]]) -> None:
    error = refusal(raw_request("GET", target, Headers([*PRESIGNED_HEADERS, *fields])), settings=WITH_SIGV2)
    assert error.code == "InvalidArgument"
    assert error.message.startswith("Only one auth mechanism allowed;")


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "DELETE"])
def test_an_anonymous_request_is_denied(method: str) -> None:
    error = refusal(raw_request(method, "/bucket/key", Headers([("host", HOST)])))
    assert (error.code, error.message, error.details) == ("AccessDenied", "Access Denied", ())


def test_a_form_upload_is_not_authenticated_here() -> None:
    """Its proof is in its body; a signed header field does not stand in for that."""
    form = {"content-type": "multipart/form-data; boundary=x"}
    unsigned = raw_request("POST", "/bucket", Headers([("host", HOST), *form.items()]))
    assert refusal(unsigned).code == "AccessDenied"
    raw, moment = signed_by_botocore("POST", "/bucket", form)
    assert refusal(raw, moment).code == "AccessDenied"


def test_a_cors_preflight_needs_no_proof() -> None:
    headers = Headers([("host", HOST), ("origin", "https://a.example"), ("access-control-request-method", "PUT")])
    verified = verify(raw_request("OPTIONS", "/bucket/key", headers))
    assert verified.identity is None
    assert verified.auth_type == "NONE"


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (
            "AWS4-ECDSA-P256-SHA256 Credential=a/20130524/s3/aws4_request, SignedHeaders=host, Signature=b",
            "NotImplemented",
        ),
        ("AWS a:b", "InvalidRequest"),
        ("Bearer token", "InvalidArgument"),
        ("Basic dXNlcjpwYXNz", "InvalidArgument"),
        ("", "InvalidArgument"),
        ("AWS4-HMAC-SHA256", "AuthorizationHeaderMalformed"),
        ("AWS4-HMAC-SHA512 Credential=a", "InvalidArgument"),
    ],
)
def test_other_schemes_are_refused_without_repeating_them(authorization: str, code: str) -> None:
    error = refusal(raw_request("GET", "/bucket/key", Headers([("host", HOST), ("authorization", authorization)])))
    assert error.code == code
    assert "token" not in f"{error} {error.details}"
    assert "dXNlcjpwYXNz" not in f"{error} {error.details}"


def test_signature_version_2_is_refused_unless_allowed() -> None:
    request = AWSRequest("GET", f"https://{HOST}/bucket/key")
    HmacV1Auth(credentials_of(ALICE)).add_auth(request)
    raw = raw_request("GET", "/bucket/key", Headers([("host", HOST), *request.headers.items()]))
    error = refusal(raw, datetime.now(UTC))
    assert error.code == "InvalidRequest"
    assert error.message == (
        "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
    )
    verified = verify(raw, datetime.now(UTC), WITH_SIGV2)
    assert verified.identity is ALICE
    assert (verified.auth_type, verified.signature_version) == ("REST-HEADER", "AWS")


def test_a_url_presigned_with_version_2_is_refused_unless_allowed() -> None:
    request = AWSRequest("GET", f"https://{HOST}/bucket/key")
    HmacV1QueryAuth(credentials_of(ALICE)).add_auth(request)
    raw = raw_request("GET", str(request.url).removeprefix(f"https://{HOST}"), Headers([("host", HOST)]))
    assert refusal(raw, datetime.now(UTC)).code == "InvalidRequest"
    verified = verify(raw, datetime.now(UTC), WITH_SIGV2)
    assert (verified.auth_type, verified.signature_version) == ("REST-QUERY-STRING", "AWS")


def test_signed_chunks_need_version_4() -> None:
    request = AWSRequest(
        "PUT", f"https://{HOST}/bucket/key", headers={"x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}
    )
    HmacV1Auth(credentials_of(ALICE)).add_auth(request)
    raw = raw_request("PUT", "/bucket/key", Headers([("host", HOST), *request.headers.items()]))
    assert refusal(raw, datetime.now(UTC), WITH_SIGV2).code == "InvalidRequest"


def test_a_form_is_verified_for_its_identity() -> None:
    request = parse_request(raw_request("PUT", "/bucket/key", Headers([("host", HOST)])), ())
    verified = verified_form(request, ALICE, "AWS4-HMAC-SHA256")
    assert (verified.identity, verified.auth_type) == (ALICE, "POST")
    assert verified.content_sha256.kind is ContentSha256Kind.UNSIGNED


def test_a_verified_request_does_not_print_secrets() -> None:
    raw, moment = presigned_by_botocore(identity=BOB)
    text = repr(verify(raw, moment))
    assert text == "VerifiedRequest(GetObject, identity='bob', auth_type='REST-QUERY-STRING')"


AUTHORIZATION_PIECES = st.sampled_from(
    [
        "AWS4-HMAC-SHA256 ", "AWS ", "Credential=", "SignedHeaders=", "Signature=", ",", "/", ";", "host", "a:b",
        f"{ACCESS_KEY}/20130524/us-east-1/s3/aws4_request", "0" * 64, "=", " ", "\udcff", "é",
    ]
)  # fmt: skip
QUERY_PIECES = st.sampled_from(
    [
        "X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Date=20130524T000000Z", "X-Amz-Expires=60", "X-Amz-Signature=00",
        f"X-Amz-Credential={ACCESS_KEY}/20130524/a/s3/aws4_request", "X-Amz-SignedHeaders=host", "X-Amz-Expires=%FF",
        "AWSAccessKeyId=a", "Expires=99999999999", "Signature=%FF", "X-Amz-Security-Token=t", "X-Amz-Date=99999999T",
        "X-Amz-SignedHeaders=%FF;;", "X-Amz-Content-Sha256=x", "AWSAccessKeyId=" + ACCESS_KEY,
    ]
)  # fmt: skip
GARBAGE_TEXT = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=()), max_size=12)


@given(
    authorization=st.none() | st.lists(AUTHORIZATION_PIECES | GARBAGE_TEXT, max_size=10).map("".join),
    query=st.lists(QUERY_PIECES, max_size=8).map("&".join),
    date=st.none() | st.sampled_from(["20130524T000000Z", "Fri, 24 May 2013 00:00:00 GMT", "Mon, 1"]) | GARBAGE_TEXT,
    payload_hash=st.none() | st.sampled_from([EMPTY_SHA256, "UNSIGNED-PAYLOAD"]) | GARBAGE_TEXT,
    settings=st.sampled_from([STRICT, WITH_SIGV2]),
)
def test_garbage_is_refused_with_an_s3_error(
    authorization: str | None, query: str, date: str | None, payload_hash: str | None, settings: AuthSettings
) -> None:
    fields = [("host", HOST)]
    fields += [("authorization", authorization)] if authorization is not None else []
    fields += [("x-amz-date", date)] if date is not None else []
    fields += [("x-amz-content-sha256", payload_hash)] if payload_hash is not None else []
    raw = raw_request("GET", "/bucket/key", Headers(fields))
    request = replace(parse_request(raw, ()), raw=replace(raw, raw_query=query), query=Query.parse(query))
    with pytest.raises(S3Error) as caught:
        authenticate(request, IDENTITIES, NOW, settings)
    assert "".join((caught.value.message, *(value for _, value in caught.value.details))).encode()
