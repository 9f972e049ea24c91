"""What a policy may know about a request: the values of condition keys, as the request was received."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import S3Error
from gateway.policy.iam.condition_keys import _HEADER_OF_KEY, _READERS, is_supplied
from gateway.policy.iam.request_facts import RequestFacts, identity_arn
from gateway.redact import SecretStr
from gateway.s3.asked_encryption import NOTHING_ASKED, AskedEncryption
from gateway.s3.authenticate import AuthType, VerifiedRequest
from gateway.s3.content_sha256 import UNSIGNED, ContentSha256, parse_content_sha256
from gateway.s3.credentials import Credential, Identity
from gateway.s3.headers import Headers
from gateway.s3.parse import parse_request
from gateway.s3.query import encode_value
from gateway.s3.request import RawRequest

_NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
_IDENTITY = Identity("billing", Credential("SEALGATETEST00000001", SecretStr("a secret of tests")))
_ACCOUNT = "111122223333"
_ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
_SSE = "x-amz-server-side-encryption"
_KEY_ID = f"{_SSE}-aws-kms-key-id"
_ALGORITHM = f"{_SSE}-customer-algorithm"
_PUT = ("PUT", "/bucket/key")
_LIST = ("GET", "/bucket")
_COPY = {"x-amz-copy-source": "/other/a%20key?versionId=v1"}
_REMAINING = "s3:object-lock-remaining-retention-days"
_DIGEST = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

Fields = dict[str, str] | list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Hop:
    """How the request came."""

    scheme: str = "https"
    client_address: str = "192.0.2.7"
    tls_version: str | None = "TLSv1.3"
    identity: Identity | None = _IDENTITY
    auth_type: AuthType = "REST-HEADER"
    signature_version: str = "AWS4-HMAC-SHA256"
    content_sha256: ContentSha256 = UNSIGNED
    signed_at: datetime | None = _NOW
    asked: AskedEncryption = NOTHING_ASKED
    principal: str = "arn:aws:iam::111122223333:user/billing"


_PLAIN_HOP = _Hop()


def _facts(method: str, target: str, headers: Fields | None = None, hop: _Hop = _PLAIN_HOP) -> RequestFacts:
    path, _, query = target.partition("?")
    fields = headers.items() if isinstance(headers, dict) else headers or ()
    raw = RawRequest(method, path, query, Headers((("host", "h"), *fields)), hop.scheme, hop.client_address, "0" * 16)
    verified = VerifiedRequest(
        parse_request(raw, ()),
        hop.identity,
        hop.auth_type,
        hop.signature_version,
        hop.content_sha256,
        None,
        hop.signed_at,
    )
    return RequestFacts(verified, now=_NOW, tls_version=hop.tls_version, principal=hop.principal, asked=hop.asked)


_HEADER_KEYS = [
    (f"s3:{_SSE}", _SSE, "aws:kms"),
    (f"s3:{_KEY_ID}", _KEY_ID, _ARN),
    (f"s3:{_ALGORITHM}", _ALGORITHM, "AES256"),
    ("s3:x-amz-acl", "x-amz-acl", "bucket-owner-full-control"),
    ("s3:x-amz-grant-read", "x-amz-grant-read", 'id="1", id="2"'),
    ("s3:x-amz-grant-write", "x-amz-grant-write", "id=1"),
    ("s3:x-amz-grant-read-acp", "x-amz-grant-read-acp", "id=1"),
    ("s3:x-amz-grant-write-acp", "x-amz-grant-write-acp", "id=1"),
    ("s3:x-amz-grant-full-control", "x-amz-grant-full-control", "id=1"),
    ("s3:x-amz-metadata-directive", "x-amz-metadata-directive", "REPLACE"),
    ("s3:x-amz-object-ownership", "x-amz-object-ownership", "ObjectWriter"),
    ("s3:x-amz-storage-class", "x-amz-storage-class", "STANDARD_IA"),
    ("s3:x-amz-website-redirect-location", "x-amz-website-redirect-location", "/elsewhere"),
    ("s3:object-lock-mode", "x-amz-object-lock-mode", "COMPLIANCE"),
    ("s3:object-lock-legal-hold", "x-amz-object-lock-legal-hold", "ON"),
    ("s3:object-lock-retain-until-date", "x-amz-object-lock-retain-until-date", "2030-01-01T00:00:00Z"),
]
_HEAD_ONLY_KEYS = [
    ("s3:if-match", "if-match", '"etag"'),
    ("s3:if-none-match", "if-none-match", "*"),
    ("aws:referer", "referer", "https://example.com/page"),
    ("aws:useragent", "user-agent", "curl/8"),
]


@pytest.mark.parametrize(("key", "name", "value"), _HEADER_KEYS + _HEAD_ONLY_KEYS)
def test_a_header_field_is_a_key(key: str, name: str, value: str) -> None:
    """In any case, blanks around the value aside; absent and empty are the same."""
    for sent in (name, name.upper(), name.title()):
        assert _facts(*_PUT, {sent: value}).values(key) == (value,)
    assert _facts(*_PUT, {name: f" {value}\t"}).values(key) == (value,)
    for nothing in ({}, {name: ""}, {name: " "}, {f"{name}-2": value}, {f"{name.replace('-', '_')}_": value}):
        assert _facts(*_PUT, nothing).values(key) is None


@pytest.mark.parametrize(("key", "name", "value"), _HEADER_KEYS)
def test_a_field_in_the_query_of_a_presigned_url_is_the_same_key(key: str, name: str, value: str) -> None:
    target = f"/bucket/key?{name.title()}={encode_value(value)}"
    assert _facts("PUT", target).values(key) == (value,)
    assert _facts("PUT", target, {name: value}).values(key) == (value,)


@pytest.mark.parametrize(("key", "name", "value"), _HEADER_KEYS)
def test_a_field_with_two_values_is_refused(key: str, name: str, value: str) -> None:
    """Whichever of them a policy looked at, the upstream server could take the other."""
    for fields in ([(name, value), (name.upper(), "other")], [(name, ""), (name, value)], [(name, value)] * 2):
        with pytest.raises(S3Error) as refused:
            _facts(*_PUT, fields)
        assert refused.value.code == "InvalidRequest"
    with pytest.raises(S3Error, match="Conflicting values"):
        _facts("PUT", f"/bucket/key?{name}=other", {name: value})
    with pytest.raises(S3Error, match="Conflicting values"):
        _facts("PUT", f"/bucket/key?{name}=one&{name.upper()}=other")


@pytest.mark.parametrize("name", ["x-amz-copy-source", "x-amz-tagging"])
def test_what_keys_are_computed_from_comes_once_too(name: str) -> None:
    with pytest.raises(S3Error, match="must not be repeated"):
        _facts(*_PUT, [(name, "bucket/b"), (name, "bucket/c")])


@pytest.mark.parametrize(("key", "name", "value"), _HEAD_ONLY_KEYS)
def test_lines_of_one_list_are_one_value(key: str, name: str, value: str) -> None:
    assert _facts(*_PUT, [(name, value), (name, "b")]).values(key) == (f"{value}, b",)


@pytest.mark.parametrize(("key", "name", "value"), _HEAD_ONLY_KEYS)
def test_other_fields_do_not_move_into_the_query(key: str, name: str, value: str) -> None:
    assert _facts("PUT", f"/bucket/key?{name}={encode_value(value)}").values(key) is None


_CONTINUATIONS = [
    ("PUT", "/bucket/key?partNumber=1&uploadId=u", {}),
    ("PUT", "/bucket/key?partNumber=1&uploadId=u", {"x-amz-copy-source": "bucket/b"}),
    ("POST", "/bucket/key?uploadId=u", {}),
]


@pytest.mark.parametrize(("method", "target", "headers"), _CONTINUATIONS, ids=["part", "copied part", "completion"])
@pytest.mark.parametrize(
    ("asked", "method_value", "key_value"),
    [
        (NOTHING_ASKED, None, None),
        (AskedEncryption("AES256"), ("AES256",), None),
        (AskedEncryption("aws:kms", _ARN), ("aws:kms",), (_ARN,)),
    ],
)
def test_an_uploads_parts_have_what_it_began_with(
    method: str,
    target: str,
    headers: dict[str, str],
    asked: AskedEncryption,
    method_value: tuple[str, ...] | None,
    key_value: tuple[str, ...] | None,
) -> None:
    """Whatever a part says itself: it can not change the encryption of its upload."""
    for more in ({}, {_SSE: "aws:kms:dsse", _KEY_ID: "another"}):
        facts = _facts(method, target, {**headers, **more}, _Hop(asked=asked))
        assert facts.values(f"s3:{_SSE}") == method_value
        assert facts.values(f"s3:{_KEY_ID}") == key_value


@pytest.mark.parametrize(("method", "target", "headers"), _CONTINUATIONS, ids=["part", "copied part", "completion"])
def test_a_parts_own_customer_key_counts(method: str, target: str, headers: dict[str, str]) -> None:
    """The fields of a customer key go with every request of an upload."""
    assert _facts(method, target, headers).values(f"s3:{_ALGORITHM}") is None
    assert _facts(method, target, {**headers, _ALGORITHM: "AES256"}).values(f"s3:{_ALGORITHM}") == ("AES256",)


@pytest.mark.parametrize("target", ["/bucket/key", "/bucket/key?uploads"])
def test_what_begins_an_upload_or_an_object_has_its_own_fields(target: str) -> None:
    method = "POST" if "uploads" in target else "PUT"
    hop = _Hop(asked=AskedEncryption("aws:kms", _ARN))
    assert _facts(method, target, {_SSE: "AES256"}, hop).values(f"s3:{_SSE}") == ("AES256",)
    assert _facts(method, target, {}, hop).values(f"s3:{_SSE}") is None


_PREFLIGHT = _Hop(identity=None, auth_type="NONE", signature_version="", signed_at=None)
_PRESIGNED = _Hop(auth_type="REST-QUERY-STRING", signed_at=_NOW - timedelta(minutes=10, milliseconds=5))


@pytest.mark.parametrize(
    ("key", "hop", "values"),
    [
        ("aws:securetransport", _Hop(), ("true",)),
        ("aws:securetransport", _Hop(scheme="http"), ("false",)),
        ("s3:tlsversion", _Hop(), ("1.3",)),
        ("s3:tlsversion", _Hop(tls_version="TLSv1.2"), ("1.2",)),
        ("s3:tlsversion", _Hop(tls_version="TLSv1"), ("1.0",)),
        ("s3:tlsversion", _Hop(tls_version="1.2"), ("1.2",)),
        ("s3:tlsversion", _Hop(tls_version="SSLv3"), ("0",)),
        ("s3:tlsversion", _Hop(tls_version=""), ("0",)),
        ("s3:tlsversion", _Hop(tls_version=None), None),
        ("s3:tlsversion", _Hop(scheme="http"), None),
        ("s3:signatureversion", _Hop(), ("AWS4-HMAC-SHA256",)),
        ("s3:signatureversion", _Hop(signature_version="AWS"), ("AWS",)),
        ("s3:signatureversion", _PREFLIGHT, None),
        ("s3:authtype", _Hop(), ("REST-HEADER",)),
        ("s3:authtype", _PRESIGNED, ("REST-QUERY-STRING",)),
        ("s3:authtype", _Hop(auth_type="POST"), ("POST",)),
        ("s3:authtype", _PREFLIGHT, None),
        ("s3:signatureage", _PRESIGNED, ("600005",)),
        ("s3:signatureage", _Hop(), None),
        ("s3:signatureage", replace(_PRESIGNED, signed_at=None), None),
        ("s3:signatureage", replace(_PRESIGNED, signed_at=_NOW + timedelta(minutes=1)), ("0",)),
        ("s3:signatureage", _Hop(auth_type="POST"), None),
        ("s3:x-amz-content-sha256", _Hop(), ("UNSIGNED-PAYLOAD",)),
        ("s3:x-amz-content-sha256", _Hop(content_sha256=parse_content_sha256(_DIGEST.upper())), (_DIGEST,)),
        (
            "s3:x-amz-content-sha256",
            _Hop(content_sha256=parse_content_sha256("STREAMING-UNSIGNED-PAYLOAD-TRAILER")),
            ("STREAMING-UNSIGNED-PAYLOAD-TRAILER",),
        ),
        ("s3:x-amz-content-sha256", _PREFLIGHT, None),
        ("aws:sourceip", _Hop(), ("192.0.2.7",)),
        ("aws:sourceip", _Hop(client_address="2001:db8::1"), ("2001:db8::1",)),
        ("aws:sourceip", _Hop(client_address="unix"), None),
        ("aws:principalarn", _Hop(), ("arn:aws:iam::111122223333:user/billing",)),
        ("aws:principalarn", _PREFLIGHT, None),
        ("aws:principalaccount", _Hop(), (_ACCOUNT,)),
        ("aws:principalaccount", _PREFLIGHT, None),
        ("aws:principaltype", _Hop(), ("User",)),
        ("aws:principaltype", _PREFLIGHT, ("Anonymous",)),
        ("aws:username", _Hop(), ("billing",)),
        ("aws:username", _PREFLIGHT, None),
        ("aws:username", _Hop(principal="arn:aws:iam::111122223333:user/team/a b"), ("a b",)),
        ("aws:username", _Hop(principal="arn:aws:iam::111122223333:role/writer"), None),
        ("aws:principaltype", _Hop(principal="arn:aws:iam::111122223333:role/writer"), ("AssumedRole",)),
        ("aws:principaltype", _Hop(principal="arn:aws:sts::111122223333:assumed-role/w/s"), ("AssumedRole",)),
        ("aws:principaltype", _Hop(principal="arn:aws:sts::111122223333:federated-user/f"), ("FederatedUser",)),
        ("aws:principaltype", _Hop(principal="arn:aws:iam::111122223333:root"), ("Account",)),
        ("aws:principalaccount", _Hop(principal="arn:aws:iam::444455556666:role/writer"), ("444455556666",)),
        ("aws:userid", _Hop(), None),
        ("aws:principalisawsservice", _Hop(), ("false",)),
        ("aws:viaawsservice", _Hop(), ("false",)),
        ("aws:currenttime", _Hop(), ("2026-05-01T12:00:00Z",)),
        ("aws:epochtime", _Hop(), ("1777636800",)),
        ("s3:objectcreationoperation", _Hop(), ("true",)),
        ("s3:existingobjecttag/team", _Hop(), None),
        ("nobody:knows", _Hop(), None),
        ("", _Hop(), None),
    ],
)
def test_what_the_hop_and_the_signature_say(key: str, hop: _Hop, values: tuple[str, ...] | None) -> None:
    facts = _facts(*_PUT, {}, hop)
    assert facts.values(key) == values
    assert facts.values(key) == values


@pytest.mark.parametrize(
    ("method", "target", "headers", "key", "values"),
    [
        (*_LIST, {}, "s3:prefix", None),
        ("GET", "/bucket?prefix=", {}, "s3:prefix", ("",)),
        ("GET", "/bucket?prefix=a%2Fb+c&delimiter=/&max-keys=7", {}, "s3:prefix", ("a/b c",)),
        ("GET", "/bucket?list-type=2&prefix=a&delimiter=/&max-keys=7", {}, "s3:delimiter", ("/",)),
        ("GET", "/bucket?versions&max-keys=7", {}, "s3:max-keys", ("7",)),
        ("GET", "/bucket?uploads&prefix=a", {}, "s3:prefix", None),
        ("GET", "/bucket/key?prefix=a", {}, "s3:prefix", None),
        ("GET", "/bucket/key?versionId=v", {}, "s3:versionid", ("v",)),
        ("GET", "/bucket/key?versionId=", {}, "s3:versionid", None),
        ("GET", "/bucket/key", {}, "s3:versionid", None),
        (*_PUT, _COPY, "s3:versionid", ("v1",)),
        (*_PUT, _COPY, "s3:x-amz-copy-source", ("other/a key",)),
        (*_PUT, {"x-amz-copy-source": "other/a+key"}, "s3:x-amz-copy-source", ("other/a key",)),
        (*_PUT, {"X-Amz-Copy-Source": "other%2Fa%2520key"}, "s3:x-amz-copy-source", ("other/a%20key",)),
        ("PUT", "/bucket/key?x-amz-copy-source=other/k", {}, "s3:x-amz-copy-source", ("other/k",)),
        ("PUT", "/bucket/key?partNumber=1&uploadId=u", _COPY, "s3:x-amz-copy-source", ("other/a key",)),
        (*_PUT, {}, "s3:x-amz-copy-source", None),
        ("GET", "/bucket/key", _COPY, "s3:x-amz-copy-source", None),
        (*_PUT, _COPY, "s3:objectcreationoperation", ("true",)),
        ("POST", "/bucket/key?uploads", {}, "s3:objectcreationoperation", ("false",)),
        ("PUT", "/bucket/key?partNumber=1&uploadId=u", {}, "s3:objectcreationoperation", ("false",)),
        ("PUT", "/bucket/key?partNumber=1&uploadId=u", _COPY, "s3:objectcreationoperation", ("false",)),
        ("POST", "/bucket/key?uploadId=u", {}, "s3:objectcreationoperation", ("true",)),
        ("GET", "/bucket/key", {}, "s3:objectcreationoperation", None),
        (*_PUT, {"x-amz-tagging": "Team=a%26b&x=&y="}, "s3:requestobjecttag/team", ("a&b",)),
        (*_PUT, {"x-amz-tagging": "Team=a%26b&x=&y="}, "aws:requesttag/x", ("",)),
        (*_PUT, {"x-amz-tagging": "Team=a%26b&x=&y="}, "s3:requestobjecttag/y", ("",)),
        (*_PUT, {"x-amz-tagging": "Team=a%26b&x=&y="}, "s3:requestobjecttag/z", None),
        (*_PUT, {"x-amz-tagging": "Team=a%26b&x=&y="}, "s3:requestobjecttagkeys", ("Team", "x", "y")),
        (*_PUT, {"x-amz-tagging": "a=1&b/c=2"}, "s3:requestobjecttag/b/c", ("2",)),
        (*_PUT, {"x-amz-tagging": "a=1"}, "aws:tagkeys", ("a",)),
        ("PUT", "/bucket/key?x-amz-tagging=a%3D1", {}, "aws:tagkeys", ("a",)),
        (*_PUT, {"x-amz-tagging": ""}, "aws:tagkeys", None),
        (*_PUT, {}, "s3:requestobjecttagkeys", None),
        (*_PUT, {"x-amz-object-lock-retain-until-date": "2026-05-11T12:00:00Z"}, _REMAINING, ("10",)),
        (*_PUT, {"x-amz-object-lock-retain-until-date": "2026-05-11T11:59:59Z"}, _REMAINING, ("9",)),
        (*_PUT, {"x-amz-object-lock-retain-until-date": "2026-05-11T14:00:00+02:00"}, _REMAINING, ("10",)),
        (*_PUT, {"x-amz-object-lock-retain-until-date": "2026-05-11T12:00:00"}, _REMAINING, ("10",)),
        (*_PUT, {"x-amz-object-lock-retain-until-date": "2026-04-30"}, _REMAINING, ("-2",)),
        (*_PUT, {}, _REMAINING, None),
    ],
)
def test_what_the_operation_says(
    method: str, target: str, headers: dict[str, str], key: str, values: tuple[str, ...] | None
) -> None:
    assert _facts(method, target, headers).values(key) == values


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({"x-amz-tagging": "a=1&a=2"}, "aws:tagkeys"),
        ({"x-amz-tagging": "a=1&%61=2"}, "s3:requestobjecttag/a"),
        ({"x-amz-tagging": "=1"}, "aws:tagkeys"),
        ({"x-amz-tagging": "a=%"}, "aws:tagkeys"),
        ({"x-amz-tagging": "a=%ff"}, "aws:tagkeys"),
        ({"x-amz-tagging": "&".join(f"{number}=1" for number in range(11))}, "aws:tagkeys"),
        ({"x-amz-tagging": "a=1&A=2"}, "aws:requesttag/a"),
        ({"x-amz-copy-source": "nothing"}, "s3:x-amz-copy-source"),
        ({"x-amz-object-lock-retain-until-date": "soon"}, _REMAINING),
    ],
)
def test_what_can_not_be_understood_refuses_the_request(headers: dict[str, str], key: str) -> None:
    """A policy must not go by one reading of it while the server goes by another."""
    facts = _facts(*_PUT, headers)
    for _ in range(2):
        with pytest.raises(S3Error):
            facts.values(key)


def test_the_principal_is_the_identity() -> None:
    assert _facts(*_PUT).principal == identity_arn(_ACCOUNT, "billing") == "arn:aws:iam::111122223333:user/billing"
    assert _facts("OPTIONS", "/bucket/key", {}, _PREFLIGHT).principal == "*"


def test_what_a_policy_looks_at_is_not_what_a_log_shows() -> None:
    facts = _facts("PUT", "/bucket/key?X-Amz-Tagging=secret%3D1", {"user-agent": "secret"})
    assert repr(facts) == "RequestFacts(VerifiedRequest(PutObject, identity='billing', auth_type='REST-HEADER'))"


@pytest.mark.parametrize("key", [key for key, _, _ in _HEADER_KEYS + _HEAD_ONLY_KEYS] + ["aws:sourceip", _REMAINING])
def test_keys_that_some_request_has_are_known(key: str) -> None:
    assert is_supplied(key)


@pytest.mark.parametrize("key", ["s3:existingobjecttag/a", "aws:resourcetag/a", "aws:userid", "s3:prefixes", "", "s3:"])
def test_keys_that_no_request_has_are_known_too(key: str) -> None:
    assert not is_supplied(key)


@given(
    st.lists(st.tuples(st.sampled_from([name for _, name, _ in _HEADER_KEYS]), st.sampled_from(["", "a", "b", " a"]))),
    st.lists(st.tuples(st.sampled_from([name for _, name, _ in _HEADER_KEYS]), st.sampled_from(["", "a", "b"]))),
)
def test_every_value_that_was_sent_is_seen_or_refused(
    in_head: list[tuple[str, str]], in_query: list[tuple[str, str]]
) -> None:
    """However fields are spread over head and query, none is overlooked."""
    query = "&".join(f"{name}={value}" for name, value in in_query)
    try:
        facts = _facts("PUT", f"/bucket/key?{query}", in_head)
    except S3Error:
        names = [name for name, _ in in_head + in_query]
        assert len(names) > len(set(names))
        return
    for name, value in in_head + in_query:
        key = next(key for key, header, _ in _HEADER_KEYS if header == name)
        assert facts.values(key) == ((value.strip(),) if value.strip() else None)


_ANY_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=30)
_ODD_VALUES = st.sampled_from(
    ["", "a=1&A=2", "%", "b/k?versionId=", "soon", "2030-01-01T00:00:00+25:00", "\udcff", "9999-12-31"]
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*(name for _, name, _ in _HEADER_KEYS), "x-amz-tagging", "x-amz-copy-source"]),
            _ANY_TEXT | _ODD_VALUES,
        ),
        max_size=6,
    ),
    st.sampled_from(["PUT", "GET", "DELETE"]),
    st.none() | _ANY_TEXT,
    st.lists(st.sampled_from(sorted({*_READERS, *_HEADER_OF_KEY})) | _ANY_TEXT, max_size=8),
)
def test_whatever_is_sent_every_key_has_values_or_refuses(
    fields: list[tuple[str, str]], method: str, tls_version: str | None, keys: list[str]
) -> None:
    """Never an error of the program, and never an empty tuple: a key without values is absent."""
    try:
        facts = _facts(method, "/bucket/key", fields, _Hop(tls_version=tls_version))
    except S3Error:
        return
    for key in keys:
        try:
            values = facts.values(key)
        except S3Error:
            continue
        assert values is None or (values and all(isinstance(value, str) for value in values))
