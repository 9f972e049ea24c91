"""``sealgate policy test``: tables of cases, as users' CI runs them."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gateway.cli.app import app
from tests.cli.policy.conftest import REQUIRE_KMS, RULES, Configured

_EXAMPLE = Path(__file__).parents[3] / "config" / "policy-cases.example.yaml"
_KMS = {"x-amz-server-side-encryption": "aws:kms"}


def _run(*files: Path, as_json: bool = False) -> Result:
    return CliRunner().invoke(app, ["policy", "test", *map(str, files), *(["--json"] if as_json else [])])


def _table(directory: Path, *cases: dict[str, Any], **options: Any) -> Path:
    """A table beside a policy that requires KMS in the bucket payroll."""
    (directory / "policy.json").write_text(json.dumps({"Version": "2012-10-17", "Statement": REQUIRE_KMS}))
    table = {"policies": [{"name": "policy", "file": "policy.json"}], "rules": RULES, "cases": list(cases)} | options
    file = directory / "cases.yaml"
    file.write_text(json.dumps({name: value for name, value in table.items() if value is not None}))
    return file


def _case(expect: dict[str, Any], name: str = "case", **request: Any) -> dict[str, Any]:
    return {"name": name, "request": {"bucket": "payroll", "key": "a"} | request, "expect": expect}


def test_the_example_passes() -> None:
    result = _run(_EXAMPLE)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1] == "10 cases, 0 failed"


def test_the_example_names_every_option() -> None:
    """What users copy from is complete."""
    text = _EXAMPLE.read_text()
    options = (
        "method bucket key headers query identity scheme source_ip tls proof age_seconds time upload_began_with effect "
        "statement error rule mode source config policies bucket_policies rules identities authorization cases"
    )
    for option in options.split():
        assert f"{option}:" in text, option


@pytest.mark.parametrize(
    ("expect", "request_"),
    [
        ({"effect": "deny", "statement": "policy/RequireKms", "error": "AccessDenied"}, {}),
        ({"effect": "allow", "statement": "default", "mode": "sse-kms", "source": "client"}, {"headers": _KMS}),
        ({"effect": "deny"}, {"proof": "form"}),
        ({"effect": "allow"}, {"proof": "form", "headers": _KMS}),
        ({"effect": "deny"}, {"proof": "presigned"}),
        ({"effect": "allow"}, {"proof": "presigned", "query": _KMS}),
        ({"effect": "deny"}, {"headers": {"x-amz-copy-source": "other/a"}}),
        ({"effect": "allow"}, {"headers": _KMS | {"x-amz-copy-source": "other/a"}}),
        ({"effect": "deny"}, {"method": "POST", "query": {"uploads": None}}),
        ({"effect": "allow"}, {"method": "POST", "query": {"uploads": None}, "headers": _KMS}),
        ({"effect": "allow"}, {"query": {"partNumber": "1"}, "upload_began_with": _KMS}),
        ({"effect": "allow"}, {"method": "POST", "upload_began_with": _KMS}),
        ({"effect": "deny"}, {"query": {"partNumber": "1", "uploadId": "begun-elsewhere"}}),
        ({"effect": "deny", "error": "InvalidArgument"}, {"headers": {"x-amz-server-side-encryption": "AWS:KMS"}}),
        ({"effect": "allow"}, {"bucket": "other"}),
        ({"effect": "deny", "error": "RequestTimeTooSkewed"}, {"method": "GET", "age_seconds": 1000}),
        ({"effect": "allow"}, {"method": "GET", "proof": "presigned", "age_seconds": 1000}),
        ({"effect": "allow", "mode": "none", "source": "none", "rule": None}, {"method": "GET", "key": None}),
    ],
    ids=json.dumps,
)
def test_cases_that_pass(tmp_path: Path, expect: dict[str, Any], request_: dict[str, Any]) -> None:
    result = _run(_table(tmp_path, _case(expect, **request_)))
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("expect", "request_", "difference"),
    [
        (
            {"effect": "allow"},
            {},
            "effect: expected allow, came deny (AccessDenied: s3:PutObject is denied by statement",
        ),
        ({"effect": "deny"}, {"headers": _KMS}, "effect: expected deny, came allow"),
        ({"statement": "policy/Other"}, {}, "statement: expected policy/Other, came policy/RequireKms"),
        ({"mode": "sse-s3"}, {"headers": _KMS}, "mode: expected sse-s3, came sse-kms"),
        ({"mode": "sse-s3"}, {}, "mode: expected sse-s3, came nothing"),
        ({"rule": "rest"}, {"headers": _KMS}, "rule: expected rest, came payroll"),
        ({"source": "injected"}, {"headers": _KMS}, "source: expected injected, came client"),
        ({"error": "NoSuchKey"}, {}, "error: expected NoSuchKey, came AccessDenied"),
        ({"error": None}, {}, "error: expected nothing, came AccessDenied"),
        ({"effect": "allow"}, {"upload_began_with": {}}, "upload_began_with: CreateMultipartUpload is refused: Access"),
    ],
    ids=json.dumps,
)
def test_cases_that_fail(tmp_path: Path, expect: dict[str, Any], request_: dict[str, Any], difference: str) -> None:
    file = _table(tmp_path, _case(expect, name="the name", **request_))
    result = _run(file)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[0] == f"{file}: the name"
    assert result.stdout.splitlines()[1].strip().startswith(difference)
    assert "1 cases, 1 failed" in result.stderr


def test_the_moment_is_the_cases_own(tmp_path: Path) -> None:
    late = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "*",
        "Resource": "*",
        "Condition": {"DateGreaterThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}},
    }
    file = _table(
        tmp_path,
        _case({"effect": "allow"}, "before", bucket="other", time="2029-12-31T23:59:59Z"),
        _case({"effect": "deny", "statement": "policy/0"}, "after", bucket="other", time="2030-01-01T02:00:00+01:00"),
    )
    (tmp_path / "policy.json").write_text(json.dumps({"Statement": late}))
    assert _run(file).exit_code == 0


def test_identities_have_their_own_standing(tmp_path: Path) -> None:
    people = [{"name": "a"}, {"name": "b", "policy_default": "deny"}]
    file = _table(
        tmp_path,
        _case({"effect": "allow"}, "the first asks", bucket="other"),
        _case({"effect": "deny", "statement": "default"}, "b asks", bucket="other", identity="b"),
        identities=people,
    )
    assert _run(file).exit_code == 0


def test_a_configuration_instead_of_policies(tmp_path: Path, configured: Configured) -> None:
    configured(REQUIRE_KMS)
    file = tmp_path / "cases.yaml"
    cases = [
        _case({"statement": "policy/RequireKms"}),
        _case({"mode": "sse-c"}, "own", bucket="own", identity="billing"),
    ]
    file.write_text(json.dumps({"config": "sealgate.yaml", "cases": cases}))
    assert _run(file).exit_code == 0


def test_a_policy_of_a_bucket_is_about_that_bucket(tmp_path: Path) -> None:
    """Whatever it names itself."""
    everywhere = REQUIRE_KMS | {"Resource": "*"}
    (tmp_path / "bucket.json").write_text(json.dumps({"Statement": everywhere}))
    file = _table(
        tmp_path,
        _case({"statement": "bucket policy of other/RequireKms"}, "its own", bucket="other"),
        _case({"effect": "allow"}, "another", bucket="own"),
        bucket_policies=[{"bucket": "other", "file": "bucket.json"}],
    )
    assert _run(file).exit_code == 0


def test_json_tells_every_case(tmp_path: Path) -> None:
    file = _table(tmp_path, _case({"effect": "deny"}, "right"), _case({"effect": "allow"}, "wrong"))
    result = _run(file, as_json=True)
    assert result.exit_code == 1
    right, wrong = json.loads(result.stdout)
    assert right == {"table": str(file), "case": "right", "passed": True, "differences": []}
    assert (wrong["case"], wrong["passed"], len(wrong["differences"])) == ("wrong", False, 1)


@pytest.mark.parametrize(
    ("cases", "options", "fault"),
    [
        ([], {}, "cases: must not be empty"),
        ([_case({})], {}, "cases[0].expect: expects nothing"),
        ([_case({"effekt": "deny"})], {}, "cases[0].expect.effekt: unknown option; did you mean 'effect'?"),
        ([_case({"effect": "neutral"})], {}, "cases[0].expect.effect: must be 'allow' or 'deny'"),
        ([_case({"effect": "deny"}), _case({"effect": "deny"})], {}, "cases[1].name: stands twice"),
        ([_case({"effect": "deny"}, bucket=None)], {}, "cases[0].request.bucket: must be set, because key is"),
        ([_case({"effect": "deny"}, time="soon")], {}, "cases[0].request.time: must be such as"),
        ([_case({"effect": "deny"}, time="2030-01-01T00:00:00")], {}, "cases[0].request.time: must be such as"),
        ([_case({"effect": "deny"}, proof="form", key=None)], {}, "cases[0].request.proof: a form has a key"),
        ([_case({"effect": "deny"}, identity="who")], {}, "cases[0].request.identity: there is no identity who"),
        ([_case({"effect": "deny"})], {"config": "sealgate.yaml"}, "policies: is the configuration's"),
        ([_case({"effect": "deny"})], {"policies": [{"name": "p", "file": "none.json"}]}, "No such file"),
        ([_case({"effect": "deny"})], {"rules": [{"name": "r", "buckets": ["*"], "mode": "aes"}]}, "rules[0].mode"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_faults_of_a_table(tmp_path: Path, cases: list[Any], options: dict[str, Any], fault: str) -> None:
    """They are told, and are no failed case."""
    result = _run(_table(tmp_path, *cases, **options))
    assert result.exit_code == 2
    assert fault in result.stderr


def test_faults_of_one_table_do_not_hide_another(tmp_path: Path) -> None:
    good = _table(tmp_path, _case({"effect": "allow"}))
    missing = tmp_path / "none.yaml"
    result = _run(missing, good)
    assert result.exit_code == 2
    assert f"{missing}: No such file" in result.stderr
    assert "1 cases, 1 failed" in result.stderr
