"""Commands about stored objects open them with the keys of services too, and need nothing else of a configuration."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.stored.opening_keys import key_providers, opening_keys
from gateway.errors import ConfigError
from gateway.keys.keyring_editing import add_key
from lab.openbao import OpenBao


@pytest.fixture
def document(openbao: OpenBao, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A configuration with a transit key, on a machine that has none of the gateway's other secrets."""
    monkeypatch.setenv("OPENING_TOKEN", openbao.root_token)
    monkeypatch.delenv("NOT_THERE", raising=False)
    openbao.create_transit_key("opening")
    identity = {
        "name": "app",
        "access_key_id": "AKIDAPP",
        "secret_access_key": "env:NOT_THERE",
        "upstream_credentials": {"kind": "environment"},
    }
    return {
        "listeners": {"https": [{"certificate": "/not/there.pem", "private_key": "/not/there.key"}]},
        "identities": [identity],
        "vaults": {
            "main": {"address": openbao.address, "token": "env:OPENING_TOKEN", "ca_bundle": str(openbao.ca_file)},
            "other": {"address": "https://nowhere", "token": "env:NOT_THERE"},
        },
        "wrapping_keys": {"transit": {"provider": "vault-transit", "vault": "main", "key": "opening"}},
        "rules": [{"name": "rest", "buckets": ["*"], "mode": "none"}],
    }


def written(document: dict[str, Any], directory: Path) -> Path:
    file = directory / "sealgate.yaml"
    file.write_text(json.dumps(document))
    return file


async def test_keyrings_and_services_together(document: dict[str, Any], tmp_path: Path) -> None:
    keyring = tmp_path / "keyring.json"
    add_key(keyring, "one")
    config = written(document, tmp_path)
    async with key_providers([keyring], config) as providers:
        made = [await provider.generate() for provider in providers.values()]
    assert [data_key.wrapping_key for data_key in made] == ["local:one", "vault-transit:transit/opening"]
    async with opening_keys([keyring], config) as keys:
        opened = [await keys.for_opening(data_key.wrapping_key, data_key.wrapped) for data_key in made]
    assert [key.reveal() for key in opened] == [data_key.key.reveal() for data_key in made]


async def test_faults_of_both_are_told_together(document: dict[str, Any], tmp_path: Path) -> None:
    document["vaults"]["main"]["token"] = "env:NOT_THERE"
    with pytest.raises(ConfigError) as caught:
        async with opening_keys([tmp_path / "none"], written(document, tmp_path)):
            pass
    assert caught.value.faults == (
        f"{tmp_path}/none: No such file or directory",
        "vaults.main: env:NOT_THERE is not set or empty",
    )


async def test_a_configuration_without_wrapping_keys(document: dict[str, Any], tmp_path: Path) -> None:
    del document["wrapping_keys"]
    with pytest.raises(ConfigError, match="no wrapping key is given"):
        async with opening_keys([], written(document, tmp_path)):
            pass
