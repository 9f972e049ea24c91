"""The laboratory's servers do what the gateway's tests take for granted: where one changes, it shows here first."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.certificates import CertificateAuthority
from lab.openbao import OpenBao
from lab.s3_server import S3Client, S3Server
from lab.seaweed import SeaweedFS

CUSTOMER_KEY: dict[str, Any] = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": bytes(range(32))}


def _client(server: S3Server) -> S3Client:
    if server.traits.trailing_checksums:
        return server.client()
    return server.client(request_checksum_calculation="when_required", response_checksum_validation="when_required")


def _bucket(client: S3Client) -> str:
    name = f"lab-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=name)
    return name


def _check_round_trip(server: S3Server) -> None:
    client = _client(server)
    bucket = _bucket(client)
    client.put_object(Bucket=bucket, Key="plain", Body=b"text")
    assert client.get_object(Bucket=bucket, Key="plain")["Body"].read() == b"text"
    assert "ServerSideEncryption" not in client.head_object(Bucket=bucket, Key="plain")


def _check_sse_s3(server: S3Server) -> None:
    client = _client(server)
    bucket = _bucket(client)
    client.put_object(Bucket=bucket, Key="object", Body=b"text", ServerSideEncryption="AES256")
    seen = client.head_object(Bucket=bucket, Key="object").get("ServerSideEncryption")
    assert seen == ("AES256" if server.traits.sse_s3 else None)


def _check_sse_kms(server: S3Server) -> None:
    client = _client(server)
    bucket = _bucket(client)
    wanted = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": server.kms_key_id}
    client.put_object(Bucket=bucket, Key="object", Body=b"text", **wanted)
    read = client.get_object(Bucket=bucket, Key="object")
    assert read["Body"].read() == b"text"
    assert {name: read[name] for name in wanted} == wanted
    with pytest.raises(ClientError):
        client.put_object(Bucket=bucket, Key="other", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId="unknown")


def _check_sse_c(server: S3Server) -> None:
    client = _client(server)
    bucket = _bucket(client)
    client.put_object(Bucket=bucket, Key="object", Body=b"text", **CUSTOMER_KEY)
    assert client.get_object(Bucket=bucket, Key="object", **CUSTOMER_KEY)["Body"].read() == b"text"
    for wrong in ({}, CUSTOMER_KEY | {"SSECustomerKey": bytes(31) + b"!"}):
        with pytest.raises(ClientError) as refused:
            client.get_object(Bucket=bucket, Key="object", **wrong)
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403)


def _check_copies(server: S3Server) -> None:
    client = _client(server)
    bucket = _bucket(client)
    kms = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": server.kms_key_id}
    client.put_object(Bucket=bucket, Key="plain", Body=b"text")
    client.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "plain"}, **kms)
    assert (client.head_object(Bucket=bucket, Key="copy").get("ServerSideEncryption") == "aws:kms") == (
        server.traits.copy_encrypts
    )
    client.put_object(Bucket=bucket, Key="encrypted", Body=b"text", **kms)
    source = {"Bucket": bucket, "Key": "encrypted"}
    if server.traits.copies_encrypted:
        client.copy_object(Bucket=bucket, Key="again", CopySource=source)
        assert client.get_object(Bucket=bucket, Key="again")["Body"].read() == b"text"
    else:
        with pytest.raises(ClientError, match="NotImplemented"):
            client.copy_object(Bucket=bucket, Key="again", CopySource=source)


def _check_trailing_checksums(server: S3Server) -> None:
    client = server.client(retries={"total_max_attempts": 1})
    bucket = _bucket(client)
    upload = {"Bucket": bucket, "Key": "object", "Body": b"text", "ChecksumAlgorithm": "CRC32C"}
    if not server.traits.trailing_checksums:
        with pytest.raises(ClientError, match="MissingContentLength"):
            client.put_object(**upload)
        return
    client.put_object(**upload)
    assert "ChecksumCRC32C" in client.head_object(Bucket=bucket, Key="object", ChecksumMode="ENABLED")


CHECKS = [
    _check_round_trip,
    _check_sse_s3,
    _check_sse_kms,
    _check_sse_c,
    _check_copies,
    _check_trailing_checksums,
]


@pytest.mark.parametrize("check", CHECKS)
def test_seaweedfs(seaweed: SeaweedFS, check: Any) -> None:
    check(seaweed)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("s3_server", ["rgw", "minio"], indirect=True)
def test_other_servers(s3_server: S3Server, check: Any) -> None:
    check(s3_server)


@pytest.fixture
def own_seaweed(tmp_path: Path, authority: CertificateAuthority, openbao: OpenBao) -> Iterator[SeaweedFS]:
    server = SeaweedFS(tmp_path, authority, vault=openbao, plain_http=True)
    server.start()
    yield server
    server.kill()


@pytest.mark.faults
def test_seaweedfs_keeps_acknowledged_objects_over_a_kill(own_seaweed: SeaweedFS) -> None:
    client = own_seaweed.client()
    bucket = _bucket(client)
    client.put_object(Bucket=bucket, Key="object", Body=b"text", ServerSideEncryption="AES256")
    own_seaweed.kill()
    own_seaweed.start()
    assert client.get_object(Bucket=bucket, Key="object")["Body"].read() == b"text"
