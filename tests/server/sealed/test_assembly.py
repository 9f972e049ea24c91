"""The parts that mode ``cse`` works with are there when the gateway started, and gone when it closed."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from gateway.config.build import upstream_settings
from gateway.config.load import check_config
from gateway.config.model import Config
from gateway.config.resolve import resolve
from gateway.errors import ConfigError, KeyUnavailable, UpstreamUnavailable
from gateway.keys.keyring_editing import add_key
from gateway.observe.metrics import Metrics
from gateway.server.sealed.assembly import start_sealed_services
from gateway.server.sealed.services import SealedServices
from gateway.server.sealed.staging import OwnPart, StagedUpload, Staging
from gateway.server.sealed.staging_absent import AbsentStaging
from gateway.server.sealed.staging_file import FileStaging
from gateway.server.sealed.staging_s3 import S3Staging
from gateway.upstream.client import UpstreamClient

UPLOAD = StagedUpload("bucket", "key", "upload")


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def config_of(directory: Path, **options: Any) -> Config:
    add_key(directory / "keyring.json", "one")
    return check_config(
        {
            "listeners": {"https": [{"certificate": "/c", "private_key": "/k"}]},
            "identities": [
                {
                    "name": "a",
                    "access_key_id": "AKIDA",
                    "secret_access_key": "env:PATH",
                    "upstream_credentials": {"kind": "default-chain"},
                }
            ],
            "wrapping_keys": {"w": {"provider": "local", "keyring": str(directory / "keyring.json")}},
            "data_keys": {"maximum_messages": 2},
            "staging": {"location": (directory / "staging").as_uri()},
            "rules": [{"name": "rest", "buckets": ["*"], "mode": "none"}],
            **options,
        }
    )


async def started(config: Config, registry: CollectorRegistry, opened: AsyncExitStack) -> SealedServices:
    metrics = Metrics(registry)
    resolved = await resolve(config, metrics)
    opened.push_async_callback(resolved.aclose)
    upstream = UpstreamClient(upstream_settings(config))
    return await start_sealed_services(config, resolved, upstream, metrics, opened)


async def test_data_keys_are_limited_as_configured_and_counted(tmp_path: Path, registry: CollectorRegistry) -> None:
    async with AsyncExitStack() as opened:
        sealed = await started(config_of(tmp_path), registry, opened)
        keys = [await sealed.data_keys.for_sealing("w", 1) for _ in range(3)]
        assert [key.wrapping_key for key in keys] == ["local:one"] * 3
        assert keys[0] is keys[1]
        assert keys[1] is not keys[2]
        sealed.layouts.get("bucket", "key", '"etag"')
    for name, labels, value in (
        ("data_key_evictions_total", {"reason": "messages"}, 1),
        ("data_key_cache_total", {"operation": "seal", "result": "hit"}, 1),
        ("kms_requests_total", {"provider": "local", "operation": "generate", "key": "w", "result": "ok"}, 2),
        ("layout_lookups_total", {"result": "miss"}, 1),
    ):
        assert registry.get_sample_value(f"sealgate_{name}", labels) == value
    with pytest.raises(KeyUnavailable):
        await sealed.data_keys.for_sealing("w", 1)


async def test_staging_directory(tmp_path: Path, registry: CollectorRegistry) -> None:
    async with AsyncExitStack() as opened:
        sealed = await started(config_of(tmp_path), registry, opened)
        assert isinstance(sealed.staging, FileStaging)
        draft = await sealed.staging.draft(UPLOAD, 1, 3)
        await draft.write(b"abc")
        await draft.publish('"etag"')
    assert [path.read_bytes() for path in (tmp_path / "staging").rglob("*") if path.is_file()] == [b"abc"]


async def test_staging_bucket(tmp_path: Path, registry: CollectorRegistry) -> None:
    staging = {"location": "s3://bucket/prefix", "upstream_credentials": {"kind": "default-chain"}}
    async with AsyncExitStack() as opened:
        sealed = await started(config_of(tmp_path, staging=staging), registry, opened)
        assert isinstance(sealed.staging, S3Staging)


async def test_staging_directory_that_can_not_be_used(tmp_path: Path, registry: CollectorRegistry) -> None:
    (tmp_path / "staging").write_text("a file")
    async with AsyncExitStack() as opened:
        with pytest.raises(ConfigError, match=r"staging\.location"):
            await started(config_of(tmp_path), registry, opened)


async def test_a_gateway_without_wrapping_keys_needs_no_staging(tmp_path: Path, registry: CollectorRegistry) -> None:
    async with AsyncExitStack() as opened:
        sealed = await started(config_of(tmp_path, wrapping_keys={}), registry, opened)
        assert isinstance(sealed.staging, AbsentStaging)
        assert sealed.data_keys.names == frozenset()
    assert not (tmp_path / "staging").exists()


async def test_absent_staging_keeps_nothing() -> None:
    staging: Staging = AbsentStaging()
    for refused in (staging.draft(UPLOAD, 1, 1), staging.note_own(UPLOAD, OwnPart(1, 1, '"etag"'))):
        with pytest.raises(UpstreamUnavailable, match="no wrapping keys"):
            await refused
    assert await staging.part(UPLOAD, 1, '"etag"') is None
    assert await staging.own_parts(UPLOAD) == ()
    await staging.clear(UPLOAD)
    assert await staging.sweep(1) == 0
    await staging.aclose()
