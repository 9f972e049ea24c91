"""A closed bucket of SeaweedFS, which evaluates the customer-key header fields of every request of an upload.

The gateway sends them with each. It reads the bucket's policy too, and does not judge its clients by the statements
that are about itself.
"""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from gateway.cli.app import app
from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.openbao import OpenBao
from lab.s3_server import S3Client
from lab.seaweed import SeaweedFS

_PART = 5 * 2**20
#: SeaweedFS knows no principals as condition keys, no ArnNotEquals and no NotAction.
_OPTIONS = ("--leave-out", "writers", "--leave-out", "tls-version", "--yes")


@pytest.fixture(scope="module")
def bucket() -> str:
    return f"closed-{uuid.uuid4().hex[:10]}"


@pytest.fixture(scope="module")
def closed(
    tmp_path_factory: pytest.TempPathFactory,
    authority: CertificateAuthority,
    openbao: OpenBao,
    seaweed: SeaweedFS,
    bucket: str,
) -> Iterator[Gateway]:
    """A gateway that follows the policies of buckets, and a bucket that is closed."""
    path = f"e2e/{bucket}"
    openbao.put_random_key(path)
    gateway = Gateway(
        tmp_path_factory.mktemp("closed"),
        authority,
        seaweed,
        rules=[
            {"name": "vault", "buckets": ["*"], "prefixes": ["vault/"], "mode": "sse-c", "customer_key": "customer"},
            {"name": "rest", "buckets": ["*"], "mode": "sse-s3"},
        ],
        vault=openbao,
        customer_keys={"customer": path},
        options={
            "authorization": {
                "bucket_policies": {
                    "upstream_credentials": {
                        "kind": "static",
                        "access_key_id": seaweed.credentials.access_key,
                        "secret_access_key": "env:SEALGATE_LAB_STORE_SECRET",
                    }
                }
            }
        },
    )
    client = seaweed.client()
    client.create_bucket(Bucket=bucket)
    client.put_bucket_policy(Bucket=bucket, Policy=_hidden(bucket))
    command = ["policy", "apply", "--config", str(gateway.config_file), "--bucket", bucket, *_OPTIONS]
    done = CliRunner().invoke(app, command, env=gateway.environment)
    assert done.exit_code == 0, done.output
    gateway.start()
    yield gateway
    gateway.stop()


def _hidden(bucket: str) -> str:
    statement = {
        "Sid": "Hidden",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{bucket}/hidden/*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_client_is_not_judged_by_what_is_about_the_gateway(closed: Gateway, bucket: str) -> None:
    """It names no encryption, which the same statements deny to whoever comes directly."""
    client = closed.client()
    for key in ("object", "vault/object"):
        client.put_object(Bucket=bucket, Key=key, Body=b"data")
        assert client.get_object(Bucket=bucket, Key=key)["Body"].read() == b"data"
    with pytest.raises(ClientError, match="'Hidden'"):
        client.put_object(Bucket=bucket, Key="hidden/object", Body=b"data")


@pytest.mark.parametrize("key", ["object", "vault/object"])
def test_direct_writes_in_the_clear_are_denied(closed: Gateway, seaweed: SeaweedFS, bucket: str, key: str) -> None:
    client = seaweed.client()
    with pytest.raises(ClientError, match="AccessDenied"):
        client.put_object(Bucket=bucket, Key=key, Body=b"data")
    with pytest.raises(ClientError, match="AccessDenied"):
        client.create_multipart_upload(Bucket=bucket, Key=key)


def test_an_upload_in_parts_under_a_customer_key(closed: Gateway, bucket: str, seaweed: SeaweedFS) -> None:
    """Beginning, parts and completion carry the key, and a completion without it is denied."""
    client, data = closed.client(), b"p" * _PART + b"end"
    about = {"Bucket": bucket, "Key": "vault/parts"}
    upload = client.create_multipart_upload(**about)["UploadId"]
    etags = [
        client.upload_part(**about, UploadId=upload, PartNumber=number, Body=body)["ETag"]
        for number, body in ((1, data[:_PART]), (2, data[_PART:]))
    ]
    parts = [{"ETag": etag, "PartNumber": number} for number, etag in enumerate(etags, 1)]
    client.complete_multipart_upload(**about, UploadId=upload, MultipartUpload={"Parts": parts})
    assert client.get_object(**about)["Body"].read() == data
    assert _completed_without_key(seaweed.client(), {**about, "Key": "vault/direct"}) == "AccessDenied"


def _completed_without_key(client: S3Client, about: dict[str, str]) -> str:
    key: dict[str, Any] = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"k" * 32}
    upload = client.create_multipart_upload(**about, **key)["UploadId"]
    part = client.upload_part(**about, **key, UploadId=upload, PartNumber=1, Body=b"data")
    parts = [{"ETag": part["ETag"], "PartNumber": 1}]
    try:
        client.complete_multipart_upload(**about, UploadId=upload, MultipartUpload={"Parts": parts})
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "accepted"
