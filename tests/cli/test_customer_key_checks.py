"""What the doctor says about customer keys: really read, under exactly the policies that it prints."""

import base64
import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.customer_key_checks import customer_key_findings
from gateway.cli.findings import Finding, Severity
from gateway.cli.key_policies import customer_key_policy
from gateway.config.load import check_config
from gateway.config.model import Config
from lab.moto import MotoServer
from lab.openbao import OpenBao
from lab.ports import free_port

Options = dict[str, Any]

REGION = "eu-central-1"
AWS_SECRET = "zqjXsecretXzqj"


def config_of(customer_key: Options, vaults: Options) -> Config:
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
            "customer_keys": {"c": customer_key},
            "rules": [{"name": "rest", "buckets": ["*"], "mode": "none"}],
        }
    )


async def findings(config: Config) -> list[Finding]:
    return [finding async for finding in customer_key_findings(config)]


def new_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def vault_of(openbao: OpenBao) -> Options:
    return {"main": {"address": openbao.address, "token": "env:CHECK_TOKEN", "ca_bundle": str(openbao.ca_file)}}


# -------------------------------------------------------------------------------------------------------------- vaults


@pytest.mark.parametrize("left_out", [None, "data", "metadata"])
async def test_printed_policy_of_a_vault_is_enough_and_not_more(
    openbao: OpenBao, monkeypatch: pytest.MonkeyPatch, left_out: str | None
) -> None:
    """The vault takes the policy as it is printed; without any of its paths something does not work."""
    openbao.put_random_key("check/customer")
    config = config_of({"vault": "main", "path": "check/customer"}, vault_of(openbao))
    policy = whole = customer_key_policy(config.customer_keys["c"])
    if left_out is not None:
        policy, removed = re.subn(rf'path "secret/{left_out}/check/customer" {{[^}}]*}}', "", policy)
        assert removed == 1
    openbao.request("PUT", "sys/policies/acl/doctor-customer", {"policy": policy})
    token = openbao.create_token(["doctor-customer"])
    monkeypatch.setenv("CHECK_TOKEN", token)
    (finding,) = await findings(config)
    assert finding.subject == "customer_keys.c"
    assert finding.severity is (Severity.OK if left_out is None else Severity.FAILURE)
    assert finding.remedy == ("" if left_out is None else f"It has to allow at least:\n{whole}")
    assert token not in repr(finding)


async def test_what_can_not_be_opened_is_told_elsewhere(openbao: OpenBao, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHECK_TOKEN", raising=False)
    assert await findings(config_of({"vault": "main", "path": "check/customer"}, vault_of(openbao))) == []
    monkeypatch.delenv("CHECK_AWS", raising=False)
    assert await findings(config_of(aws("http://127.0.0.1:1", "k"), {})) == []


# ------------------------------------------------------------------------------------------------- AWS Secrets Manager


@pytest.fixture(scope="module")
def moto(lab_directory: Path) -> Iterator[MotoServer]:
    server = MotoServer(lab_directory / "moto-doctor-secrets")
    server.start()
    yield server
    server.stop()


def aws(endpoint: str, secret_id: str, **options: Any) -> Options:
    return {
        "provider": "aws-secretsmanager",
        "secret_id": secret_id,
        "region": REGION,
        "endpoint_url": endpoint,
        "allow_plain_http_endpoint": True,
        "credentials": {"kind": "static", "access_key_id": "AKIDMOTO", "secret_access_key": "env:CHECK_AWS"},
        **options,
    }


async def test_every_version_is_read(moto: MotoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHECK_AWS", AWS_SECRET)
    client = moto.client("secretsmanager", REGION)
    arn = client.create_secret(Name="team/good", SecretString=new_key())["ARN"]
    client.put_secret_value(SecretId="team/good", SecretString=new_key())
    for secret_id in ("team/good", arn):
        (finding,) = await findings(config_of(aws(moto.endpoint, secret_id), {}))
        assert (finding.subject, finding.severity) == ("customer_keys.c", Severity.OK)
        assert re.fullmatch(r"version [0-9]{1,9} encrypts new objects; 2 usable for reading", finding.message)


async def test_credentials_may_come_from_a_vault(
    moto: MotoServer, openbao: OpenBao, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHECK_TOKEN", openbao.root_token)
    openbao.put_secret("check/aws", {"key": AWS_SECRET})
    moto.client("secretsmanager", REGION).create_secret(Name="team/vault", SecretString=new_key())
    credentials = {
        "kind": "static",
        "access_key_id": "AKIDMOTO",
        "secret_access_key": "vault:main/secret/check/aws#key",
    }
    options = aws(moto.endpoint, "team/vault", credentials=credentials)
    (finding,) = await findings(config_of(options, vault_of(openbao)))
    assert finding.severity is Severity.OK
    vaults = {"main": {**vault_of(openbao)["main"], "address": f"https://127.0.0.1:{free_port()}"}}
    (finding,) = await findings(config_of(options, vaults))
    assert finding.severity is Severity.FAILURE
    assert "vault 'main'" in finding.message


@pytest.mark.parametrize(
    ("text", "options", "part"),
    [
        (base64.b64encode(bytes(32)).decode(), {}, "its bytes are not random"),
        ("zqjXpassphraseXzqj", {}, "it is not standard base64"),
        (json.dumps({"other": "zqjXpassphraseXzqj"}), {"field": "key"}, "there is no field 'key'"),
        (json.dumps({"key": "zqjXpassphraseXzqj"}), {}, "it is JSON"),
        (None, {}, "about to be"),
    ],
)
async def test_secret_of_no_use(
    moto: MotoServer, monkeypatch: pytest.MonkeyPatch, text: str | None, options: Options, part: str
) -> None:
    """The remedy is the policy, for this secret only; nothing secret is told."""
    monkeypatch.setenv("CHECK_AWS", AWS_SECRET)
    client, name = moto.client("secretsmanager", REGION), f"team/{secrets.token_hex(4)}"
    client.create_secret(Name=name, SecretString=text or new_key())
    if text is None:
        client.delete_secret(SecretId=name)
    config = config_of(aws(moto.endpoint, name, **options), {})
    (finding,) = await findings(config)
    assert finding.severity is Severity.FAILURE
    assert part in finding.message
    policy = customer_key_policy(config.customer_keys["c"])
    assert finding.remedy.startswith(f"It has to allow at least:\n{policy}\n")
    assert "kms:Decrypt" in finding.remedy
    assert f"secret:{name}-??????" in finding.remedy
    assert "zqjX" not in repr(finding)
