"""What each mode sends, and what counts as proof that S3 did it."""

import json
from base64 import b64decode

import pytest

from gateway.modes.mode import Subject
from gateway.modes.registry import MODES, mode_shown_by
from gateway.policy.rules import EncryptionRule, ModeName
from gateway.redact import SecretBytes
from gateway.s3.headers import Headers

ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
SSE = "x-amz-server-side-encryption"
KEY_ID = f"{SSE}-aws-kms-key-id"
CONTEXT = f"{SSE}-context"
BUCKET_KEY = f"{SSE}-bucket-key-enabled"
C_ALGORITHM = f"{SSE}-customer-algorithm"
C_KEY = f"{SSE}-customer-key"
C_MD5 = f"{SSE}-customer-key-md5"
# The key and its MD5 are those that botocore sends for b"a" * 32.
CUSTOMER_KEY = SecretBytes(b"a" * 32)
CUSTOMER_KEY_MD5 = "Xsqb0+sHwAbNQ65I395/0w=="


def rule(mode: ModeName, **options: object) -> EncryptionRule:
    return EncryptionRule(name="r", buckets=("*",), prefixes=(), mode=mode, **options)  # type: ignore[arg-type] # test table


def sent(mode: ModeName, **options: object) -> dict[str, str]:
    subject = Subject("orders", "2026/ä {identity}.csv", "billing", CUSTOMER_KEY)
    return dict(MODES[mode].request_headers(rule(mode, **options), subject))


def test_none_sends_nothing() -> None:
    """Mode none leaves the request as it was."""
    assert sent(ModeName.NONE) == {}


def test_sse_s3_sends_one_field() -> None:
    """SSE-S3 is asked for with one field."""
    assert sent(ModeName.SSE_S3) == {SSE: "AES256"}


@pytest.mark.parametrize(("bucket_key", "value"), [(True, "true"), (False, "false"), (None, None)])
def test_sse_kms_sends_arn_context_and_bucket_key(bucket_key: bool | None, value: str | None) -> None:
    """SSE-KMS always names the full key ARN; the context is base64 of JSON, filled in for the object."""
    context = (("app", "{identity}"), ("object", "{bucket}/{object_key}"))
    headers = sent(ModeName.SSE_KMS, kms_key_arn=ARN, bucket_key=bucket_key, encryption_context=context)
    assert headers[SSE] == "aws:kms"
    assert headers[KEY_ID] == ARN
    assert headers.get(BUCKET_KEY) == value
    assert json.loads(b64decode(headers[CONTEXT])) == {"app": "billing", "object": "orders/2026/ä {identity}.csv"}


def test_dsse_never_sends_a_bucket_key() -> None:
    """DSSE-KMS has no bucket keys, so the flag is not sent even if a rule carried it."""
    headers = sent(ModeName.DSSE_KMS, kms_key_arn=ARN, bucket_key=True)
    assert headers == {SSE: "aws:kms:dsse", KEY_ID: ARN}


def test_sse_c_sends_the_three_fields() -> None:
    """SSE-C carries algorithm, key and the key's MD5."""
    assert sent(ModeName.SSE_C) == {
        C_ALGORITHM: "AES256",
        C_KEY: "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=",
        C_MD5: CUSTOMER_KEY_MD5,
    }


PROOFS = [
    (ModeName.NONE, {}, {}, True),
    (ModeName.SSE_S3, {}, {SSE: "AES256"}, True),
    (ModeName.SSE_S3, {}, {}, False),
    (ModeName.SSE_S3, {}, {SSE: "aws:kms"}, False),
    (ModeName.SSE_KMS, {KEY_ID: ARN}, {SSE: "aws:kms", KEY_ID: ARN}, True),
    (ModeName.SSE_KMS, {KEY_ID: ARN}, {SSE: "aws:kms"}, False),
    (ModeName.SSE_KMS, {KEY_ID: ARN}, {SSE: "aws:kms", KEY_ID: ARN.replace("1234abcd", "99999999")}, False),
    (ModeName.SSE_KMS, {KEY_ID: ARN}, {SSE: "AES256"}, False),
    (ModeName.SSE_KMS, {KEY_ID: "lab"}, {SSE: "aws:kms", KEY_ID: "arn:aws:kms:lab"}, True),
    (ModeName.SSE_KMS, {KEY_ID: "alias/orders"}, {SSE: "aws:kms", KEY_ID: ARN}, True),
    (ModeName.SSE_KMS, {}, {SSE: "aws:kms", KEY_ID: ARN}, True),
    (ModeName.DSSE_KMS, {KEY_ID: ARN}, {SSE: "aws:kms:dsse", KEY_ID: ARN}, True),
    (ModeName.DSSE_KMS, {KEY_ID: ARN}, {SSE: "aws:kms", KEY_ID: ARN}, False),
    (ModeName.SSE_C, {C_MD5: CUSTOMER_KEY_MD5}, {C_ALGORITHM: "AES256", C_MD5: CUSTOMER_KEY_MD5}, True),
    (ModeName.SSE_C, {C_MD5: CUSTOMER_KEY_MD5}, {C_ALGORITHM: "AES256"}, False),
    (ModeName.SSE_C, {C_MD5: CUSTOMER_KEY_MD5}, {C_ALGORITHM: "AES256", C_MD5: "DWygnHRtgiJ77HCm+1rvHw=="}, False),
    (ModeName.SSE_C, {}, {C_ALGORITHM: "AES256"}, False),
]


@pytest.mark.parametrize(("mode", "requested", "answered", "proven"), PROOFS)
def test_proof(mode: ModeName, requested: dict[str, str], answered: dict[str, str], proven: bool) -> None:
    """Only an answer that names the very encryption asked for is a proof."""
    assert MODES[mode].proven_by(Headers(requested.items()), Headers(answered.items())) is proven


def test_every_repeated_key_md5_has_to_be_right() -> None:
    """A server that echoes the key's MD5 twice has to echo the right one twice."""
    requested = Headers([(C_MD5, CUSTOMER_KEY_MD5)])
    answered = [(C_ALGORITHM, "AES256"), (C_MD5, CUSTOMER_KEY_MD5)]
    assert MODES[ModeName.SSE_C].proven_by(requested, Headers([*answered, (C_MD5, CUSTOMER_KEY_MD5)]))
    assert not MODES[ModeName.SSE_C].proven_by(requested, Headers([*answered, (C_MD5, "DWygnHRtgiJ77HCm+1rvHw==")]))


@pytest.mark.parametrize(
    ("answered", "mode"),
    [
        ({}, ModeName.NONE),
        ({SSE: "AES256"}, ModeName.SSE_S3),
        ({SSE: "aws:kms"}, ModeName.SSE_KMS),
        ({SSE: "aws:kms:dsse"}, ModeName.DSSE_KMS),
        ({C_ALGORITHM: "AES256"}, ModeName.SSE_C),
        ({SSE: "something new"}, ModeName.NONE),
    ],
)
def test_mode_shown(answered: dict[str, str], mode: ModeName) -> None:
    """Reads learn the mode from the answer alone."""
    assert mode_shown_by(Headers(answered.items())) is mode
