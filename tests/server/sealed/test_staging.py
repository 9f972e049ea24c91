"""Both staging stores: nothing is seen before it is published, and everything is found afterwards."""

import asyncio
import os
import secrets
import stat
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from gateway.errors import ConfigError, UpstreamUnavailable
from gateway.redact import SecretStr
from gateway.s3.credentials import Credential
from gateway.s3.part_list import StoredPart
from gateway.server.sealed.staging import OwnPart, StagedUpload, Staging
from gateway.server.sealed.staging_bucket import StagingBucket
from gateway.server.sealed.staging_file import ABANDONED_DRAFT_SECONDS, FileStaging
from gateway.server.sealed.staging_s3 import S3Staging
from gateway.server.sealed.staging_sweeper import StagingSweeper, open_staging
from gateway.upstream.client import UpstreamClient
from gateway.upstream.credentials import StaticCredentials
from gateway.upstream.settings import UpstreamSettings
from lab.seaweed import SeaweedFS

_UPLOAD = StagedUpload("bucket", "../key\udcff/ü", "upload/../1")
_ETAG = '"9b2cf535f27731c974343645a3985328"'
_SMALL, _LARGE = b"sealed bytes", os.urandom(3_000_001)
_DAY = 24 * 3600.0


class Store:
    """One kind of store, of which several processes open the same one."""

    def __init__(self, directory: Path | None, bucket: StagingBucket | None, prefix: str) -> None:
        self._directory = directory
        self._bucket = bucket
        self._prefix = prefix

    def open(self, *, days_later: int = 0) -> Staging:
        if self._bucket is not None:
            return S3Staging(self._bucket, self._prefix, lambda: datetime.now(UTC) + timedelta(days=days_later))
        assert self._directory is not None
        for path in self._directory.rglob("*"):
            os.utime(path, (time.time() - days_later * _DAY,) * 2)
        return FileStaging(self._directory)

    async def names(self) -> list[str]:
        if self._bucket is not None:
            return [file.object_key for file in await self._bucket.list(self._prefix)]
        assert self._directory is not None
        return [path.name for path in self._directory.rglob("*") if path.is_file()]


@pytest.fixture
async def upstream(seaweed: SeaweedFS) -> AsyncIterator[UpstreamClient]:
    client = UpstreamClient(UpstreamSettings(endpoint=seaweed.endpoint, ca_bundle=seaweed.ca_file))
    await client.start()
    yield client
    await client.close()


@pytest.fixture
def credentials(seaweed: SeaweedFS) -> StaticCredentials:
    return StaticCredentials(Credential(seaweed.credentials.access_key, SecretStr(seaweed.credentials.secret_key)))


