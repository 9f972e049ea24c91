"""Wrapping keys are opened with only what they need, and with quotas that all workers share."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.config.guarding import Guards
from gateway.config.load import check_config
from gateway.config.model import Config
from gateway.config.open_wrapping_keys import vaults_of_wrapping_keys, wrapping_keys_alone
from gateway.errors import ConfigError, KeyUnavailable
from gateway.keys.keyring_editing import add_key
from gateway.keys.local import LocalKeyProvider
from gateway.keys.metering import KeyCall
from gateway.keys.provider import DataKey, KeyProvider, WrappedKey
from gateway.keys.quota import QuotaExceeded, QuotaKind
from gateway.keys.replicas import Replicas
from gateway.redact import SecretBytes
from lab.moto import MotoServer
from lab.openbao import OpenBao
from lab.ports import free_port

VAULT = {"address": "https://vault:8200", "token": "env:MISSING"}
STATIC = {"kind": "static", "access_key_id": "AKIDMOTO", "secret_access_key": "env:AWS_KEY"}


def config_of(**options: Any) -> Config:
    identity = {
        "name": "app",
        "access_key_id": "AKIDAPP",
        "secret_access_key": "env:MISSING",
        "upstream_credentials": {"kind": "environment"},
    }
    return check_config(
        {
            "listeners": {"https": [{"certificate": "/c", "private_key": "/k"}]},
            "identities": [identity],
            "rules": [{"name": "rest", "buckets": ["*"], "mode": "none"}],
            **options,
        }
    )


@pytest.fixture(scope="module")
def moto(lab_directory: Path) -> Iterator[MotoServer]:
    server = MotoServer(lab_directory / "moto-config")
    server.start()
    yield server
    server.stop()


async def round_trip(provider: KeyProvider) -> DataKey:
    data_key = await provider.generate()
    assert (await provider.unwrap(data_key.wrapping_key, data_key.wrapped)).reveal() == data_key.key.reveal()
    rewrapped = await provider.rewrap(data_key.wrapping_key, data_key.wrapped)
    assert (await provider.unwrap(rewrapped.wrapping_key, rewrapped.wrapped)).reveal() == data_key.key.reveal()
    return data_key


async def test_every_provider_alone(
    openbao: OpenBao, moto: MotoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the identities' secrets nor vaults without wrapping keys are asked for."""
    monkeypatch.delenv("MISSING", raising=False)
    monkeypatch.setenv("BAO", openbao.root_token)
    monkeypatch.setenv("AWS_KEY", "secret")
    openbao.create_transit_key("config-derived", derived=True)
    openbao.put_secret("config/grants", {"token": "a-grant-token"})
    add_key(tmp_path / "keyring.json", "one")
    arn = moto.create_key("eu-central-1")
    config = config_of(
        vaults={
            "main": {"address": openbao.address, "token": "env:BAO", "ca_bundle": str(openbao.ca_file)},
            "other": VAULT,
        },
        wrapping_keys={
            "file": {"provider": "local", "keyring": str(tmp_path / "keyring.json")},
            "kms": {
                "provider": "aws-kms",
                "key_arn": arn,
                "endpoint_url": moto.endpoint,
                "allow_plain_http_endpoint": True,
                "credentials": STATIC,
                "grant_tokens": ["vault:main/secret/config/grants#token"],
                "encryption_context": {"a": "b"},
            },
            "transit": {
                "provider": "vault-transit",
                "vault": "main",
                "key": "config-derived",
                "encryption_context": {"a": "b"},
            },
        },
    )
    assert vaults_of_wrapping_keys(config) == {"main"}
    async with wrapping_keys_alone(config) as providers:
        made = {name: await round_trip(provider) for name, provider in providers.items()}
    assert {name: key.wrapping_key for name, key in made.items()} == {
        "file": "local:one",
        "kms": f"aws-kms:{arn}",
        "transit": "vault-transit:transit/config-derived",
    }


async def test_faults_are_told_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MISSING", raising=False)
    config = config_of(
        wrapping_keys={
            "file": {"provider": "local", "keyring": "/nowhere/k"},
            "kms": {
                "provider": "aws-kms",
                "key_arn": "arn:aws:kms:eu-central-1:111122223333:key/1234",
                "grant_tokens": ["env:MISSING"],
                "ca_bundle": "/nowhere/ca.pem",
                "credentials": {
                    "kind": "assumed-role",
                    "role_arn": "arn:aws:iam::111122223333:role/r",
                    "external_id": "env:MISSING",
                    "base": {**STATIC, "secret_access_key": "env:MISSING"},
                },
            },
        }
    )
    with pytest.raises(ConfigError) as caught:
        async with wrapping_keys_alone(config):
            pass
    assert sorted(caught.value.faults) == [
        "wrapping_keys.file: /nowhere/k: No such file or directory",
        "wrapping_keys.kms.credentials.base.secret_access_key: env:MISSING is not set or empty",
        "wrapping_keys.kms.credentials.external_id: env:MISSING is not set or empty",
        "wrapping_keys.kms: CA bundle /nowhere/ca.pem: there is no such file",
    ]


