"""Statements that never apply, apply to more than they say, or mean something else."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.policy.place import PolicyInFile
from gateway.cli.policy.statement_checks import statement_findings
from gateway.policy.iam.document import parse_policy

_SSE = "s3:x-amz-server-side-encryption"
_KEY_ID = f"{_SSE}-aws-kms-key-id"
_ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
_BILLING = "arn:aws:iam::000000000000:user/billing"
_IDENTITIES = {"billing": _BILLING, "reports": "arn:aws:iam::000000000000:user/reports"}


def _found(statement: dict[str, Any], identities: dict[str, str] | None = None) -> list[tuple[str, str]]:
    """Severity and message of each finding about one statement, which denies unless it says otherwise."""
    whole = {
        "Sid": "Test",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::bucket/*",
    } | statement
    for name in ("Action", "Resource", "Principal"):
        if f"Not{name}" in statement:
            del whole[name]
    document = json.dumps({"Version": "2012-10-17", "Statement": [whole]}, indent=1)
    source = PolicyInFile(parse_policy(document, "policy"), Path("policy.json"))
    findings = list(statement_findings(source, _IDENTITIES if identities is None else identities))
    assert all(finding.subject.startswith("policy.json:") for finding in findings)
    assert all(finding.subject.endswith(" policy/Test") for finding in findings)
    assert all(finding.remedy for finding in findings)
    return [(finding.severity.value, finding.message) for finding in findings]


def _if(operator: str, key: str, *values: str) -> dict[str, Any]:
    return {"Condition": {operator: {key: list(values)}}}


@pytest.mark.parametrize(
    "statement",
    [
        {},
        {"Action": "s3:*", "Resource": ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"]},
        {"Action": "*", "Resource": "*"},
        {"Action": "s3:put*"},
        {"Action": ["s3:ListBucket", "s3:GetObject"], "Resource": "arn:aws:s3:::bucket"},
        {"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::bucket*"},
        {"Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket*"},
        {"Action": "s3:GetObject", "Resource": "arn:aws:s3:::${aws:username}/*"},
        {"NotAction": "s3:GetObject", "Resource": "*"},
        {"NotResource": "arn:aws:s3:::bucket"},
        _if("StringNotEquals", _SSE, "aws:kms", "aws:kms:dsse"),
        _if("StringNotLike", _SSE, "aws:kms*"),
        _if("StringNotEqualsIgnoreCase", _SSE, "AWS:KMS"),
        _if("Null", _SSE, "true"),
        _if("Null", _KEY_ID, "true"),
        _if("StringNotEquals", _KEY_ID, _ARN),
        _if("StringNotLike", _KEY_ID, "arn:aws:kms:*:111122223333:key/*"),
        _if("StringLike", _KEY_ID, "*"),
        _if("ArnNotLikeIfExists", "aws:PrincipalArn", _BILLING)
        | {"Condition": {"ArnNotLikeIfExists": {"aws:PrincipalArn": _BILLING}, "Null": {"aws:PrincipalArn": "false"}}},
        _if("StringNotLike", "s3:x-amz-copy-source", "bucket/public/*"),
        _if("Bool", "aws:SecureTransport", "false"),
        _if("StringEquals", "s3:RequestObjectTag/team", "${aws:username}"),
        _if("StringEquals", "s3:authType", "REST-QUERY-STRING"),
        {"Resource": "arn:aws:s3:::bucket/${aws:userid, 'nobody'}/${*}"},
        {"Effect": "Allow", "Principal": {"AWS": _BILLING}},
        {"Effect": "Allow", "Principal": {"AWS": _BILLING}}
        | {"Condition": {"ForAllValues:StringEquals": {"aws:TagKeys": "team"}, "Null": {"aws:TagKeys": "false"}}},
        {"Condition": {"StringNotEquals": {_SSE: "aws:kms"}, "Null": {_SSE: "true"}}},
        _if("ForAllValues:StringEquals", "aws:TagKeys", "team"),
        {"Effect": "Allow"} | _if("IpAddress", "aws:SourceIp", "10.0.0.0/8"),
    ],
    ids=json.dumps,
)
def test_good_statements_have_no_findings(statement: dict[str, Any]) -> None:
    assert _found(statement) == []


@pytest.mark.parametrize(
    ("statement", "severity", "message"),
    [
        ({"Action": "s3:PutObjects"}, "failure", "s3:PutObjects is no action of S3, so this part"),
        ({"Action": ["s3:PutObject", "s3:HeadObject"]}, "failure", "s3:HeadObject is no action of S3"),
        ({"Action": "s3:ReplicateObject"}, "warning", "no request through the gateway asks for s3:ReplicateObject"),
        ({"Action": "kms:Decrypt"}, "warning", "no request through the gateway asks for kms:Decrypt"),
        ({"Resource": "arn:aws:s3:::bucket"}, "failure", "about objects and the resources are buckets"),
        ({"Action": "s3:ListBucket"}, "failure", "is about a bucket and the resources are objects"),
        ({"Resource": "arn:aws-cn:s3:::bucket/*"}, "failure", "no resource of S3 is arn:aws-cn:s3:::bucket/*"),
        ({"Resource": "arn:aws:s3:eu-central-1::bucket/*"}, "failure", "no resource of S3 is"),
        ({"Effect": "Allow"}, "warning", "allows everybody who has an access key of the gateway"),
        ({"Effect": "Allow", "NotPrincipal": {"AWS": _BILLING}}, "warning", "of the gateway but the named"),
        (
            {"Principal": {"AWS": "arn:aws:iam::111122223333:user/x"}},
            "warning",
            "about none of the gateway's identities",
        ),
        ({"Principal": {"Service": "logging.s3.amazonaws.com"}}, "warning", "about none of the gateway's identities"),
        (
            _if("StringNotEqualsIfExists", _SSE, "aws:kms"),
            "warning",
            (
                f"StringNotEqualsIfExists under Deny refuses requests without {_SSE} as well: it means the same as "
                "StringNotEquals"
            ),
        ),
        (_if("StringNotLikeIfExists", _SSE, "aws:*"), "warning", "the same as StringNotLike"),
        (_if("NotIpAddressIfExists", "aws:SourceIp", "10.0.0.0/8"), "warning", "the same as NotIpAddress"),
        (_if("StringNotEquals", _SSE, "AWS:KMS"), "failure", f"{_SSE} is never 'AWS:KMS'"),
        (_if("StringEquals", _SSE, "aes256"), "failure", "is never 'aes256'"),
        (_if("StringLike", _SSE, "kms*"), "failure", "is never 'kms*'"),
        (_if("StringEqualsIgnoreCase", f"{_SSE}-customer-algorithm", "AES128"), "failure", "is never 'AES128'"),
        (_if("StringEquals", "s3:authType", "HEADER"), "failure", "s3:authtype is never 'HEADER'"),
        (_if("StringNotEquals", _KEY_ID, "alias/mine"), "warning", "'alias/mine' is an alias"),
        (_if("StringNotEquals", _KEY_ID, _ARN.partition("/")[2]), "warning", "is no ARN of a key"),
        (
            _if("StringNotEquals", _KEY_ID, "arn:aws:kms:eu-central-1:111122223333:alias/mine"),
            "warning",
            "is an alias: only requests that spell the key exactly like this fit",
        ),
        (_if("StringNotLike", "s3:x-amz-copy-source", "/bucket/*"), "failure", "has no slash before the bucket"),
        (
            {"Condition": {"StringEquals": {_SSE: "aws:kms"}, "Null": {_SSE: "true"}}},
            "failure",
            f"{_SSE} has to be absent and has to have a value",
        ),
        (
            {"Effect": "Allow", "Principal": {"AWS": _BILLING}}
            | _if("ForAllValues:StringEquals", "s3:RequestObjectTagKeys", "team"),
            "warning",
            "ForAllValues:StringEquals under Allow holds for requests without s3:requestobjecttagkeys too",
        ),
        (
            _if("StringNotEquals", "s3:x-amz-acl", "${aws:PrincipalTag/acl}"),
            "failure",
            "no request has aws:principaltag/acl, so '${aws:PrincipalTag/acl}' fits nothing",
        ),
        ({"Resource": "arn:aws:s3:::bucket/${aws:userid}/*"}, "failure", "no request has aws:userid"),
        (
            {"Effect": "Allow", "Principal": {"AWS": _BILLING}, "Resource": "arn:aws:s3:::bucket/${aws:userid}/*"},
            "warning",
            "no request has aws:userid",
        ),
        # A Deny that never applies lets through what it was written to stop.
        (_if("StringEquals", "s3:ExistingObjectTag/a", "b"), "failure", "never holds, so the statement never applies"),
        (_if("StringNotEquals", "aws:SourceVpce", "vpce-1"), "warning", "the condition always holds"),
        (_if("Null", "aws:SourceVpce", "true"), "warning", "the condition always holds"),
        (_if("Null", "aws:SourceVpce", "false"), "failure", "never holds"),
        (_if("StringEqualsIfExists", "aws:SourceVpce", "vpce-1"), "warning", "always holds"),
        (_if("ForAllValues:StringEquals", "aws:CalledVia", "a"), "warning", "always holds"),
        (_if("ForAnyValue:StringEquals", "aws:CalledVia", "a"), "failure", "never holds"),
        # A name that nobody has is a mistake either way.
        (
            _if("StringNotEquals", "s3:x-amz-sse", "a"),
            "failure",
            "S3 has no condition key s3:x-amz-sse: the condition always",
        ),
        (_if("StringEquals", "aws:SecureTransports", "a"), "failure", "S3 has no condition key aws:securetransports"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_odd_statements(statement: dict[str, Any], severity: str, message: str) -> None:
    found = _found(statement)
    assert len(found) == 1
    assert found[0][0] == severity
    assert message in found[0][1]


@pytest.mark.parametrize(
    ("condition", "severity"),
    [
        (_if("StringEquals", "aws:SourceVpce", "vpce-1"), "warning"),
        (_if("StringNotEquals", "aws:SourceVpce", "vpce-1"), "failure"),
        (_if("StringEqualsIfExists", "aws:SourceVpce", "vpce-1"), "failure"),
    ],
    ids=["never", "always", "if exists"],
)
def test_an_allow_that_asks_for_nothing_is_the_failure(condition: dict[str, Any], severity: str) -> None:
    """The other way around than a Deny."""
    found = _found({"Effect": "Allow", "Principal": {"AWS": _BILLING}} | condition)
    assert [each for each, _ in found] == [severity]


def test_variables_of_the_old_version_are_none() -> None:
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::${aws:username}/*"}
    source = PolicyInFile(parse_policy(json.dumps({"Statement": statement}), "policy"), Path("policy.json"))
    (found,) = statement_findings(source, {})
    assert found.severity.value == "failure"
    assert found.message.startswith("${aws:username} is no variable in this version of the language")


def test_a_condition_is_found_at_its_own_line() -> None:
    about = '"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"'
    document = f'{{"Statement": {{\n{about},\n"Condition": {{"StringEquals": {{\n"s3:authType": "x"\n}}}}}}}}'
    source = PolicyInFile(parse_policy(document, "policy"), Path("policy.json"))
    assert [each.subject for each in statement_findings(source, {})] == ["policy.json:4 policy/0"]


def test_without_a_configuration_nobody_is_known_to_be_nobody() -> None:
    assert _found({"Principal": {"AWS": "arn:aws:iam::111122223333:user/x"}}, {}) == []
