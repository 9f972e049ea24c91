"""Policies and requests from tables."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.policy.iam.compiled import CompiledPolicies
from gateway.policy.iam.decision import Access, Decision
from gateway.policy.iam.document import Policy, parse_policy

ACCOUNT = "111122223333"
USER = f"arn:aws:iam::{ACCOUNT}:user/billing"
PUT = Access("s3:PutObject", "arn:aws:s3:::bucket/key")


@dataclass(frozen=True, slots=True)
class Request:
    """A request whose condition keys are written down."""

    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    principal: str = USER

    def values(self, key: str) -> tuple[str, ...] | None:
        assert key == key.lower()
        return self.keys.get(key)


def request(keys: Mapping[str, str] | None = None, principal: str = USER) -> Request:
    """A request with one value for each key."""
    return Request({key.lower(): (value,) for key, value in (keys or {}).items()}, principal)


def statement(effect: str = "Deny", **elements: Any) -> dict[str, Any]:
    """A statement about uploads to one bucket, with some elements different; None takes one out."""
    usual = {
        "Effect": effect,
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::bucket/*",
    }
    return {name: value for name, value in (usual | elements).items() if value is not None}


def document(*statements: Any, version: str = "2012-10-17") -> str:
    """The JSON of a policy."""
    return json.dumps({"Version": version, "Statement": list(statements)})


def policy(*statements: Any, name: str = "policy", version: str = "2012-10-17") -> Policy:
    """A policy."""
    return parse_policy(document(*statements, version=version), name)


def decide(policies: Policy | Sequence[Policy], asked: Request, access: Access = PUT) -> Decision:
    """What the policies say."""
    return CompiledPolicies([policies] if isinstance(policies, Policy) else policies).decide(asked, access)
