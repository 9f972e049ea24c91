"""Options of the quotas that key services share with everything else in the account."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal

from pydantic import Field

from gateway.config.values import Name, Section

#: Requests per second with symmetric keys that an account may make in a Region, unless AWS raised it. Source: AWS Key
#: Management Service Developer Guide, "Request quotas", cryptographic operations (symmetric).
KMS_REQUESTS_PER_SECOND: Final = 10_000.0
#: The same in the Regions that have more.
KMS_REQUESTS_PER_SECOND_BY_REGION: Final[Mapping[str, float]] = {
    **dict.fromkeys(
        ("ap-northeast-1", "ap-southeast-1", "ap-southeast-2", "eu-central-1", "eu-west-2", "us-east-2"), 20_000.0
    ),
    **dict.fromkeys(("eu-west-1", "us-east-1", "us-west-2"), 100_000.0),
}
#: US dollars. Source: AWS Key Management Service pricing, symmetric requests.
KMS_PRICE_PER_10000_REQUESTS: Final = 0.03


class KeyQuota(Section):
    """What one key service gives to everybody, and how much of it the gateways on this machine take."""

    provider: Literal["aws-kms", "vault-transit"] = Field(description="The kind of key service.")
    scope: Name = Field(description="The Region for `aws-kms`, the name of an entry of `vaults` for `vault-transit`.")
    requests_per_second: Annotated[float, Field(ge=1, le=1_000_000)] | None = Field(
        default=None,
        description="The quota; unset: AWS's default for symmetric keys in the Region, or none for a vault.",
    )
    share: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.5,
        description="How much of the quota the workers of this machine take together; the rest is for S3, other "
        "machines and everything else in the account.",
    )
    price_per_10000_requests: Annotated[float, Field(ge=0, le=1000)] | None = Field(
        default=None, description="Price for the metrics of cost; unset: 0.03 for `aws-kms`, 0 for a vault."
    )

    @property
    def quota(self) -> float | None:
        """Requests per second that the service gives to everybody; None when it limits nothing."""
        if self.requests_per_second is not None or self.provider != "aws-kms":
            return self.requests_per_second
        return KMS_REQUESTS_PER_SECOND_BY_REGION.get(self.scope, KMS_REQUESTS_PER_SECOND)

    @property
    def own_limit(self) -> float | None:
        """Requests per second that the workers of this machine may make; None for no limit."""
        return None if self.quota is None else self.quota * self.share

    @property
    def price_per_request(self) -> float:
        """What one request costs, in the currency of the option."""
        price = self.price_per_10000_requests
        if price is None:
            price = KMS_PRICE_PER_10000_REQUESTS if self.provider == "aws-kms" else 0.0
        return price / 10_000

    def faults(self) -> Iterator[tuple[str, str]]:
        """A share that leaves less than one request in a second."""
        if self.requests_per_second is not None and self.requests_per_second * self.share < 1:
            yield "share", "leaves less than one request per second"
