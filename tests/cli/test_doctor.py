"""``sealgate doctor`` against a real store and a real vault; what no store here answers comes from a small server."""

import base64
import json
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from typer.testing import CliRunner, Result

from gateway.cli.app import app
from gateway.cli.doctor import diagnose
from gateway.cli.findings import Finding
from gateway.config.load import check_config
from gateway.keys.keyring_editing import add_key
from gateway.keys.local import LocalKeyProvider
from gateway.redact import SecretBytes
from lab.certificates import CertificateAuthority
from lab.openbao import OpenBao
from lab.ports import free_port
from lab.seaweed import SeaweedFS

SSE_C = {"name": "c", "buckets": ["doctor-c", "doctor-c-*"], "mode": "sse-c", "customer_key": "k"}
REST = {"name": "rest", "buckets": ["*"], "mode": "sse-s3"}
LAST_RULE = (
    "rules: the last rule must fit every object: buckets ['*'] without prefixes. "
    "Give it mode none if that is what the other objects should get"
)
Document = dict[str, Any]


@pytest.fixture
def secrets(seaweed: SeaweedFS, openbao: OpenBao, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Every secret of the configuration, in variables; the key is in the vault."""
    key = base64.b64encode(os.urandom(32)).decode()
    openbao.put_secret("doctor/key", {"key": key, "short": base64.b64encode(os.urandom(31)).decode()})
    monkeypatch.setenv("DOCTOR_CLIENT", "zqjXclientXzqj")
    monkeypatch.setenv("DOCTOR_STORE", seaweed.credentials.secret_key)
    monkeypatch.setenv("DOCTOR_VAULT", openbao.root_token)
    return ("zqjXclientXzqj", seaweed.credentials.secret_key, openbao.root_token, key)


@pytest.fixture
def document(
    seaweed: SeaweedFS, openbao: OpenBao, authority: CertificateAuthority, secrets: tuple[str, ...]
) -> Document:
    """A configuration in which everything works."""
    files = authority.issue_server("doctor")
    return {
        "listeners": {"https": [{"certificate": str(files.certificate), "private_key": str(files.key)}]},
        "identities": [
            {
                "name": "app",
                "access_key_id": "AKIDAPP",
                "secret_access_key": "env:DOCTOR_CLIENT",
                "upstream_credentials": {
                    "kind": "static",
                    "access_key_id": seaweed.credentials.access_key,
                    "secret_access_key": "env:DOCTOR_STORE",
                },
            }
        ],
        "upstream": {"endpoint": seaweed.endpoint, "ca_bundle": str(seaweed.ca_file)},
        "vaults": {
            "main": {"address": openbao.address, "token": "env:DOCTOR_VAULT", "ca_bundle": str(openbao.ca_file)},
        },
        "customer_keys": {"k": {"vault": "main", "path": "doctor/key"}},
        "rules": [SSE_C, REST],
    }


def doctor(document: Document, directory: Path, *arguments: str) -> Result:
    file = directory / "sealgate.yaml"
    file.write_text(json.dumps(document))
    return CliRunner().invoke(app, ["doctor", *arguments, "--config", str(file)])


def findings_of(document: Document, directory: Path, *, status: int) -> dict[str, dict[str, str]]:
    """The findings of the JSON form by subject."""
    result = doctor(document, directory, "--json")
    assert result.exit_code == status, result.output
    answer = json.loads(result.stdout)
    assert answer["ok"] is (status == 0)
    return {finding["subject"]: finding for finding in answer["findings"]}


def test_all_is_well(document: Document, seaweed: SeaweedFS, tmp_path: Path, secrets: tuple[str, ...]) -> None:
    """Vault, key, credentials, clock and the buckets of the sse-c rule are found well; nothing secret is printed."""
    client = seaweed.client()
    for bucket in ("doctor-c-1", "doctor-plain"):
        client.create_bucket(Bucket=bucket)
    found = findings_of(document, tmp_path, status=0)
    assert {subject: finding["severity"] for subject, finding in found.items()} == {
        "configuration": "ok",
        "vaults.main": "ok",
        "customer_keys.k": "ok",
        "secrets": "ok",
        "upstream": "ok",
        "identity app": "ok",
        "clock": "ok",
        "bucket doctor-c": "ok",
        "bucket doctor-c-1": "ok",
    }
    table = doctor(document, tmp_path)
    assert table.exit_code == 0
    assert "customer_keys.k" in table.stdout
    assert not [secret for secret in secrets if secret in table.output or secret in str(found)]


@pytest.fixture
def sealing(document: Document, tmp_path: Path) -> Document:
    """The same with a wrapping key and a staging directory."""
    add_key(tmp_path / "keyring.json", "one")
    return {
        **document,
        "wrapping_keys": {"w": {"provider": "local", "keyring": str(tmp_path / "keyring.json")}},
        "staging": {"location": (tmp_path / "staging").as_uri()},
        "rules": [{"name": "sealed", "buckets": ["sealed"], "mode": "cse", "wrapping_key": "w"}, REST],
    }


def test_wrapping_key_and_staging_directory(sealing: Document, tmp_path: Path) -> None:
    """Both are really used, and nothing is left behind."""
    found = findings_of(sealing, tmp_path, status=0)
    assert (found["wrapping_keys.w"]["severity"], found["staging"]["severity"]) == ("ok", "ok")
    assert "local:one" in found["wrapping_keys.w"]["message"]
    assert not [path for path in (tmp_path / "staging").rglob("*") if path.is_file()]


def test_wrapping_key_that_can_not_be_used(sealing: Document, tmp_path: Path) -> None:
    (tmp_path / "keyring.json").chmod(0o640)
    found = findings_of(sealing, tmp_path, status=1)
    assert found["wrapping_keys.w"]["severity"] == "failure"
    assert "chmod 0600" in found["wrapping_keys.w"]["message"]


async def test_wrapping_key_that_unwraps_something_else(sealing: Document, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unwrap(self: LocalKeyProvider, wrapping_key: str, wrapped: bytes) -> SecretBytes:
        return SecretBytes(bytes(32))

    monkeypatch.setattr(LocalKeyProvider, "unwrap", unwrap)
    found = {finding.subject: finding async for finding in diagnose(check_config(sealing))}
    assert found["wrapping_keys.w"].severity == "failure"


def in_a_bucket(document: Document, bucket: str) -> Document:
    credentials = document["identities"][0]["upstream_credentials"]
    return {**document, "staging": {"location": f"s3://{bucket}/a/b", "upstream_credentials": credentials}}


def test_staging_bucket(sealing: Document, seaweed: SeaweedFS, tmp_path: Path) -> None:
    client = seaweed.client()
    client.create_bucket(Bucket="doctor-staging")
    found = findings_of(in_a_bucket(sealing, "doctor-staging"), tmp_path, status=0)
    assert found["staging"]["message"] == "s3://doctor-staging/a/b: a part was written, read back and removed"
    assert "Contents" not in client.list_objects_v2(Bucket="doctor-staging")


def test_staging_bucket_that_does_not_work(sealing: Document, tmp_path: Path) -> None:
    # This store makes a missing bucket for whoever may; other credentials may not.
    stranger = in_a_bucket(sealing, "doctor-nowhere")
    stranger["staging"]["upstream_credentials"] = {
        "kind": "static", "access_key_id": "AKIDSTRANGER", "secret_access_key": "env:DOCTOR_CLIENT",
    }  # fmt: skip
    found = findings_of(stranger, tmp_path, status=1)
    assert found["staging"]["severity"] == "failure"
    assert "s3://doctor-nowhere/a/b: " in found["staging"]["message"]


def test_faults_of_the_configuration(document: Document, tmp_path: Path) -> None:
    result = doctor({**document, "workers": 0, "rules": [SSE_C]}, tmp_path, "--json")
    assert result.exit_code == 1
    assert [finding["message"] for finding in json.loads(result.stdout)["findings"]] == [
        "workers: must be at least 1",
        LAST_RULE,
    ]


def test_missing_secret(document: Document, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The upstream can not be asked then, and that is said; the vault is still looked at."""
    monkeypatch.delenv("DOCTOR_STORE")
    found = findings_of(document, tmp_path, status=1)
    assert found["secrets"]["severity"] == "failure"
    assert "env:DOCTOR_STORE is not set" in found["secrets"]["message"]
    assert found["upstream"]["severity"] == "skipped"
    assert found["customer_keys.k"]["severity"] == "ok"


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"field": "short"}, "31 bytes instead of 32"),
        ({"path": "doctor/none"}, "does not exist"),
        ({"field": "none"}, "none"),
    ],
)
def test_unusable_key(document: Document, tmp_path: Path, options: dict[str, str], part: str) -> None:
    key = {**document["customer_keys"]["k"], **options}
    found = findings_of({**document, "customer_keys": {"k": key}}, tmp_path, status=1)
    assert found["customer_keys.k"]["severity"] == "failure"
    assert part in found["customer_keys.k"]["message"]


