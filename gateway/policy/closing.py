"""The bucket policy that closes the way around the gateway: it denies what is written past it, or not as rules say.

Every statement is a Deny, so the policy gives nobody anything. No statement denies ``s3:GetBucketPolicy``,
``s3:PutBucketPolicy`` or ``s3:DeleteBucketPolicy`` over TLS: whoever owns the bucket can always take the policy away.

Sources: Amazon S3 User Guide, "Bucket policy examples using condition keys", and "Actions, resources, and condition
keys for Amazon S3"; AWS IAM User Guide, "AWS global condition context keys"; Ceph 16, tried out (docs/policies.md).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, TypeAlias

from gateway.policy.closing_areas import EVERYTHING, Allowed, Area, Loose, areas_of
from gateway.policy.iam.decision import Effect
from gateway.policy.iam.document import VERSION_WITH_VARIABLES, Policy
from gateway.policy.iam.statements import Statement
from gateway.policy.rules import EncryptionRule

#: A statement or a policy, as JSON has it.
Json: TypeAlias = dict[str, object]

#: The Sid of each statement begins so: by this they are known among those of others.
SID_PREFIX: Final = "Sealgate"

_METHOD: Final = "s3:x-amz-server-side-encryption"
_KMS_KEY: Final = "s3:x-amz-server-side-encryption-aws-kms-key-id"
_CUSTOMER: Final = "s3:x-amz-server-side-encryption-customer-algorithm"
_WRITE: Final = "s3:PutObject"
#: Whatever changes an object. A star takes the ACL, tags, retention and old versions with it.
_WRITES: Final = ("s3:AbortMultipartUpload", "s3:DeleteObject*", "s3:PutObject*", "s3:RestoreObject")
_READS: Final = ("s3:GetObject*",)
#: With these the owner mends a policy; they stay allowed to any version of TLS.
_MENDING: Final = ("s3:DeleteBucketPolicy", "s3:GetBucketPolicy", "s3:PutBucketPolicy")


class Part(StrEnum):
    """What the policy is made of."""

    #: Requests without TLS.
    TRANSPORT = "transport"
    #: Versions of TLS that are too old.
    TLS_VERSION = "tls-version"
    #: Writes by anybody but the gateway.
    WRITERS = "writers"
    #: Reads by anybody but the gateway; only when asked for.
    READERS = "readers"
    #: Writes with another encryption than the rules ask for, or none.
    ENCRYPTION = "encryption"
    #: SSE-C where no rule uses it.
    CUSTOMER_KEYS = "customer-keys"


class Dialect(StrEnum):
    """Which server evaluates it."""

    AWS = "aws"
    #: Ceph RGW 16 ignores the value of ``Null``, has no negated condition hold for a key that is not there, knows
    #: neither TLS versions nor principal ARNs nor SSE-C as keys, and sees encryption header fields in PutObject only.
    CEPH = "ceph"


#: What Ceph can not evaluate.
NOT_IN_CEPH: Final = frozenset({Part.TLS_VERSION, Part.CUSTOMER_KEYS})


@dataclass(frozen=True, slots=True)
class Closing:
    """What is to be closed.

    Attributes:
        bucket: the bucket.
        rules: the encryption rules in order.
        principals: the ARNs of the roles or users that the gateway's requests are signed by.
        parts: what the policy shall have; ``writers`` and ``readers`` need principals.
        partition: ``aws``, or that of other clouds of AWS.
        minimum_tls: the oldest version of TLS.
        dialect: who evaluates it.
    """

    bucket: str
    rules: Sequence[EncryptionRule]
    principals: tuple[str, ...]
    parts: frozenset[Part]
    partition: str = "aws"
    minimum_tls: str = "1.2"
    dialect: Dialect = Dialect.AWS

    def has(self, part: Part) -> bool:
        """Whether the policy has a part: it is asked for, and the server can evaluate it."""
        return part in self.parts and not (self.dialect is Dialect.CEPH and part in NOT_IN_CEPH)


@dataclass(frozen=True, slots=True)
class Closed:
    """The policy, and what it can not say.

    Attributes:
        document: the policy.
        loose: where an object may be encrypted as any of several rules ask.
    """

    document: Json
    loose: tuple[Loose, ...]


def closing_policy(closing: Closing) -> Closed:
    """The policy, with its statements in an order that depends on the rules only."""
    areas, loose = areas_of([rule for rule in closing.rules if rule.matches_bucket(closing.bucket)])
    statements = [*_access(closing)]
    if closing.has(Part.ENCRYPTION):
        statements += _numbered("Encryption", _encryption(closing, areas))
    if closing.has(Part.CUSTOMER_KEYS):
        statements += _numbered("CustomerKeys", _customer_keys(closing, areas))
    return Closed({"Version": VERSION_WITH_VARIABLES, "Statement": statements}, loose)


def without_closing(policy: Policy) -> Policy:
    """A policy without the statements that close the way around the gateway.

    They are about the requests of the gateway: who signs them, and the encryption that they have by then. Judged by
    them, a client would have to be the gateway and to ask for what the gateway adds.
    """
    return replace(policy, statements=tuple(each for each in policy.statements if not _is_closing(each)))


def _is_closing(statement: Statement) -> bool:
    return statement.effect is Effect.DENY and (statement.sid or "").startswith(SID_PREFIX)


def _access(closing: Closing) -> Iterator[Json]:
    """Who comes in, and how."""
    everywhere = {"Resource": [_arn(closing), _arn(closing, EVERYTHING)]}
    if closing.has(Part.TRANSPORT):
        # Ceph has the key for requests over TLS only.
        aws = closing.dialect is Dialect.AWS
        condition: Json = (
            {"Bool": {"aws:SecureTransport": "false"}} if aws else {"Null": {"aws:SecureTransport": "true"}}
        )
        yield _deny("Transport", everywhere, {"Action": "s3:*"}, condition)
    if closing.has(Part.TLS_VERSION):
        condition = {"NumericLessThan": {"s3:TlsVersion": closing.minimum_tls}}
        yield _deny("TlsVersion", everywhere, {"NotAction": list(_MENDING)}, condition)
    for part, name, actions in ((Part.WRITERS, "Writers", _WRITES), (Part.READERS, "Readers", _READS)):
        if closing.has(part):
            yield _others(closing, name, actions)


def _others(closing: Closing, name: str, actions: Sequence[str]) -> Json:
    """Anybody but the gateway. A session of a role has the role's ARN as ``aws:PrincipalArn``."""
    principals = sorted(set(closing.principals))
    about = {"Resource": _arn(closing, EVERYTHING)}, {"Action": list(actions)}
    if closing.dialect is Dialect.AWS:
        return _deny(name, *about, {"ArnNotEquals": {"aws:PrincipalArn": principals}})
    statement = _deny(name, *about, {})
    del statement["Principal"], statement["Condition"]
    return {**statement, "NotPrincipal": {"AWS": principals}}


