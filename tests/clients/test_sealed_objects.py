"""Mode ``cse`` through unmodified clients: every size around the format's borders, and nothing to synchronise twice."""

import filecmp
import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.s3_server import S3Client
from tests.clients.conftest import Stand, service
from tests.clients.modes import bucket_of, stored_encryption
from tests.clients.programs.aws_cli import AwsCli
from tests.clients.programs.client import Attributes, Client
from tests.clients.programs.rclone import Rclone
from tests.clients.programs.s3cmd import S3cmd
from tests.clients.programs.s5cmd import S5cmd

pytestmark = pytest.mark.clients

_MIB = 2**20
_PART = 5 * _MIB
_BUCKET = bucket_of("cse")
#: Around a chunk of the format, and around the smallest part.
_SIZES = (0, 1, 16_383, 16_384, 16_385, _PART - 1, _PART, _PART + 1)
_LARGE = 100 * _MIB
#: Up to 200 MiB rclone sends an object in one request.
_LARGE_FOR = {"rclone": 200 * _MIB + 1}
_ATTRIBUTES = Attributes("application/x-sealed", {"origin": "sizes"})
#: Sizes of the parts of uploads.
_PARTS = {
    "5 MiB": (_PART,) * 3,
    "8 MiB": (8 * _MIB,) * 3,
    "5 MiB and 1": (_PART + 1,) * 3,
    "odd": (_PART + 7, 6 * _MIB - 13, _PART + 16_384, 7 * _MIB + 1, 12_345),
    "tail of 1": (_PART, _PART, 1),
    "tail of 5 MiB": (8 * _MIB, 8 * _MIB, _PART),
    "tail of 5 MiB less 1": (_PART, _PART - 1),
    "one small": (1_000,),
    "one large": (_PART + 5,),
    "one empty": (0,),
}
_DEFAULT_PARTS = ("odd", "tail of 1")
_SERVERS = ["seaweedfs", pytest.param("rgw", marks=pytest.mark.slow)]

SourceFile = Callable[[int], Path]


def _assert_sizes_agree(client: S3Client, prefix: str, sizes: dict[str, int]) -> None:
    """LIST in every version, HEAD, GET and its ranges."""
    listed = client.list_objects_v2(Bucket=_BUCKET, Prefix=prefix)["Contents"]
    assert {entry["Key"]: entry["Size"] for entry in listed} == sizes
    listed_before = client.list_objects(Bucket=_BUCKET, Prefix=prefix)["Contents"]
    assert {entry["Key"]: entry["Size"] for entry in listed_before} == sizes
    etags = {entry["Key"]: entry["ETag"] for entry in listed}
    for key, size in sizes.items():
        where = {"Bucket": _BUCKET, "Key": key}
        head = client.head_object(**where)
        got = client.get_object(**where)
        got["Body"].close()
        assert (head["ContentLength"], got["ContentLength"]) == (size, size), key
        assert head["ETag"] == got["ETag"] == etags[key], key
        if size:
            last = client.get_object(**where, Range="bytes=-1")
            assert last["ContentRange"] == f"bytes {size - 1}-{size - 1}/{size}", key


def _delete(client: S3Client, prefix: str) -> None:
    for entry in client.list_objects_v2(Bucket=_BUCKET, Prefix=prefix).get("Contents", []):
        client.delete_object(Bucket=_BUCKET, Key=entry["Key"])


@pytest.mark.parametrize("server", _SERVERS, indirect=True)
@pytest.mark.parametrize(
    "sizes", [pytest.param(_SIZES, id="borders"), pytest.param(None, id="large", marks=pytest.mark.slow)]
)
def test_every_size_comes_back(
    client: Client, stand: Stand, sizes: tuple[int, ...] | None, source_file: SourceFile, tmp_path: Path
) -> None:
    """The client's own listing, LIST, HEAD and GET agree, the bytes are equal, and the store has sealed ones."""
    reference, prefix = stand.gateway.client(), f"sizes/{client.name}/"
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    sizes = sizes or (_LARGE_FOR.get(client.name, _LARGE),)
    for size in sizes:
        (source / f"{size}").hardlink_to(source_file(size))
    client.upload(source, _BUCKET, prefix, _ATTRIBUTES)
    expected = {f"{prefix}{size}": size for size in sizes}
    assert client.sizes(_BUCKET, prefix) == expected
    _assert_sizes_agree(reference, prefix, expected)
    client.download(_BUCKET, prefix, target)
    names = [file.name for file in source.iterdir()]
    assert filecmp.cmpfiles(source, target, names, shallow=False) == (names, [], [])
    for key in expected:
        assert stored_encryption(stand.server, _BUCKET, key) == "cse"
    # pytest keeps the directories of former runs.
    shutil.rmtree(target)
    _delete(reference, prefix)


