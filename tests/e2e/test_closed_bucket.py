"""A bucket of Ceph RGW with the generated policy: the gateway writes, in every way and mode; nobody else does.

RGW evaluates bucket policies, also against the bucket's owner. Here the owner is the application that used to write
directly, and the gateway is another user whom a statement of the owner's lets in.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.openbao import OpenBao
from lab.rgw import Rgw
from lab.s3_server import REGION, S3Client
from lab.sealing import WRAPPING_KEY

pytestmark = pytest.mark.slow

_BUCKET = "closed-bucket"
_CUSTOMER = "e2e/closed"
_GATEWAY_USER = "arn:aws:iam:::user/other"
_SECRET = "SEALGATE_LAB_OTHER_SECRET"
_PART = 5 * 2**20
#: RGW does not send checksums behind a body.
_PLAIN: dict[str, Any] = {"request_checksum_calculation": "when_required"}
_CLIENTS_KEY = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"k" * 32}
#: The modes that RGW 16 has; it ignores SSE-S3 and refuses dual-layer encryption.
_MODES: dict[str, dict[str, Any]] = {
    "sse-kms": {},
    "sse-c": {"customer_key": "customer"},
    "cse": {"wrapping_key": WRAPPING_KEY},
    "none": {},
}


class Stage:
    """The bucket, and everybody who has to do with it."""

    def __init__(self, gateway: Gateway, rgw: Rgw) -> None:
        self.gateway = gateway
        self.rgw = rgw
        self.owner = rgw.client(**_PLAIN)
        self.through = gateway.client()
        #: Straight to the server, with the gateway's own key pair.
        self.as_gateway = rgw.client(rgw.other_credentials, **_PLAIN)

    def sealgate(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "gateway", *arguments, "--config", str(self.gateway.config_file)]
        environment = self.gateway.environment
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    def policy(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        options = ["--bucket", _BUCKET, "--for", "ceph", "--gateway-role", _GATEWAY_USER, "--profile", "owner"]
        return self.sealgate("policy", *arguments, *options)

    def audit(self, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
        """The exit status and what was found."""
        done = self.sealgate("audit", f"s3://{_BUCKET}/old/", "--format", "json", *arguments)
        assert done.stdout, done.stderr
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()[:-1]]

    def kms(self, key: str | None = None) -> dict[str, str]:
        return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key or self.rgw.kms_key_id}


@pytest.fixture(scope="module")
def stage(
    tmp_path_factory: pytest.TempPathFactory, authority: CertificateAuthority, openbao: OpenBao, rgw: Rgw
) -> Iterator[Stage]:
    """The bucket lets the gateway's user in and is not closed yet."""
    directory = tmp_path_factory.mktemp("closed")
    gateway = _gateway(directory, authority, openbao, rgw)
    stage = Stage(gateway, rgw)
    stage.owner.create_bucket(Bucket=_BUCKET)
    stage.owner.put_bucket_policy(Bucket=_BUCKET, Policy=_let_in())
    for key in ("before", "old/1", "old/2"):
        stage.owner.put_object(Bucket=_BUCKET, Key=key, Body=b"in the clear")
    gateway.start()
    yield stage
    gateway.stop()


