"""What `sealgate rewrap` does to one object while clients write it, and at stores that know no conditions."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from gateway.cli.rotation.listed import listed_objects
from gateway.cli.rotation.outcome import Looked, Result, Tally
from gateway.cli.rotation.pace import Pace
from gateway.cli.rotation.protection import Examiner, Gone, Protected
from gateway.cli.rotation.rewriting import Changed, Content, Rewriter, is_named
from gateway.cli.rotation.run import Run, Settings, Tools
from gateway.cli.rotation.state import State, state_header
from gateway.cli.rotation.targets import Targets, customer_key_names
from gateway.cli.stored.s3_source import S3Location
from gateway.config.load import load_config
from gateway.errors import ConfigError
from gateway.policy.rules import ModeName
from gateway.s3.operation import Operation
from gateway.server import private_gateway as room
from gateway.server.private_gateway import PrivateGateway, private_gateway
from gateway.server.sealed import copying, stream_sealed
from gateway.upstream.client import UpstreamClient
from gateway.upstream.refreshing import CredentialSource
from gateway.upstream.request import UpstreamRequest
from gateway.upstream.response import UpstreamResponse
from gateway.upstream.settings import UpstreamSettings
from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.minio import Minio
from lab.openbao import OpenBao
from lab.rgw import Rgw
from lab.s3_server import S3Client, S3Server
from lab.sealing import WRAPPING_KEY
from lab.seaweed import SeaweedFS

_BUCKET = "rewriting"
_CUSTOMER = "cli/rewriting"
_MODES: dict[str, dict[str, Any]] = {
    "cse": {"wrapping_key": WRAPPING_KEY, "existing": "plaintext"},
    "sse-c": {"customer_key": "customer"},
    "sse-s3": {},
}
_WRITES = {Operation.PUT_OBJECT, Operation.COPY_OBJECT, Operation.COMPLETE_MULTIPART_UPLOAD}
_PROBE = '"00000000000000000000000000000000"'


class Between(UpstreamClient):
    """Does something just before a write is sent: to the data path, or by it to the store."""

    act: ClassVar[Callable[[], None] | None] = None
    at_store: ClassVar[bool] = False
    ignores: ClassVar[frozenset[Operation]] = frozenset()
    sent: ClassVar[list[Operation]] = []

    def __init__(self, settings: UpstreamSettings, *arguments: Any) -> None:
        super().__init__(settings, *arguments)
        self._is_store = settings.uses_tls

    @asynccontextmanager
    async def send(
        self, request: UpstreamRequest, credentials: CredentialSource | None
    ) -> AsyncIterator[UpstreamResponse]:
        cls = Between
        if self._is_store and request.operation in _WRITES:
            cls.sent.append(request.operation)
        if (
            request.operation in _WRITES
            and request.headers.get("if-match") != _PROBE
            and cls.at_store is self._is_store
        ):
            act, cls.act = cls.act, None
            if act is not None:
                act()
        if self._is_store and request.operation in cls.ignores:
            request = _without_condition(request)
        async with super().send(request, credentials) as answer:
            yield answer


def _without_condition(request: UpstreamRequest) -> UpstreamRequest:
    return UpstreamRequest(
        request.operation,
        request.method,
        request.bucket,
        request.raw_object_key,
        request.query,
        request.headers.without(("if-match",)),
        request.body,
        request.payload_sha256,
    )


@pytest.fixture(autouse=True)
def _reset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "UpstreamClient", Between)
    monkeypatch.setattr(Between, "act", None)
    monkeypatch.setattr(Between, "at_store", False)
    monkeypatch.setattr(Between, "ignores", frozenset())
    monkeypatch.setattr(Between, "sent", [])


@pytest.fixture(scope="module")
def configured(
    tmp_path_factory: pytest.TempPathFactory, authority: CertificateAuthority, openbao: OpenBao, seaweed: SeaweedFS
) -> Gateway:
    seaweed.client().create_bucket(Bucket=_BUCKET)
    return _configured(tmp_path_factory.mktemp("rewriting"), authority, openbao, seaweed)


def _configured(
    directory: Path, authority: CertificateAuthority, openbao: OpenBao, store: S3Server, bucket: str = _BUCKET
) -> Gateway:
    """A configuration with a prefix for each mode; nothing runs."""
    openbao.put_random_key(_CUSTOMER)
    named = [
        {"name": mode, "buckets": [bucket], "prefixes": [f"{mode}/"], "mode": mode, **options}
        for mode, options in _MODES.items()
    ]
    return Gateway(
        directory,
        authority,
        store,
        rules=[*named, {"name": "rest", "buckets": ["*"], "mode": "none"}],
        vault=openbao,
        customer_keys={"customer": _CUSTOMER},
        sealing=directory / "sealing",
    )


@pytest.fixture
def direct(seaweed: SeaweedFS) -> S3Client:
    return seaweed.client()


class Stage:
    """A data path and what looks at objects."""

    def __init__(self, gateway: PrivateGateway, config_file: Path, *, unconditional: bool = False) -> None:
        self.config = load_config(config_file)
        self.gateway = gateway
        self.examiner = Examiner(gateway, customer_key_names(self.config, gateway))
        self.targets = Targets(gateway, self.examiner)
        self.rewriter = Rewriter(gateway, Pace(None), unconditional=unconditional)
        self.concurrency = 2

    async def found(self, key: str, bucket: str = _BUCKET) -> Protected:
        location = S3Location(bucket, key)
        [listed] = [listed async for listed in listed_objects(self.gateway.ask_store, location)]
        return await self.examiner.examine(listed.place)

    async def run(
        self, prefix: str, state: State, *, dry_run: bool = False, bucket: str = _BUCKET
    ) -> tuple[Tally, list[Looked]]:
        tally, troubles = Tally(), list[Looked]()
        tools = Tools(self.gateway, self.examiner, self.targets, self.rewriter, Pace(None), state)
        settings = Settings(concurrency=self.concurrency, dry_run=dry_run, verify=True)

        def looked_at(looked: Looked) -> None:
            if looked.result is Result.FAILED:
                troubles.append(looked)

        objects = listed_objects(self.gateway.ask_store, S3Location(bucket, prefix))
        await Run(tools, settings, tally, looked_at).work(objects, asyncio.Event())
        return tally, troubles


@asynccontextmanager
async def _stage(
    configured: Gateway, monkeypatch: pytest.MonkeyPatch, *, unconditional: bool = False
) -> AsyncIterator[Stage]:
    for name, value in configured.environment.items():
        monkeypatch.setenv(name, value)
    async with private_gateway(load_config(configured.config_file)) as gateway:
        yield Stage(gateway, configured.config_file, unconditional=unconditional)


@pytest.mark.parametrize("at_store", [False, True], ids=["before-reading", "before-writing"])
@pytest.mark.parametrize("size", [100, 200_000])
@pytest.mark.parametrize("mode", _MODES)
async def test_a_newer_write_is_never_overwritten(
    mode: str, size: int, at_store: bool, configured: Gateway, direct: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = f"{mode}/raced-{size}-{at_store}"
    about = {"Bucket": _BUCKET, "Key": key}
    direct.put_object(**about, Body=b"o" * size)
    async with _stage(configured, monkeypatch) as stage:
        found = await stage.found(key)
        monkeypatch.setattr(Between, "at_store", at_store)
        monkeypatch.setattr(Between, "act", lambda: direct.put_object(**about, Body=b"newer"))
        with pytest.raises(Changed):
            await stage.rewriter.rewrite(found, ModeName(mode))
        assert Between.act is None
        assert direct.get_object(**about)["Body"].read() == b"newer"
        # Looked at anew, it is rewritten.
        await stage.rewriter.rewrite(await stage.found(key), ModeName(mode))
        again = await stage.found(key)
        assert await stage.targets.is_met(again, await stage.targets.of(again.place))
        assert (await stage.rewriter.content(again)).size == len(b"newer")


@pytest.mark.parametrize("mode", _MODES)
async def test_an_object_too_large_for_one_request_is_written_in_parts(
    mode: str, configured: Gateway, direct: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It appears at once, and only in the place of the object that was read."""
    monkeypatch.setattr(copying, "MAX_SEALED_BYTES", 1_000)
    for limit in ("MOST_SEALED", "MOST_PLAIN"):
        monkeypatch.setattr(stream_sealed, limit, 1_000)
    monkeypatch.setattr(stream_sealed, "PART_BYTES", 5 * 2**20)
    data = random.randbytes(11 * 2**20)
    about = {"Bucket": _BUCKET, "Key": f"{mode}/large"}
    direct.put_object(**about, Body=data, Metadata={"colour": "blue"})
    async with _stage(configured, monkeypatch) as stage:
        found = await stage.found(f"{mode}/large")
        before = await stage.rewriter.content(found)
        monkeypatch.setattr(Between, "at_store", True)
        monkeypatch.setattr(Between, "act", lambda: direct.put_object(**about, Body=data[:-1]))
        with pytest.raises(Changed):
            await stage.rewriter.rewrite(found, ModeName(mode))
        assert direct.get_object(**about)["Body"].read() == data[:-1]
        direct.put_object(**about, Body=data, Metadata={"colour": "blue"})
        tally, troubles = await stage.run(f"{mode}/large", State(None, {}))
        assert (troubles, tally.results) == ([], {Result.REENCRYPTED: 1})
        after = await stage.found(f"{mode}/large")
        assert (await stage.rewriter.content(after), after.headers.get("x-amz-meta-colour")) == (before, "blue")
        assert after.etag.strip('"').endswith("-3" if mode == "cse" else "-2")
    assert Operation.COMPLETE_MULTIPART_UPLOAD in Between.sent
    assert "Uploads" not in direct.list_multipart_uploads(Bucket=_BUCKET)


