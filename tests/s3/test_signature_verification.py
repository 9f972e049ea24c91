"""Verification of one claim: which fields must be signed, which texts are tried, and the work done for strangers."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.errors import S3Error
from gateway.redact import SecretStr
from gateway.s3 import sigv4
from gateway.s3.credential_scope import CredentialScope
from gateway.s3.credentials import Credential, Identity
from gateway.s3.headers import Headers
from gateway.s3.request import RawRequest
from gateway.s3.signature_verification import SignatureClaim, check_session_token, parse_signed_headers, verify_claim

NOW = datetime(2013, 5, 24, tzinfo=UTC)
SECRET = SecretStr("secret")
ALICE = Identity("alice", Credential("AKID", SECRET))
SCOPE = CredentialScope("AKID", "20130524", "us-east-1")
RAW = RawRequest("GET", "/b/k", "", Headers([("host", "h"), ("range", "r")]), "https", "192.0.2.1", "0" * 16)
KEY = sigv4.signing_key(SECRET, "20130524", "us-east-1", "s3")


def claim_for(raw: RawRequest, path: str | None = None, signed: tuple[str, ...] = ("host",)) -> SignatureClaim:
    canonical = sigv4.canonical_request(
        raw.method, path or raw.raw_path, sigv4.canonical_query(raw.raw_query), raw.headers, signed, "UNSIGNED-PAYLOAD"
    )
    signature = sigv4.sign(KEY, sigv4.string_to_sign("20130524T000000Z", SCOPE.render(), canonical))
    return SignatureClaim(SCOPE, "20130524T000000Z", NOW, signed, signature, "UNSIGNED-PAYLOAD", None)


def refusal(raw: RawRequest, claim: SignatureClaim) -> S3Error:
    with pytest.raises(S3Error) as caught:
        verify_claim(raw, claim, {"AKID": ALICE})
    return caught.value


def test_a_right_signature_gives_its_identity_and_the_signing_key() -> None:
    identity, key = verify_claim(RAW, claim_for(RAW), {"AKID": ALICE})
    assert identity == ALICE
    assert key.reveal() == KEY.reveal()


@pytest.mark.parametrize(
    ("sent", "signed", "right"),
    [
        ("/b/k", "/b/k", True),
        ("/b/a+b", "/b/a+b", True),
        ("/b/a+b", "/b/a%2Bb", True),
        ("/b/%c3%bc", "/b/%C3%BC", True),
        ("/b/a%2Fb", "/b/a/b", False),
        ("/b/a/b", "/b/a%2Fb", False),
        ("/b/a//b", "/b/a/b", False),
        ("/b/./a", "/b/a", False),
        ("/b/a%252Fb", "/b/a%2Fb", False),
        ("/b/a%20b", "/b/a+b", False),
    ],
)
def test_a_path_may_be_signed_as_sent_or_encoded_and_in_no_other_way(sent: str, signed: str, right: bool) -> None:
    raw = replace(RAW, raw_path=sent)
    if right:
        assert verify_claim(raw, claim_for(raw, signed), {"AKID": ALICE})[0] is ALICE
    else:
        assert refusal(raw, claim_for(raw, signed)).code == "SignatureDoesNotMatch"


def test_a_signed_field_must_be_there_even_when_it_was_signed_empty() -> None:
    absent = claim_for(RAW, signed=("host", "x-amz-meta-a"))
    assert refusal(RAW, absent).code == "SignatureDoesNotMatch"
    empty = replace(RAW, headers=Headers([*RAW.headers, ("x-amz-meta-a", "")]))
    assert verify_claim(empty, absent, {"AKID": ALICE})[0] is ALICE


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("host", ("host",)),
        ("X-Amz-Date;host", ("host", "x-amz-date")),
        ("", ("",)),
        ("host;;", ("", "", "host")),
    ],
)
def test_signed_names_are_put_in_order(value: str, names: tuple[str, ...]) -> None:
    assert parse_signed_headers(value) == names


@pytest.mark.parametrize(
    ("expected", "given", "right"),
    [
        (None, None, True),
        ("token", "token", True),
        ("token", "other", False),
        ("token", "", False),
        ("token", None, False),
        (None, "token", False),
        (None, "", False),
        ("tokén", "tok\udcc3n", False),
    ],
)
def test_session_tokens(expected: str | None, given: str | None, right: bool) -> None:
    token = None if expected is None else SecretStr(expected)
    identity = replace(ALICE, credential=replace(ALICE.credential, session_token=token))
    presented = None if given is None else SecretStr(given)
    if right:
        check_session_token(identity, presented)
        return
    with pytest.raises(S3Error, match="InvalidToken"):
        check_session_token(identity, presented)


def test_the_empty_secret_of_nobody_lets_nobody_in() -> None:
    """An unknown access key is verified against an empty secret; even a right signature with it is refused."""
    key = sigv4.signing_key(SecretStr(""), "20130524", "us-east-1", "s3")
    canonical = sigv4.canonical_request("GET", "/b/k", "", RAW.headers, ("host",), "UNSIGNED-PAYLOAD")
    signature = sigv4.sign(key, sigv4.string_to_sign("20130524T000000Z", SCOPE.render(), canonical))
    with pytest.raises(S3Error, match="InvalidAccessKeyId"):
        verify_claim(RAW, replace(claim_for(RAW), signature=signature), {})
