"""Options of the policies: files, those that the upstream's buckets have, and what happens where none says anything."""

import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, Field

from gateway.config.identities import UpstreamCredentials
from gateway.config.values import AbsolutePath, Name, PolicyDefault, Seconds, Section

_ACCOUNT = re.compile(r"[0-9]{12}")


def _account(value: str) -> str:
    if not _ACCOUNT.fullmatch(value):
        raise ValueError("an account id is needed: 12 digits, in quotes")
    return value


AccountId = Annotated[str, AfterValidator(_account)]


class PolicyFile(Section):
    """One policy in the IAM language. Which buckets it is about, its statements say."""

    name: Name = Field(description="Name in answers, logs and metrics; different for every policy.")
    file: AbsolutePath = Field(description="The JSON document.")


class BucketPolicies(Section):
    """The policies that the buckets of the upstream have themselves (GetBucketPolicy)."""

    upstream_credentials: UpstreamCredentials | None = Field(
        default=None,
        description="What GetBucketPolicy is signed with: it needs s3:GetBucketPolicy on every bucket in use. "
        "Unset: policies of the upstream's buckets are not read.",
    )
    refresh_seconds: Seconds = Field(default=60.0, description="How soon a changed policy is seen.")
    maximum_age_seconds: Seconds = Field(
        default=600.0,
        description="How long a policy is used after it was read last, while it can not be read again. "
        "After that requests about the bucket are refused with 503 ServiceUnavailable.",
    )
    allow_when_unavailable: bool = Field(
        default=False,
        description="Whether requests are then served without the bucket's policy instead. "
        "Whoever can keep the gateway from reading a policy can then switch it off.",
    )
    maximum_buckets: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=1000, description="Most buckets whose policies one worker remembers."
    )

    def faults(self) -> Iterator[tuple[str, str]]:
        """Times that do not fit together."""
        if self.maximum_age_seconds < self.refresh_seconds:
            yield "maximum_age_seconds", "must be at least refresh_seconds"


class Authorization(Section):
    """How policies are evaluated."""

    default: PolicyDefault = Field(
        default="allow",
        description="What happens to a request that no statement is about, unless its identity says otherwise.",
    )
    account_id: AccountId = Field(
        default="000000000000", description="The account in the principal ARNs of identities that have none."
    )
    check_seconds: Seconds = Field(default=10.0, description="Interval of the look for changed policy files.")
    bucket_policies: BucketPolicies = Field(
        default=BucketPolicies(), description="Policies that the upstream's buckets have themselves."
    )
