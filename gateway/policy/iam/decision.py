"""What a policy is asked, and what it answers.

Source: AWS IAM User Guide, "Policy evaluation logic": an explicit deny overrides every allow; what nothing allows is
denied implicitly, here unless the identity's default says otherwise.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from gateway.errors import ConfigError


class PolicyError(ConfigError):
    """A policy document can not be used; every fault names its line and its field."""


class Effect(StrEnum):
    """What came out."""

    ALLOW = "allow"
    DENY = "deny"
    #: No statement was about the request.
    NEUTRAL = "neutral"


class Facts(Protocol):
    """The values of condition keys for one request, as it was received."""

    @property
    def principal(self) -> str:
        """The ARN of who asks, such as ``arn:aws:iam::111122223333:user/billing``; ``*`` for nobody in particular."""

    def values(self, key: str) -> tuple[str, ...] | None:
        """The values of a condition key, or None when the request does not have it.

        Args:
            key: the key in lower case, such as ``s3:x-amz-server-side-encryption`` or ``aws:requesttag/team``.
        """


@dataclass(frozen=True, slots=True)
class Access:
    """One thing that a request wants to do; a request may want several (a copy reads one object and writes another).

    Attributes:
        action: IAM's name of it, such as ``s3:PutObject``.
        resource: the ARN of the bucket or object, such as ``arn:aws:s3:::bucket/key``; ``*`` for the service.
    """

    action: str
    resource: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer, and which statement gave it.

    Attributes:
        effect: allow, deny, or neutral when no statement applied.
        policy: the name of the policy whose statement decided; None when neutral.
        statement: the number of the statement in its policy, from 0; None when neutral.
        sid: its Sid; None when it has none, and when neutral.
    """

    effect: Effect
    policy: str | None = None
    statement: int | None = None
    sid: str | None = None

    @property
    def rule(self) -> str:
        """The statement for a log or a metric: policy and Sid, or its number; ``default`` when neutral."""
        if self.policy is None:
            return "default"
        return f"{self.policy}/{self.sid if self.sid is not None else self.statement}"
