"""Whether the policies can be used: files, the policies of the upstream's buckets, and rules that encrypt nothing."""

import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from gateway.cli.findings import Finding, failure, ok, warning
from gateway.cli.upstream_checks import Answer, UpstreamCheck
from gateway.config.model import Config
from gateway.config.policies import PolicyFile
from gateway.config.policy_files import read_policy
from gateway.errors import ConfigError, GatewayError
from gateway.policy.iam.decision import PolicyError
from gateway.policy.iam.document import MAXIMUM_BUCKET_POLICY_BYTES, parse_policy
from gateway.policy.rules import ModeName
from gateway.s3.operation import Operation
from gateway.s3.query import EMPTY_QUERY
from gateway.upstream.credentials import CredentialSource

#: Buckets whose policies are asked for; a diagnosis is not a census.
_MOST_BUCKETS = 100
_POLICY = EMPTY_QUERY.with_values((("policy", None),))


def policy_file_findings(path: str, options: PolicyFile) -> Iterator[Finding]:
    """Every fault of one policy file, and a warning when others than its owner may write it.

    Args:
        path: the option's place in the configuration.
        options: the policy.
    """
    try:
        read_policy(options)
    except ConfigError as error:
        yield from (failure(f"{path}.file", fault) for fault in error.faults)
        return
    if Path(options.file).stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield warning(f"{path}.file", f"others than its owner may write {options.file}", f"chmod go-w {options.file}")


def decision_findings(config: Config) -> Iterator[Finding]:
    """What is in force: the policies of files that can be used, and the rules that encrypt nothing."""
    for options in config.policies:
        try:
            policy = read_policy(options)
        except ConfigError:
            continue  # told with the files
        count = len(policy.statements)
        yield ok(f"policy {options.name}", f"{count} statement{'s' * (count != 1)}")
    for rule in config.rules:
        if rule.mode is ModeName.NONE:
            yield warning(f"rule {rule.name}", "has mode none: its objects are stored as their clients send them")


async def bucket_policy_findings(
    upstream: UpstreamCheck, credentials: CredentialSource | None
) -> AsyncIterator[Finding]:
    """Whether the policies of the buckets that are listed can be read and used.

    Args:
        upstream: after it asked with the credentials of identities.
        credentials: what GetBucketPolicy is signed with; None where policies of buckets are not read.
    """
    if credentials is None or not upstream.reached:
        return
    for bucket in sorted(upstream.buckets)[:_MOST_BUCKETS]:
        subject = f"policy of bucket {bucket}"
        try:
            answer = await upstream.ask(Operation.GET_BUCKET_POLICY, bucket, _POLICY, credentials)
        except GatewayError as error:
            yield failure(subject, str(error))
        else:
            yield _bucket_policy_finding(subject, answer)


def _bucket_policy_finding(subject: str, answer: Answer) -> Finding:
    if answer.status == 200:
        try:
            policy = parse_policy(answer.body, subject, MAXIMUM_BUCKET_POLICY_BYTES)
        except PolicyError as error:
            return failure(subject, "can not be used, so requests about the bucket are refused:\n" + str(error))
        return ok(subject, f"{len(policy.statements)} statements")
    if answer.error is not None and answer.error.code in {"NoSuchBucketPolicy", "NoSuchBucket"}:
        return ok(subject, "there is none")
    return failure(
        subject,
        f"can not be read ({answer}), so requests about the bucket are refused",
        "Allow s3:GetBucketPolicy to authorization.bucket_policies.upstream_credentials.",
    )
