"""Policies and rules that contradict each other: what the policy refuses of what the rule gives."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.policy.contradictions import contradictions
from gateway.cli.policy.place import PolicyInFile
from gateway.policy.iam.document import parse_policy
from gateway.policy.rules import EncryptionRule, ModeName

_NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
_SSE = "s3:x-amz-server-side-encryption"
_KEY_ID = f"{_SSE}-aws-kms-key-id"
_ALGORITHM = f"{_SSE}-customer-algorithm"
_ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
_IDENTITIES = {name: f"arn:aws:iam::000000000000:user/{name}" for name in ("billing", "reports")}
_EVERYTHING = "arn:aws:s3:::*"

_REQUIRE_KMS: dict[str, Any] = {"StringNotEquals": {_SSE: "aws:kms"}}
_REQUIRE_ANY: dict[str, Any] = {"Null": {_SSE: "true"}}
_REFUSE_WRONG: dict[str, Any] = {"StringNotEquals": {_SSE: "aws:kms"}, "Null": {_SSE: "false"}}
_REQUIRE_KEY: dict[str, Any] = {"StringNotEquals": {_KEY_ID: _ARN}}
_REQUIRE_SSE_C: dict[str, Any] = {"Null": {_ALGORITHM: "true"}}
_FORBID_SSE_C: dict[str, Any] = {"Null": {_ALGORITHM: "false"}}


def _rule(mode: ModeName, buckets: str = "*", prefixes: str = "", **more: Any) -> EncryptionRule:
    key = {"kms_key_arn": _ARN} if mode in (ModeName.SSE_KMS, ModeName.DSSE_KMS) else {}
    return EncryptionRule("rule", tuple(buckets.split()), tuple(prefixes.split()), mode, **(key | more))


def _found(
    condition: dict[str, Any], *rules: EncryptionRule, identities: dict[str, str] | None = None, **statement: Any
) -> list[tuple[str, str]]:
    whole = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": _EVERYTHING,
        "Condition": condition,
    } | statement
    source = PolicyInFile(parse_policy(json.dumps({"Statement": whole}), "policy"), Path("policy.json"))
    people = _IDENTITIES if identities is None else identities
    return [(each.severity.value, each.message) for each in contradictions([source], rules, people, _NOW)]


_REFUSED, _DEMANDED, _FINE = "failure", "warning", None


@pytest.mark.parametrize(
    ("condition", "mode", "severity"),
    [
        (_REQUIRE_KMS, ModeName.SSE_KMS, _DEMANDED),
        (_REQUIRE_KMS, ModeName.SSE_S3, _REFUSED),
        (_REQUIRE_KMS, ModeName.DSSE_KMS, _REFUSED),
        (_REQUIRE_KMS, ModeName.SSE_C, _REFUSED),
        (_REQUIRE_KMS, ModeName.CSE, _DEMANDED),
        (_REQUIRE_KMS, ModeName.NONE, _DEMANDED),
        (_REQUIRE_ANY, ModeName.SSE_S3, _DEMANDED),
        (_REQUIRE_ANY, ModeName.SSE_KMS, _DEMANDED),
        (_REQUIRE_ANY, ModeName.SSE_C, _REFUSED),
        (_REFUSE_WRONG, ModeName.SSE_KMS, _FINE),
        (_REFUSE_WRONG, ModeName.SSE_S3, _REFUSED),
        (_REFUSE_WRONG, ModeName.SSE_C, _FINE),
        (_REFUSE_WRONG, ModeName.CSE, _FINE),
        (_REFUSE_WRONG, ModeName.NONE, _FINE),
        (_REQUIRE_KEY, ModeName.SSE_KMS, _DEMANDED),
        (_REQUIRE_KEY, ModeName.SSE_S3, _REFUSED),
        (_REQUIRE_SSE_C, ModeName.SSE_C, _DEMANDED),
        (_REQUIRE_SSE_C, ModeName.SSE_KMS, _REFUSED),
        (_FORBID_SSE_C, ModeName.SSE_C, _REFUSED),
        (_FORBID_SSE_C, ModeName.SSE_KMS, _FINE),
    ],
)
def test_every_well_known_policy_against_every_mode(
    condition: dict[str, Any], mode: ModeName, severity: str | None
) -> None:
    assert [each for each, _ in _found(condition, _rule(mode))] == ([] if severity is None else [severity])


@pytest.mark.parametrize("wanted", [_ARN.partition("/")[2], "alias/mine", _ARN[:-1] + "c"])
def test_a_key_that_is_spelled_otherwise_is_another_key(wanted: str) -> None:
    """Also when it is the same key in KMS."""
    found = _found({"StringNotEquals": {_KEY_ID: wanted}, "Null": {_KEY_ID: "false"}}, _rule(ModeName.SSE_KMS))
    assert [each for each, _ in found] == ["failure"]
    assert "Is the key written in the same way in both" in found[0][1]


def test_a_finding_shows_its_example() -> None:
    found = _found(_REQUIRE_ANY, _rule(ModeName.SSE_S3, "payroll-*", "people/"))
    assert found == [
        (
            "warning",
            (
                "demands a header field of the client: PUT s3://payroll-x/people/example by billing without one is "
                "denied although rule 'rule' would give sse-s3, because policies are asked before defaults"
            ),
        )
    ]


@pytest.mark.parametrize(
    ("resource", "rule", "found"),
    [
        ("arn:aws:s3:::payroll/*", _rule(ModeName.SSE_S3), True),
        ("arn:aws:s3:::payroll/people/*", _rule(ModeName.SSE_S3, "pay*"), True),
        ("arn:aws:s3:::*/people/*", _rule(ModeName.SSE_S3, "payroll", "people/"), True),
        ("arn:aws:s3:::payroll/*", _rule(ModeName.SSE_S3, "billing"), False),
        ("arn:aws:s3:::payroll/a/*", _rule(ModeName.SSE_S3, "payroll", "b/"), False),
    ],
    ids=["statement's bucket", "statement's key", "rule's bucket", "other bucket", "other key"],
)
def test_examples_are_where_both_are(resource: str, rule: EncryptionRule, found: bool) -> None:
    assert bool(_found(_REQUIRE_ANY, rule, Resource=resource)) is found


def test_a_statement_about_everything_else_is_asked_about_the_rules_places() -> None:
    both = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Condition": _REQUIRE_ANY}
    statements = {"Statement": both | {"NotResource": "arn:aws:s3:::public/*"}}
    source = PolicyInFile(parse_policy(json.dumps(statements), "policy"), Path("policy.json"))
    found = list(contradictions([source], [_rule(ModeName.SSE_S3, "payroll public")], _IDENTITIES, _NOW))
    assert ["PUT s3://payroll/example" in each.message for each in found] == [True]


@pytest.mark.parametrize("resource", ["arn:aws:s3:::a/*", "arn:aws:s3:::${aws:username}/*"])
def test_names_that_no_bucket_can_have_are_no_examples(resource: str) -> None:
    assert not _found(_REQUIRE_ANY, _rule(ModeName.SSE_S3, "a*"), Resource=resource, identities={})


def test_only_the_rule_that_decides_counts() -> None:
    """The second rule is never about the statement's objects."""
    first = EncryptionRule("first", ("payroll",), (), ModeName.SSE_KMS, kms_key_arn=_ARN)
    assert _found(_REFUSE_WRONG, first, _rule(ModeName.SSE_S3), Resource="arn:aws:s3:::payroll/*") == []


