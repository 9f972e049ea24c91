"""``sealgate policy lint``: the findings of a configuration and of policies by themselves."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gateway.cli.app import app
from tests.cli.policy.conftest import ARN, REQUIRE_KMS, SSE, Configured

_GOOD = REQUIRE_KMS | {"Condition": {"StringNotEquals": {SSE: "aws:kms"}, "Null": {SSE: "false"}}}


def _lint(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["policy", "lint", *arguments])


def test_nothing_to_find(configured: Configured) -> None:
    result = _lint("--config", str(configured(_GOOD)))
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "0 failures, 0 warnings\n")


def test_warnings_alone_are_no_failure(configured: Configured) -> None:
    file = configured(REQUIRE_KMS)
    result = _lint("--config", str(file))
    assert result.exit_code == 0
    assert result.stdout.startswith(
        f"warning: {file.parent / 'policy.json'}:4 policy/RequireKms: demands a header field"
    )
    assert result.stderr == "0 failures, 1 warning\n"


@pytest.mark.parametrize(
    ("statement", "rules", "message"),
    [
        (_GOOD | {"Action": "s3:PutObjects"}, None, "s3:PutObjects is no action of S3"),
        (_GOOD | {"Resource": "arn:aws:s3:::payroll"}, None, "is about objects and the resources are buckets"),
        (_GOOD | {"Condition": {"Null": {"s3:sse": "true"}}}, None, "S3 has no condition key s3:sse"),
        (_GOOD, [{"name": "r", "buckets": ["*"], "mode": "sse-s3"}], "refuses what rule 'r' gives, sse-s3"),
        (
            _GOOD,
            [
                {"name": "wide", "buckets": ["pay*"], "mode": "sse-kms", "kms_key_arn": ARN},
                {"name": "late", "buckets": ["payroll"], "mode": "sse-s3"},
                {"name": "rest", "buckets": ["*"], "mode": "sse-kms", "kms_key_arn": ARN},
            ],
            "rules[1] late: is never reached: 'wide' before it",
        ),
    ],
    ids=["action", "resource", "condition key", "contradiction", "unreachable"],
)
def test_failures(configured: Configured, statement: dict[str, Any], rules: list[Any] | None, message: str) -> None:
    result = _lint("--config", str(configured(statement, rules=rules)))
    assert result.exit_code == 1
    assert message in result.stdout


def test_json_has_every_finding(configured: Configured) -> None:
    result = _lint("--config", str(configured(REQUIRE_KMS)), "--json")
    (found,) = json.loads(result.stdout)
    assert found["severity"] == "warning"
    assert set(found) == {"subject", "severity", "message", "remedy"}


def test_a_policy_alone(tmp_path: Path) -> None:
    """Nothing is said about identities and rules that are not known."""
    file = tmp_path / "one.json"
    file.write_text(json.dumps({"Statement": REQUIRE_KMS}))
    assert _lint(str(file)).exit_code == 0
    file.write_text(json.dumps({"Statement": _GOOD | {"Action": "s3:Pet"}}))
    result = _lint(str(file))
    assert result.exit_code == 1
    assert f"failure: {file}:1 one/RequireKms: s3:Pet is no action" in result.stdout


def test_a_policy_beside_a_configuration(tmp_path: Path, configured: Configured) -> None:
    """A policy that is not in use yet, with the rules that are."""
    more = tmp_path / "more.json"
    more.write_text(json.dumps({"Statement": REQUIRE_KMS | {"Sid": "More", "Resource": "arn:aws:s3:::own/*"}}))
    result = _lint("--config", str(configured(_GOOD)), str(more))
    assert result.exit_code == 1
    assert "more/More: refuses what rule 'own' gives, sse-c" in result.stdout


def test_faults_are_told_together(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('{"Statement": {"Effect": "Maybe"}}')
    result = _lint(str(broken), str(tmp_path / "none.json"))
    assert result.exit_code == 1
    assert "broken, line 1" in result.stderr
    assert "No such file" in result.stderr


def test_nothing_named_is_wrong_usage() -> None:
    assert _lint().exit_code == 2
