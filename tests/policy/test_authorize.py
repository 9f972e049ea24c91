"""Who decides the encryption of an object: the client, the rule, or the rule over the client."""

import base64
import hashlib
from datetime import UTC, datetime

import pytest

from gateway.errors import S3Error
from gateway.policy.authorize import AuthorizedRequest, EncryptionSource, authorize
from gateway.policy.rules import EncryptionRule, ModeName
from gateway.redact import SecretStr
from gateway.s3.authenticate import AuthSettings, authenticate
from gateway.s3.credentials import Credential, Identity
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.parse import parse_request
from gateway.s3.request import RawRequest
from gateway.s3.sigv4 import sign_headers

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CREDENTIAL = Credential("SEALGATETESTCLIENT01", SecretStr("a test's secret"))
IDENTITIES = {CREDENTIAL.access_key_id: Identity("tester", CREDENTIAL)}
SSE = "x-amz-server-side-encryption"
KEY = b"0123456789abcdef0123456789abcdef"
CUSTOMER_KEY = (
    (f"{SSE}-customer-algorithm", "AES256"),
    (f"{SSE}-customer-key", base64.b64encode(KEY).decode()),
    (f"{SSE}-customer-key-md5", base64.b64encode(hashlib.md5(KEY, usedforsecurity=False).digest()).decode()),
)
SOURCE_KEY = tuple((name.replace("x-amz-", "x-amz-copy-source-"), value) for name, value in CUSTOMER_KEY)


def rule(mode: ModeName, *, enforce: bool = False, buckets: tuple[str, ...] = ("*",)) -> EncryptionRule:
    kms = mode in (ModeName.SSE_KMS, ModeName.DSSE_KMS)
    return EncryptionRule(
        name=f"{mode} rule",
        buckets=buckets,
        prefixes=(),
        mode=mode,
        enforce=enforce,
        kms_key_arn="arn:aws:kms:eu-central-1:111122223333:key/k" if kms else None,
        customer_key="k" if mode is ModeName.SSE_C else None,
    )


def authorized(
    rules: list[EncryptionRule],
    *fields: tuple[str, str],
    method: str = "PUT",
    target: str = "/bucket/key",
    scheme: str = "https",
    refused: frozenset[Operation] = frozenset(),
) -> AuthorizedRequest:
    path, _, query = target.partition("?")
    unsigned = Headers((("host", "gateway.example"), *fields))
    signed = sign_headers(method, path, query, unsigned, CREDENTIAL, "eu-central-1", "s3", NOW, "UNSIGNED-PAYLOAD")
    raw = RawRequest(method, path, query, signed, scheme, "192.0.2.1", "id")
    return authorize(authenticate(parse_request(raw, ()), IDENTITIES, NOW, AuthSettings()), rules, refused)


DECISIONS = [
    # the rule's mode, enforced, what the client asks for, the object's mode, who chose it
    (ModeName.NONE, False, (), ModeName.NONE, EncryptionSource.NONE),
    (ModeName.NONE, False, ((SSE, "AES256"),), ModeName.SSE_S3, EncryptionSource.CLIENT),
    (ModeName.SSE_S3, False, (), ModeName.SSE_S3, EncryptionSource.INJECTED),
    (ModeName.SSE_KMS, False, (), ModeName.SSE_KMS, EncryptionSource.INJECTED),
    (ModeName.SSE_KMS, False, ((SSE, "AES256"),), ModeName.SSE_S3, EncryptionSource.CLIENT),
    (ModeName.SSE_KMS, True, ((SSE, "AES256"),), ModeName.SSE_KMS, EncryptionSource.OVERRIDDEN),
    (ModeName.SSE_KMS, True, (), ModeName.SSE_KMS, EncryptionSource.INJECTED),
    (ModeName.SSE_KMS, False, CUSTOMER_KEY, ModeName.SSE_C, EncryptionSource.CLIENT),
    (ModeName.SSE_S3, True, CUSTOMER_KEY, ModeName.SSE_S3, EncryptionSource.OVERRIDDEN),
    (ModeName.SSE_C, True, ((SSE, "aws:kms"),), ModeName.SSE_C, EncryptionSource.OVERRIDDEN),
    (ModeName.DSSE_KMS, False, ((SSE, "aws:kms:dsse"),), ModeName.DSSE_KMS, EncryptionSource.CLIENT),
]


