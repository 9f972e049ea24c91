"""The stored bytes and the keyring are enough: the gateway is stopped, and everything it kept is deleted."""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.s3_server import S3Client, S3Server
from lab.sealing import keyring_in, sealed_rule

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]  # dozens of commands are started, one after the other

_MIB = 1024 * 1024
_BUCKET = "opened-without"
#: Sizes of parts; one for an object of one PutObject.
_OBJECTS = {
    "empty": [0],
    "small": [16_385],
    "large": [11 * _MIB],
    "tail": [5 * _MIB, 5 * _MIB, 1],
    "odd sizes": [5 * _MIB + 1, 6 * _MIB + 16_383, 5 * _MIB],
}


@dataclass(frozen=True)
class Left:
    """What is left after the gateway: its store, and the keyring."""

    store: S3Server
    keyring: Path
    plaintexts: dict[str, bytes]

    @property
    def direct(self) -> S3Client:
        return self.store.client()

    def sealgate(self, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
        environment = os.environ | {
            "AWS_ACCESS_KEY_ID": self.store.credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": self.store.credentials.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CA_BUNDLE": str(self.store.ca_file),
        }
        command = [sys.executable, "-m", "gateway", *arguments, "--keyring", self.keyring]
        return subprocess.run(command, env=environment, capture_output=True, check=False)


@pytest.fixture(
    params=["seaweed", pytest.param("rgw", marks=pytest.mark.slow), pytest.param("minio", marks=pytest.mark.slow)]
)
def left(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, authority: CertificateAuthority
) -> Iterator[Left]:
    """Objects written through a gateway that is gone, with its configuration, its staging store and its log."""
    store: S3Server = request.getfixturevalue(request.param)
    directory, kept = tmp_path_factory.mktemp("gateway"), tmp_path_factory.mktemp("kept")
    gateway = Gateway(directory, authority, store, rules=[sealed_rule("*")], sealing=directory / "sealing")
    gateway.start()
    try:
        gateway.client().create_bucket(Bucket=_BUCKET)
        randomness = random.Random(request.param)
        plaintexts = {key: _put(gateway.client(), key, sizes, randomness) for key, sizes in _OBJECTS.items()}
        for key in ("small", "tail"):
            gateway.client().copy_object(
                Bucket=_BUCKET, Key=f"copy of {key}", CopySource={"Bucket": _BUCKET, "Key": key}
            )
            plaintexts[f"copy of {key}"] = plaintexts[key]
    finally:
        gateway.stop()
    keyring = Path(shutil.copy2(keyring_in(directory / "sealing"), kept))
    shutil.rmtree(directory)
    yield Left(store, keyring, plaintexts)
    for key in plaintexts:
        store.client().delete_object(Bucket=_BUCKET, Key=key)
    store.client().delete_bucket(Bucket=_BUCKET)


def _put(client: S3Client, key: str, sizes: list[int], randomness: random.Random) -> bytes:
    parts = [randomness.randbytes(size) for size in sizes]
    if len(parts) == 1:
        client.put_object(Bucket=_BUCKET, Key=key, Body=parts[0])
        return parts[0]
    names: dict[str, Any] = {"Bucket": _BUCKET, "Key": key}
    names["UploadId"] = client.create_multipart_upload(**names)["UploadId"]
    done = [
        {"PartNumber": number, "ETag": client.upload_part(**names, PartNumber=number, Body=part)["ETag"]}
        for number, part in enumerate(parts, 1)
    ]
    client.complete_multipart_upload(**names, MultipartUpload={"Parts": done})
    return b"".join(parts)


def test_everything_opens(left: Left, tmp_path: Path) -> None:
    for key, plaintext in left.plaintexts.items():
        found = left.direct.get_object(Bucket=_BUCKET, Key=key)
        copy, out = tmp_path / "copy", tmp_path / "out"
        copy.write_bytes(found["Body"].read())
        place = ("--bucket", _BUCKET, "--key", key, "--marker", found["Metadata"]["sealgate"])
        for source, options in (
            (copy, ()),
            (copy, place),
            (f"s3://{_BUCKET}/{key}", ("--endpoint-url", left.store.endpoint)),
        ):
            ended = left.sealgate("open", source, "-o", out, *options)
            assert (ended.returncode, ended.stderr) == (0, b""), (key, options)
            assert out.read_bytes() == plaintext, (key, options)
            out.unlink()
        if len(plaintext) > _MIB:
            ended = left.sealgate("open", copy, "--range", "5242870-5243000")
            assert ended.stdout == plaintext[5_242_870:5_243_001]
    ended = left.sealgate("verify", f"s3://{_BUCKET}", "--endpoint-url", left.store.endpoint, "--all-sealed", "--json")
    assert ended.returncode == 0, ended.stdout
    summary = json.loads(ended.stdout)["summary"]
    assert summary["sealed"] == len(left.plaintexts)
    assert summary["plaintext_bytes"] == sum(map(len, left.plaintexts.values()))
