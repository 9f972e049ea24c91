"""What mode ``cse`` costs in requests to the store and in bytes from it, counted between the two."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.certificates import CertificateAuthority
from lab.openbao import OpenBao
from lab.s3_server import S3Client
from lab.seaweed import SeaweedFS
from tests.e2e.between import Between, Passed
from tests.e2e.stage import CSE, Stage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

_MIB = 2**20
_GIB = 2**30
_PART = 8 * _MIB
_RANGE = 64 * 1024
#: A 64 KiB range touches at most five chunks; the rest is what finds out where they are.
_RANGE_COST = 96 * 1024
_OBJECTS = 1_000
_BLOCK = random.Random(0).randbytes(_PART)


@pytest.fixture(scope="module")
def between(seaweed: SeaweedFS, authority: CertificateAuthority) -> Iterator[Between]:
    server = Between(seaweed, authority)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def stage(between: Between, lab_directory: Path, authority: CertificateAuthority, openbao: OpenBao) -> Iterator[Stage]:
    """A gateway that talks through ``between``."""
    running = Stage(lab_directory / "costs", authority, between, openbao, prefix="e2e-costs")
    running.start()
    yield running
    running.gateway.stop()


class _Blocks:
    """A file of 1 GiB that repeats one block; it is not held in memory."""

    def __init__(self) -> None:
        self._at = 0

    def __len__(self) -> int:
        return _GIB

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = (0, self._at, _GIB)[whence] + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        size = min(_GIB - self._at if size < 0 else size, _GIB - self._at)
        found = _at(self._at, size)
        self._at += size
        return found


def _at(first: int, size: int) -> bytes:
    """Bytes of the large object."""
    start = first % _PART
    repeated = _BLOCK * (1 + (start + size) // _PART)
    return repeated[start : start + size]


def _upload_in_parts(client: S3Client, bucket: str, key: str, count: int) -> None:
    where = {"Bucket": bucket, "Key": key}
    upload = where | {"UploadId": client.create_multipart_upload(**where)["UploadId"]}
    parts = [
        {"PartNumber": number, "ETag": client.upload_part(**upload, PartNumber=number, Body=_BLOCK)["ETag"]}
        for number in range(1, count + 1)
    ]
    client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})


def _asked(passed: list[Passed]) -> list[str]:
    """What a failing count shows."""
    return [f"{one.method} {one.target} {one.headers.get('range', '')} {one.received_bytes}" for one in passed]


@pytest.mark.parametrize("shape", ["whole", "parts"])
def test_a_range_of_a_large_object(stage: Stage, between: Between, shape: str) -> None:
    """64 KiB cost at most 96 KiB from the store, and one request once the layout and the part's head are known.

    Before, the head of a whole object is one more request. With parts, what kind of object it is, its closing, and the
    head of the part are one more each; the last for every part that was not read yet.
    """
    bucket, key = stage.bucket(CSE), f"costs/{shape}"
    if shape == "whole":
        stage.client.put_object(Bucket=bucket, Key=key, Body=_Blocks())
    else:
        _upload_in_parts(stage.client, bucket, key, _GIB // _PART)
    # Another process: it has read nothing yet.
    stage.gateway.stop()
    stage.gateway.start()
    first_time = {"whole": (2, 1), "parts": (4, 2)}[shape]
    for number, first in enumerate((_GIB // 2 + 1_234_567, 0, _GIB - _RANGE, _PART * 7 - 1_000, 16_384 * 1_000)):
        for allowed in (first_time[number > 0], 1):
            with between.counting() as passed:
                found = stage.client.get_object(Bucket=bucket, Key=key, Range=f"bytes={first}-{first + _RANGE - 1}")
                assert found["Body"].read() == _at(first, _RANGE)
            assert found["ContentRange"] == f"bytes {first}-{first + _RANGE - 1}/{_GIB}"
            assert len(passed) <= allowed, _asked(passed)
            assert sum(one.received_bytes for one in passed) <= _RANGE_COST, _asked(passed)
            print(f"\n{shape} at {first}: {_asked(passed)}")  # noqa: T201 - the figures, for who asks with -s
    stage.direct.delete_object(Bucket=bucket, Key=key)


def test_a_list_of_whole_objects_needs_nothing_else(stage: Stage, between: Between) -> None:
    """1,000 objects of one PutObject each: their sizes are arithmetic."""
    bucket, client = stage.bucket(CSE), stage.client
    sizes = {f"many/{number:04}": number * 37 for number in range(_OBJECTS)}

    def put(key: str) -> None:
        client.put_object(Bucket=bucket, Key=key, Body=_BLOCK[: sizes[key]])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, sizes))
    stage.gateway.stop()
    stage.gateway.start()
    for _ in range(2):
        with between.counting() as passed:
            listed = client.list_objects_v2(Bucket=bucket, Prefix="many/")
        assert {entry["Key"]: entry["Size"] for entry in listed["Contents"]} == sizes
        assert len(passed) == 1, _asked(passed)


def test_a_list_of_objects_in_parts_asks_for_each_once(stage: Stage, between: Between) -> None:
    """1,000 objects of several parts: at most one request for each the first time, none the second."""
    bucket, client = stage.bucket(CSE), stage.client
    sizes = {f"parts/{number:04}": number + 1 for number in range(_OBJECTS)}

    def upload(key: str) -> None:
        where = {"Bucket": bucket, "Key": key}
        begun = where | {"UploadId": client.create_multipart_upload(**where)["UploadId"]}
        etag = client.upload_part(**begun, PartNumber=1, Body=_BLOCK[: sizes[key]])["ETag"]
        client.complete_multipart_upload(**begun, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(upload, sizes))
    stage.gateway.stop()
    stage.gateway.start()
    for allowed in (1 + _OBJECTS, 1):
        with between.counting() as passed:
            listed = client.list_objects_v2(Bucket=bucket, Prefix="parts/")
        assert {entry["Key"]: entry["Size"] for entry in listed["Contents"]} == sizes
        assert len(passed) <= allowed, len(passed)
        print(f"\n{len(passed)} requests")  # noqa: T201 - the figures, for who asks with -s
