"""`sealgate policy generate`, `diff` and `apply`: their options, and a real store whose policy is written."""

import fcntl
import json
import os
import pty
import subprocess
import sys
import termios
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner, Result

from gateway.cli.app import app
from gateway.cli.closing import store as room
from gateway.policy.iam.document import MAXIMUM_BUCKET_POLICY_BYTES, parse_policy
from gateway.s3.operation import Operation
from gateway.upstream.client import UpstreamClient
from gateway.upstream.refreshing import CredentialSource
from gateway.upstream.request import UpstreamRequest
from gateway.upstream.response import UpstreamResponse
from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.s3_server import S3Client
from lab.seaweed import SeaweedFS

_ROLE = "arn:aws:iam::111122223333:role/sealgate"
_ASSUMED = "arn:aws:iam::111122223333:role/assumed"
_FOREIGN = {
    "Sid": "Theirs",
    "Effect": "Deny",
    "Principal": "*",
    "Action": ["s3:GetObject"],
    "Resource": ["arn:aws:s3:::BUCKET/hidden/*"],
}
#: SeaweedFS knows no principals as condition keys, no ArnNotEquals and no NotAction.
_AT_SEAWEED = ("--leave-out", "writers", "--leave-out", "tls-version")


def _config(path: Path, **changes: Any) -> str:
    """A configuration that nothing has to be there for."""
    document = {
        "listeners": {"https": [{"certificate": "/tls.crt", "private_key": "/tls.key"}]},
        "identities": [_identity("static", {"kind": "default-chain"}), _identity("assumed", _assumed())],
        "upstream": {"region": "eu-central-1"},
        "rules": [{"name": "rest", "buckets": ["*"], "mode": "sse-s3"}],
        **changes,
    }
    path.write_text(json.dumps(document))
    return str(path)


def _identity(name: str, upstream: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "access_key_id": f"SEALGATE{name.upper():0<12}",
        "secret_access_key": "env:NOT_SET",
        "upstream_credentials": upstream,
    }


def _assumed() -> dict[str, Any]:
    return {"kind": "assumed-role", "role_arn": _ASSUMED}


def _run(command: str, *options: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, ["policy", command, *options], env=env)


def _generated(*options: str) -> dict[str, Any]:
    done = _run("generate", *options)
    assert done.exit_code == 0, done.output
    parse_policy(done.stdout, "generated")
    return {statement["Sid"]: statement for statement in json.loads(done.stdout)["Statement"]}


def test_generate(tmp_path: Path) -> None:
    """Neither secrets nor a store are needed; the gateway is its assumed roles and what is given."""
    config = _config(tmp_path / "sealgate.yaml")
    statements = _generated("--config", config, "--bucket", "billing", "--gateway-role", _ROLE)
    assert statements["SealgateWriters"]["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": [_ASSUMED, _ROLE]}}
    assert statements["SealgateTransport"]["Resource"] == ["arn:aws:s3:::billing", "arn:aws:s3:::billing/*"]
    assert statements["SealgateTlsVersion"]["Condition"] == {"NumericLessThan": {"s3:TlsVersion": "1.2"}}
    assert "SealgateReaders" not in statements


def test_generate_with_other_options(tmp_path: Path) -> None:
    config = _config(tmp_path / "sealgate.yaml", upstream={"region": "cn-north-1"})
    base = ("--config", config, "--bucket", "billing")
    statements = _generated(*base, "--gateway-role", _ROLE, "--minimum-tls", "1.3", "--deny-reads")
    assert statements["SealgateTlsVersion"]["Condition"] == {"NumericLessThan": {"s3:TlsVersion": "1.3"}}
    assert statements["SealgateReaders"]["Resource"] == "arn:aws-cn:s3:::billing/*"
    # Without the parts that name the gateway nobody has to say who it is.
    left = _generated(*base, "--leave-out", "writers", "--leave-out", "tls-version")
    assert set(left) == {"SealgateTransport", "SealgateEncryption1", "SealgateCustomerKeys1"}


def test_only_assumed_roles_say_who_the_gateway_is(tmp_path: Path) -> None:
    config = _config(tmp_path / "sealgate.yaml")
    done = _run("generate", "--config", config, "--bucket", "billing")
    assert done.exit_code == 1
    assert "--gateway-role" in done.stderr
    assert "static" in done.stderr
    assert done.stdout == ""
    assumed = _config(tmp_path / "assumed.yaml", identities=[_identity("assumed", _assumed())])
    statements = _generated("--config", assumed, "--bucket", "billing")
    assert statements["SealgateWriters"]["Condition"]["ArnNotEquals"]["aws:PrincipalArn"] == [_ASSUMED]


