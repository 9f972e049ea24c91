"""Options of the clients: the keys they sign with and the credentials their requests continue with."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from gateway.config.values import (
    AbsolutePath,
    AccessKeyId,
    Name,
    PolicyDefault,
    PrincipalArn,
    Region,
    RoleArn,
    SecretReference,
    Section,
    Url,
)


class StaticCredentials(Section):
    """A fixed key pair."""

    kind: Literal["static"] = Field(description="A fixed key pair.")
    access_key_id: AccessKeyId = Field(description="Access key id known to the upstream.")
    secret_access_key: SecretReference = Field(description="Reference to its secret.")
    session_token: SecretReference | None = Field(default=None, description="Reference to its session token, if any.")


class EnvironmentCredentials(Section):
    """The key pair in AWS's own environment variables."""

    kind: Literal["environment"] = Field(
        description="`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN` of the gateway's process."
    )


class DefaultChainCredentials(Section):
    """Whatever boto3 finds: environment, shared files, container or instance role."""

    kind: Literal["default-chain"] = Field(
        description="boto3's default chain: environment, shared files, web identity, container or instance role."
    )
    profile: Name | None = Field(default=None, description="Profile of the shared AWS files.")


BaseCredentials = Annotated[
    StaticCredentials | EnvironmentCredentials | DefaultChainCredentials, Field(discriminator="kind")
]


class AssumedRoleCredentials(Section):
    """A role assumed through STS, refreshed before it ends."""

    kind: Literal["assumed-role"] = Field(description="A role assumed through STS, refreshed before it ends.")
    role_arn: RoleArn = Field(description="ARN of the role.")
    session_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_+=,.@-]{2,64}$")] = Field(
        default="sealgate", description="Session name; CloudTrail shows it."
    )
    external_id: SecretReference | None = Field(
        default=None, description="Reference to the external id, if the role asks one."
    )
    duration_seconds: Annotated[int, Field(ge=900, le=43_200)] = Field(
        default=3600, description="Life of one session. STS takes 900 to 43,200, the role may allow less."
    )
    base: BaseCredentials = Field(
        default=DefaultChainCredentials(kind="default-chain"),
        description="The credentials that may assume the role; any kind but `assumed-role`.",
    )
    sts_endpoint: Url | None = Field(default=None, description="URL of STS; unset: AWS's own in `sts_region`.")
    sts_region: Region | None = Field(default=None, description="Region of STS; unset: the upstream's.")
    sts_ca_bundle: AbsolutePath | None = Field(
        default=None, description="PEM file of the authorities its certificate may come from; unset: boto3's own."
    )

    def faults(self) -> Iterator[tuple[str, str]]:
        """An endpoint whose answers, secret keys, could be read on the way."""
        if self.sts_endpoint is not None and self.sts_endpoint.startswith("http://"):
            yield "sts_endpoint", "must be https://, because STS answers with secret keys"


UpstreamCredentials = Annotated[
    StaticCredentials | EnvironmentCredentials | DefaultChainCredentials | AssumedRoleCredentials,
    Field(discriminator="kind"),
]


class Identity(Section):
    """One client of the gateway."""

    name: Name = Field(description="Name in logs and encryption contexts.")
    access_key_id: AccessKeyId = Field(description="Access key id the client signs with; different for every identity.")
    secret_access_key: SecretReference = Field(description="Reference to the secret the client signs with.")
    session_token: SecretReference | None = Field(
        default=None, description="Reference to a session token the client must send, if it uses one."
    )
    upstream_credentials: UpstreamCredentials = Field(
        description="What the client's requests are signed with on their way to the upstream."
    )
    principal_arn: PrincipalArn | None = Field(
        default=None,
        description="Who the client is in policies; unset: `arn:aws:iam::ACCOUNT:user/NAME`, with "
        "`authorization.account_id` and the identity's name. For policies of the upstream's own buckets: the principal "
        "that the upstream sees, which is that of `upstream_credentials`.",
    )
    policy_default: PolicyDefault | None = Field(
        default=None,
        description="What happens to the client's requests that no statement is about; unset: `authorization.default`.",
    )


class Authentication(Section):
    """How strictly signatures are checked."""

    allow_signature_v2: bool = Field(
        default=False, description="Whether the retired Signature Version 2 is verified instead of refused."
    )
    maximum_clock_skew_seconds: Annotated[int, Field(ge=1, le=3600)] = Field(
        default=900, description="Largest difference between a client's clock and ours. S3's own value is 900."
    )
