"""Options that every key service of AWS takes: where it is, and what its requests are signed with."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from gateway.config.identities import StaticCredentials
from gateway.config.values import AbsolutePath, RegionalUrl, RoleArn, Seconds, SecretReference, Section


class ServiceChainCredentials(Section):
    """Whatever boto3 finds: environment, shared files, web identity, container or instance role."""

    kind: Literal["default-chain"] = Field(
        description="boto3's default chain: environment, shared files, web identity, container or instance role."
    )


class ServiceRoleCredentials(Section):
    """A role assumed through STS for the key service, refreshed before it ends."""

    kind: Literal["assumed-role"] = Field(description="A role assumed through STS, refreshed before it ends.")
    role_arn: RoleArn = Field(description="ARN of the role.")
    session_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_+=,.@-]{2,64}$")] = Field(
        default="sealgate", description="Session name; CloudTrail shows it."
    )
    external_id: SecretReference | None = Field(
        default=None, description="Reference to the external id, if the role asks one."
    )
    base: Annotated[StaticCredentials | ServiceChainCredentials, Field(discriminator="kind")] = Field(
        default=ServiceChainCredentials(kind="default-chain"),
        description="The credentials that may assume the role: `static` or `default-chain`.",
    )


ServiceCredentials = Annotated[
    StaticCredentials | ServiceChainCredentials | ServiceRoleCredentials, Field(discriminator="kind")
]


class AwsService(Section):
    """How a key service of AWS is reached."""

    credentials: ServiceCredentials = Field(
        default=ServiceChainCredentials(kind="default-chain"),
        description="What requests to the service are signed with; references into vaults are possible.",
    )
    endpoint_url: RegionalUrl | None = Field(
        default=None,
        description="URL of the service, such as a VPC endpoint; `{region}` stands for the Region. Unset: AWS's own.",
    )
    fips: bool = Field(default=False, description="Whether AWS's FIPS endpoint is used; excludes `endpoint_url`.")
    allow_plain_http_endpoint: bool = Field(
        default=False, description="Whether an `http://` endpoint is used: keys then cross the network in clear."
    )
    ca_bundle: AbsolutePath | None = Field(
        default=None, description="PEM file of the authorities its certificate may come from; unset: boto3's own."
    )
    timeout_seconds: Seconds = Field(default=3.0, description="Longest wait for one answer.")

    def faults(self) -> Iterator[tuple[str, str]]:
        """Options that do not fit together."""
        yield from super().faults()
        endpoint = self.endpoint_url
        if endpoint is not None and endpoint.startswith("http://") and not self.allow_plain_http_endpoint:
            yield (
                "endpoint_url",
                "is plain HTTP, over which keys can be read; use https://, or allow_plain_http_endpoint: true",
            )
        if endpoint is not None and self.fips:
            yield "fips", "chooses AWS's own endpoint, so endpoint_url can not be set as well"