@pytest.mark.parametrize(
    "role",
    [
        "",
        "*",
        "sealgate",
        "arn:aws:iam::111122223333:role/*",
        "arn:aws:iam::111122223333:role/seal?ate",
        "arn:aws:iam::111122223333:root",
        "arn:aws:sts::111122223333:assumed-role/sealgate/session",
        "arn:aws:iam::111122223333:role/",
    ],
)
def test_what_is_no_role(tmp_path: Path, role: str) -> None:
    done = _run("generate", "--config", _config(tmp_path / "c.yaml"), "--bucket", "billing", f"--gateway-role={role}")
    assert done.exit_code == 1
    assert "--gateway-role: the ARN of a role or user is needed" in done.stderr


@pytest.mark.parametrize("bucket", ["", "a", "a/b", "a*", "${bucket}", "x" * 256])
def test_what_is_no_bucket(tmp_path: Path, bucket: str) -> None:
    done = _run("generate", "--config", _config(tmp_path / "c.yaml"), f"--bucket={bucket}", "--gateway-role", _ROLE)
    assert done.exit_code == 1
    assert "--bucket: is not the name of a bucket" in done.stderr


def test_the_staging_store_is_no_bucket_of_the_rules(tmp_path: Path) -> None:
    staging = {"location": "s3://staged/parts", "upstream_credentials": {"kind": "default-chain"}}
    config = _config(tmp_path / "c.yaml", staging=staging)
    done = _run("generate", "--config", config, "--bucket", "staged", "--gateway-role", _ROLE)
    assert done.exit_code == 1
    assert "staging store" in done.stderr


def test_a_gateway_without_tls_is_not_locked_out(tmp_path: Path) -> None:
    upstream = {"endpoint": "http://store.example.com", "allow_insecure_plain_http_upstream": True}
    config = _config(tmp_path / "c.yaml", upstream=upstream)
    done = _run("generate", "--config", config, "--bucket", "billing", "--gateway-role", _ROLE)
    assert done.exit_code == 0
    assert "requests without TLS are not denied" in done.stderr
    assert "SecureTransport" not in done.stdout
    assert "TlsVersion" not in done.stdout


def test_what_the_policy_can_not_tell_apart_is_said(tmp_path: Path) -> None:
    inner = {"name": "inner", "buckets": ["*"], "prefixes": ["logs/tmp/"], "mode": "none"}
    outer = {"name": "outer", "buckets": ["*"], "prefixes": ["logs/"], "mode": "sse-s3"}
    rest = {"name": "rest", "buckets": ["*"], "mode": "sse-s3"}
    config = _config(tmp_path / "c.yaml", rules=[inner, outer, rest])
    done = _run("generate", "--config", config, "--bucket", "billing", "--gateway-role", _ROLE)
    assert done.exit_code == 0
    assert "below 'logs/*'" in done.stderr
    assert "inner, outer" in done.stderr


def test_a_policy_that_s3_does_not_take(tmp_path: Path) -> None:
    prefixes = [f"{number:03}/{'x' * 60}/" for number in range(300)]
    rules = [
        {"name": "many", "buckets": ["*"], "prefixes": prefixes, "mode": "none"},
        {"name": "rest", "buckets": ["*"], "mode": "sse-s3"},
    ]
    config = _config(tmp_path / "c.yaml", rules=rules)
    done = _run("generate", "--config", config, "--bucket", "billing", "--gateway-role", _ROLE)
    assert done.exit_code == 1
    assert f"{MAXIMUM_BUCKET_POLICY_BYTES:,}" in done.stderr
    assert done.stdout == ""


def test_ceph_knows_no_versions_of_tls(tmp_path: Path) -> None:
    base = ("--config", _config(tmp_path / "c.yaml"), "--bucket", "billing", "--gateway-role", _ROLE, "--for", "ceph")
    assert _run("generate", *base, "--minimum-tls", "1.3").exit_code == 2
    done = _run("generate", *base)
    assert done.exit_code == 0
    assert "customer-keys and tls-version" in done.stderr


class Between(UpstreamClient):
    """Does something just before a request to the store is sent, or just after it was answered."""

    before: ClassVar[dict[int, Callable[[], object]]] = {}
    after: ClassVar[dict[Operation, Callable[[], object]]] = {}
    sent: ClassVar[list[Operation]] = []

    @asynccontextmanager
    async def send(
        self, request: UpstreamRequest, credentials: CredentialSource | None
    ) -> AsyncIterator[UpstreamResponse]:
        Between.sent.append(request.operation)
        Between.before.pop(len(Between.sent), lambda: None)()
        async with super().send(request, credentials) as answer:
            yield answer
        Between.after.pop(request.operation, lambda: None)()