async def test_a_change_of_the_derivation_is_another_key(
    tmp_path: Path,
    authority: CertificateAuthority,
    openbao: OpenBao,
    seaweed: SeaweedFS,
    direct: S3Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    about = {"Bucket": "rewriting-derived", "Key": "object"}
    direct.create_bucket(Bucket=about["Bucket"])
    direct.put_object(**about, Body=b"data")
    openbao.put_random_key("cli/derived")
    plain: dict[str, Any] = {"name": "plain", "buckets": ["*"], "mode": "sse-c", "customer_key": "customer"}
    derived = {**plain, "name": "derived", "derive_per_object": True, "buckets": ["rewriting-derived"]}
    for number, rules in enumerate([[plain], [derived, plain]]):
        gateway = Gateway(
            tmp_path / str(number),
            authority,
            seaweed,
            rules=rules,
            vault=openbao,
            customer_keys={"customer": "cli/derived"},
        )
        async with _stage(gateway, monkeypatch) as stage:
            for expected in (Result.REENCRYPTED, Result.SKIPPED):
                tally, troubles = await stage.run("", State(None, {}), bucket=about["Bucket"])
                assert (troubles, tally.results) == ([], {expected: 1})


async def test_a_deleted_object_stays_deleted(
    configured: Gateway, direct: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = {"Bucket": _BUCKET, "Key": "cse/deleted"}
    direct.put_object(**about, Body=b"data")
    async with _stage(configured, monkeypatch) as stage:
        found = await stage.found("cse/deleted")
        monkeypatch.setattr(Between, "at_store", True)
        monkeypatch.setattr(Between, "act", lambda: direct.delete_object(**about))
        with pytest.raises((Gone, Changed)):
            await stage.rewriter.rewrite(found, ModeName.CSE)
        with pytest.raises(Gone):
            await stage.examiner.examine(found.place)


async def test_a_run_goes_on_with_what_the_client_wrote(
    configured: Gateway, direct: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = {"Bucket": _BUCKET, "Key": "cse/once/more"}
    direct.put_object(**about, Body=b"data")
    async with _stage(configured, monkeypatch) as stage:
        monkeypatch.setattr(Between, "at_store", True)
        monkeypatch.setattr(Between, "act", lambda: direct.put_object(**about, Body=b"newer data"))
        tally, troubles = await stage.run("cse/once/", State(None, {}))
        assert (tally.results, troubles) == ({Result.REENCRYPTED: 1}, [])
        found = await stage.found("cse/once/more")
        assert found.sealed
        assert (await stage.rewriter.content(found)).size == len(b"newer data")


class Late(Rewriter):
    """After the copy of an object ``raced`` something happens; what is read of the copies of others is wrong.

    A copy of an object ``silent`` is answered without an ETag.
    """

    act: Callable[[], object] | None = None
    _damaged = False

    async def rewrite(self, found: Protected, mode: ModeName) -> str:
        written = await super().rewrite(found, mode)
        self._damaged = found.place.object_key.endswith(("/damaged", "/silent"))
        if found.place.object_key.endswith("/raced") and self.act is not None:
            self.act()
        return "" if found.place.object_key.endswith("/silent") else written

    async def content(self, found: Protected) -> Content:
        content = await super().content(found)
        return Content(content.size, "0" * 64) if self._damaged else content


@pytest.mark.parametrize("first", [True, False], ids=["of-all", "of-several"])
@pytest.mark.parametrize("what", ["raced", "damaged", "silent"])
async def test_a_client_that_writes_after_the_copy_is_told_from_damage(
    what: str, first: bool, configured: Gateway, direct: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the ETag, once another object has shown that the store answers a copy with the one that the object gets."""
    place = f"sse-s3/late-{what}-{first}"
    about = {"Bucket": _BUCKET, "Key": f"{place}/{what}"}
    direct.put_object(**about, Body=b"data")
    if not first:
        direct.put_object(Bucket=_BUCKET, Key=f"{place}/another", Body=b"data")
    async with _stage(configured, monkeypatch) as stage:
        late = stage.rewriter = Late(stage.gateway, Pace(None), unconditional=False)
        late.act = lambda: direct.put_object(**about, Body=b"newer", ServerSideEncryption="AES256")
        stage.concurrency = 1
        tally, troubles = await stage.run(f"{place}/", State(None, {}))
    if what == "raced" and not first:
        assert (troubles, tally.results) == ([], {Result.REENCRYPTED: 1, Result.CHANGED: 1})
    else:
        assert [trouble.message for trouble in troubles] == ["what is read back is not what was there before"]
    assert direct.get_object(**about)["Body"].read() == (b"newer" if what == "raced" else b"data")


@pytest.mark.parametrize(
    ("store", "mode"),
    [
        *(("seaweed", mode) for mode in _MODES),
        *(pytest.param("minio", mode, marks=pytest.mark.slow) for mode in _MODES),
        # Ceph RGW 16 has no SSE-S3.
        *(pytest.param("rgw", mode, marks=pytest.mark.slow) for mode in _MODES if mode != "sse-s3"),
    ],
)
async def test_a_copy_is_answered_with_the_etag_that_the_object_gets(
    store: str,
    mode: str,
    tmp_path: Path,
    authority: CertificateAuthority,
    openbao: OpenBao,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server: S3Server = request.getfixturevalue(store)
    client = server.client(request_checksum_calculation="when_required")
    bucket = f"etags-{mode}"
    client.create_bucket(Bucket=bucket)
    client.put_object(Bucket=bucket, Key=f"{mode}/object", Body=b"data")
    async with _stage(
        _configured(tmp_path, authority, openbao, server, bucket), monkeypatch, unconditional=True
    ) as stage:
        written = await stage.rewriter.rewrite(await stage.found(f"{mode}/object", bucket), ModeName(mode))
        after = await stage.found(f"{mode}/object", bucket)
        assert is_named(after, written)
        assert written.strip('"')


async def test_a_store_that_evaluates_if_match_in_no_write_is_refused(
    configured: Gateway, direct: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Between, "ignores", frozenset(_WRITES))
    direct.put_object(Bucket=_BUCKET, Key="cse/ignored", Body=b"data")
    async with _stage(configured, monkeypatch) as stage:
        with pytest.raises(ConfigError, match="--without-if-match"):
            await stage.run("cse/ignored", State(None, {}))
    direct.put_object(Bucket=_BUCKET, Key="cse/ignored", Body=b"data")
    async with _stage(configured, monkeypatch, unconditional=True) as stage:
        tally, _ = await stage.run("cse/ignored", State(None, {}))
        assert tally.results == {Result.REENCRYPTED: 1}


@pytest.mark.slow
async def test_minio_evaluates_if_match_in_writes_only(
    tmp_path: Path, authority: CertificateAuthority, openbao: OpenBao, minio: Minio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its copies do not, so that they are not used; and its writes under customer keys refuse it over other objects."""
    client = minio.client()
    client.create_bucket(Bucket=_BUCKET)
    for mode in ("cse", "sse-c"):
        for number in range(3):
            client.put_object(Bucket=_BUCKET, Key=f"{mode}/{number}", Body=b"data")
    configured = _configured(tmp_path, authority, openbao, minio)
    async with _stage(configured, monkeypatch) as stage:
        tally, troubles = await stage.run("cse/", State(None, {}))
        assert (troubles, tally.results) == ([], {Result.REENCRYPTED: 3})
        tally, troubles = await stage.run("sse-c/", State(None, {}))
        assert tally.results == {Result.REENCRYPTED: 1, Result.FAILED: 2}
        assert all("--without-if-match" in trouble.message for trouble in troubles)
        assert Between.sent.count(Operation.COPY_OBJECT) == 1
    async with _stage(configured, monkeypatch, unconditional=True) as stage:
        tally, troubles = await stage.run("sse-c/", State(None, {}))
        assert (troubles, tally.results) == ([], {Result.REENCRYPTED: 2, Result.SKIPPED: 1})


@pytest.mark.slow
async def test_ceph_refuses_every_if_match(
    tmp_path: Path, authority: CertificateAuthority, openbao: OpenBao, rgw: Rgw, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = rgw.client(request_checksum_calculation="when_required")
    client.create_bucket(Bucket=_BUCKET)
    for mode in ("cse", "sse-c"):
        client.put_object(Bucket=_BUCKET, Key=f"{mode}/1", Body=b"data")
    configured = _configured(tmp_path, authority, openbao, rgw)
    async with _stage(configured, monkeypatch) as stage:
        for mode in ("cse", "sse-c"):
            tally, troubles = await stage.run(f"{mode}/", State(None, {}))
            assert tally.results == {Result.FAILED: 1}
            assert "--without-if-match" in troubles[0].message
            assert client.get_object(Bucket=_BUCKET, Key=f"{mode}/1")["Body"].read() == b"data"
    async with _stage(configured, monkeypatch, unconditional=True) as stage:
        for mode in ("cse", "sse-c"):
            tally, troubles = await stage.run(f"{mode}/", State(None, {}))
            assert (troubles, tally.results) == ([], {Result.REENCRYPTED: 1})


async def test_the_state_file_saves_the_questions(
    configured: Gateway, direct: S3Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for number in range(3):
        direct.put_object(Bucket=_BUCKET, Key=f"cse/state/{number}", Body=b"data")
    path = tmp_path / "state"
    config = load_config(configured.config_file)
    header = state_header(config, S3Location(_BUCKET, "cse/state/"))
    async with _stage(configured, monkeypatch) as stage:
        with State(path, header) as state:
            tally, _ = await stage.run("cse/state/", state, dry_run=True)
            assert tally.results == {Result.PLANNED: 3}
            assert (await stage.run("cse/state/", state))[0].results == {Result.REENCRYPTED: 3}
        path.write_bytes(path.read_bytes() + b'{"key": "cut sho')
        direct.put_object(Bucket=_BUCKET, Key="cse/state/1", Body=b"other")
        with State(path, header) as state:
            tally, _ = await stage.run("cse/state/", state)
            assert tally.results == {Result.KNOWN: 2, Result.REENCRYPTED: 1}
        with State(path, header) as state:
            assert (await stage.run("cse/state/", state))[0].results == {Result.KNOWN: 3}
    assert all(isinstance(json.loads(line), dict) for line in path.read_text().splitlines())
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_state_file_is_for_one_run_of_one_place(tmp_path: Path, configured: Gateway) -> None:
    config = load_config(configured.config_file)
    header = state_header(config, S3Location(_BUCKET, "a/"))
    with State(tmp_path / "state", header), pytest.raises(ConfigError, match="another run"):
        State(tmp_path / "state", header)
    with pytest.raises(ConfigError, match="another prefix"):
        State(tmp_path / "state", state_header(config, S3Location(_BUCKET, "b/")))
    (tmp_path / "text").write_text("notes\n")
    with pytest.raises(ConfigError, match="take another file"):
        State(tmp_path / "text", header)
    assert (tmp_path / "text").read_text() == "notes\n"
