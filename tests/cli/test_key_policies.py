"""The printed policies: exactly what is needed, in a form that the services take."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli.app import app
from gateway.cli.key_policies import customer_key_policy, wrapping_key_policy
from gateway.config.customer_keys import AwsCustomerKey, VaultCustomerKey
from gateway.config.wrapping_keys import AwsKmsKey, LocalKey, VaultTransitKey

SHIPPED = Path(__file__).parents[2] / "config"
ARN = "arn:aws:kms:eu-central-1:111122223333:key/mrk-1234"
REPLICA = "arn:aws:kms:eu-west-1:111122223333:key/mrk-1234"


def test_kms_key() -> None:
    """Only the key and its replicas, only with the configured context, and each action for its purpose."""
    options = AwsKmsKey(
        provider="aws-kms", key_arn=ARN, replica_arns=(REPLICA,), encryption_context={"application": "sealgate"}
    )
    condition = {"StringEquals": {"kms:EncryptionContext:application": "sealgate"}}
    assert json.loads(wrapping_key_policy(options)) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "SealgateSealAndOpen",
                "Effect": "Allow",
                "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
                "Resource": [ARN, REPLICA],
                "Condition": condition,
            },
            {
                "Sid": "SealgateRewrap",
                "Effect": "Allow",
                "Action": ["kms:ReEncryptFrom", "kms:ReEncryptTo"],
                "Resource": [ARN, REPLICA],
                "Condition": condition,
            },
        ],
    }


def test_kms_key_without_context_has_no_condition() -> None:
    policy = json.loads(wrapping_key_policy(AwsKmsKey(provider="aws-kms", key_arn=ARN)))
    assert all("Condition" not in statement for statement in policy["Statement"])


def test_transit_key() -> None:
    options = VaultTransitKey(provider="vault-transit", vault="main", mount="team/transit", key="objects")
    assert wrapping_key_policy(options) == (
        'path "team/transit/datakey/plaintext/objects" {\n  capabilities = ["update"]\n}\n'
        'path "team/transit/decrypt/objects" {\n  capabilities = ["update"]\n}\n'
        'path "team/transit/rewrap/objects" {\n  capabilities = ["update"]\n}'
    )


def test_keyring_needs_none() -> None:
    assert wrapping_key_policy(LocalKey(provider="local", keyring="/k.json")) == ""


def test_secret_of_a_vault() -> None:
    assert customer_key_policy(VaultCustomerKey(vault="main", path="s3/payroll")) == (
        'path "secret/data/s3/payroll" {\n  capabilities = ["read"]\n}\n'
        'path "secret/metadata/s3/payroll" {\n  capabilities = ["read"]\n}'
    )


@pytest.mark.parametrize(
    ("options", "resource"),
    [
        ({"region": "eu-west-1"}, "arn:aws:secretsmanager:eu-west-1:*:secret:team/key-??????"),
        ({"region": "us-gov-west-1"}, "arn:aws-us-gov:secretsmanager:us-gov-west-1:*:secret:team/key-??????"),
        ({"region": "cn-north-1"}, "arn:aws-cn:secretsmanager:cn-north-1:*:secret:team/key-??????"),
        (
            {"region": "eu-west-1", "secret_id": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:k-AbCdEf"},
            "arn:aws:secretsmanager:eu-west-1:111122223333:secret:k-AbCdEf",
        ),
    ],
)
def test_secret_of_secrets_manager(options: dict[str, Any], resource: str) -> None:
    key = AwsCustomerKey(provider="aws-secretsmanager", **{"secret_id": "team/key", **options})
    (statement,) = json.loads(customer_key_policy(key))["Statement"]
    assert statement["Action"] == ["secretsmanager:GetSecretValue", "secretsmanager:ListSecretVersionIds"]
    assert statement["Resource"] == [resource]


def test_command_prints_every_policy() -> None:
    example = str(SHIPPED / "sealgate.example.yaml")
    printed = CliRunner().invoke(app, ["keys", "policies", "--config", example, "--json"])
    assert printed.exit_code == 0
    policies = json.loads(printed.stdout)
    assert sorted(policies) == [
        "customer_keys.payroll",
        "customer_keys.pensions",
        "wrapping_keys.ledgers",
        "wrapping_keys.vital",
    ]
    for_people = CliRunner().invoke(app, ["keys", "policies", "--config", example]).stdout
    assert all(f"# {path}\n{policy}\n" in for_people for path, policy in policies.items())


def test_command_without_services() -> None:
    result = CliRunner().invoke(app, ["keys", "policies", "--config", str(SHIPPED / "profiles" / "client-side.yaml")])
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "No key" in result.stderr


def test_command_with_a_faulty_configuration(tmp_path: Path) -> None:
    file = tmp_path / "sealgate.yaml"
    file.write_text("workers: 0\n")
    result = CliRunner().invoke(app, ["keys", "policies", "--config", str(file)])
    assert result.exit_code == 1
    assert "workers: must be at least 1" in result.stderr
