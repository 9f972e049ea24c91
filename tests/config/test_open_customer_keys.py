"""Sources of customer keys are opened by their options, and what is wrong with them is collected."""

import base64
import secrets
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.config.load import check_config
from gateway.config.model import Config
from gateway.config.open_customer_keys import CustomerKeyOpener, open_customer_keys
from gateway.config.resolve import resolve
from gateway.config.secrets import Secrets
from gateway.errors import ConfigError
from gateway.keys.secret_reference import SecretResolver
from lab.moto import MotoServer
from lab.openbao import OpenBao

REGION = "eu-central-1"


@pytest.fixture(scope="module")
def moto(lab_directory: Path) -> Iterator[MotoServer]:
    server = MotoServer(lab_directory / "moto-customer-keys")
    server.start()
    yield server
    server.stop()


def rule(name: str, customer_key: str, **options: Any) -> dict[str, Any]:
    return {"name": name, "buckets": [name], "mode": "sse-c", "customer_key": customer_key, **options}


def config_of(**options: Any) -> Config:
    identity = {
        "name": "app",
        "access_key_id": "AKIDAPP",
        "secret_access_key": "env:CLIENT",
        "upstream_credentials": {"kind": "environment"},
    }
    return check_config(
        {
            "listeners": {"https": [{"certificate": "/c", "private_key": "/k"}]},
            "identities": [identity],
            "rules": [
                rule("plain", "aws"),
                rule("derived", "aws", derive_per_object=True),
                {"name": "rest", "buckets": ["*"], "mode": "none"},
            ],
            **options,
        }
    )


def aws(endpoint: str, **options: Any) -> dict[str, Any]:
    return {
        "provider": "aws-secretsmanager",
        "secret_id": "team/key",
        "region": REGION,
        "endpoint_url": endpoint,
        "allow_plain_http_endpoint": True,
        "credentials": {"kind": "static", "access_key_id": "AKIDMOTO", "secret_access_key": "env:AWS_KEY"},
        **options,
    }


async def test_both_providers_side_by_side(openbao: OpenBao, moto: MotoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of either kind are read as configured, and derived from where a rule says so."""
    for name, value in {"CLIENT": "c", "AWS_KEY": "s", "BAO": openbao.root_token}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "store")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "store")
    raw, other = secrets.token_bytes(32), secrets.token_bytes(32)
    moto.client("secretsmanager", REGION).create_secret(Name="team/key", SecretBinary=raw)
    openbao.put_secret("config/customer", {"key": base64.b64encode(other).decode()})
    config = config_of(
        vaults={"main": {"address": openbao.address, "token": "env:BAO", "ca_bundle": str(openbao.ca_file)}},
        customer_keys={
            "aws": aws(moto.endpoint),
            "same-secret": aws(moto.endpoint),
            "vault": {"vault": "main", "path": "config/customer"},
        },
    )
    resolved = await resolve(config)
    try:
        assert sorted(resolved.customer_keys) == ["aws", "same-secret", "vault"]
        assert sorted(resolved.derived_keys) == ["aws"]
        assert (await resolved.customer_keys["vault"].newest()).key.reveal() == other
        plain, derived = resolved.customer_keys["aws"], resolved.derived_keys["aws"]
        key = await plain.newest()
        assert key.key.reveal() == raw
        assert (await derived.version(key.version)).key.reveal() == raw
        assert plain.key_for(key, "b", "k") is key
        assert derived.key_for(key, "b", "k").key.reveal() != raw
        fingerprints = {
            source.fingerprint for source in (*resolved.customer_keys.values(), *resolved.derived_keys.values())
        }
        assert len(fingerprints) == 4  # two accounts may have secrets of the same name
    finally:
        await resolved.aclose()


async def test_faults_are_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_KEY", raising=False)
    config = config_of(customer_keys={"aws": aws("http://127.0.0.1:1", ca_bundle="/nowhere/ca.pem")})
    async with AsyncExitStack() as opened:
        collected = Secrets(SecretResolver({}))
        assert await open_customer_keys(config, CustomerKeyOpener({}, collected, opened)) == {}
        with pytest.raises(ConfigError) as caught:
            collected.raise_faults()
    assert sorted(fault.partition(":")[0] for fault in caught.value.faults) == [
        "customer_keys.aws",
        "customer_keys.aws.credentials.secret_access_key",
    ]
