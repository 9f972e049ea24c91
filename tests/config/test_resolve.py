"""References become secrets, vaults are opened, and every missing secret is told at once."""

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from gateway.config.guarding import UnseenKeyServices
from gateway.config.load import check_config
from gateway.config.model import Config
from gateway.config.open_vaults import vault_settings
from gateway.config.resolve import resolve
from gateway.errors import ConfigError, KeyUnavailable
from gateway.keys.keyring_editing import add_key
from gateway.keys.vault_settings import AppRoleAuth, TokenAuth, VaultSettings
from gateway.upstream.credentials import AssumedRoleCredentials, DefaultChainCredentials
from lab.openbao import OpenBao
from lab.ports import free_port


def identity(name: str, secret: str, credentials: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {
        "name": name,
        "access_key_id": f"AKID{name.upper()}",
        "secret_access_key": secret,
        "upstream_credentials": credentials,
        **options,
    }


def config_of(*identities: dict[str, Any], **options: Any) -> Config:
    return check_config(
        {
            "listeners": {"https": [{"certificate": "/c", "private_key": "/k"}]},
            "identities": list(identities),
            "rules": [{"name": "rest", "buckets": ["*"], "mode": "none"}],
            **options,
        }
    )


ENVIRONMENT = {"kind": "environment"}


async def test_local_references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets from variables and files; static credentials and those of the environment."""
    monkeypatch.setenv("ONE", "first")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "environment")
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    file = tmp_path / "two"
    file.write_text("second\n")
    static = {
        "kind": "static",
        "access_key_id": "AKIDSTATIC",
        "secret_access_key": f"file:{file}",
        "session_token": "env:ONE",
    }
    resolved = await resolve(
        config_of(
            identity("a", "env:ONE", ENVIRONMENT),
            identity("b", f"file:{file}", static, session_token="env:ONE"),
        )
    )
    try:
        assert set(resolved.identities) == {"AKIDA", "AKIDB"}
        first, second = resolved.identities["AKIDA"], resolved.identities["AKIDB"]
        assert (first.name, first.credential.secret_access_key.reveal()) == ("a", "first")
        assert first.credential.session_token is None
        assert second.credential.secret_access_key.reveal() == "second"
        assert second.credential.session_token is not None
        assert second.credential.session_token.reveal() == "first"
        from_environment = await resolved.upstream_credentials["a"].current()
        assert (from_environment.access_key_id, from_environment.secret_access_key.reveal()) == (
            "AKIDENV",
            "environment",
        )
        fixed = await resolved.upstream_credentials["b"].current()
        assert (fixed.access_key_id, fixed.secret_access_key.reveal()) == ("AKIDSTATIC", "second")
        assert fixed.session_token is not None
        assert fixed.session_token.reveal() == "first"
    finally:
        await resolved.aclose()


async def test_equal_credentials_are_one_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """A role is assumed once for all identities that use it; other options make another source."""
    monkeypatch.setenv("S", "secret")
    role = {"kind": "assumed-role", "role_arn": "arn:aws:iam::111122223333:role/r", "external_id": "env:S"}
    resolved = await resolve(
        config_of(
            identity("a", "env:S", role),
            identity("b", "env:S", dict(role)),
            identity("c", "env:S", {**role, "session_name": "other"}),
            identity("d", "env:S", {"kind": "default-chain"}),
        )
    )
    try:
        sources = resolved.upstream_credentials
        assert sources["a"] is sources["b"]
        assert sources["a"] is not sources["c"]
        assert isinstance(sources["c"], AssumedRoleCredentials)
        assert isinstance(sources["d"], DefaultChainCredentials)
    finally:
        await resolved.aclose()


async def test_every_missing_secret_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MISSING", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    config = config_of(
        identity("a", "env:MISSING", ENVIRONMENT),
        identity("b", "file:/nonexistent", {"kind": "default-chain"}, session_token="env:MISSING"),
        identity(
            "c",
            "env:PATH",
            {
                "kind": "assumed-role",
                "role_arn": "arn:aws:iam::111122223333:role/r",
                "external_id": "env:MISSING",
                "base": {"kind": "static", "access_key_id": "AKID", "secret_access_key": "env:MISSING"},
            },
        ),
    )
    with pytest.raises(ConfigError) as caught:
        await resolve(config)
    assert sorted(fault.partition(": ")[0] for fault in caught.value.faults) == [
        "identities[0].secret_access_key",
        "identities[0].upstream_credentials",
        "identities[0].upstream_credentials",
        "identities[1].secret_access_key",
        "identities[1].session_token",
        "identities[2].upstream_credentials.base.secret_access_key",
        "identities[2].upstream_credentials.external_id",
    ]


async def test_wrapping_keys_and_staging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S", "secret")
    keyring = tmp_path / "keyring.json"
    for key_id in ("one", "two"):
        add_key(keyring, key_id)
    local = {"provider": "local", "keyring": str(keyring)}
    static = {"kind": "static", "access_key_id": "AKIDSTAGING", "secret_access_key": "env:S"}
    resolved = await resolve(
        config_of(
            identity("a", "env:S", {"kind": "default-chain"}),
            wrapping_keys={"newest": local, "first": {**local, "key_id": "one"}},
            staging={"location": "s3://bucket", "upstream_credentials": static},
        )
    )
    newest, first = resolved.wrapping_keys["newest"], resolved.wrapping_keys["first"]
    try:
        assert (newest.current, first.current) == ("local:two", "local:one")
        data_key = await first.generate()
        assert (await newest.unwrap("local:one", data_key.wrapped)).reveal() == data_key.key.reveal()
        assert resolved.staging_credentials is not None
        assert (await resolved.staging_credentials.current()).access_key_id == "AKIDSTAGING"
    finally:
        await resolved.aclose()
    assert not newest.handles("local:two")


async def test_keyrings_that_can_not_be_used_are_told_with_the_other_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MISSING", raising=False)
    keyring = tmp_path / "keyring.json"
    add_key(keyring, "one")
    with pytest.raises(ConfigError) as caught:
        await resolve(
            config_of(
                identity("a", "env:MISSING", {"kind": "default-chain"}),
                wrapping_keys={
                    "gone": {"provider": "local", "keyring": "/nowhere/k"},
                    "other": {"provider": "local", "keyring": str(keyring), "key_id": "two"},
                },
            )
        )
    assert sorted(caught.value.faults) == [
        "identities[0].secret_access_key: env:MISSING is not set or empty",
        "wrapping_keys.gone: /nowhere/k: No such file or directory",
        "wrapping_keys.other: the keyring has no key 'two'",
    ]


def test_vault_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hvs.token")
    monkeypatch.setenv("ROLE", "role-id")
    file = tmp_path / "secret-id"
    file.write_text("secret-id")
    config = config_of(
        identity("a", "env:TOKEN", ENVIRONMENT),
        vaults={
            "one": {"address": "https://one:8200", "token": "env:TOKEN"},
            "two": {
                "address": "http://two:8200",
                "approle": {"role_id": "env:ROLE", "secret_id": f"file:{file}", "mount": "auth/gateways"},
                "namespace": "team/storage",
                "ca_bundle": "/ca.pem",
                "timeout_seconds": 2,
                "allow_plain_http_vault": True,
            },
        },
    )
    settings = vault_settings(config)
    one, two = settings["one"], settings["two"]
    assert isinstance(one.auth, TokenAuth)
    assert one.auth.token.reveal() == "hvs.token"
    assert one == VaultSettings("one", "https://one:8200", one.auth)
    assert isinstance(two.auth, AppRoleAuth)
    assert two.auth.secret_id.reveal() == "secret-id"
    assert (two.auth.role_id, two.auth.mount) == ("role-id", "auth/gateways")
    assert two == VaultSettings(
        "two",
        "http://two:8200",
        two.auth,
        namespace="team/storage",
        ca_bundle=Path("/ca.pem"),
        timeout_seconds=2.0,
        allow_plain_http=True,
    )


def test_missing_vault_secrets_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MISSING", raising=False)
    config = config_of(
        identity("a", "env:PATH", ENVIRONMENT),
        vaults={
            "one": {"address": "https://one:8200", "token": "env:MISSING"},
            "two": {"address": "https://two:8200", "approle": {"role_id": "env:MISSING", "secret_id": "file:/nowhere"}},
        },
    )
    with pytest.raises(ConfigError) as caught:
        vault_settings(config)
    assert [fault.partition(": ")[0] for fault in caught.value.faults] == ["vaults.one", "vaults.two"]


def vault_options(openbao: OpenBao) -> dict[str, Any]:
    return {
        "vaults": {
            "main": {"address": openbao.address, "token": "env:BAO_ROOT", "ca_bundle": str(openbao.ca_file)},
        },
        "customer_keys": {"k": {"vault": "main", "path": "resolve/key"}},
    }


async def test_secrets_and_keys_from_a_vault(openbao: OpenBao, monkeypatch: pytest.MonkeyPatch) -> None:
    """An identity's secret and a customer key, read from a real vault."""
    monkeypatch.setenv("BAO_ROOT", openbao.root_token)
    key = os.urandom(32)
    openbao.put_secret("resolve/client", {"app": "from-the-vault"})
    openbao.put_secret("resolve/key", {"key": base64.b64encode(key).decode()})
    counted: list[str] = []

    class Observer(UnseenKeyServices):
        def on_vault_request(self, result: str, seconds: float) -> None:
            counted.append(result)

        def on_vault_login(self, vault: str, method: str, result: str) -> None:
            """No login happens here."""

        def on_vault_renewal(self, vault: str, result: str) -> None:
            """The token is not renewable."""

    config = config_of(
        identity("a", "vault:main/secret/resolve/client#app", {"kind": "default-chain"}), **vault_options(openbao)
    )
    resolved = await resolve(config, Observer())
    try:
        assert resolved.identities["AKIDA"].credential.secret_access_key.reveal() == "from-the-vault"
        assert (await resolved.customer_keys["k"].newest()).key.reveal() == key
        assert set(resolved.vaults) == {"main"}
        assert counted
        assert set(counted) == {"ok"}
    finally:
        await resolved.aclose()


async def test_vault_that_is_down_is_no_fault_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting can help, so it is another error; a fault of the configuration is told first."""
    monkeypatch.setenv("TOKEN", "token")
    monkeypatch.delenv("MISSING", raising=False)
    vaults = {"main": {"address": f"https://127.0.0.1:{free_port()}", "token": "env:TOKEN", "timeout_seconds": 2}}
    down = identity("a", "vault:main/secret/x#y", {"kind": "default-chain"})
    with pytest.raises(KeyUnavailable):
        await resolve(config_of(down, vaults=vaults))
    with pytest.raises(ConfigError):
        await resolve(config_of(down, identity("b", "env:MISSING", {"kind": "default-chain"}), vaults=vaults))