def test_wrong_vault_token(document: Document, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCTOR_VAULT", "s.wrong")
    found = findings_of(document, tmp_path, status=1)
    assert found["vaults.main"]["severity"] == "ok"
    assert "token is wrong" in found["customer_keys.k"]["message"]


def test_vault_is_down(document: Document, tmp_path: Path) -> None:
    vault = {**document["vaults"]["main"], "address": f"https://127.0.0.1:{free_port()}"}
    found = findings_of({**document, "vaults": {"main": vault}}, tmp_path, status=1)
    assert found["vaults.main"]["severity"] == "failure"
    assert found["customer_keys.k"]["severity"] == "failure"
    assert found["upstream"]["severity"] == "ok"


def test_wrong_upstream_secret(document: Document, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCTOR_STORE", "zqjXwrongXzqj")
    result = doctor(document, tmp_path, "--json")
    assert result.exit_code == 1
    assert "SignatureDoesNotMatch" in result.stdout
    assert "zqjXwrongXzqj" not in result.output


def test_upstream_is_down(document: Document, tmp_path: Path) -> None:
    upstream = {**document["upstream"], "endpoint": f"https://localhost:{free_port()}"}
    found = findings_of({**document, "upstream": upstream}, tmp_path, status=1)
    assert found["upstream"]["severity"] == "failure"
    assert not [subject for subject in found if subject.startswith(("bucket", "identity"))]


def test_untrusted_certificate(document: Document, tmp_path: Path) -> None:
    """A store whose certificate comes from another authority is not talked to."""
    stranger = CertificateAuthority(tmp_path / "stranger")
    found = findings_of(
        {**document, "upstream": {**document["upstream"], "ca_bundle": str(stranger.ca_file)}}, tmp_path, status=1
    )
    assert found["upstream"]["severity"] == "failure"
    assert "certificate" in found["upstream"]["message"]


# ------------------------------------------------------------------------------------- answers that no store here gives

LISTED = (
    '<ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Buckets>'
    "<Bucket><Name>doctor-c-new</Name></Bucket><Bucket><Name>other</Name></Bucket>"
    "</Buckets></ListAllMyBucketsResult>"
)
BLOCKED = (
    '<ServerSideEncryptionConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule>'
    "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm>"
    "<KMSMasterKeyID>arn:aws:kms:eu-central-1:111122223333:key/abc</KMSMasterKeyID>"
    "</ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled>"
    "<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>"
    "</Rule></ServerSideEncryptionConfiguration>"
)


def error(code: str) -> str:
    return f"<Error><Code>{code}</Code><Message>told by the test</Message></Error>"


Answers = Mapping[str, tuple[int, str]]
Serve = Callable[[Answers, timedelta], Awaitable[str]]


@pytest.fixture
async def serve(authority: CertificateAuthority) -> AsyncIterator[Serve]:
    """Starts an HTTPS server that answers paths with fixed documents, its clock set wrong by some time."""
    runners: list[web.ServerRunner] = []

    async def start(answers: Answers, clock: timedelta) -> str:
        async def handler(request: web.BaseRequest) -> web.Response:
            status, body = answers[request.path_qs]
            date = format_datetime(datetime.now(UTC) + clock, usegmt=True)
            return web.Response(status=status, body=body.encode(), headers={"Date": date})

        files = authority.issue_server("doctor-fixed")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.certificate, files.key)
        runner = web.ServerRunner(web.Server(handler))
        runners.append(runner)
        await runner.setup()
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
        return f"https://localhost:{port}"

    yield start
    for runner in runners:
        await runner.cleanup()


async def diagnosis(document: Document, endpoint: str) -> dict[str, Finding]:
    config = check_config({**document, "upstream": {**document["upstream"], "endpoint": endpoint}})
    return {finding.subject: finding async for finding in diagnose(config)}


@pytest.mark.parametrize(
    ("skew", "severity", "part"),
    [
        (timedelta(0), "ok", "agrees"),
        (timedelta(seconds=3), "ok", "agrees"),
        (timedelta(seconds=-30), "warning", "differs from the upstream's by"),
        (timedelta(minutes=14), "warning", "differs"),
        (timedelta(minutes=16), "failure", "differs"),
        (timedelta(minutes=-16), "failure", "differs"),
    ],
)
async def test_clock(document: Document, serve: Serve, skew: timedelta, severity: str, part: str) -> None:
    endpoint = await serve({"/": (200, LISTED), **dict.fromkeys(BUCKETS, (404, error("NoSuchBucket")))}, skew)
    clock = (await diagnosis(document, endpoint))["clock"]
    assert clock.severity == severity
    assert part in clock.message


BUCKETS = ("/doctor-c?encryption", "/doctor-c-new?encryption")


@pytest.mark.parametrize(
    ("answer", "severity", "part"),
    [
        ((200, BLOCKED), "failure", "blocks SSE-C"),
        ((200, BLOCKED.replace(">SSE-C<", ">NONE<")), "ok", "does not block SSE-C"),
        ((200, "not XML"), "skipped", "not XML"),
        ((404, error("ServerSideEncryptionConfigurationNotFoundError")), "ok", "no block"),
        ((404, error("NoSuchBucket")), "warning", "does not exist yet"),
        ((403, error("AccessDenied")), "warning", "can not be read"),
        ((501, error("NotImplemented")), "skipped", "does not say"),
    ],
)
async def test_block_of_sse_c(
    document: Document, serve: Serve, answer: tuple[int, str], severity: str, part: str
) -> None:
    """The buckets that the rule names, and those listed that it fits; no other."""
    endpoint = await serve({"/": (200, LISTED), **dict.fromkeys(BUCKETS, answer)}, timedelta(0))
    found = await diagnosis(document, endpoint)
    assert {subject for subject in found if subject.startswith("bucket")} == {"bucket doctor-c", "bucket doctor-c-new"}
    assert found["bucket doctor-c-new"].severity == severity
    assert part in found["bucket doctor-c-new"].message


async def test_remedy_for_the_block_keeps_the_default(document: Document, serve: Serve) -> None:
    """One request sets both, so the command repeats the bucket's present default encryption."""
    endpoint = await serve({"/": (200, LISTED), **dict.fromkeys(BUCKETS, (200, BLOCKED))}, timedelta(0))
    remedy = (await diagnosis(document, endpoint))["bucket doctor-c-new"].remedy
    assert "aws s3api put-bucket-encryption --bucket doctor-c-new --server-side-encryption-configuration '" in remedy
    assert json.loads(remedy.partition("'")[2].rpartition("'")[0]) == {
        "Rules": [
            {
                "ApplyServerSideEncryptionByDefault": {
                    "SSEAlgorithm": "aws:kms",
                    "KMSMasterKeyID": "arn:aws:kms:eu-central-1:111122223333:key/abc",
                },
                "BlockedEncryptionTypes": {"EncryptionType": ["NONE"]},
                "BucketKeyEnabled": True,
            }
        ]
    }


@pytest.mark.parametrize(
    ("answer", "severity", "part"),
    [
        ((403, error("AccessDenied")), "ok", "may not list buckets"),
        ((403, error("InvalidAccessKeyId")), "failure", "InvalidAccessKeyId"),
        ((400, error("ExpiredToken")), "failure", "ExpiredToken"),
        ((503, ""), "failure", "HTTP 503"),
    ],
)
async def test_credentials(document: Document, serve: Serve, answer: tuple[int, str], severity: str, part: str) -> None:
    """Credentials that may not list buckets are fine, and are used to ask about the buckets that rules name."""
    endpoint = await serve({"/": answer, BUCKETS[0]: (200, BLOCKED)}, timedelta(0))
    found = await diagnosis(document, endpoint)
    assert found["identity app"].severity == severity
    assert part in found["identity app"].message
    assert found["bucket doctor-c"].severity == ("failure" if severity == "ok" else "skipped")


def test_policies_and_rules_that_encrypt_nothing(document: Document, seaweed: SeaweedFS, tmp_path: Path) -> None:
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::doctor-policed/*"}
    file = tmp_path / "policy.json"
    file.write_text(json.dumps({"Statement": [statement]}))
    file.chmod(0o600)
    client = seaweed.client()
    for bucket in ("doctor-policed", "doctor-unread"):
        client.create_bucket(Bucket=bucket)
    twice = {"Version": "2012-10-17", "Statement": [statement | {"Sid": "Same", "Action": "s3:PutObjectAcl"}] * 2}
    client.put_bucket_policy(Bucket="doctor-policed", Policy=json.dumps(twice))
    open_rule = {"name": "open", "buckets": ["open"], "mode": "none"}
    credentials = document["identities"][0]["upstream_credentials"]
    policed = {
        **document,
        "policies": [{"name": "p", "file": str(file)}],
        "authorization": {"bucket_policies": {"upstream_credentials": credentials}},
        "rules": [open_rule, REST],
    }
    found = findings_of(policed, tmp_path, status=1)
    assert (found["policy p"]["severity"], found["policy p"]["message"]) == ("ok", "1 statement")
    assert found["rule open"]["severity"] == "warning"
    assert "mode none" in found["rule open"]["message"]
    assert found["policy of bucket doctor-unread"]["message"] == "there is none"
    faulty = found["policy of bucket doctor-policed"]
    assert faulty["severity"] == "failure"
    assert "requests about the bucket are refused" in faulty["message"]
    client.delete_bucket_policy(Bucket="doctor-policed")
    policed["authorization"]["bucket_policies"]["upstream_credentials"] = credentials | {
        "secret_access_key": "env:DOCTOR_CLIENT"
    }
    unread = findings_of(policed, tmp_path, status=1)["policy of bucket doctor-unread"]
    assert unread["severity"] == "failure"
    assert "s3:GetBucketPolicy" in unread["remedy"]