@pytest.mark.parametrize("server", [*_SERVERS, pytest.param("minio", marks=pytest.mark.slow)], indirect=True)
@pytest.mark.parametrize(
    "sizes",
    [pytest.param(p, id=n, marks=[] if n in _DEFAULT_PARTS else pytest.mark.slow) for n, p in _PARTS.items()],
)
def test_parts_of_every_size_come_back(stand: Stand, sizes: tuple[int, ...]) -> None:
    """In whatever order they are sent; ListParts, LIST, HEAD and GET agree, and every part is read by its number."""
    client = stand.gateway.client()
    where = {"Bucket": _BUCKET, "Key": f"parts/{len(sizes)} of {sizes[0]}, {sizes[-1]}"}
    data = random.Random(sum(sizes)).randbytes(sum(sizes))
    starts = [sum(sizes[:number]) for number in range(len(sizes))]
    upload = where | {"UploadId": client.create_multipart_upload(**where)["UploadId"]}
    order = list(enumerate(zip(starts, sizes, strict=True), 1))
    random.Random(7).shuffle(order)
    etags = {}
    for number, (start, size) in order:
        sent = client.upload_part(**upload, PartNumber=number, Body=data[start : start + size])
        etags[number] = sent["ETag"]
    listed = client.list_parts(**upload)["Parts"]
    assert [(part["PartNumber"], part["Size"], part["ETag"]) for part in listed] == [
        (number, size, etags[number]) for number, size in enumerate(sizes, 1)
    ]
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in sorted(etags.items())]
    answer = client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    _assert_sizes_agree(client, where["Key"], {where["Key"]: len(data)})
    assert client.get_object(**where)["Body"].read() == data
    # Ceph RGW answers with an empty one.
    assert answer["ETag"] in {client.head_object(**where)["ETag"], ""}
    for number, (start, size) in enumerate(zip(starts, sizes, strict=True), 1):
        part = client.get_object(**where, PartNumber=number)
        assert (part["Body"].read(), part.get("PartsCount")) == (data[start : start + size], len(sizes))
        if size and start:
            border = client.get_object(**where, Range=f"bytes={start - 1}-{start}")
            assert border["Body"].read() == data[start - 1 : start + 1]
    client.delete_object(**where)


# ---------------------------------------------------------------------------------------------- nothing to do twice


@pytest.fixture
def tree(source_file: SourceFile, tmp_path: Path) -> Path:
    """Files of several sizes; one of them goes in parts."""
    folder = tmp_path / "tree"
    (folder / "below").mkdir(parents=True)
    for size in (0, 1, 16_384, _PART + 1):
        shutil.copy(source_file(size), folder / "below" / f"{size}")
    shutil.copy(source_file(20 * _MIB + 3), folder / "large")
    # Not of this very second: a store's dates have no fractions, and would be older than the files.
    past = time.time() - 3_600
    for file in (*(folder / "below").iterdir(), folder / "large"):
        os.utime(file, (past, past))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("server", _SERVERS, indirect=True)
def test_rclone_finds_nothing_to_do_twice(stand: Stand, tree: Path, tmp_path: Path) -> None:
    """``check`` holds, by size and content; a second ``sync`` transfers nothing, up or down."""
    client, remote = Rclone(service(stand.gateway, tmp_path)), f"gate:{_BUCKET}/sync/rclone"
    log = tmp_path / "log"
    # Small parts, so that one file is sent in several.
    parts = ("--s3-upload-cutoff", "5Mi", "--s3-chunk-size", "5Mi")
    client._run("sync", tree, remote, *parts)
    client._run("check", tree, remote)
    client._run("check", "--download", tree, remote)
    client._run("sync", "-v", "--log-file", log, tree, remote, *parts)
    assert "nothing to transfer" in log.read_text()
    down = tmp_path / "down"
    client._run("sync", remote, down)
    client._run("check", "--download", remote, down)
    log.unlink()
    client._run("sync", "-v", "--log-file", log, remote, down)
    assert "nothing to transfer" in log.read_text()
    _delete(stand.gateway.client(), "sync/rclone")


@pytest.mark.slow
@pytest.mark.parametrize("server", _SERVERS, indirect=True)
def test_aws_s3_sync_finds_nothing_to_do_twice(stand: Stand, tree: Path, tmp_path: Path) -> None:
    client, remote = AwsCli(service(stand.gateway, tmp_path)), f"s3://{_BUCKET}/sync/aws/"
    down = tmp_path / "down"
    for source, target in ((tree, remote), (remote, down)):
        assert client._run("s3", "sync", source, target, "--no-progress").count(b"load: ") == 5
        assert client._run("s3", "sync", source, target, "--no-progress") == b""
    _assert_trees_are_equal(tree, down)
    _delete(stand.gateway.client(), "sync/aws/")


@pytest.mark.slow
@pytest.mark.parametrize("server", _SERVERS, indirect=True)
def test_s3cmd_sync_finds_nothing_to_do_twice(stand: Stand, tree: Path, tmp_path: Path) -> None:
    client, remote = S3cmd(service(stand.gateway, tmp_path)), f"s3://{_BUCKET}/sync/s3cmd/"
    down = tmp_path / "down"
    down.mkdir()
    for source, target, word in ((f"{tree}/", remote, b"upload: "), (remote, f"{down}/", b"download: ")):
        assert client._run("sync", source, target).count(word) == 5
        assert word not in client._run("sync", source, target)
    _assert_trees_are_equal(tree, down)
    _delete(stand.gateway.client(), "sync/s3cmd/")


@pytest.mark.slow
@pytest.mark.parametrize("server", _SERVERS, indirect=True)
def test_s5cmd_sync_finds_nothing_to_do_twice(stand: Stand, tree: Path, tmp_path: Path) -> None:
    client, remote = S5cmd(service(stand.gateway, tmp_path)), f"s3://{_BUCKET}/sync/s5cmd/"
    down = tmp_path / "down"
    down.mkdir()
    for source, target in ((f"{tree}/", remote), (f"{remote}*", f"{down}/")):
        assert client._run("sync", source, target).count(b"cp ") == 5
        assert client._run("sync", source, target) == b""
    _assert_trees_are_equal(tree, down)
    _delete(stand.gateway.client(), "sync/s5cmd/")


def _assert_trees_are_equal(one: Path, other: Path) -> None:
    names = sorted(str(file.relative_to(one)) for file in one.rglob("*") if file.is_file())
    found = sorted(str(file.relative_to(other)) for file in other.rglob("*") if file.is_file())
    assert found == names
    assert filecmp.cmpfiles(one, other, names, shallow=False) == (names, [], [])