@pytest.mark.parametrize(
    "rule",
    [
        _rule(ModeName.SSE_S3, identities=("reports",)),
        _rule(ModeName.SSE_S3, tags=(("class", "internal*"),)),
        _rule(ModeName.SSE_S3, content_types=("text/*",)),
    ],
    ids=["identity", "tag", "content type"],
)
def test_examples_are_what_the_rule_asks_for(rule: EncryptionRule) -> None:
    """The rule before the last one, which would give what the policy wants."""
    last = EncryptionRule("last", ("*",), (), ModeName.SSE_KMS, kms_key_arn=_ARN)
    found = _found(_REFUSE_WRONG, rule, last)
    assert [each for each, _ in found] == ["failure"]
    assert "'rule'" in found[0][1]


def test_who_is_not_meant_is_no_example() -> None:
    billing = {"AWS": _IDENTITIES["billing"]}
    assert _found(_REQUIRE_ANY, _rule(ModeName.SSE_S3), Principal=billing)
    assert not _found(_REQUIRE_ANY, _rule(ModeName.SSE_S3, identities=("reports",)), Principal=billing)


def test_without_identities_somebody_is_imagined() -> None:
    assert "by client" in _found(_REQUIRE_ANY, _rule(ModeName.SSE_S3), identities={})[0][1]


@pytest.mark.parametrize(
    "statement",
    [{"Effect": "Allow"}, {"Condition": {"Bool": {"aws:SecureTransport": "true"}}}, {"Action": "s3:GetObject"}],
    ids=["allow", "not about encryption", "not about uploads"],
)
def test_other_statements_are_not_looked_at(statement: dict[str, Any]) -> None:
    assert not _found(_REQUIRE_ANY, _rule(ModeName.SSE_S3), **statement)
