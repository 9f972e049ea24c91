"""SSE-C keys in AWS Secrets Manager (moto's): written with, rotated, and still read with, by a gateway and a store."""

import base64
import os
import secrets
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.moto import ACCESS_KEY_ID, SECRET_ACCESS_KEY, MotoServer
from lab.process import wait_until
from lab.s3_server import S3Client
from lab.seaweed import SeaweedFS
from tests.e2e.stage import fails
from tests.e2e.wire import Key

_REGION = "eu-central-1"
_SECRET = "sealgate/e2e"
_PART = 5 * 2**20


class World:
    """A secret, a gateway that encrypts with it, and the store.

    Attributes:
        bucket: its objects are encrypted.
        client: boto3 through the gateway.
        direct: boto3 straight to the store.
    """

    def __init__(self, directory: Path, authority: CertificateAuthority, store: SeaweedFS, moto: MotoServer) -> None:
        self._secrets = moto.client("secretsmanager", _REGION)
        self.first = secrets.token_bytes(32)
        self._secrets.create_secret(Name=_SECRET, SecretString=self._text(self.first))
        credentials = directory / "aws-secret"
        credentials.write_text(SECRET_ACCESS_KEY)
        self.bucket = f"e2e-secrets-manager-{secrets.token_hex(4)}"
        self.gateway = Gateway(
            directory,
            authority,
            store,
            rules=[
                {"name": "keys", "buckets": [self.bucket], "mode": "sse-c", "customer_key": "aws"},
                {"name": "rest", "buckets": ["*"], "mode": "none"},
            ],
            options={"customer_keys": {"aws": self._options(moto, credentials)}},
        )
        self.direct: S3Client = store.client()
        self.client: S3Client = self.gateway.client()

    def _options(self, moto: MotoServer, credentials: Path) -> dict[str, Any]:
        return {
            "provider": "aws-secretsmanager",
            "secret_id": _SECRET,
            "region": _REGION,
            "field": "key",
            "endpoint_url": moto.endpoint,
            "allow_plain_http_endpoint": True,
            "credentials": {
                "kind": "static",
                "access_key_id": ACCESS_KEY_ID,
                "secret_access_key": f"file:{credentials}",
            },
            "hold_seconds": 2,
            "refresh_seconds": 1,
        }

    def _text(self, raw: bytes) -> str:
        return f'{{"key": "{base64.b64encode(raw).decode()}"}}'

    def rotate(self) -> bytes:
        """Write a new version, and wait until the gateway writes with it."""
        raw = secrets.token_bytes(32)
        self._secrets.put_secret_value(SecretId=_SECRET, SecretString=self._text(raw))
        wait_until(lambda: self.put("probe", b"") == Key(raw).md5, seconds=10, what="the use of the new key")
        return raw

    def put(self, key: str, body: bytes) -> str:
        """Write through the gateway; the MD5 of the key that was used comes back."""
        md5: str = self.client.put_object(Bucket=self.bucket, Key=key, Body=body)["SSECustomerKeyMD5"]
        return md5

    def get(self, key: str) -> bytes:
        """Read through the gateway."""
        body: bytes = self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body


@pytest.fixture
def world(tmp_path: Path, authority: CertificateAuthority, seaweed: SeaweedFS) -> Iterator[World]:
    moto = MotoServer(tmp_path / "moto")
    moto.start()
    made = World(tmp_path, authority, seaweed, moto)
    made.direct.create_bucket(Bucket=made.bucket)
    made.gateway.start()
    yield made
    made.gateway.stop()
    moto.stop()


@pytest.mark.slow
def test_rotation(world: World) -> None:
    """Old objects and uploads keep the key that they began with; another process reads them too."""
    assert world.put("old", b"written before") == Key(world.first).md5
    upload = world.client.create_multipart_upload(Bucket=world.bucket, Key="upload")["UploadId"]
    second = world.rotate()
    assert world.put("new", b"written after") == Key(second).md5
    assert (world.get("old"), world.get("new")) == (b"written before", b"written after")

    # A process that has never seen the first key written with.
    world.gateway.stop()
    world.gateway.start()
    assert (world.get("old"), world.get("new")) == (b"written before", b"written after")
    data = os.urandom(_PART)
    part = world.client.upload_part(
        Bucket=world.bucket, Key="upload", UploadId=upload, PartNumber=1, Body=data, ChecksumAlgorithm="CRC32"
    )
    assert part["SSECustomerKeyMD5"] == Key(world.first).md5
    parts = [{"PartNumber": 1, "ETag": part["ETag"], "ChecksumCRC32": part["ChecksumCRC32"]}]
    world.client.complete_multipart_upload(
        Bucket=world.bucket, Key="upload", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    assert world.get("upload") == data

    # The store agrees on which key is whose, and gives nothing without one.
    for key, raw, other in (("old", world.first, second), ("new", second, world.first)):
        read = partial(world.direct.get_object, Bucket=world.bucket, Key=key)
        assert read(**Key(raw).arguments())["Body"].read() == world.get(key)
        assert fails(partial(read, **Key(other).arguments()))[0] in {400, 403}
        assert fails(read)[0] == 400
    log = world.gateway.log_file.read_text(errors="replace")
    for text in (SECRET_ACCESS_KEY, base64.b64encode(world.first).decode(), base64.b64encode(second).decode()):
        assert text not in log
