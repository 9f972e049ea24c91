"""May a request happen, and which encryption does its object get."""

from datetime import UTC, datetime

import pytest

from gateway.errors import S3Error
from gateway.policy.authorize import CREATES_OBJECT, AuthorizedRequest, EncryptionSource, authorize
from gateway.policy.rules import EncryptionRule, ModeName
from gateway.redact import SecretStr
from gateway.s3.authenticate import AuthSettings, authenticate
from gateway.s3.credentials import Credential, Identity
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.parse import parse_request
from gateway.s3.request import RawRequest
from gateway.s3.sigv4 import sign_headers

_NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
_CREDENTIAL = Credential("SEALGATETEST00000001", SecretStr("a secret of tests"))
_EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
_SSE = "x-amz-server-side-encryption"
_CUSTOMER = {
    f"{_SSE}-customer-algorithm": "AES256",
    f"{_SSE}-customer-key": "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=",
    f"{_SSE}-customer-key-md5": "Xsqb0+sHwAbNQ65I395/0w==",
}
_KMS = {_SSE: "aws:kms"}


def _authorize(
    method: str, target: str, rules: tuple[EncryptionRule, ...], headers: dict[str, str] | None = None
) -> AuthorizedRequest:
    """Decide on a request that really was signed."""
    path, _, query = target.partition("?")
    fields = Headers((("host", "gateway.example"), *(headers or {}).items()))
    signed = sign_headers(method, path, query, fields, _CREDENTIAL, "us-east-1", "s3", _NOW, _EMPTY_SHA256)
    raw = RawRequest(method, path, query, signed, "https", "127.0.0.1", "0123456789ABCDEF")
    identities = {_CREDENTIAL.access_key_id: Identity("tester", _CREDENTIAL)}
    return authorize(authenticate(parse_request(raw, ()), identities, _NOW, AuthSettings()), rules)


def _rule(mode: ModeName, *, enforce: bool = False, prefixes: tuple[str, ...] = ()) -> EncryptionRule:
    return EncryptionRule(f"{mode}-{prefixes}", ("bucket",), prefixes, mode, enforce)


_S3 = _rule(ModeName.SSE_S3)


@pytest.mark.parametrize("mode", list(ModeName))
@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("PUT", "/bucket/key", {}),
        ("POST", "/bucket/key?uploads", {}),
        ("PUT", "/bucket/key", {"x-amz-copy-source": "bucket/other"}),
    ],
)
def test_a_new_object_gets_its_rules_encryption(
    mode: ModeName, method: str, target: str, headers: dict[str, str]
) -> None:
    decided = _authorize(method, target, (_rule(mode),), headers)
    assert decided.mode is mode
    assert decided.source is (EncryptionSource.NONE if mode is ModeName.NONE else EncryptionSource.INJECTED)


@pytest.mark.parametrize(
    ("asked", "mode"), [({_SSE: "AES256"}, "sse-s3"), (_KMS, "sse-kms"), ({_SSE: "aws:kms:dsse"}, "dsse-kms"),
                        (_CUSTOMER, "sse-c")],
)  # fmt: skip
@pytest.mark.parametrize("rule_mode", [mode for mode in ModeName if mode is not ModeName.CSE])
def test_a_clients_own_encryption_is_kept_unless_the_rule_is_enforced(
    asked: dict[str, str], mode: str, rule_mode: ModeName
) -> None:
    kept = _authorize("PUT", "/bucket/key", (_rule(rule_mode),), asked)
    assert (kept.mode, kept.source) == (ModeName(mode), EncryptionSource.CLIENT)
    replaced = _authorize("PUT", "/bucket/key", (_rule(rule_mode, enforce=True),), asked)
    assert (replaced.mode, replaced.source) == (rule_mode, EncryptionSource.OVERRIDDEN)
    assert replaced.requested.mode == mode