@pytest.fixture(scope="module")
def closed(stage: Stage) -> Stage:
    """The bucket with the generated policy."""
    assert stage.policy("diff").returncode == 1
    done = stage.policy("apply", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert stage.policy("diff").returncode == 0
    return stage


def _gateway(directory: Path, authority: CertificateAuthority, openbao: OpenBao, rgw: Rgw) -> Gateway:
    openbao.put_random_key(_CUSTOMER)
    modes = {**_MODES, "sse-kms": {"kms_key_arn": rgw.kms_key_id}}
    rules = [
        {"name": mode, "buckets": [_BUCKET], "prefixes": [f"{mode}/"], "mode": mode, **options}
        for mode, options in modes.items()
    ]
    rest = {"name": "rest", "buckets": ["*"], "mode": "sse-kms", "kms_key_arn": rgw.kms_key_id}
    upstream = {
        "kind": "static",
        "access_key_id": rgw.other_credentials.access_key,
        "secret_access_key": f"env:{_SECRET}",
    }
    gateway = Gateway(
        directory,
        authority,
        rgw,
        rules=[*rules, rest],
        vault=openbao,
        customer_keys={"customer": _CUSTOMER},
        sealing=directory / "sealing",
    )
    document = json.loads(gateway.config_file.read_text())
    document["identities"][0]["upstream_credentials"] = upstream
    gateway.config_file.write_text(json.dumps(document))
    shared = directory / "credentials"
    owner = rgw.credentials
    shared.write_text(f"[owner]\naws_access_key_id = {owner.access_key}\naws_secret_access_key = {owner.secret_key}\n")
    gateway.process.environment |= {
        _SECRET: rgw.other_credentials.secret_key,
        "AWS_SHARED_CREDENTIALS_FILE": str(shared),
    }
    return gateway


def _let_in() -> str:
    statement = {
        "Sid": "LetTheGatewayIn",
        "Effect": "Allow",
        "Principal": {"AWS": [_GATEWAY_USER]},
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{_BUCKET}", f"arn:aws:s3:::{_BUCKET}/*"],
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _is_denied(act: Callable[..., object], **arguments: Any) -> bool:
    try:
        act(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "AccessDenied"  # noqa: PT017 - any other error is a fault
        return True
    return False


def _encryption(stage: Stage, mode: str) -> dict[str, Any]:
    """What a client sends directly that wants what the rule asks for."""
    options: dict[str, dict[str, Any]] = {"sse-kms": stage.kms(), "sse-c": _CLIENTS_KEY}
    return options.get(mode, {})


@pytest.mark.parametrize("mode", _MODES)
def test_the_gateways_writes_are_accepted(closed: Stage, mode: str) -> None:
    """One request, parts, and copies, each read back and looked at in the store."""
    client, about = closed.through, {"Bucket": _BUCKET, "Key": f"{mode}/object"}
    client.put_object(**about, Body=b"data")
    assert client.get_object(**about)["Body"].read() == b"data"
    _check_stored(closed, mode, about)
    parts = {"Bucket": _BUCKET, "Key": f"{mode}/parts"}
    data = b"p" * _PART + b"end"
    upload = client.create_multipart_upload(**parts)["UploadId"]
    etags = [
        client.upload_part(**parts, UploadId=upload, PartNumber=number, Body=body)["ETag"]
        for number, body in ((1, data[:_PART]), (2, data[_PART:]))
    ]
    listed = [{"ETag": etag, "PartNumber": number} for number, etag in enumerate(etags, 1)]
    client.complete_multipart_upload(**parts, UploadId=upload, MultipartUpload={"Parts": listed})
    assert client.get_object(**parts)["Body"].read() == data
    _check_stored(closed, mode, parts)
    copy = {"Bucket": _BUCKET, "Key": f"{mode}/copy"}
    client.copy_object(**copy, CopySource=f"{_BUCKET}/{mode}/object")
    assert client.get_object(**copy)["Body"].read() == b"data"
    _check_stored(closed, mode, copy)
    client.delete_object(**copy)


def _check_stored(stage: Stage, mode: str, about: dict[str, str]) -> None:
    """Without the gateway an object of each mode looks as that mode does."""
    if mode == "sse-c":
        with pytest.raises(ClientError, match="400"):
            stage.as_gateway.head_object(**about)
        return
    head = stage.as_gateway.head_object(**about)
    assert head.get("SSEKMSKeyId") == (stage.rgw.kms_key_id if mode == "sse-kms" else None)
    assert ("sealgate" in head["Metadata"]) == (mode == "cse")


@pytest.mark.parametrize("encrypted", [False, True], ids=["in-the-clear", "as-the-rule-asks"])
@pytest.mark.parametrize("mode", [*_MODES, "elsewhere"])
def test_nobody_else_writes(closed: Stage, mode: str, encrypted: bool) -> None:
    """Not the bucket's owner either, and not with the right encryption."""
    owner, about = closed.owner, {"Bucket": _BUCKET, "Key": f"{mode}/direct"}
    options = _encryption(closed, mode) if encrypted else {}
    assert _is_denied(owner.put_object, **about, Body=b"data", **options)
    assert _is_denied(owner.create_multipart_upload, **about, **options)
    assert _is_denied(owner.copy_object, **about, CopySource=f"{_BUCKET}/before", **options)
    assert _is_denied(owner.put_object_acl, Bucket=_BUCKET, Key="before", ACL="public-read")
    assert _is_denied(owner.delete_object, Bucket=_BUCKET, Key="before")
    assert owner.get_object(Bucket=_BUCKET, Key="before")["Body"].read() == b"in the clear"


def test_the_gateways_credentials_do_not_write_another_encryption(closed: Stage) -> None:
    """What names one that the rule does not ask for is denied to whoever has the gateway's key pair."""
    client = closed.as_gateway
    for key, options, denied in (
        ("sse-kms/a", closed.kms(), False),
        ("sse-kms/a", closed.kms(closed.rgw.other_kms_key_id), True),
        ("sse-kms/a", {"ServerSideEncryption": "AES256"}, True),
        ("sse-c/a", _CLIENTS_KEY, False),
        ("sse-c/a", closed.kms(), True),
        ("sse-c/a", {"ServerSideEncryption": "AES256"}, True),
        ("elsewhere/a", closed.kms(closed.rgw.other_kms_key_id), True),
        ("elsewhere/a", closed.kms(), False),
        ("none/a", closed.kms(closed.rgw.other_kms_key_id), False),
    ):
        put = {"Bucket": _BUCKET, "Key": key, "Body": b"data", **options}
        assert _is_denied(client.put_object, **put) is denied, (key, options)


def test_no_request_without_tls(closed: Stage) -> None:
    for credentials in (closed.rgw.credentials, closed.rgw.other_credentials):
        client = _without_tls(closed.rgw, credentials.access_key, credentials.secret_key)
        assert _is_denied(client.get_object, Bucket=_BUCKET, Key="before")
        assert _is_denied(client.list_objects_v2, Bucket=_BUCKET)
        assert _is_denied(client.put_object, Bucket=_BUCKET, Key="none/a", Body=b"data")


def _without_tls(rgw: Rgw, access_key: str, secret_key: str) -> S3Client:
    return boto3.session.Session().client(
        "s3",
        endpoint_url=rgw.http_endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name=REGION,
        config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
    )


def test_what_was_written_before_is_found_and_fixed(closed: Stage) -> None:
    """Through the gateway, so the policy lets it happen. RGW 16 answers 412 to every If-Match of a write."""
    status, found = closed.audit()
    assert status == 1
    assert [(each["object_key"], each["status"], each["difference"]) for each in found] == [
        ("old/1", "found", "mode"),
        ("old/2", "found", "mode"),
    ]
    status, found = closed.audit("--fix", "--without-if-match")
    assert (status, [each["status"] for each in found]) == (0, ["fixed", "fixed"])
    assert closed.audit() == (0, [])
    head = closed.as_gateway.head_object(Bucket=_BUCKET, Key="old/1")
    assert head["SSEKMSKeyId"] == closed.rgw.kms_key_id


def test_the_owner_takes_it_away_again(closed: Stage) -> None:
    """And then it was the policy that denied. Last of all: nothing is closed behind it."""
    owner = closed.owner
    statements = json.loads(owner.get_bucket_policy(Bucket=_BUCKET)["Policy"])["Statement"]
    assert statements[0]["Sid"] == "LetTheGatewayIn"
    owner.put_bucket_policy(Bucket=_BUCKET, Policy=_let_in())
    owner.put_object(Bucket=_BUCKET, Key="sse-kms/direct", Body=b"data")
    closed.as_gateway.put_object(Bucket=_BUCKET, Key="sse-kms/direct", Body=b"data")
    assert closed.policy("diff").returncode == 1
    owner.delete_bucket_policy(Bucket=_BUCKET)