def _encryption(closing: Closing, areas: Sequence[Area]) -> Iterator[tuple[Mapping[str, object], Json]]:
    """Resource and condition of each statement about encryption header fields."""
    conditions = _aws_conditions if closing.dialect is Dialect.AWS else _ceph_conditions
    for area in areas:
        for condition in conditions(area.allowed):
            yield _resource(closing, area), condition


def _aws_conditions(allowed: Allowed) -> Iterator[Json]:
    """A negated condition holds when there is no such header field either."""
    if allowed.anything:
        return
    methods = sorted({method for method, _ in allowed.methods})
    if not methods:
        yield {"Null": {_CUSTOMER: "true"}}
        return
    without_customer_key = {"Null": {_CUSTOMER: "true"}} if allowed.customer else {}
    yield {"StringNotEquals": {_METHOD: methods}, **without_customer_key}
    yield from _key_conditions(allowed)


def _ceph_conditions(allowed: Allowed) -> Iterator[Json]:
    """What names another encryption. To ask for a header field would refuse every CreateMultipartUpload and copy."""
    if allowed.anything:
        return
    methods = sorted({method for method, _ in allowed.methods})
    yield {"StringNotEquals": {_METHOD: methods}} if methods else {"StringLike": {_METHOD: EVERYTHING}}
    yield from _key_conditions(allowed)


def _key_conditions(allowed: Allowed) -> Iterator[Json]:
    """Another KMS key than one of those that go with a method, or none."""
    for method in sorted({method for method, key in allowed.methods if key is not None}):
        keys = sorted({key for found, key in allowed.methods if found == method and key is not None})
        yield {"StringEquals": {_METHOD: method}, "StringNotEquals": {_KMS_KEY: keys}}


def _customer_keys(closing: Closing, areas: Sequence[Area]) -> Iterator[tuple[Mapping[str, object], Json]]:
    """SSE-C, everywhere or where it is not refused for lack of another encryption."""
    condition: Json = {"Null": {_CUSTOMER: "false"}}
    if not any(area.allowed.customer for area in areas):
        yield {"Resource": _arn(closing, EVERYTHING)}, condition
        return
    for area in areas:
        if not area.allowed.customer and (area.allowed.anything or not closing.has(Part.ENCRYPTION)):
            yield _resource(closing, area), condition


def _numbered(name: str, parts: Iterator[tuple[Mapping[str, object], Json]]) -> Iterator[Json]:
    for number, (about, condition) in enumerate(parts, 1):
        yield _deny(f"{name}{number}", about, {"Action": _WRITE}, condition)


def _deny(name: str, about: Mapping[str, object], actions: Mapping[str, object], condition: Json) -> Json:
    return {
        "Sid": f"{SID_PREFIX}{name}",
        "Effect": "Deny",
        "Principal": EVERYTHING,
        **actions,
        **about,
        "Condition": condition,
    }


def _resource(closing: Closing, area: Area) -> Mapping[str, object]:
    arns = [_arn(closing, pattern) for pattern in area.patterns]
    if area.inverted:
        return {"NotResource": arns} if arns else {"Resource": _arn(closing, EVERYTHING)}
    return {"Resource": arns}


def _arn(closing: Closing, pattern: str | None = None) -> str:
    """The bucket's ARN, or that of its objects. In a policy ``${`` begins a variable, and ``${$}`` is a dollar sign."""
    bucket = f"arn:{closing.partition}:s3:::{closing.bucket}"
    return bucket if pattern is None else f"{bucket}/{pattern.replace('${', '${$}{')}"
