"""What the doctor says about wrapping keys in services: real round trips, under exactly the policies that it prints."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.findings import Finding, Severity
from gateway.cli.key_policies import wrapping_key_policy
from gateway.cli.wrapping_key_checks import wrapping_key_findings
from gateway.config.load import check_config
from gateway.config.model import Config
from lab.moto import MotoServer
from lab.openbao import OpenBao

Options = dict[str, Any]


def config_of(wrapping_key: Options, vaults: Options) -> Config:
    return check_config(
        {
            "listeners": {"https": [{"certificate": "/c", "private_key": "/k"}]},
            "identities": [
                {
                    "name": "app",
                    "access_key_id": "AKIDAPP",
                    "secret_access_key": "env:MISSING",
                    "upstream_credentials": {"kind": "default-chain"},
                }
            ],
            "vaults": vaults,
            "wrapping_keys": {"w": wrapping_key},
            "rules": [{"name": "rest", "buckets": ["*"], "mode": "none"}],
        }
    )


async def findings(config: Config) -> list[Finding]:
    return [finding async for finding in wrapping_key_findings(config)]


def vault_of(openbao: OpenBao) -> Options:
    return {"main": {"address": openbao.address, "token": "env:CHECK_TOKEN", "ca_bundle": str(openbao.ca_file)}}


def transit(key: str, **options: Any) -> Options:
    return {"provider": "vault-transit", "vault": "main", "key": key, **options}


CONTEXT = {"application": "sealgate"}


@pytest.fixture(scope="module")
def transit_keys(openbao: OpenBao) -> Iterator[None]:
    openbao.create_transit_key("check-plain")
    openbao.create_transit_key("check-derived", derived=True)
    yield
    openbao.delete_transit_key("check-plain")
    openbao.delete_transit_key("check-derived")


@pytest.mark.usefixtures("transit_keys")
@pytest.mark.parametrize(
    ("options", "severity", "part"),
    [
        (transit("check-plain"), Severity.OK, "vault-transit:transit/check-plain wraps data keys, unwraps"),
        (
            transit("check-derived", encryption_context=CONTEXT),
            Severity.OK,
            "another encryption context is refused",
        ),
        # a context that protects nothing is worse than none
        (transit("check-plain", encryption_context=CONTEXT), Severity.FAILURE, "ignores the encryption context"),
        (transit("check-derived"), Severity.FAILURE, "needs an encryption context"),
        (transit("check-plain", mount="nowhere"), Severity.FAILURE, "no transit engine"),
    ],
)
async def test_transit_key(
    openbao: OpenBao, monkeypatch: pytest.MonkeyPatch, options: Options, severity: Severity, part: str
) -> None:
    monkeypatch.setenv("CHECK_TOKEN", openbao.root_token)
    (finding,) = await findings(config_of(options, vault_of(openbao)))
    assert (finding.subject, finding.severity) == ("wrapping_keys.w", severity)
    assert part in finding.message


@pytest.mark.usefixtures("transit_keys")
@pytest.mark.parametrize(
    ("left_out", "severity", "part"),
    [
        (None, Severity.OK, "wraps data keys"),
        ("datakey/plaintext", Severity.FAILURE, "refused"),
        ("decrypt", Severity.FAILURE, "refused"),
        # service goes on without it, so it is a warning only
        ("rewrap", Severity.WARNING, "`sealgate rewrap` would fail"),
    ],
)
async def test_printed_policy_is_enough_and_not_more(
    openbao: OpenBao, monkeypatch: pytest.MonkeyPatch, left_out: str | None, severity: Severity, part: str
) -> None:
    """The vault takes the policy as it is printed; without any of its paths something does not work."""
    options = transit("check-derived", encryption_context=CONTEXT)
    config = config_of(options, vault_of(openbao))
    policy = wrapping_key_policy(config.wrapping_keys["w"])
    if left_out is not None:
        policy, removed = re.subn(rf'path "transit/{left_out}/check-derived" {{[^}}]*}}', "", policy)
        assert removed == 1
    openbao.request("PUT", "sys/policies/acl/doctor-check", {"policy": policy})
    token = openbao.create_token(["doctor-check"])
    monkeypatch.setenv("CHECK_TOKEN", token)
    (finding,) = await findings(config)
    assert finding.severity is severity
    assert part in finding.message
    assert token not in finding.message
    if left_out is not None:
        assert f'path "transit/{left_out}/check-derived"' in finding.remedy


async def test_vault_that_can_not_be_opened_is_told_elsewhere(
    openbao: OpenBao, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CHECK_TOKEN", raising=False)
    assert await findings(config_of(transit("check-plain"), vault_of(openbao))) == []


async def test_secret_that_is_missing_is_told_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRANT", raising=False)
    options = {
        "provider": "aws-kms",
        "key_arn": "arn:aws:kms:eu-central-1:111122223333:key/1234",
        "grant_tokens": ["env:GRANT"],
    }
    assert await findings(config_of(options, {})) == []


# ---------------------------------------------------------------------------------------------------------------- KMS


@pytest.fixture(scope="module")
def moto(lab_directory: Path) -> Iterator[MotoServer]:
    server = MotoServer(lab_directory / "moto-doctor")
    server.start()
    yield server
    server.stop()


def kms(moto: MotoServer, arn: str, **options: Any) -> Options:
    return {
        "provider": "aws-kms",
        "key_arn": arn,
        "endpoint_url": moto.endpoint,
        "allow_plain_http_endpoint": True,
        "credentials": {"kind": "static", "access_key_id": "AKIDMOTO", "secret_access_key": "env:CHECK_AWS"},
        **options,
    }


async def test_kms_key(moto: MotoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHECK_AWS", "zqjXsecretXzqj")
    arn = moto.create_key("eu-central-1")
    (finding,) = await findings(config_of(kms(moto, arn, encryption_context=CONTEXT), {}))
    assert finding.severity is Severity.OK
    assert finding.message == (
        f"aws-kms:{arn} wraps data keys, unwraps them and wraps them again; another encryption context is refused"
    )


async def test_kms_key_that_does_not_exist(moto: MotoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy is the policy, for this key only."""
    monkeypatch.setenv("CHECK_AWS", "zqjXsecretXzqj")
    config = config_of(kms(moto, "arn:aws:kms:eu-central-1:123456789012:key/no-such-key"), {})
    (finding,) = await findings(config)
    assert finding.severity is Severity.FAILURE
    assert "NotFoundException" in finding.message
    assert finding.remedy.endswith(wrapping_key_policy(config.wrapping_keys["w"]))
    assert "zqjXsecretXzqj" not in repr(finding)


async def test_replicas_are_asked_one_by_one(moto: MotoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each Region has a finding of its own. (moto knows no replicas, so that none of them works here.)"""
    monkeypatch.setenv("CHECK_AWS", "zqjXsecretXzqj")
    arn = moto.create_key("eu-central-1", multi_region=True)
    replica = arn.replace("eu-central-1", "eu-west-1")
    own, other = await findings(config_of(kms(moto, arn, replica_arns=[replica]), {}))
    assert (own.subject, other.subject) == ("wrapping_keys.w (eu-central-1)", "wrapping_keys.w (eu-west-1)")
    assert "in eu-central-1" in own.message
    assert "in eu-west-1" in other.message
    assert "NotFoundException" in other.message
    assert arn in other.remedy
    assert replica in other.remedy