@pytest.mark.parametrize(("mode", "enforce", "fields", "decided", "source"), DECISIONS)
def test_decisions(
    mode: ModeName, enforce: bool, fields: tuple[tuple[str, str], ...], decided: ModeName, source: EncryptionSource
) -> None:
    """A client's own encryption is kept unless the rule enforces its own; without one the rule decides."""
    found = authorized([rule(mode, enforce=enforce)], *fields)
    assert (found.mode, found.source) == (decided, source)


def test_the_first_rule_that_fits_decides() -> None:
    """Rules are tried in order."""
    rules = [
        rule(ModeName.SSE_C, buckets=("other",)),
        rule(ModeName.SSE_KMS, buckets=("buck*",)),
        rule(ModeName.SSE_S3),
    ]
    assert authorized(rules).mode is ModeName.SSE_KMS


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/bucket/key"),
        ("DELETE", "/bucket/key"),
        ("PUT", "/bucket"),
        ("PUT", "/bucket/key?partNumber=1&uploadId=u"),
    ],
)
def test_other_operations_have_no_encryption_to_decide(method: str, target: str) -> None:
    """Only what creates an object is given an encryption; a part has its upload's."""
    found = authorized([rule(ModeName.SSE_S3)], method=method, target=target)
    assert (found.mode, found.source) == (ModeName.NONE, EncryptionSource.NONE)


@pytest.mark.parametrize(
    ("target", "fields"),
    [("/bucket/key?uploads", ()), ("/bucket/key", (("x-amz-copy-source", "/from/key"),))],
)
def test_uploads_and_copies_create_objects(target: str, fields: tuple[tuple[str, str], ...]) -> None:
    """CreateMultipartUpload and CopyObject get the rule's encryption."""
    method = "POST" if "uploads" in target else "PUT"
    assert authorized([rule(ModeName.SSE_S3)], *fields, method=method, target=target).mode is ModeName.SSE_S3


def test_an_object_without_a_rule_is_not_written() -> None:
    """Where no rule fits, the gateway does not guess."""
    with pytest.raises(S3Error) as refused:
        authorized([rule(ModeName.SSE_S3, buckets=("other",))])
    assert refused.value.code == "AccessDenied"


@pytest.mark.parametrize("fields", [CUSTOMER_KEY, (("x-amz-copy-source", "/from/key"), *SOURCE_KEY)])
def test_a_customer_key_without_tls_is_refused(fields: tuple[tuple[str, str], ...]) -> None:
    """Also on a listener that may serve plain HTTP, a key is not taken over it."""
    assert authorized([rule(ModeName.SSE_S3)], *fields).request is not None
    with pytest.raises(S3Error) as refused:
        authorized([rule(ModeName.SSE_S3)], *fields, scheme="http")
    assert refused.value.code == "InvalidRequest"
    assert "secure connection" in refused.value.message
    assert authorized([rule(ModeName.SSE_S3)], scheme="http").mode is ModeName.SSE_S3


def test_an_enforced_encryption_is_not_changed_afterwards() -> None:
    """UpdateObjectEncryption would go around a rule that enforces its encryption."""
    target = "/bucket/key?encryption"
    assert authorized([rule(ModeName.SSE_KMS)], target=target).mode is ModeName.NONE
    with pytest.raises(S3Error) as refused:
        authorized([rule(ModeName.SSE_KMS, enforce=True)], target=target)
    assert refused.value.code == "AccessDenied"


def test_an_operation_that_the_upstream_mistakes_is_refused() -> None:
    """What a server takes for something else never reaches it."""
    raw_target = "/bucket?encryption"
    assert authorized([rule(ModeName.SSE_S3)], method="DELETE", target=raw_target).rule is None
    with pytest.raises(S3Error) as refused:
        authorized(
            [rule(ModeName.SSE_S3)],
            method="DELETE",
            target=raw_target,
            refused=frozenset({Operation.DELETE_BUCKET_ENCRYPTION}),
        )
    assert (refused.value.code, refused.value.status) == ("NotImplemented", 501)
