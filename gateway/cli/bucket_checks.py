"""Whether the buckets of ``sse-c`` rules take SSE-C at all.

Since April 2026 S3 blocks uploads with customer keys on new buckets unless the bucket's encryption configuration says
otherwise. Source: Amazon S3 User Guide, "Blocking or unblocking SSE-C for a general purpose bucket".
"""

import json
import shlex
from collections.abc import AsyncIterator, Sequence
from typing import Any
from xml.etree.ElementTree import Element

from gateway.cli.findings import Finding, failure, ok, skipped, warning
from gateway.cli.upstream_checks import Answer, UpstreamCheck
from gateway.errors import S3Error, UpstreamUnavailable
from gateway.policy.rules import EncryptionRule, ModeName
from gateway.s3.operation import Operation
from gateway.s3.query import EMPTY_QUERY
from gateway.s3.xml import parse_xml

_ENCRYPTION = EMPTY_QUERY.with_values((("encryption", None),))


async def bucket_findings(upstream: UpstreamCheck, rules: Sequence[EncryptionRule]) -> AsyncIterator[Finding]:
    """One finding for every bucket that an ``sse-c`` rule names or fits.

    Args:
        upstream: after it asked with the credentials.
        rules: the encryption rules in order.
    """
    if not upstream.reached:
        return
    for bucket in sorted(sse_c_buckets(rules, upstream.buckets)):
        subject = f"bucket {bucket}"
        try:
            answer = await _encryption_of(upstream, bucket)
        except (UpstreamUnavailable, S3Error) as error:
            yield failure(subject, str(error))
        else:
            yield (
                skipped(subject, "no credentials to ask with") if answer is None else _finding(subject, bucket, answer)
            )


def sse_c_buckets(rules: Sequence[EncryptionRule], listed: set[str]) -> set[str]:
    """The buckets in which some object falls under an ``sse-c`` rule.

    Args:
        rules: the encryption rules in order.
        listed: the buckets known to exist; those that rules name without ``*`` or ``?`` are added.
    """
    named = {
        pattern
        for rule in rules
        if rule.mode is ModeName.SSE_C
        for pattern in rule.buckets
        if not {"*", "?"} & set(pattern)
    }
    return {bucket for bucket in named | listed if _reaches_sse_c(rules, bucket)}


def _reaches_sse_c(rules: Sequence[EncryptionRule], bucket: str) -> bool:
    for rule in rules:
        if rule.matches_bucket(bucket):
            if rule.mode is ModeName.SSE_C:
                return True
            if not rule.prefixes and not rule.is_conditional:
                return False  # it fits every object of the bucket, so no later rule is asked
    return False


async def _encryption_of(upstream: UpstreamCheck, bucket: str) -> Answer | None:
    """GetBucketEncryption with the first credentials that may; the last refusal when none may."""
    answer = None
    for credentials in upstream.accepted:
        answer = await upstream.ask(Operation.GET_BUCKET_ENCRYPTION, bucket, _ENCRYPTION, credentials)
        if answer.status != 403:
            break
    return answer


def _finding(subject: str, bucket: str, answer: Answer) -> Finding:
    code = answer.error.code if answer.error is not None else ""
    if answer.status < 300:
        return _block_finding(subject, bucket, answer.body)
    if code == "ServerSideEncryptionConfigurationNotFoundError":
        return ok(subject, "has no encryption configuration, so no block of SSE-C")
    if code == "NoSuchBucket":
        return warning(subject, "does not exist yet; S3 blocks SSE-C on new buckets until that is changed")
    if answer.status == 403:
        return warning(
            subject,
            f"whether it blocks SSE-C can not be read ({answer})",
            "Allow s3:GetEncryptionConfiguration to the upstream credentials.",
        )
    return skipped(subject, f"this server does not say whether it blocks SSE-C ({answer})")


def _block_finding(subject: str, bucket: str, body: bytes) -> Finding:
    try:
        root = parse_xml(body)
    except S3Error:
        return skipped(subject, "the server's answer about its encryption is not XML")
    blocked = {element.text for element in root.findall("{*}Rule/{*}BlockedEncryptionTypes/{*}EncryptionType")}
    if "SSE-C" not in blocked:
        return ok(subject, "does not block SSE-C")
    return failure(
        subject,
        "blocks SSE-C, so every upload under its sse-c rule is refused with 403 AccessDenied",
        "Unblock it, with its present default encryption in the same request, because the request replaces both:\n"
        + unblock_command(bucket, root),
    )


def unblock_command(bucket: str, configuration: Element) -> str:
    """The aws CLI command that allows SSE-C and keeps the bucket's default encryption.

    Args:
        bucket: the bucket's name.
        configuration: the answer of GetBucketEncryption.
    """
    default: dict[str, Any] = {
        "SSEAlgorithm": configuration.findtext(
            "{*}Rule/{*}ApplyServerSideEncryptionByDefault/{*}SSEAlgorithm", "AES256"
        )
    }
    key = configuration.findtext("{*}Rule/{*}ApplyServerSideEncryptionByDefault/{*}KMSMasterKeyID")
    if key:
        default["KMSMasterKeyID"] = key
    rule: dict[str, Any] = {
        "ApplyServerSideEncryptionByDefault": default,
        "BlockedEncryptionTypes": {"EncryptionType": ["NONE"]},
    }
    bucket_key = configuration.findtext("{*}Rule/{*}BucketKeyEnabled")
    if bucket_key:
        rule["BucketKeyEnabled"] = bucket_key == "true"
    document = json.dumps({"Rules": [rule]}, separators=(",", ":"))
    command = ("aws", "s3api", "put-bucket-encryption", "--bucket", bucket)
    return shlex.join((*command, "--server-side-encryption-configuration", document))