async def test_service_that_is_down_is_a_passing_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_KEY", "secret")
    config = config_of(
        wrapping_keys={
            "kms": {
                "provider": "aws-kms",
                "key_arn": "arn:aws:kms:eu-central-1:111122223333:key/1234",
                "endpoint_url": f"https://127.0.0.1:{free_port()}",
                "credentials": STATIC,
                "timeout_seconds": 0.5,
            }
        }
    )
    async with wrapping_keys_alone(config) as providers:
        with pytest.raises(KeyUnavailable) as caught:
            await providers["kms"].generate()
    assert not caught.value.permanent


# -------------------------------------------------------------------------------------------------------------- guards


class Fake:
    """A provider of a service in one Region, which does what it is told to."""

    kind = "aws-kms"

    def __init__(self, keyring: LocalKeyProvider, scope: str) -> None:
        self.scope = scope
        self._keyring = keyring
        self.current = keyring.current
        self.fault: KeyUnavailable | None = None

    async def generate(self) -> DataKey:
        if self.fault is not None:
            raise self.fault
        return await self._keyring.generate()

    async def unwrap(self, wrapping_key: str, wrapped: bytes) -> SecretBytes:
        return await self._keyring.unwrap(wrapping_key, wrapped)

    async def rewrap(self, wrapping_key: str, wrapped: bytes) -> WrappedKey:
        return await self._keyring.rewrap(wrapping_key, wrapped)

    def handles(self, wrapping_key: str) -> bool:
        return self._keyring.handles(wrapping_key)

    def version_of(self, wrapping_key: str, wrapped: bytes) -> str:
        return self._keyring.version_of(wrapping_key, wrapped)

    async def aclose(self) -> None:
        await self._keyring.aclose()


class Seen:
    """What an observer was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str]] = []
        self.refused: list[tuple[str, str, str]] = []

    def key_call(self, call: KeyCall) -> None:
        self.calls.append((call.key, call.scope, call.result))

    def key_quota_refused(self, provider: str, scope: str, kind: QuotaKind) -> None:
        self.refused.append((provider, scope, kind))

    def key_breaker(self, key: str, *, is_open: bool) -> None:
        """Nothing breaks here."""


@pytest.fixture
def keyring(tmp_path: Path) -> LocalKeyProvider:
    add_key(tmp_path / "keyring.json", "one")
    return LocalKeyProvider.open(tmp_path / "keyring.json")


def quota(scope: str, rate: float) -> dict[str, Any]:
    return {"provider": "aws-kms", "scope": scope, "requests_per_second": rate, "share": 0.5}


async def taken(provider: KeyProvider) -> int:
    """How many data keys come before the quota is used up."""
    for count in range(1000):
        try:
            await provider.generate()
        except QuotaExceeded:
            return count
    raise AssertionError("there is no quota")


async def test_one_quota_for_all_keys_and_workers(keyring: LocalKeyProvider, tmp_path: Path) -> None:
    """Two keys in one Region, in two processes with the same directory, take from one bucket; a third one does not."""
    config = config_of(key_quotas=[quota("eu-central-1", 40)])
    seen = Seen()
    async with AsyncExitStack() as opened:
        one, two = (Guards(config, opened, seen, tmp_path) for _ in range(2))
        region = Fake(keyring, "eu-central-1")
        first = await taken(one.around("a", [region]))
        assert 1 <= first <= 20
        assert await taken(one.around("b", [region])) <= 2
        assert await taken(two.around("a", [region])) <= 2
        assert seen.refused == [("aws-kms", "eu-central-1", "write")] * 3
        alone = Guards(config, opened, None, None)
        assert await taken(alone.around("a", [region])) >= first - 1
    assert [file.name for file in (tmp_path / "quotas").iterdir()] == ["aws-kms eu-central-1"]
    assert (tmp_path / "quotas").stat().st_mode & 0o077 == 0


async def test_no_quota(keyring: LocalKeyProvider, tmp_path: Path) -> None:
    """A keyring asks no service."""
    async with AsyncExitStack() as opened:
        provider = Guards(config_of(), opened, None, tmp_path).around("a", [keyring])
        with pytest.raises(AssertionError, match="no quota"):
            await taken(provider)
    assert not (tmp_path / "quotas").exists()


async def test_replicas_are_counted_by_region(keyring: LocalKeyProvider) -> None:
    seen = Seen()
    async with AsyncExitStack() as opened:
        home, away = Fake(keyring, "eu-central-1"), Fake(keyring, "eu-west-1")
        provider = Guards(config_of(), opened, seen, None).around("k", [home, away])
        assert isinstance(provider, Replicas)
        await provider.generate()
        home.fault = KeyUnavailable("down")
        await provider.generate()
    assert seen.calls[0] == ("k", "eu-central-1", "ok")
    assert seen.calls[-1] == ("k (eu-west-1)", "eu-west-1", "ok")
    assert set(seen.calls[1:-1]) == {("k", "eu-central-1", "unavailable")}