class Bucket:
    """A bucket at a real store, and the commands about it."""

    def __init__(self, gateway: Gateway, client: S3Client, name: str) -> None:
        self.gateway, self.client, self.name = gateway, client, name

    def run(self, command: str, *options: str) -> Result:
        base = ("--config", str(self.gateway.config_file), "--bucket", self.name, *_AT_SEAWEED)
        return _run(command, *base, *options, env=self.gateway.environment)

    def put(self, *statements: dict[str, Any]) -> None:
        text = json.dumps({"Version": "2012-10-17", "Statement": list(statements)}).replace("BUCKET", self.name)
        self.client.put_bucket_policy(Bucket=self.name, Policy=text)

    def sids(self) -> list[str]:
        try:
            text = self.client.get_bucket_policy(Bucket=self.name)["Policy"]
        except ClientError as error:
            assert error.response["Error"]["Code"] == "NoSuchBucketPolicy"  # noqa: PT017 - nothing else is expected
            return []
        return [statement["Sid"] for statement in json.loads(text)["Statement"]]


@pytest.fixture
def bucket(
    tmp_path: Path, authority: CertificateAuthority, seaweed: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> Bucket:
    name = f"closing-{uuid.uuid4().hex[:10]}"
    rules = [
        {"name": "keys", "buckets": [name], "prefixes": ["kms/"], "mode": "sse-kms", "kms_key_name": "sealgate-lab"},
        {"name": "rest", "buckets": ["*"], "mode": "sse-s3"},
    ]
    monkeypatch.setattr(room, "UpstreamClient", Between)
    for attribute in ("before", "after"):
        monkeypatch.setattr(Between, attribute, {})
    monkeypatch.setattr(Between, "sent", [])
    client = seaweed.client()
    client.create_bucket(Bucket=name)
    return Bucket(Gateway(tmp_path, authority, seaweed, rules=rules), client, name)


_OWN = [
    "SealgateTransport",
    "SealgateEncryption1",
    "SealgateEncryption2",
    "SealgateEncryption3",
    "SealgateCustomerKeys1",
]


def test_a_policy_is_written_and_then_the_same(bucket: Bucket) -> None:
    done = bucket.run("diff")
    assert done.exit_code == 1
    assert done.stdout.count("missing") == len(_OWN)
    assert bucket.sids() == []
    done = bucket.run("apply", "--yes")
    assert done.exit_code == 0, done.output
    assert bucket.sids() == _OWN
    done = bucket.run("diff")
    assert (done.exit_code, "0 differences" in done.stdout) == (0, True)
    Between.sent.clear()
    assert bucket.run("apply", "--yes").exit_code == 0
    assert Between.sent == [Operation.GET_BUCKET_POLICY]


def test_the_store_evaluates_what_was_written(bucket: Bucket) -> None:
    assert bucket.run("apply", "--yes").exit_code == 0
    kms = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "sealgate-lab"}
    customer = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"k" * 32}
    for key, options, accepted in (
        ("plain", {}, False),
        ("right", {"ServerSideEncryption": "AES256"}, True),
        ("kms", kms, False),
        ("customer", customer, False),
        ("kms/plain", {}, False),
        ("kms/right", kms, True),
        ("kms/other", {**kms, "SSEKMSKeyId": "another"}, False),
        ("kms/none", {"ServerSideEncryption": "aws:kms"}, False),
        ("kms/s3", {"ServerSideEncryption": "AES256"}, False),
        ("kms/customer", customer, False),
    ):
        assert _is_accepted(bucket, key, options) is accepted, key


def _is_accepted(bucket: Bucket, key: str, options: dict[str, Any]) -> bool:
    try:
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=b"data", **options)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "AccessDenied"  # noqa: PT017 - any other error is a fault
        return False
    return True


def test_statements_of_others_stay(bucket: Bucket) -> None:
    """Also where they stand first; what is left of an older policy of the gateway goes."""
    bucket.put(_FOREIGN, {**_FOREIGN, "Sid": "SealgateOld"}, {**_FOREIGN, "Sid": "SealgateTransport"})
    done = bucket.run("diff", "--json")
    assert done.exit_code == 1
    shown = json.loads(done.stdout)
    assert shown["kept"] == 1
    kinds = {each["sid"]: each["kind"] for each in shown["differences"]}
    assert kinds == {
        **dict.fromkeys(_OWN, "missing"),
        "SealgateOld": "extra",
        "SealgateTransport": "different",
    }
    assert bucket.run("apply", "--yes").exit_code == 0
    assert bucket.sids() == ["Theirs", *_OWN]
    [theirs] = [
        each
        for each in json.loads(bucket.client.get_bucket_policy(Bucket=bucket.name)["Policy"])["Statement"]
        if each["Sid"] == "Theirs"
    ]
    # This server writes a list of one as the one.
    assert theirs["Resource"] == f"arn:aws:s3:::{bucket.name}/hidden/*"