@pytest.mark.parametrize("asked", [{_SSE: "AES256"}, _KMS, _CUSTOMER])
def test_an_encryption_by_s3_does_not_replace_sealing(asked: dict[str, str]) -> None:
    both = _authorize("PUT", "/bucket/key", (_rule(ModeName.CSE),), asked)
    assert (both.mode, both.source) == (ModeName.CSE, EncryptionSource.INJECTED)
    sealed_only = _authorize("PUT", "/bucket/key", (_rule(ModeName.CSE, enforce=True),), asked)
    assert (sealed_only.mode, sealed_only.source) == (ModeName.CSE, EncryptionSource.OVERRIDDEN)


@pytest.mark.parametrize(
    ("key", "mode"), [("logs/a", ModeName.NONE), ("log", ModeName.SSE_S3), ("other/logs/a", ModeName.SSE_S3)]
)
def test_the_first_rule_that_fits_decides(key: str, mode: ModeName) -> None:
    rules = (_rule(ModeName.NONE, prefixes=("logs/",)), _S3, _rule(ModeName.SSE_KMS))
    assert _authorize("PUT", f"/bucket/{key}", rules).mode is mode


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("PUT", "/other/key", {}),
        ("POST", "/other/key?uploads", {}),
        ("PUT", "/other/key", {"x-amz-copy-source": "bucket/key"}),
        ("PUT", "/other/key", _CUSTOMER),
    ],
)
def test_an_object_that_no_rule_is_about_is_not_created(method: str, target: str, headers: dict[str, str]) -> None:
    with pytest.raises(S3Error) as caught:
        _authorize(method, target, (_S3,), headers)
    assert caught.value.code == "AccessDenied"


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/other/key"),
        ("HEAD", "/bucket/key"),
        ("DELETE", "/bucket/key"),
        ("PUT", "/bucket/key?tagging"),
        ("PUT", "/bucket/key?partNumber=1&uploadId=x"),
        ("GET", "/bucket"),
        ("GET", "/"),
        ("PUT", "/bucket"),
    ],
)
def test_requests_that_create_no_object_get_no_encryption(method: str, target: str) -> None:
    decided = _authorize(method, target, (_S3,))
    assert decided.request.operation not in CREATES_OBJECT
    assert (decided.mode, decided.source) == (ModeName.NONE, EncryptionSource.NONE)


def test_only_requests_about_an_object_have_a_rule() -> None:
    assert _authorize("GET", "/bucket/key", (_S3,)).rule is _S3
    assert _authorize("GET", "/bucket?prefix=key", (_S3,)).rule is None


def test_the_key_is_matched_decoded() -> None:
    rules = (_rule(ModeName.SSE_KMS, prefixes=("grüße/",)), _S3)
    assert _authorize("PUT", "/bucket/gr%C3%BC%C3%9Fe/a", rules).mode is ModeName.SSE_KMS


def test_encryption_in_the_query_counts_as_asked_for() -> None:
    decided = _authorize("PUT", f"/bucket/key?{_SSE}=aws%3Akms", (_S3,))
    assert (decided.mode, decided.source) == (ModeName.SSE_KMS, EncryptionSource.CLIENT)
    assert _SSE in decided.request.raw.headers
    assert decided.request.query.names() == frozenset()


@pytest.mark.parametrize("enforce", [True, False])
def test_contradictions_are_refused_before_any_rule_could_hide_them(enforce: bool) -> None:
    with pytest.raises(S3Error) as caught:
        _authorize("PUT", "/bucket/key", (_rule(ModeName.SSE_C, enforce=enforce),), _CUSTOMER | _KMS)
    assert caught.value.code == "InvalidArgument"


def test_what_creates_an_object_is_every_operation_that_may_choose_its_encryption() -> None:
    choosing = {operation for operation in Operation if "S" in operation.info.sse}
    # A form becomes a PutObject first; a session is of directory buckets, which are refused.
    assert choosing - {Operation.POST_OBJECT, Operation.CREATE_SESSION} == CREATES_OBJECT
