"""``sealgate policy explain``: what each of the seven steps makes of a request."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gateway.cli.app import app
from tests.cli.policy.conftest import ARN, REQUIRE_KMS, Configured

_KEY = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="
_SSE_C = [
    "--header=x-amz-server-side-encryption-customer-algorithm: AES256",
    f"--header=x-amz-server-side-encryption-customer-key: {_KEY}",
    "--header=x-amz-server-side-encryption-customer-key-md5: Xsqb0+sHwAbNQ65I395/0w==",
]
_KMS = "--header=x-amz-server-side-encryption: aws:kms"
_PUT = ["--method=put", "--key=a/b"]


def _explain(configured: Configured, *arguments: str, **options: Any) -> Result:
    file = configured(REQUIRE_KMS, **options)
    return CliRunner().invoke(app, ["policy", "explain", "--config", str(file), *arguments])


def _explained(configured: Configured, *arguments: str, **options: Any) -> dict[str, Any]:
    result = _explain(configured, *arguments, "--json", **options)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_a_refused_request_as_text(configured: Configured) -> None:
    result = _explain(configured, *_PUT, "--bucket=payroll")
    assert result.exit_code == 0
    denied = "s3:PutObject is denied by statement 'RequireKms' of policy 'policy'."
    assert result.stdout.splitlines() == [
        "PUT s3://payroll/a/b by billing",
        "1 transport passed      TLS 1.3 from 127.0.0.1",
        "2 identity  passed      billing, REST-HEADER AWS4-HMAC-SHA256",
        "3 policy    refused     asks for s3:PutObject on arn:aws:s3:::payroll/a/b",
        f"                        {denied}",
        "4 default   not reached",
        "5 transform not reached",
        "6 upstream  not reached",
        f"7 answer    refused     403 AccessDenied: {denied}",
    ]


def test_an_accepted_request_as_text(configured: Configured) -> None:
    result = _explain(configured, *_PUT, "--bucket=payroll", _KMS)
    assert result.stdout.splitlines() == [
        "PUT s3://payroll/a/b by billing",
        "1 transport passed      TLS 1.3 from 127.0.0.1",
        "2 identity  passed      billing, REST-HEADER AWS4-HMAC-SHA256",
        "3 policy    passed      asks for s3:PutObject on arn:aws:s3:::payroll/a/b",
        "                        allow by default",
        "4 default   passed      rule payroll: sse-kms, the client asks for it",
        "5 transform passed      x-amz-server-side-encryption: aws:kms (the client's own)",
        "6 upstream  passed      https://s3.us-east-1.amazonaws.com, signed for us-east-1",
        "                        with the environment credentials of identity billing",
        "7 answer    passed      the upstream's answer, if it confirms sse-kms; else 501 NotImplemented",
    ]


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--bucket=payroll"], {"effect": "deny", "statement": "policy/RequireKms", "mode": None, "source": None}),
        (
            ["--bucket=payroll", _KMS],
            {"effect": "allow", "statement": "default", "mode": "sse-kms", "source": "client"},
        ),
        (["--bucket=payroll", "--proof=presigned"], {"effect": "deny"}),
        (
            ["--bucket=payroll", "--proof=presigned", "--query=x-amz-server-side-encryption=aws:kms"],
            {"effect": "allow"},
        ),
        (["--bucket=payroll", "--proof=form"], {"effect": "deny", "statement": "policy/RequireKms"}),
        (["--bucket=payroll", "--proof=form", _KMS], {"effect": "allow", "mode": "sse-kms"}),
        (["--bucket=other"], {"rule": "rest", "mode": "sse-s3", "source": "injected", "error": None}),
        (["--bucket=own", _KMS], {"rule": "own", "mode": "sse-c", "source": "overridden"}),
        (["--bucket=sealed"], {"rule": "sealed", "mode": "cse", "source": "injected"}),
        (["--bucket=other", "--identity=auditor"], {"effect": "deny", "statement": "default"}),
        (["--bucket=own", "--query=encryption"], {"effect": "deny", "statement": "encryption rule own"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_decided(configured: Configured, arguments: list[str], wanted: dict[str, Any]) -> None:
    explained = _explained(configured, *_PUT, *arguments)
    assert {name: explained[name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("arguments", "refused_at", "code"),
    [
        ([*_PUT, "--bucket=other", "--scheme=http"], "transport", "AccessDenied"),
        ([*_PUT, "--bucket=other", "--scheme=http", *_SSE_C], "transport", "InvalidRequest"),
        ([*_PUT, "--bucket=b"], "identity", "InvalidBucketName"),
        (["--bucket=other", "--age=1000"], "identity", "RequestTimeTooSkewed"),
        ([*_PUT, "--bucket=payroll"], "policy", "AccessDenied"),
        ([*_PUT, "--bucket=other", "--header=x-amz-copy-source: nothing"], "policy", "InvalidArgument"),
        ([*_PUT, "--bucket=other", "--header=x-amz-server-side-encryption: no"], "policy", "InvalidArgument"),
        ([*_PUT, "--bucket=own", "--query=encryption"], "default", "AccessDenied"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_where_a_request_is_refused(configured: Configured, arguments: list[str], refused_at: str, code: str) -> None:
    """Nothing after that step is reached, but the answer."""
    explained = _explained(configured, *arguments)
    assert explained["error"]["code"] == code
    verdicts = {step["name"]: step["verdict"] for step in explained["steps"]}
    before, after = list(verdicts).index(refused_at), list(verdicts)[list(verdicts).index(refused_at) + 1 : -1]
    assert list(verdicts.values())[:before] == ["passed"] * before
    assert verdicts[refused_at] == verdicts["answer"] == "refused"
    assert {verdicts[name] for name in after} <= {"not reached"}


def test_plain_http_is_served_where_a_listener_is_exempted(configured: Configured) -> None:
    loopback = {"address": "127.0.0.1", "port": 9000, "allow_plain_http_from_loopback": True}
    listeners = {"plain_http_loopback": [loopback]}
    explained = _explained(configured, "--bucket=other", "--scheme=http", listeners=listeners)
    assert explained["error"] is None
    assert explained["steps"][0]["lines"] == ["plain HTTP from 127.0.0.1; only an exempted listener serves it"]


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (["--bucket=other"], ["x-amz-server-side-encryption: AES256 (added by the gateway)"]),
        (
            ["--bucket=own"],
            [
                "x-amz-server-side-encryption-customer-algorithm: AES256 (added by the gateway)",
                "x-amz-server-side-encryption-customer-key: (not shown) (added by the gateway)",
                "x-amz-server-side-encryption-customer-key-md5: (not shown) (added by the gateway)",
            ],
        ),
        (
            ["--bucket=sealed"],
            [
                "the body is sealed with wrapping key wrap; the upstream sees ciphertext only",
                "no encryption header fields",
            ],
        ),
    ],
    ids=["sse-s3", "sse-c", "cse"],
)
def test_what_goes_upstream(configured: Configured, arguments: list[str], lines: list[str]) -> None:
    assert _explained(configured, *_PUT, *arguments)["steps"][4]["lines"] == lines


def test_a_kms_rule_names_its_key(configured: Configured) -> None:
    rules = [{"name": "kms", "buckets": ["*"], "mode": "sse-kms", "kms_key_arn": ARN, "bucket_key": True}]
    assert _explained(configured, *_PUT, "--bucket=other", rules=rules)["steps"][4]["lines"] == [
        "x-amz-server-side-encryption: aws:kms (added by the gateway)",
        f"x-amz-server-side-encryption-aws-kms-key-id: {ARN} (added by the gateway)",
        "x-amz-server-side-encryption-bucket-key-enabled: true (added by the gateway)",
    ]


def test_a_customer_key_is_never_shown(configured: Configured) -> None:
    for arguments in (["--bucket=other", *_SSE_C], ["--bucket=b", *_SSE_C], ["--bucket=own", *_SSE_C]):
        for shown in (_explain(configured, *_PUT, *arguments), _explain(configured, *_PUT, *arguments, "--json")):
            assert _KEY not in shown.output
            assert "Xsqb0" not in shown.output


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--query=uploadId=begun-elsewhere"], "the upload did not begin with an encryption of the gateway, or not"),
        (["--query=uploadId=u.sg1-kms-00000000-0-kms"], "a part of an upload that began with sse-kms"),
        (["--query=uploadId=u.sg1-cse-00000000-0"], "the part is sealed under the key that its upload began with"),
    ],
)
def test_a_part_goes_where_its_upload_began(configured: Configured, arguments: list[str], line: str) -> None:
    explained = _explained(configured, *_PUT, "--bucket=other", "--query=partNumber=1", *arguments)
    assert explained["steps"][4]["lines"][0].startswith(line)


def test_reading_and_listing_decide_nothing(configured: Configured) -> None:
    read = _explained(configured, "--bucket=own", "--key=a")
    assert read["steps"][3]["lines"] == ["nothing to decide; objects here are expected as rule own has them, sse-c"]
    listed = _explained(configured, "--bucket=own")
    assert listed["steps"][3]["lines"] == ["nothing to decide: not about an object"]
    removed = _explained(configured, "--bucket=own", "--method=POST", "--query=delete")
    assert "each key of the document is asked for by itself, as DELETE of that key" in removed["steps"][2]["lines"]


def test_a_preflight_is_nobodys(configured: Configured) -> None:
    explained = _explained(configured, "--method=OPTIONS", "--bucket=payroll", "--key=a")
    assert explained["steps"][1]["lines"] == ["nobody, NONE"]
    assert explained["steps"][2]["lines"] == ["allow by default"]
    assert explained["steps"][5]["lines"] == ["https://s3.us-east-1.amazonaws.com, signed for us-east-1"]


def test_a_version_of_tls_that_nobody_tells(configured: Configured) -> None:
    explained = _explained(configured, "--bucket=payroll", "--tls=unknown")
    assert explained["steps"][0]["lines"] == ["TLS of a version that is not known from 127.0.0.1"]


def test_where_nothing_is_encrypted_a_bare_upload_is_fine(configured: Configured) -> None:
    rules = [{"name": "none", "buckets": ["*"], "mode": "none"}]
    part = ["--bucket=other", "--query=partNumber=1", "--query=uploadId=u"]
    lines = _explained(configured, *_PUT, *part, rules=rules)["steps"][4]["lines"]
    assert lines == ["the upload did not begin with an encryption of the gateway, or not through the gateway"]


def test_the_buckets_own_policy_is_asked_when_it_is_given(configured: Configured, tmp_path: Path) -> None:
    own = tmp_path / "own.json"
    own.write_text(json.dumps({"Statement": REQUIRE_KMS | {"Sid": "Own", "Resource": "arn:aws:s3:::other/*"}}))
    explained = _explained(configured, *_PUT, "--bucket=other", f"--bucket-policy={own}")
    assert (explained["effect"], explained["statement"]) == ("deny", "bucket policy of other/Own")
    assert _explained(configured, *_PUT, "--bucket=other")["effect"] == "allow"
    own.write_text("{}")
    broken = _explain(configured, *_PUT, "--bucket=other", f"--bucket-policy={own}")
    assert broken.exit_code == 1
    assert "bucket policy of other, line 1: Statement is missing" in broken.stderr


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--header=x"], 2),
        (["--header=: x"], 2),
        (["--query==x"], 2),
        (["--scheme=ftp"], 2),
        (["--proof=none"], 2),
        (["--age=-1"], 2),
        (["--identity=nobody"], 1),
    ],
)
def test_wrong_usage(configured: Configured, arguments: list[str], status: int) -> None:
    result = _explain(configured, "--bucket=other", *arguments)
    assert result.exit_code == status
    assert "Traceback" not in result.output


def test_faults_of_the_configuration_and_of_policies_are_told(configured: Configured) -> None:
    assert _explain(configured, "--bucket=other", rules=[]).exit_code == 1
    result = CliRunner().invoke(
        app, ["policy", "explain", "-c", str(configured({"Effect": "Maybe"})), "--bucket=other"]
    )
    assert result.exit_code == 1
    assert "policy, line" in result.stderr
