"""Options of the customer keys (SSE-C): secrets whose versions are 32-byte keys."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal

from pydantic import Discriminator, Field, Tag

from gateway.config.aws import AwsService
from gateway.config.values import Name, Region, Seconds, Section, VaultPath

#: Source: AWS Secrets Manager API Reference, GetSecretValue, SecretId; names have fewer signs than ARNs.
_SECRET_ID = r"^[A-Za-z0-9/_+=.@:-]{1,2048}$"
_SECRET_ARN: Final = re.compile(
    r"arn:aws(?:-[a-z]+)*:secretsmanager:([a-z0-9-]{1,32}):[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+"
)

VAULT_KV: Final = "vault-kv"
AWS_SECRETS_MANAGER: Final = "aws-secretsmanager"

FieldName = Annotated[str, Field(min_length=1, max_length=128)]


class _Held(Section):
    """How long keys are held, and how many."""

    hold_seconds: Seconds = Field(
        default=300.0, description="Longest time a key stays in memory after it was read. Never used beyond it."
    )
    refresh_seconds: Seconds = Field(
        default=30.0, description="How often a newer version is asked for, so how late a rotation is seen."
    )
    maximum_versions: Annotated[int, Field(ge=1, le=100)] = Field(
        default=10, description="Most key versions tried when an object is read, newest first."
    )

    def faults(self) -> Iterator[tuple[str, str]]:
        """Options that do not fit together."""
        yield from super().faults()
        if self.refresh_seconds > self.hold_seconds:
            yield "refresh_seconds", "must not be longer than hold_seconds"


class _KvSecret(Section):
    """What names a secret of a KV version 2 engine."""

    provider: Literal["vault-kv"] = Field(
        default=VAULT_KV, description="Where the secret is. `vault-kv`: in a KV version 2 engine of a vault."
    )
    vault: Name = Field(description="Name of an entry of `vaults`.")
    mount: VaultPath = Field(default="secret", description="Path at which the KV version 2 engine is mounted.")
    path: VaultPath = Field(description="Path of the secret inside the engine.")
    field: FieldName = Field(default="key", description="Field of the secret that holds the key: 32 bytes in base64.")


class VaultCustomerKey(_Held, _KvSecret):
    """One secret of a vault whose KV versions are 32-byte SSE-C keys."""


class _SecretsManagerSecret(Section):
    """What names a secret of AWS Secrets Manager."""

    provider: Literal["aws-secretsmanager"] = Field(description="`aws-secretsmanager`: in AWS Secrets Manager.")
    secret_id: Annotated[str, Field(pattern=_SECRET_ID)] = Field(description="Name or ARN of the secret.")
    region: Region = Field(description="Region of the secret.")
    field: FieldName | None = Field(
        default=None,
        description="Field of the secret's JSON that holds the key, 32 bytes in base64; "
        "unset: the secret is the key, as a text in base64 or as bytes.",
    )

    def faults(self) -> Iterator[tuple[str, str]]:
        """Options that do not fit together."""
        yield from super().faults()
        if self.secret_id.startswith("arn:"):
            found = _SECRET_ARN.fullmatch(self.secret_id)
            if found is None:
                yield "secret_id", "is an ARN, but not one of a secret"
            elif found[1] != self.region:
                yield "region", f"is not that of the secret's ARN, {found[1]}"


class AwsCustomerKey(AwsService, _Held, _SecretsManagerSecret):
    """One secret of AWS Secrets Manager whose versions are 32-byte SSE-C keys."""


def _provider(value: object) -> object:
    """The provider of an entry: files from before there were several do not name one."""
    if isinstance(value, Mapping):
        return value.get("provider", VAULT_KV)
    return getattr(value, "provider", None)


CustomerKey = Annotated[
    Annotated[VaultCustomerKey, Tag(VAULT_KV)] | Annotated[AwsCustomerKey, Tag(AWS_SECRETS_MANAGER)],
    Discriminator(
        _provider,
        custom_error_type="unknown_provider",
        custom_error_message="unknown provider",
        custom_error_context={"expected_tags": f"'{VAULT_KV}', '{AWS_SECRETS_MANAGER}'"},
    ),
]
