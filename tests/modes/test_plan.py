"""What goes upstream, and what the answer has to prove."""

from datetime import UTC, datetime

import pytest

from gateway.modes.plan import Plan, plan
from gateway.policy.authorize import authorize
from gateway.policy.rules import EncryptionRule, ModeName
from gateway.redact import SecretStr
from gateway.s3.authenticate import AuthSettings, authenticate
from gateway.s3.credentials import Credential, Identity
from gateway.s3.headers import Headers
from gateway.s3.parse import parse_request
from gateway.s3.query import Query
from gateway.s3.request import RawRequest
from gateway.s3.sigv4 import sign_headers

_NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
_CREDENTIAL = Credential("SEALGATETEST00000001", SecretStr("a secret of tests"))
_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
_SSE = "x-amz-server-side-encryption"


def _plan(encryption: Headers, *, query: Query | None = None, mode: ModeName = ModeName.SSE_S3) -> Plan:
    fields = Headers((("host", "gateway.example"), ("x-amz-meta-a", "1"), (_SSE, "aws:kms")))
    signed = sign_headers("PUT", "/bucket/k", "x-id=PutObject", fields, _CREDENTIAL, "us-east-1", "s3", _NOW, _SHA256)
    raw = RawRequest("PUT", "/bucket/k", "x-id=PutObject", signed, "https", "127.0.0.1", "0123456789ABCDEF")
    identities = {_CREDENTIAL.access_key_id: Identity("tester", _CREDENTIAL)}
    verified = authenticate(parse_request(raw, ()), identities, _NOW, AuthSettings())
    return plan(authorize(verified, (EncryptionRule("rule", ("*",), (), mode, enforce=True),)), encryption, query)


def test_only_the_encryption_that_was_decided_is_sent() -> None:
    assert _plan(Headers(((_SSE, "AES256"),))).headers == Headers((("x-amz-meta-a", "1"), (_SSE, "AES256")))
    assert _plan(Headers()).headers == Headers((("x-amz-meta-a", "1"),))


def test_the_query_is_the_clients_unless_it_is_replaced() -> None:
    assert _plan(Headers()).query.render() == "x-id=PutObject"
    assert _plan(Headers(), query=Query.parse("uploadId=other")).query.render() == "uploadId=other"


@pytest.mark.parametrize(
    ("mode", "shown", "proven"),
    [
        (ModeName.SSE_S3, "AES256", True),
        (ModeName.SSE_S3, "aws:kms", False),
        (ModeName.SSE_S3, None, False),
        (ModeName.NONE, None, True),
    ],
)
def test_a_plan_knows_what_proves_it(mode: ModeName, shown: str | None, proven: bool) -> None:
    answered = Headers() if shown is None else Headers(((_SSE, shown),))
    assert _plan(Headers(((_SSE, "AES256"),)), mode=mode).proven_by(answered) == proven


def test_added_fields_replace_their_like_and_nothing_is_a_copy_of_nothing() -> None:
    made = _plan(Headers())
    assert made.adding(Headers((("x-amz-meta-a", "2"),))).headers == Headers((("x-amz-meta-a", "2"),))
    assert made.adding(Headers()) is made
