"""Unmodified clients write, read, list, copy and delete through the gateway, in every mode and on every server."""

import filecmp
import shutil
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.clients.conftest import Stand
from tests.clients.modes import MODES, bucket_of, expected_encryption, stored_encryption
from tests.clients.programs.client import Attributes, Client, ClientFailed

pytestmark = pytest.mark.clients

MIB = 1 << 20
_SMALL_SIZES = (0, 1, 5 * MIB)
#: One byte more than 200 MiB, up to which rclone sends an object in one request.
_LARGE_SIZES = (200 * MIB + 1,)
#: More than one part for the AWS tools, which also copy it in parts.
_COPIED_SIZE = 9 * MIB + 1
_FOLDER = "folder/odd ä+&%41"
_ATTRIBUTES = Attributes("application/x-sealgate", {"origin": "a client", "number": "42"})
_CASES = [pytest.param(mode, _SMALL_SIZES, id=f"{mode}-small") for mode in MODES] + [
    pytest.param(mode, _LARGE_SIZES, id=f"{mode}-200MiB", marks=pytest.mark.slow) for mode in ("none", "sse-c")
]

#: What clients do not upload by default where ETags are not MD5 sums: under SSE-KMS and SSE-C on Amazon S3 and MinIO.
#: rclone's documentation on S3 says so; it does not compare them after a multipart upload, s3cmd does for every part.
_TAKES_ETAGS_FOR_MD5: Mapping[str, AbstractSet[tuple[str, tuple[int, ...]]]] = {
    "rclone": {(mode, _SMALL_SIZES) for mode in ("sse-kms", "sse-c", "sse-c-derived")},
    "s3cmd": {(mode, sizes) for mode in ("sse-c", "sse-c-derived") for sizes in (_SMALL_SIZES, _LARGE_SIZES)},
}

#: The default run has every pair of modes copied by boto3 elsewhere, so these are enough here.
_COPY_MODES = [pytest.param(mode, marks=[] if mode in ("none", "sse-c", "cse") else pytest.mark.slow) for mode in MODES]

_UNPROVEN = "sealgate_encryption_unproven_total"

SourceFile = Callable[[int], Path]


@pytest.mark.parametrize(("mode", "sizes"), _CASES)
def test_objects_come_back_as_they_were_sent(
    client: Client, stand: Stand, mode: str, sizes: tuple[int, ...], source_file: SourceFile, tmp_path: Path
) -> None:
    """Bytes, media type and user metadata are equal, and the store holds the objects under their bucket's mode."""
    if _must_be_refused(stand, mode):
        pytest.skip("the server ignores SSE-S3 and the gateway refuses to write")
    bucket, prefix = bucket_of(mode), f"{_FOLDER}/{client.name}/{len(sizes)}/"
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    for size in sizes:
        (source / f"{size} bytes").hardlink_to(source_file(size))
    if stand.server.name == "minio" and (mode, sizes) in _TAKES_ETAGS_FOR_MD5.get(client.name, set()):
        with pytest.raises(ClientFailed, match=r"(?i)md5"):
            client.upload(source, bucket, prefix, _ATTRIBUTES)
        return
    client.upload(source, bucket, prefix, _ATTRIBUTES)
    client.download(bucket, prefix, target)
    names = [file.name for file in source.iterdir()]
    assert filecmp.cmpfiles(source, target, names, shallow=False) == (names, [], [])
    # pytest keeps the directories of former runs.
    shutil.rmtree(target)
    for name in names:
        assert _attributes(stand, bucket, prefix + name) == _ATTRIBUTES
        assert stored_encryption(stand.server, bucket, prefix + name) == expected_encryption(mode)
        stand.gateway.client().delete_object(Bucket=bucket, Key=prefix + name)


def test_sse_s3_that_the_store_ignores_is_refused(
    client: Client, stand: Stand, source_file: SourceFile, tmp_path: Path
) -> None:
    """A client is told that its object is not encrypted, by whatever means it reports errors."""
    if not _must_be_refused(stand, "sse-s3"):
        pytest.skip(f"{stand.server.name} has SSE-S3")
    source = tmp_path / "source"
    source.mkdir()
    (source / "object").hardlink_to(source_file(1))
    before = stand.gateway.metric(_UNPROVEN, mode="sse-s3")
    upload = partial(client.upload, source, bucket_of("sse-s3"), f"{_FOLDER}/{client.name}/refused/", _ATTRIBUTES)
    if client.name == "rclone":
        # It looks for the object after the error, finds what the store took in the clear, and is content.
        upload()
    else:
        with pytest.raises(ClientFailed, match=r"NotImplemented|501|did not confirm"):
            upload()
    assert stand.gateway.metric(_UNPROVEN, mode="sse-s3") > before


@pytest.mark.parametrize("mode", _COPY_MODES)
def test_objects_are_read_in_part_copied_listed_and_deleted(
    client: Client, stand: Stand, mode: str, source_file: SourceFile
) -> None:
    """A copy equals its source and is encrypted like it; the listing has both with their true sizes."""
    if _must_be_refused(stand, mode):
        pytest.skip("there are no objects: the server ignores SSE-S3 and the gateway refuses to write them")
    bucket, prefix = bucket_of(mode), f"{_FOLDER}/{client.name}/copies/"
    first, second = f"{prefix}first", f"{prefix}second one"
    file = source_file(_COPIED_SIZE)
    content = file.read_bytes()
    reference = stand.gateway.client()
    stored = {"ContentType": _ATTRIBUTES.content_type, "Metadata": dict(_ATTRIBUTES.metadata)}
    reference.upload_file(str(file), bucket, first, ExtraArgs=stored)
    if client.reads_ranges:
        assert client.read_tail(bucket, first, _COPIED_SIZE - 1000) == content[-1000:]
    client.copy(bucket, first, second)
    assert reference.get_object(Bucket=bucket, Key=second)["Body"].read() == content
    if client.copies_attributes:
        assert _attributes(stand, bucket, second) == _ATTRIBUTES
    assert stored_encryption(stand.server, bucket, second) == expected_encryption(mode)
    assert client.sizes(bucket, prefix) == {first: _COPIED_SIZE, second: _COPIED_SIZE}
    client.delete(bucket, first)
    with pytest.raises(ClientError, match="404"):
        reference.head_object(Bucket=bucket, Key=first)
    reference.delete_object(Bucket=bucket, Key=second)


def _must_be_refused(stand: Stand, mode: str) -> bool:
    """Whether the server ignores what this mode asks of it."""
    return mode == "sse-s3" and not stand.server.traits.sse_s3


def _attributes(stand: Stand, bucket: str, key: str) -> Attributes:
    """What the gateway says of an object, without the metadata that clients add by themselves."""
    answer = stand.gateway.client().head_object(Bucket=bucket, Key=key)
    metadata = {name: value for name, value in answer["Metadata"].items() if name in _ATTRIBUTES.metadata}
    return Attributes(answer["ContentType"], metadata)
