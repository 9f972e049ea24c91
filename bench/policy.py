"""``python -m bench.policy``: what one decision of the policy engine costs, with 200 statements.

Three sets of policies: statements over 20 buckets, as one gateway has them; all statements about one bucket and one
action, each with conditions of its own; and all of them with policy variables in their resources, about which nothing
can be remembered. Every request is different where real ones are: object key, moment, age of the signature, address.
"""

import json
import random
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from gateway.policy.iam.compiled import CompiledPolicies
from gateway.policy.iam.decision import Access
from gateway.policy.iam.document import parse_policy

STATEMENTS = 200
BUCKETS = 20
DECISIONS = 1_000_000
#: Where nothing can be remembered, fewer are enough.
DECISIONS_WITH_VARIABLES = 50_000
#: Different requests; they are asked about again and again, in the same order.
REQUESTS = 50_000

_ACCOUNT = "111122223333"


@dataclass(frozen=True, slots=True)
class Request:
    """One request with everything that conditions may ask for."""

    principal: str
    keys: Mapping[str, tuple[str, ...]]

    def values(self, key: str) -> tuple[str, ...] | None:
        return self.keys.get(key)


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds of one decision."""

    median: float
    p99: float
    worst: float


def over_buckets() -> CompiledPolicies:
    """200 statements, ten for each of 20 buckets."""
    return _compiled(
        _statement(number, f"arn:aws:s3:::bucket-{number % BUCKETS}/*", _condition(number // BUCKETS, number))
        for number in range(STATEMENTS)
    )


def on_one_bucket() -> CompiledPolicies:
    """200 statements about the same bucket and action; no two have the same condition."""
    return _compiled(
        _statement(number, "arn:aws:s3:::bucket-0/*", _condition(number, number)) for number in range(STATEMENTS)
    )


def with_variables() -> CompiledPolicies:
    """200 statements about the same bucket and action, each with a variable in its resource."""
    return _compiled(
        _statement(
            number,
            f"arn:aws:s3:::bucket-0/*/${{aws:username}}-{number}/*",
            {"Bool": {"aws:SecureTransport": "true"}},
        )
        for number in range(STATEMENTS)
    )


def requests(buckets: int) -> list[tuple[Request, Access]]:
    """Requests for objects of some buckets; a fixed seed makes them the same in every run."""
    choice = random.Random(5)
    return [_request(choice, number, buckets) for number in range(REQUESTS)]


def measure(policies: CompiledPolicies, asked: Sequence[tuple[Request, Access]], decisions: int) -> Cost:
    """The cost of each of many decisions by itself, the clock's own included."""
    costs: list[int] = []
    clock = time.perf_counter_ns
    decide = policies.decide
    for number in range(decisions):
        request, access = asked[number % len(asked)]
        begun = clock()
        decide(request, access)
        costs.append(clock() - begun)
    costs.sort()
    return Cost(statistics.median(costs) / 1000, costs[len(costs) * 99 // 100] / 1000, costs[-1] / 1000)


def _request(choice: random.Random, number: int, buckets: int) -> tuple[Request, Access]:
    user = f"user-{choice.randrange(100)}"
    arn = f"arn:aws:iam::{_ACCOUNT}:user/{user}"
    keys = {
        "aws:securetransport": "true",
        "aws:username": user,
        "aws:principalarn": arn,
        "aws:sourceip": f"10.{choice.randrange(256)}.{choice.randrange(256)}.{choice.randrange(256)}",
        "aws:currenttime": f"2026-11-{1 + number % 28:02}T{number % 24:02}:{number // 60 % 60:02}:{number % 60:02}Z",
        "s3:signatureage": str(choice.randrange(10_000)),
        "s3:tlsversion": "1.3",
        "s3:x-amz-storage-class": "STANDARD",
        "s3:x-amz-server-side-encryption": choice.choice(["aws:kms", "AES256"]),
        "s3:x-amz-server-side-encryption-aws-kms-key-id": f"arn:aws:kms:eu-central-1:{_ACCOUNT}:key/{number % 50}",
    }
    access = Access("s3:PutObject", f"arn:aws:s3:::bucket-{choice.randrange(buckets)}/2026/{number}/data.parquet")
    return Request(arn, {key: (value,) for key, value in keys.items()}), access


def _condition(kind: int, number: int) -> dict[str, Any]:
    """Conditions that bench requests do not meet, so that no statement ends the evaluation early."""
    conditions: list[dict[str, Any]] = [
        {"StringNotEquals": {"s3:x-amz-server-side-encryption": ["aws:kms", "AES256", f"none-{number}"]}},
        {"StringEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": f"arn:aws:kms:eu:1:key/{number}"}},
        {"NumericGreaterThan": {"s3:signatureAge": 600_000 + number}, "Bool": {"aws:SecureTransport": "true"}},
        {"NotIpAddress": {"aws:SourceIp": ["10.0.0.0/8", f"192.0.{number}.0/24"]}},
        {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{_ACCOUNT}:role/*-{number}"}},
        {"DateGreaterThan": {"aws:CurrentTime": f"2027-01-01T00:00:00.{number:03}Z"}},
        {"StringLike": {"aws:username": f"admin-*-{number}"}, "Null": {"s3:x-amz-acl": "true"}},
        {"NumericLessThan": {"s3:TlsVersion": f"1.{number % 3}"}, "StringEquals": {"aws:username": f"{number}"}},
    ]
    return conditions[kind % len(conditions)]


def _statement(number: int, resource: str, condition: dict[str, Any]) -> dict[str, Any]:
    return {
        "Sid": f"Statement{number}",
        "Effect": "Deny" if number % 2 else "Allow",
        "Principal": {"AWS": _ACCOUNT},
        "Action": ["s3:PutObject", "s3:PutObject*"],
        "Resource": resource,
        "Condition": condition,
    }


def _compiled(statements: Iterator[dict[str, Any]]) -> CompiledPolicies:
    text = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    return CompiledPolicies([parse_policy(text, "bench")])


def main() -> None:
    table = Table("200 statements", "decisions", "median us", "p99 us", "worst us", title="One decision of the policy")
    for name, policies, buckets, decisions in (
        (f"over {BUCKETS} buckets", over_buckets(), BUCKETS, DECISIONS),
        ("on one bucket", on_one_bucket(), 1, DECISIONS),
        ("on one bucket, with variables", with_variables(), 1, DECISIONS_WITH_VARIABLES),
    ):
        cost = measure(policies, requests(buckets), decisions)
        table.add_row(name, f"{decisions:,}", f"{cost.median:.1f}", f"{cost.p99:.1f}", f"{cost.worst:,.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
