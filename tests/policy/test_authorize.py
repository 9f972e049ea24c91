"""May a request happen, and which encryption does its object get."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial

import pytest

from gateway.errors import S3Error
from gateway.modes.upload_id import asked_for_upload
from gateway.policy.authorize import CREATES_OBJECT, AuthorizedRequest, authorize
from gateway.policy.default_encryption import EncryptionSource
from gateway.policy.iam.actions import accesses_of, deletion_accesses
from gateway.policy.iam.compiled import CompiledPolicies
from gateway.policy.iam.decision import Effect
from gateway.policy.iam.document import parse_policy
from gateway.policy.iam.request_facts import RequestFacts, identity_arn
from gateway.policy.permission import Judge, Permission, PolicyDenied
from gateway.policy.rules import EncryptionRule, ModeName
from gateway.redact import SecretStr
from gateway.s3.authenticate import AuthSettings, VerifiedRequest, authenticate
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
    method: str,
    target: str,
    rules: tuple[EncryptionRule, ...],
    headers: dict[str, str] | None = None,
    policy: Mapping[str, object] | None = None,
) -> AuthorizedRequest:
    """Decide on a request that really was signed."""
    path, _, query = target.partition("?")
    fields = Headers((("host", "gateway.example"), *(headers or {}).items()))
    signed = sign_headers(method, path, query, fields, _CREDENTIAL, "us-east-1", "s3", _NOW, _EMPTY_SHA256)
    raw = RawRequest(method, path, query, signed, "https", "127.0.0.1", "0123456789ABCDEF")
    identities = {_CREDENTIAL.access_key_id: Identity("tester", _CREDENTIAL)}
    verified = authenticate(parse_request(raw, ()), identities, _NOW, AuthSettings())
    return authorize(verified, rules, judge=None if policy is None else _judge(verified, policy))


def _judge(verified: VerifiedRequest, statement: Mapping[str, object]) -> Judge:
    """One policy with one statement, about everybody and every object."""
    written = {"Sid": "Said", "Principal": "*", "Action": "s3:*", "Resource": "*", **statement}
    document = json.dumps({"Version": "2012-10-17", "Statement": written})
    request = verified.request
    return Judge(
        facts=RequestFacts(
            verified,
            now=_NOW,
            tls_version="TLSv1.3",
            principal=identity_arn("000000000000", "tester"),
            asked=asked_for_upload(request),
        ),
        accesses=accesses_of(request),
        policies=CompiledPolicies((parse_policy(document, "policy"),)),
        bucket_policies={},
        default=Effect.ALLOW,
        deletion=partial(deletion_accesses, request),
    )


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


_TAGGED = EncryptionRule("tagged", ("bucket",), (), ModeName.SSE_KMS, kms_key_arn="k", tags=(("class", "secret"),))
_TYPED = EncryptionRule("typed", ("bucket",), (), ModeName.DSSE_KMS, kms_key_arn="k", content_types=("image/*",))
_OTHERS = EncryptionRule("others", ("bucket",), (), ModeName.NONE, identities=("somebody else",))
_TESTERS = EncryptionRule("testers", ("bucket",), (), ModeName.CSE, wrapping_key="w", identities=("tester",))
_COPY = {"x-amz-copy-source": "bucket/other"}


@pytest.mark.parametrize(
    ("method", "target", "rules", "headers", "rule"),
    [
        ("PUT", "/bucket/key", (_OTHERS, _TESTERS, _S3), {}, "testers"),
        ("PUT", "/bucket/key", (_OTHERS, _S3), {}, _S3.name),
        ("PUT", "/bucket/key", (_TAGGED, _S3), {"x-amz-tagging": "class=secret&x=y"}, "tagged"),
        ("PUT", "/bucket/key", (_TAGGED, _S3), {"x-amz-tagging": "class=open"}, _S3.name),
        ("PUT", "/bucket/key", (_TAGGED, _S3), {}, _S3.name),
        ("PUT", "/bucket/key?x-amz-tagging=class%3Dsecret", (_TAGGED, _S3), {}, "tagged"),
        ("PUT", "/bucket/key", (_TYPED, _S3), {"content-type": "IMAGE/png; q=1"}, "typed"),
        ("PUT", "/bucket/key", (_TYPED, _S3), {"content-type": "text/html"}, _S3.name),
        ("PUT", "/bucket/key", (_TYPED, _S3), {}, _S3.name),
        ("POST", "/bucket/key?uploads", (_TYPED, _S3), {"content-type": "image/png"}, "typed"),
        ("POST", "/bucket/key?uploads", (_TAGGED, _S3), {"x-amz-tagging": "class=secret"}, "tagged"),
        ("PUT", "/bucket/key", (_TESTERS, _TAGGED, _S3), _COPY, "testers"),
        (
            "PUT",
            "/bucket/key",
            (_TAGGED, _S3),
            _COPY | {"x-amz-tagging-directive": "REPLACE", "x-amz-tagging": "class=secret"},
            "tagged",
        ),
        (
            "PUT",
            "/bucket/key",
            (_TYPED, _S3),
            _COPY | {"x-amz-metadata-directive": "replace", "content-type": "image/x"},
            "typed",
        ),
    ],
)  # fmt: skip
def test_conditions_of_rules(
    method: str, target: str, rules: tuple[EncryptionRule, ...], headers: dict[str, str], rule: str
) -> None:
    decided = _authorize(method, target, rules, headers)
    assert decided.rule is not None
    assert decided.rule.name == rule


@pytest.mark.parametrize(
    ("rules", "headers", "code"),
    [
        ((_TAGGED, _S3), _COPY, "InvalidRequest"),
        ((_TAGGED, _S3), _COPY | {"x-amz-tagging": "class=open"}, "InvalidRequest"),
        ((_TYPED, _S3), _COPY | {"content-type": "text/html", "x-amz-tagging-directive": "REPLACE"}, "InvalidRequest"),
        ((_TAGGED, _S3), _COPY | {"x-amz-tagging-directive": "OTHER"}, "InvalidArgument"),
        ((_TAGGED, _S3), {"x-amz-tagging": "class=open&class=secret"}, "InvalidArgument"),
    ],
)
def test_what_could_be_under_two_rules_is_refused(
    rules: tuple[EncryptionRule, ...], headers: dict[str, str], code: str
) -> None:
    """A copy takes tags and content type from its source, which may fall under the stricter rule."""
    with pytest.raises(S3Error) as caught:
        _authorize("PUT", "/bucket/key", rules, headers)
    assert caught.value.code == code


def test_uploads_go_on_under_every_rule_that_they_may_have_begun_with() -> None:
    decided = _authorize("PUT", "/bucket/key?partNumber=1&uploadId=x", (_OTHERS, _TAGGED, _S3))
    assert [rule.name for rule in decided.possible] == ["tagged", _S3.name]


_DENY_WITHOUT_KMS = {
    "Effect": "Deny",
    "Action": "s3:PutObject",
    "Condition": {"StringNotEquals": {f"s3:{_SSE}": "aws:kms"}},
}
_ENFORCED = EncryptionRule("strict", ("bucket",), (), ModeName.SSE_KMS, enforce=True, kms_key_arn="k")


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("PUT", "/bucket/key", {}),
        ("PUT", "/bucket/key", {_SSE: "AES256"}),
        ("PUT", "/bucket/key", _CUSTOMER),
        ("POST", "/bucket/key?uploads", {}),
        ("PUT", "/bucket/key", _COPY),
        ("PUT", f"/bucket/key?{_SSE}=AES256", {}),
    ],
)
def test_policies_see_the_request_before_any_rule_changes_it(method: str, target: str, headers: dict[str, str]) -> None:
    """The rule would encrypt with KMS, as the policy demands of the client: it is refused all the same, as S3 does."""
    assert _authorize(method, target, (_ENFORCED,), headers).mode is ModeName.SSE_KMS
    with pytest.raises(PolicyDenied) as caught:
        _authorize(method, target, (_ENFORCED,), headers, _DENY_WITHOUT_KMS)
    assert caught.value.permission == Permission(Effect.DENY, "policy/Said", "policy/Said")


@pytest.mark.parametrize(
    ("target", "headers"), [("/bucket/key", _KMS), (f"/bucket/key?{_SSE}=aws%3Akms", {}), ("/bucket/key", _COPY | _KMS)]
)
def test_what_a_policy_lets_through_gets_its_rule(target: str, headers: dict[str, str]) -> None:
    decided = _authorize("PUT", target, (_ENFORCED,), headers, _DENY_WITHOUT_KMS)
    assert decided.source is EncryptionSource.OVERRIDDEN
    assert decided.permission == Permission(Effect.ALLOW)
    assert decided.judge is not None


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("PUT", "/bucket?encryption", {}),
        ("DELETE", "/bucket?policy", {}),
        ("PUT", "/bucket/key?encryption", {}),
        ("PUT", "/bucket/key?acl", {}),
        ("PUT", "/bucket/key", {"x-amz-acl": "public-read"}),
    ],
)
def test_gated_operations_need_a_statement_that_allows_them(method: str, target: str, headers: dict[str, str]) -> None:
    rules = (_ENFORCED, EncryptionRule("rest", ("*",), (), ModeName.NONE))
    for policy in (None, _DENY_WITHOUT_KMS | {"Action": "s3:GetObject"}):
        with pytest.raises(PolicyDenied, match="a policy has to allow it") as caught:
            _authorize(method, target, rules, headers, policy)
        assert caught.value.permission.rule == "encryption rule strict"
    assert _authorize(method, target, rules, headers, {"Effect": "Allow"}).permission.rule == "policy/Said"
    assert _authorize(method, target.replace("bucket", "other"), rules, headers).permission == Permission(Effect.ALLOW)
    with pytest.raises(PolicyDenied, match="statement 'Said'"):
        _authorize(method, target, rules, headers, {"Effect": "Deny"})
