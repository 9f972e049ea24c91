"""The least that key services have to allow the gateway, as texts to copy.

Sources: AWS Key Management Service Developer Guide, "Actions, resources, and condition keys"; AWS Secrets Manager User
Guide, "Permissions policy examples"; OpenBao documentation, "Policies", and the API of the engines.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Final

from gateway.config.customer_keys import AwsCustomerKey, VaultCustomerKey
from gateway.config.model import Config
from gateway.config.wrapping_keys import AwsKmsKey, LocalKey, VaultTransitKey, WrappingKey

#: What sealing and opening take.
SEAL_AND_OPEN: Final = ("kms:GenerateDataKey", "kms:Decrypt")
#: What `sealgate rewrap` takes beside them.
REWRAP: Final = ("kms:ReEncryptFrom", "kms:ReEncryptTo")
#: What reading the versions of a secret takes.
READ_SECRET: Final = ("secretsmanager:GetSecretValue", "secretsmanager:ListSecretVersionIds")


def every_policy(config: Config) -> Iterator[tuple[str, str]]:
    """Path and policy of each key of a configuration that needs one."""
    for name, wrapping_key in config.wrapping_keys.items():
        policy = wrapping_key_policy(wrapping_key)
        if policy:
            yield f"wrapping_keys.{name}", policy
    for name, customer_key in config.customer_keys.items():
        yield f"customer_keys.{name}", customer_key_policy(customer_key)


def wrapping_key_policy(options: WrappingKey) -> str:
    """An IAM policy for ``aws-kms``, a policy of the vault for ``vault-transit``; empty for ``local``."""
    if isinstance(options, LocalKey):
        return ""
    if isinstance(options, VaultTransitKey):
        actions = ("datakey/plaintext", "decrypt", "rewrap")
        return _vault_policy({f"{options.mount}/{action}/{options.key}": "update" for action in actions})
    return _kms_policy(options)


def customer_key_policy(options: VaultCustomerKey | AwsCustomerKey) -> str:
    """A policy of the vault for ``vault-kv``, an IAM policy for ``aws-secretsmanager``."""
    if isinstance(options, VaultCustomerKey):
        return _vault_policy({f"{options.mount}/{part}/{options.path}": "read" for part in ("data", "metadata")})
    return _iam_policy(_statement("SealgateCustomerKey", READ_SECRET, [_secret_arn(options)]))


def _kms_policy(options: AwsKmsKey) -> str:
    # With a context in the condition, the permission is of no use for anything else that the key protects.
    context = {f"kms:EncryptionContext:{name}": value for name, value in options.encryption_context.items()}
    condition = {"StringEquals": context} if context else None
    return _iam_policy(
        _statement("SealgateSealAndOpen", SEAL_AND_OPEN, options.arns, condition),
        _statement("SealgateRewrap", REWRAP, options.arns, condition),
    )


def _secret_arn(options: AwsCustomerKey) -> str:
    """The ARN of a secret. AWS adds six random characters to a name, which nobody knows in advance."""
    if options.secret_id.startswith("arn:"):
        return options.secret_id
    partition = "aws-cn" if options.region.startswith("cn-") else "aws"
    partition = "aws-us-gov" if options.region.startswith("us-gov-") else partition
    return f"arn:{partition}:secretsmanager:{options.region}:*:secret:{options.secret_id}-??????"


def _statement(
    name: str, actions: tuple[str, ...], resources: list[str] | tuple[str, ...], condition: object = None
) -> Mapping[str, object]:
    statement = {"Sid": name, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    return statement if condition is None else {**statement, "Condition": condition}


def _iam_policy(*statements: Mapping[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2)


def _vault_policy(capabilities: Mapping[str, str]) -> str:
    return "\n".join(
        f'path {json.dumps(path)} {{\n  capabilities = ["{capability}"]\n}}'
        for path, capability in capabilities.items()
    )