def test_a_difference_shows_both_sides(bucket: Bucket) -> None:
    assert bucket.run("apply", "--yes").exit_code == 0
    text = bucket.client.get_bucket_policy(Bucket=bucket.name)["Policy"]
    bucket.client.put_bucket_policy(Bucket=bucket.name, Policy=text.replace("AES256", "aws:kms:dsse"))
    done = bucket.run("diff")
    assert done.exit_code == 1
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert "different  SealgateEncryption3" in lines
    assert [line for line in lines if line.startswith(("-", "+"))] == [
        '-         "aws:kms:dsse"',
        '+         "AES256"',
    ]
    assert "1 differences" in done.stdout


def test_nothing_is_written_without_being_asked(bucket: Bucket) -> None:
    """There is no terminal here."""
    done = bucket.run("apply")
    assert done.exit_code == 1
    assert "--yes" in done.stderr
    assert "missing" in done.stdout
    assert bucket.sids() == []
    assert Operation.PUT_BUCKET_POLICY not in Between.sent


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("n", 1), ("", 1), ("\x03", 1)], ids=["y", "n", "none", "^C"])
def test_a_terminal_is_asked(bucket: Bucket, answer: str, status: int) -> None:
    """An interruption while it waits ends the command, and writes nothing."""
    base = ("--config", str(bucket.gateway.config_file), "--bucket", bucket.name, *_AT_SEAWEED)
    command = [sys.executable, "-m", "gateway", "policy", "apply", *base]
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command,
        env=bucket.gateway.environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - an interruption comes from it
    ) as asked:
        os.close(theirs)
        shown = b""
        while b"[y/N]" not in shown:
            shown += os.read(ours, 4096)
        os.write(ours, answer.encode() + b"\n" * (answer != "\x03"))
        assert asked.wait(30) == status
    os.close(ours)
    assert bucket.sids() == ([] if status else _OWN)


def test_a_change_by_somebody_else_is_not_lost(bucket: Bucket) -> None:
    """It comes between the look and the write, which therefore does not happen."""
    Between.before[2] = lambda: bucket.put(_FOREIGN)
    done = bucket.run("apply", "--yes")
    assert done.exit_code == 1
    assert "meanwhile" in done.stderr
    assert bucket.sids() == ["Theirs"]
    assert bucket.run("apply", "--yes").exit_code == 0
    assert bucket.sids() == ["Theirs", *_OWN]


def test_what_is_written_is_read_back(bucket: Bucket) -> None:
    Between.after[Operation.PUT_BUCKET_POLICY] = lambda: bucket.put(_FOREIGN)
    done = bucket.run("apply", "--yes")
    assert done.exit_code == 1
    assert "not the one that was written" in done.stderr


def test_a_bucket_that_is_not_there(bucket: Bucket) -> None:
    bucket.name = "closing-there-is-none"
    for command in (("diff",), ("apply", "--yes")):
        done = bucket.run(*command)
        assert done.exit_code == 1
        assert "NoSuchBucket" in done.stderr


def test_there_has_to_be_such_an_identity(bucket: Bucket) -> None:
    done = bucket.run("diff", "--identity", "nobody")
    assert done.exit_code == 1
    assert "nobody" in done.stderr
    assert bucket.run("diff", "--identity", "lab").exit_code == 1


def test_a_profile_instead_of_an_identity(bucket: Bucket, seaweed: SeaweedFS, tmp_path: Path) -> None:
    """The gateway itself need not be allowed to write policies."""
    credentials = tmp_path / "credentials"
    credentials.write_text(
        f"[owner]\naws_access_key_id = {seaweed.credentials.access_key}\n"
        f"aws_secret_access_key = {seaweed.credentials.secret_key}\n"
    )
    bucket.gateway.environment["AWS_SHARED_CREDENTIALS_FILE"] = str(credentials)
    assert bucket.run("apply", "--yes", "--profile", "owner").exit_code == 0
    assert bucket.sids() == _OWN
    done = bucket.run("diff", "--profile", "nobody")
    assert done.exit_code == 1
    assert "Traceback" not in done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
