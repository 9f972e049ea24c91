"""Options of the wrapping keys of mode ``cse``, one group of options for each kind of provider."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from gateway.config.aws import AwsService
from gateway.config.values import AbsolutePath, KmsKeyArn, Name, SecretReference, Section, VaultPath
from gateway.keys.local_keyring import is_key_id
from gateway.policy.rules import CONTEXT_PLACEHOLDERS

#: Source: AWS Key Management Service API Reference, GenerateDataKey, GrantTokens.
MAXIMUM_GRANT_TOKENS = 10
#: Source: AWS Key Management Service Developer Guide, "Resource quotas", encryption context; other engines take more.
MAXIMUM_CONTEXT_CHARACTERS = 8192


def _key_id(value: str) -> str:
    if not is_key_id(value):
        raise ValueError("a key id has 1 to 64 letters, digits, '.', '_' or '-'")
    return value


def _transit_key(value: str) -> str:
    if not is_key_id(value):
        raise ValueError("the name of a transit key is needed: letters, digits, '.', '_' or '-'")
    return value


KeyId = Annotated[str, AfterValidator(_key_id)]
TransitKeyName = Annotated[str, AfterValidator(_transit_key)]


class LocalKey(Section):
    """Wrapping keys in a keyring file."""

    provider: Literal["local"] = Field(description="Where the wrapping keys are. `local`: in a keyring file.")
    keyring: AbsolutePath = Field(
        description="The keyring, made by `sealgate keys new`: mode 0600, owned by the gateway's user or root, no link."
    )
    key_id: KeyId | None = Field(
        default=None, description="Key of the keyring that new objects use; unset: the keyring's own `current`."
    )


class _KmsKey(Section):
    """What names a key of AWS KMS."""

    provider: Literal["aws-kms"] = Field(description="`aws-kms`: a symmetric key of AWS KMS.")
    key_arn: KmsKeyArn = Field(description="Full ARN of the key; aliases are refused. Its Region is where it is asked.")
    replica_arns: tuple[KmsKeyArn, ...] = Field(
        default=(),
        description="Full ARNs of replicas of a multi-Region key (`mrk-`), asked in this order when its own Region "
        "does not answer.",
    )
    encryption_context: Mapping[str, str] = Field(
        default={},
        description="Bound to every wrapped data key and needed to open it: never change it. Not secret: CloudTrail "
        "shows it.",
    )
    grant_tokens: tuple[SecretReference, ...] = Field(
        default=(), description="References to tokens of grants that are too new to be known everywhere; at most 10."
    )


class AwsKmsKey(AwsService, _KmsKey):
    """A wrapping key of AWS KMS."""

    @property
    def arns(self) -> tuple[str, ...]:
        """The key and its replicas, in the order in which they are asked."""
        return (self.key_arn, *self.replica_arns)

    def faults(self) -> Iterator[tuple[str, str]]:
        """Options that do not fit together."""
        yield from super().faults()
        yield from _context_faults(self.encryption_context)
        if len(self.grant_tokens) > MAXIMUM_GRANT_TOKENS:
            yield "grant_tokens", f"KMS takes at most {MAXIMUM_GRANT_TOKENS}"
        if self.replica_arns and not _key_of(self.key_arn).startswith("mrk-"):
            yield "replica_arns", "only a multi-Region key has replicas: its id begins with mrk-"
            return
        for index, arn in enumerate(self.replica_arns):
            if account_of(arn) != account_of(self.key_arn) or _key_of(arn) != _key_of(self.key_arn):
                yield f"replica_arns[{index}]", "is no replica of key_arn: account and key id must be the same"
            elif region_of(arn) in map(region_of, self.arns[: index + 1]):
                yield f"replica_arns[{index}]", "is in the Region of another one; every replica has a Region of its own"


class VaultTransitKey(Section):
    """A wrapping key of a transit engine of Vault or OpenBao."""

    provider: Literal["vault-transit"] = Field(description="`vault-transit`: a key of a transit engine.")
    vault: Name = Field(description="Name of an entry of `vaults`.")
    mount: VaultPath = Field(default="transit", description="Path at which the transit engine is mounted.")
    key: TransitKeyName = Field(description="Name of the key: aes256-gcm96, or another type that encrypts and derives.")
    encryption_context: Mapping[str, str] = Field(
        default={},
        description="The context of a key made with `derived=true`, needed to open what it wraps: never change it.",
    )

    def faults(self) -> Iterator[tuple[str, str]]:
        """A context that can not be one."""
        yield from _context_faults(self.encryption_context)


WrappingKey = LocalKey | AwsKmsKey | VaultTransitKey


def region_of(arn: str) -> str:
    """The Region in the ARN of a KMS key."""
    return arn.split(":")[3]


def account_of(arn: str) -> str:
    """Partition and account in the ARN of a KMS key."""
    parts = arn.split(":")
    return f"{parts[1]}:{parts[4]}"


def _key_of(arn: str) -> str:
    """The id in the ARN of a KMS key."""
    return arn.partition("/")[2]


def _context_faults(context: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in context.items():
        if not name or name.startswith("aws:"):
            yield f"encryption_context.{name}", "names are not empty and do not begin with 'aws:', which AWS keeps"
        if any(f"{{{placeholder}}}" in value for placeholder in CONTEXT_PLACEHOLDERS):
            yield (
                f"encryption_context.{name}",
                "is the same for every object, because objects share data keys: nothing is filled in",
            )
    if sum(len(name) + len(value) for name, value in context.items()) > MAXIMUM_CONTEXT_CHARACTERS:
        yield "encryption_context", f"has more than {MAXIMUM_CONTEXT_CHARACTERS} characters"