@pytest.fixture(params=["file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "file":
        return Store(tmp_path / "staging", None, "")
    seaweed: SeaweedFS = request.getfixturevalue("seaweed")
    with suppress(ClientError):
        seaweed.client().create_bucket(Bucket="staging")
    bucket = StagingBucket(request.getfixturevalue("upstream"), request.getfixturevalue("credentials"), "staging")
    return Store(None, bucket, f"tests/{secrets.token_hex(4)}")


async def keep(
    staging: Staging, data: bytes, etag: str = _ETAG, number: int = 7, upload: StagedUpload = _UPLOAD
) -> None:
    draft = await staging.draft(upload, number, len(data))
    for start in range(0, len(data), 70_000):
        await draft.write(data[start : start + 70_000])
    await draft.publish(etag)
    await draft.discard()  # what is published stays


async def kept(staging: Staging, etag: str = _ETAG, number: int = 7, upload: StagedUpload = _UPLOAD) -> bytes | None:
    part = await staging.part(upload, number, etag)
    if part is None:
        return None
    data = b"".join([piece async for piece in part.pieces])
    assert len(data) == part.size
    return data


@pytest.mark.parametrize("data", [b"", _SMALL, _LARGE], ids=["empty", "small", "large"])
async def test_a_part_is_found_by_another_process_under_its_etag_only(store: Store, data: bytes) -> None:
    await keep(store.open(), data)
    other = store.open()
    assert await kept(other) == data
    assert await kept(other, _ETAG.strip('"')) == data
    assert await kept(other, '"other"') is None
    assert await kept(other, number=8) is None
    assert await kept(other, upload=StagedUpload("bucket", _UPLOAD.object_key, "upload/../2")) is None


@pytest.mark.parametrize("data", [_SMALL, _LARGE], ids=["small", "large"])
async def test_nothing_is_found_before_it_is_published(store: Store, data: bytes) -> None:
    staging = store.open()
    draft = await staging.draft(_UPLOAD, 7, len(data))
    for start in range(0, len(data), 70_000):
        await draft.write(data[start : start + 70_000])
    assert await kept(staging) is None
    await draft.discard()
    assert await kept(staging) is None
    assert await store.names() == []


@pytest.mark.parametrize("data", [_SMALL, _LARGE], ids=["small", "large"])
async def test_a_draft_that_is_given_up_in_the_middle_leaves_nothing(store: Store, data: bytes) -> None:
    draft = await store.open().draft(_UPLOAD, 7, len(data))
    await draft.write(data[: len(data) // 2])
    await draft.discard()
    await draft.discard()
    assert await store.names() == []


async def test_parts_sent_again_and_others_do_not_disturb(store: Store) -> None:
    staging = store.open()
    sent = {('"a"', 7): b"first", ('"b"', 7): b"again", ('"a"', 8): b"another"}
    await asyncio.gather(*(keep(staging, data, etag, number) for (etag, number), data in sent.items()))
    for (etag, number), data in sent.items():
        assert await kept(staging, etag, number) == data


async def test_own_parts_are_remembered(store: Store) -> None:
    staging = store.open()
    assert await staging.own_parts(_UPLOAD) == ()
    replaced = StoredPart(3, '"old"', 100)
    pending, own, other = OwnPart(3, 200, None, replaced), OwnPart(3, 200, '"x"', replaced), OwnPart(4, 200, '"y"')
    for part in (pending, own, other, other):
        await staging.note_own(_UPLOAD, part)
    await keep(staging, _SMALL)
    assert set(await store.open().own_parts(_UPLOAD)) == {pending, own, other}


def test_records_of_own_parts_are_read_back_and_nothing_else_is() -> None:
    for part in (OwnPart(3, 200, None, StoredPart(3, '"o"', 1)), OwnPart(1, 0, '"x"')):
        assert OwnPart.parse(part.render()) == part
    for wrong in (
        b"",
        b"{}",
        b"[]",
        b"1",
        b'{"number":1,"stored_bytes":1,"etag":null,"replaced":1}',
        b'{"replaced":{}}',
    ):
        with pytest.raises(ValueError, match="no record"):
            OwnPart.parse(wrong)


async def test_a_cleared_upload_is_forgotten_and_others_are_not(store: Store) -> None:
    staging = store.open()
    other = StagedUpload("bucket", "key", "other")
    await keep(staging, _SMALL)
    await keep(staging, _SMALL, upload=other)
    await staging.note_own(_UPLOAD, OwnPart(3, 200, '"x"'))
    await staging.clear(_UPLOAD)
    await staging.clear(_UPLOAD)
    assert await kept(staging) is None
    assert await staging.own_parts(_UPLOAD) == ()
    assert await kept(staging, upload=other) == _SMALL
    await keep(staging, _SMALL)
    assert await kept(staging) == _SMALL


async def test_only_old_uploads_are_swept(store: Store) -> None:
    staging = store.open()
    await keep(staging, _SMALL)
    await staging.note_own(_UPLOAD, OwnPart(3, 200, '"x"'))
    assert await staging.sweep(_DAY) == 0
    assert await kept(staging) == _SMALL
    later = store.open(days_later=2)
    assert await later.sweep(_DAY) == 1
    assert await later.sweep(_DAY) == 0
    assert await kept(staging) is None
    assert await store.names() == []


async def test_several_processes_sweep_at_once(store: Store) -> None:
    for number in range(8):
        await keep(store.open(), _SMALL, upload=StagedUpload("bucket", "key", str(number)))
    others = [store.open(days_later=2) for _ in range(3)]
    await asyncio.gather(*(other.sweep(_DAY) for other in others))
    assert await store.names() == []


# -------------------------------------------------------------------------------------------------- the directory only


async def test_files_and_directories_are_for_their_owner_only(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        staging = FileStaging(tmp_path / "a" / "staging")
        await keep(staging, _LARGE)
        await staging.note_own(_UPLOAD, OwnPart(3, 200, '"x"'))
    finally:
        os.umask(old)
    for path in (tmp_path / "a" / "staging").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
        assert set(path.name) <= set("0123456789abcdefuploadsdraftsown-"), path


def test_a_directory_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    with pytest.raises(ConfigError, match="0700"):
        FileStaging(tmp_path)


def test_a_directory_that_can_not_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"staging\.location"):
        FileStaging(tmp_path / "file" / "staging")


async def test_an_abandoned_draft_is_swept_before_its_upload_is_old(tmp_path: Path) -> None:
    store = Store(tmp_path / "staging", None, "")
    draft = await store.open().draft(_UPLOAD, 7, len(_LARGE))
    await draft.write(_LARGE)
    later = store.open(days_later=2)
    assert await later.sweep(ABANDONED_DRAFT_SECONDS * 30) == 1
    assert await store.names() == []
    await draft.discard()


async def test_a_part_sent_again_replaces_what_is_old_enough(tmp_path: Path) -> None:
    store = Store(tmp_path / "staging", None, "")
    await keep(store.open(), b"first", '"a"')
    await keep(store.open(days_later=1), b"again", '"b"')
    assert await kept(store.open(), '"a"') is None
    assert await kept(store.open(), '"b"') == b"again"


async def test_a_directory_that_is_gone_is_a_passing_fault(tmp_path: Path) -> None:
    staging = FileStaging(tmp_path / "staging")
    (tmp_path / "staging" / "drafts").rmdir()
    for data in (_SMALL, _LARGE):
        with pytest.raises(UpstreamUnavailable, match="staging directory"):
            await keep(staging, data)


async def test_a_cancelled_write_leaves_nothing_behind(tmp_path: Path) -> None:
    store = Store(tmp_path / "staging", None, "")
    for pause in (0.0, 0.0001, 0.001, 0.005):
        draft = await store.open().draft(_UPLOAD, 7, len(_LARGE))
        writing = asyncio.create_task(draft.write(_LARGE))
        await asyncio.sleep(pause)
        writing.cancel()
        await asyncio.wait((writing,))
        await draft.discard()
        await asyncio.sleep(0.02)
        assert await store.names() == []


# ----------------------------------------------------------------------------------------------------- the bucket only


async def test_a_bucket_that_refuses_is_a_passing_fault(upstream: UpstreamClient, seaweed: SeaweedFS) -> None:
    stranger = StaticCredentials(Credential(seaweed.credentials.access_key, SecretStr("not the secret key")))
    staging = S3Staging(StagingBucket(upstream, stranger, "staging"), "x")
    for work in (
        lambda: staging.own_parts(_UPLOAD),
        lambda: staging.part(_UPLOAD, 7, _ETAG),
        lambda: keep(staging, _SMALL),
        lambda: keep(staging, _LARGE),
        lambda: staging.sweep(1.0),
    ):
        with pytest.raises(UpstreamUnavailable, match="staging bucket refuses a request: 403"):
            await work()
    await staging.clear(_UPLOAD)  # what can not be removed now is swept later


async def test_a_missing_bucket_is_not_a_missing_part(upstream: UpstreamClient, credentials: StaticCredentials) -> None:
    staging = S3Staging(StagingBucket(upstream, credentials, "no-such-bucket"), "x")
    with pytest.raises(UpstreamUnavailable, match="NoSuchBucket"):
        await staging.own_parts(_UPLOAD)


# ------------------------------------------------------------------------------------------------ location and sweeper


async def test_locations(tmp_path: Path, upstream: UpstreamClient, credentials: StaticCredentials) -> None:
    assert isinstance(open_staging(f"file://{tmp_path}/a%20b", upstream, credentials), FileStaging)
    assert (tmp_path / "a b" / "uploads").is_dir()
    assert isinstance(open_staging("s3://bucket/pre/fix", upstream, credentials), S3Staging)
    for wrong in ("", "/var/lib", "file://host/x", "s3://", "https://x/y"):
        with pytest.raises(ConfigError, match=r"staging\.location"):
            open_staging(wrong, upstream, credentials)


async def test_the_sweeper_sweeps_until_it_is_closed(tmp_path: Path) -> None:
    staging = FileStaging(tmp_path / "staging")
    await keep(staging, _SMALL)
    swept: list[int] = []
    sweeper = StagingSweeper(staging, 0.05, swept.append)
    sweeper.start()
    sweeper.start()
    await asyncio.sleep(0.5)
    assert swept == [1]
    (tmp_path / "staging").rename(tmp_path / "moved")  # a fault does not end it
    await asyncio.sleep(0.1)
    (tmp_path / "moved").rename(tmp_path / "staging")
    await keep(staging, _SMALL)
    await asyncio.sleep(0.5)
    assert swept == [1, 1]
    await sweeper.aclose()
    await keep(staging, _SMALL)
    await asyncio.sleep(0.2)
    assert await kept(staging) == _SMALL
