"""One upload through several gateways that share nothing but a bucket or a directory for staged parts."""

import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.process import wait_until
from lab.s3_server import S3Client
from lab.sealing import sealed_rule
from lab.seaweed import SeaweedFS
from tests.faults.help import signer
from tests.faults.wire import connected

pytestmark = pytest.mark.slow

_BUCKET, _STAGING = "replicas", "replicas-staging"
_FIVE = 5 * 1024 * 1024
_DATA = random.Random(17).randbytes(2 * _FIVE)


class Replicas:
    """Two gateways.

    Attributes:
        gateways: the gateways.
        clients: through each of them.
        direct: straight to the store.
        kind: where parts are staged.
    """

    def __init__(self, gateways: tuple[Gateway, Gateway], direct: S3Client, kind: str, directory: Path) -> None:
        self.gateways = gateways
        self.clients = tuple(gateway.client() for gateway in gateways)
        self.direct = direct
        self.kind = kind
        self._directory = directory

    def staged(self) -> list[bytes]:
        """Everything in the staging store."""
        if self.kind == "file":
            return [path.read_bytes() for path in self._directory.rglob("*") if path.is_file()]
        listed = self.direct.list_objects_v2(Bucket=_STAGING, Prefix="one/two/").get("Contents", [])
        return [self.direct.get_object(Bucket=_STAGING, Key=entry["Key"])["Body"].read() for entry in listed]


@pytest.fixture(scope="module", params=["file", "s3"])
def replicas(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    authority: CertificateAuthority,
    seaweed: SeaweedFS,
) -> Iterator[Replicas]:
    directory, direct = tmp_path_factory.mktemp("replicas"), seaweed.client()
    for bucket in (_BUCKET, _STAGING):
        with suppress(ClientError):
            direct.create_bucket(Bucket=bucket)
    credentials = {
        "kind": "static",
        "access_key_id": seaweed.credentials.access_key,
        "secret_access_key": "env:SEALGATE_LAB_STORE_SECRET",
    }
    staging: dict[str, Any] = {
        "file": {},
        "s3": {"location": f"s3://{_STAGING}/one/two", "upstream_credentials": credentials},
    }[request.param]
    first, second = (
        Gateway(
            directory / name,
            authority,
            seaweed,
            rules=[sealed_rule(_BUCKET), {"name": "rest", "buckets": ["*"], "mode": "none"}],
            sealing=directory / "sealing",
            options={"staging": staging} if staging else None,
            name=name,
        )
        for name in ("first", "second")
    )
    first.start()
    second.start()
    yield Replicas((first, second), direct, request.param, directory / "sealing" / "staging")
    first.stop()
    second.stop()


@pytest.mark.parametrize("tail", [1, 70_000, 1_000_000, _FIVE - 1])
def test_an_upload_is_completed_by_another_gateway_than_its_parts_went_through(replicas: Replicas, tail: int) -> None:
    one, other = replicas.clients
    place = {"Bucket": _BUCKET, "Key": f"other/{tail}"}
    upload = place | {"UploadId": one.create_multipart_upload(**place)["UploadId"]}
    etags = [
        other.upload_part(**upload, PartNumber=1, Body=_DATA[:_FIVE])["ETag"],
        one.upload_part(**upload, PartNumber=2, Body=_DATA[_FIVE : _FIVE + tail])["ETag"],
    ]
    assert sum(map(len, replicas.staged())) > tail
    assert not any(_DATA[_FIVE : _FIVE + 16] in staged for staged in replicas.staged() if tail >= 16)
    assert [part["Size"] for part in other.list_parts(**upload)["Parts"]] == [_FIVE, tail]
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
    other.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    for client in replicas.clients:
        assert client.get_object(**place)["Body"].read() == _DATA[: _FIVE + tail]
    assert replicas.staged() == []


def test_an_upload_survives_the_restart_of_every_gateway(replicas: Replicas) -> None:
    place = {"Bucket": _BUCKET, "Key": "restarted"}
    upload = place | {"UploadId": replicas.clients[0].create_multipart_upload(**place)["UploadId"]}
    etag = replicas.clients[0].upload_part(**upload, PartNumber=1, Body=_DATA[:200_000])["ETag"]
    for gateway in replicas.gateways:
        gateway.kill()
    for gateway in replicas.gateways:
        gateway.start()
    part = {"PartNumber": 1, "ETag": etag}
    replicas.clients[1].complete_multipart_upload(**upload, MultipartUpload={"Parts": [part]})
    assert replicas.clients[0].get_object(**place)["Body"].read() == _DATA[:200_000]
    assert replicas.staged() == []


def test_a_completion_that_failed_at_one_gateway_succeeds_at_the_other(replicas: Replicas) -> None:
    one, other = replicas.clients
    place = {"Bucket": _BUCKET, "Key": "failed first"}
    one.put_object(**place, Body=b"there")
    upload = place | {"UploadId": one.create_multipart_upload(**place)["UploadId"]}
    etag = one.upload_part(**upload, PartNumber=1, Body=_DATA[:70_000])["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    with pytest.raises(ClientError):
        one.complete_multipart_upload(**upload, MultipartUpload=parts, IfNoneMatch="*")
    listed = {(part["PartNumber"], part["ETag"], part["Size"]) for part in other.list_parts(**upload)["Parts"]}
    assert listed == {(1, etag, 70_000)}
    other.complete_multipart_upload(**upload, MultipartUpload=parts)
    assert one.get_object(**place)["Body"].read() == _DATA[:70_000]


def test_a_part_that_fails_leaves_nothing_behind(replicas: Replicas) -> None:
    client = replicas.gateways[0].client(retries={"total_max_attempts": 1})
    place = {"Bucket": _BUCKET, "Key": "fails"}
    upload = place | {"UploadId": client.create_multipart_upload(**place)["UploadId"]}
    for size in (1, 100_000, 3_000_000):
        with pytest.raises(ClientError) as refused:
            client.upload_part(**upload, PartNumber=1, Body=_DATA[:size], ChecksumCRC32="AAAAAA==")
        assert refused.value.response["Error"]["Code"] == "BadDigest"
    wait_until(lambda: replicas.staged() == [], seconds=5, what="the end of every draft")
    assert "Parts" not in client.list_parts(**upload)
    client.abort_multipart_upload(**upload)


@pytest.mark.parametrize("size", [100_000, 3_000_000])
def test_a_client_that_hangs_up_leaves_nothing_behind(replicas: Replicas, size: int) -> None:
    gateway, client = replicas.gateways[0], replicas.clients[0]
    place = {"Bucket": _BUCKET, "Key": "hung-up"}
    upload = place | {"UploadId": client.create_multipart_upload(**place)["UploadId"]}
    query = {"partNumber": "1", "uploadId": upload["UploadId"]}
    sent = signer(gateway).upload(f"/{_BUCKET}/hung-up", _DATA[:size], "literal", chunk_bytes=65_536, query=query)
    for length in (0, size // 2, size - 1):
        with connected(gateway.endpoint, gateway.ca_file) as wire:
            wire.socket.sendall(sent.head + sent.body[:length])
    wait_until(lambda: gateway.metric("sealgate_requests_in_flight") == 0, seconds=10, what="the end of every request")
    wait_until(lambda: replicas.staged() == [], seconds=5, what="the end of every draft")
    assert "Parts" not in client.list_parts(**upload)
    client.abort_multipart_upload(**upload)
