"""What each condition key means: functions from a request to the values of a key. Pure.

How values are read is told in :mod:`gateway.policy.iam.request_facts`. Sources: AWS Service Authorization Reference,
"Condition keys for Amazon S3"; IAM User Guide, "AWS global condition context keys"; Amazon S3 API Reference, "Amazon S3
Signature Version 4 authentication specific policy keys".
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from gateway.errors import S3Error
from gateway.policy.iam.actions import COPIES
from gateway.policy.iam.arn import parse_arn
from gateway.s3.asked_encryption import CONTINUES_UPLOAD, AskedEncryption
from gateway.s3.authenticate import VerifiedRequest
from gateway.s3.copy_source import CopySource, parse_copy_source
from gateway.s3.encryption_headers import COPY_SSE_C_ALGORITHM, SSE, SSE_C_ALGORITHM, SSE_KMS_KEY_ID
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.operation_table import COPY_SOURCE_HEADER
from gateway.s3.request import S3Request
from gateway.s3.tagging import HEADER as TAGGING
from gateway.s3.tagging import requested_tags

Values: TypeAlias = tuple[str, ...] | None

#: The principal of a request without an identity.
NOBODY = "*"

_UNIX_CLIENT = "unix"
_TLS_VERSION = re.compile(r"(?:TLSv)?([0-9])(?:\.([0-9]))?", re.ASCII)
_LISTINGS = frozenset({Operation.LIST_OBJECTS, Operation.LIST_OBJECTS_V2, Operation.LIST_OBJECT_VERSIONS})
#: The operations of ``s3:PutObject``, and whether an object is there afterwards. Source: Amazon S3 User Guide, "Enforce
#: conditional writes on Amazon S3 buckets".
_CREATION: Mapping[Operation, str] = {
    Operation.PUT_OBJECT: "true",
    Operation.COPY_OBJECT: "true",
    Operation.COMPLETE_MULTIPART_UPLOAD: "true",
    Operation.CREATE_MULTIPART_UPLOAD: "false",
    Operation.UPLOAD_PART: "false",
    Operation.UPLOAD_PART_COPY: "false",
}

#: Header fields whose value is a key's value as it is.
_HEADER_OF_KEY: Mapping[str, str] = {
    **{
        f"s3:{name}": name
        for name in (
            SSE_C_ALGORITHM,
            COPY_SSE_C_ALGORITHM,
            "x-amz-acl",
            "x-amz-grant-full-control",
            "x-amz-grant-read",
            "x-amz-grant-read-acp",
            "x-amz-grant-write",
            "x-amz-grant-write-acp",
            "x-amz-metadata-directive",
            "x-amz-object-ownership",
            "x-amz-storage-class",
            "x-amz-website-redirect-location",
        )
    },
    "s3:object-lock-legal-hold": "x-amz-object-lock-legal-hold",
    "s3:object-lock-mode": "x-amz-object-lock-mode",
    "s3:object-lock-retain-until-date": "x-amz-object-lock-retain-until-date",
    "s3:if-match": "if-match",
    "s3:if-none-match": "if-none-match",
    "aws:referer": "referer",
    "aws:useragent": "user-agent",
}
#: Fields that a policy decides by and that may come once only.
_ONCE = frozenset(
    {SSE, SSE_KMS_KEY_ID, COPY_SOURCE_HEADER, TAGGING}
    | {name for name in _HEADER_OF_KEY.values() if name.startswith("x-amz-")}
)

_PRINCIPAL_TYPES: Mapping[str, str] = {
    "assumed-role": "AssumedRole",
    "federated-user": "FederatedUser",
    "role": "AssumedRole",
    "root": "Account",
}

_REQUEST_TAG_PREFIXES = ("s3:requestobjecttag/", "aws:requesttag/")


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it was received, with what is known about its hop and its sender.

    Attributes:
        verified: the request.
        request: the same, with the header fields that came in its query.
        now: the time, aware.
        tls_version: the version of TLS on the client's hop, such as ``TLSv1.3``, or None when it is not known.
        principal: the ARN of the sender, or :data:`NOBODY`.
        asked: what the upload that the request continues began with.
    """

    verified: VerifiedRequest
    request: S3Request
    now: datetime
    tls_version: str | None
    principal: str
    asked: AskedEncryption


def is_supplied(key: str) -> bool:
    """Whether some request has a value for a condition key (lower case).

    A condition on any other key is decided by the key's absence alone.
    """
    return key in _READERS or key in _HEADER_OF_KEY or key.startswith(_REQUEST_TAG_PREFIXES)


def refuse_repeated(headers: Headers) -> None:
    """Refuse a field that a policy decides by and that comes twice: it could mean two things to two servers.

    Raises:
        S3Error: InvalidRequest.
    """
    if not headers.repeats:
        return
    for name in sorted(_ONCE & headers.names()):
        if len(headers.all(name)) > 1:
            raise S3Error("InvalidRequest", f"The header {name} must not be repeated.")


def values_of(received: Received, key: str) -> Values:
    """The values of a condition key (lower case), or None when the request does not have it.

    Raises:
        S3Error: the request's own value can not be understood.
    """
    name = _HEADER_OF_KEY.get(key)
    if name is not None:
        return _header(received, name)
    reader = _READERS.get(key)
    if reader is not None:
        return reader(received)
    if key.startswith(_REQUEST_TAG_PREFIXES):
        return _request_tag(received, key.partition("/")[2])
    return None


def _header(received: Received, name: str) -> Values:
    """A header field; several lines of one are one list (RFC 9110, section 5.3)."""
    headers = received.request.raw.headers
    if name not in headers:
        return None
    value = (", ".join(headers.all(name)) if headers.repeats else headers.get(name) or "").strip(" \t")
    return (value,) if value else None


def _encryption(name: str) -> Callable[[Received], Values]:
    def read(received: Received) -> Values:
        if received.request.operation not in CONTINUES_UPLOAD:
            return _header(received, name)
        asked = received.asked.sse if name == SSE else received.asked.kms_key_id
        return (asked,) if asked else None

    return read


def _query(name: str) -> Callable[[Received], Values]:
    def read(received: Received) -> Values:
        value = received.request.query.get(name) if received.request.operation in _LISTINGS else None
        return None if value is None else (value,)

    return read


def _constant(value: str) -> Callable[[Received], Values]:
    return lambda _: (value,)


def _secure_transport(received: Received) -> Values:
    return ("true" if received.request.raw.scheme == "https" else "false",)


def _tls_version(received: Received) -> Values:
    """The version's number. What a balancer calls otherwise, such as ``SSLv3``, is older than every number."""
    if received.tls_version is None or received.request.raw.scheme != "https":
        return None
    found = _TLS_VERSION.fullmatch(received.tls_version)
    return ("0",) if found is None else (f"{found[1]}.{found[2] or '0'}",)


def _signature_version(received: Received) -> Values:
    return (received.verified.signature_version,) if received.verified.signature_version else None


def _auth_type(received: Received) -> Values:
    return None if received.verified.auth_type == "NONE" else (received.verified.auth_type,)


def _signature_age(received: Received) -> Values:
    """Milliseconds since the URL was signed; only presigned URLs of Signature Version 4 have it."""
    verified = received.verified
    if verified.auth_type != "REST-QUERY-STRING" or verified.signed_at is None:
        return None
    return (str(max(0, int((received.now - verified.signed_at).total_seconds() * 1000))),)


def _content_sha256(received: Received) -> Values:
    """How the client vouches for the body; a URL or a form that says nothing has an unsigned one."""
    if received.verified.auth_type == "NONE":
        return None
    content = received.verified.content_sha256
    return (content.kind.value if content.digest is None else content.digest,)


def _copy_source_of(received: Received) -> CopySource | None:
    if received.request.operation not in COPIES:
        return None
    return parse_copy_source(received.request.raw.headers.get(COPY_SOURCE_HEADER) or "")


def _copy_source(received: Received) -> Values:
    """``bucket/key``, decoded, without a slash before it and without a version, whatever spelling was sent."""
    source = _copy_source_of(received)
    return None if source is None else (f"{source.bucket}/{source.object_key}",)


def _version_id(received: Received) -> Values:
    """The version that is asked for; of a copy, the version that is read."""
    source = _copy_source_of(received)
    version_id = received.request.query.get("versionId") if source is None else source.version_id
    return (version_id,) if version_id else None


def _creation(received: Received) -> Values:
    value = _CREATION.get(received.request.operation)
    return None if value is None else (value,)


def _remaining_retention_days(received: Received) -> Values:
    """Whole days from now to the date that the object shall be kept until."""
    date = _header(received, "x-amz-object-lock-retain-until-date")
    if date is None:
        return None
    try:
        until = datetime.fromisoformat(date[0])
    except ValueError as error:
        raise S3Error("InvalidArgument", "The retain until date must be provided in ISO 8601 format") from error
    return (str(((until if until.tzinfo else until.replace(tzinfo=UTC)) - received.now).days),)


def _tag_keys(received: Received) -> Values:
    return tuple(requested_tags(received.request.raw.headers)) or None


def _request_tag(received: Received, tag_key: str) -> Values:
    """The value of a tag of the request. IAM compares tag keys without regard to case, S3 keeps both."""
    values = tuple(
        value for key, value in requested_tags(received.request.raw.headers).items() if key.lower() == tag_key
    )
    if len(values) > 1:
        raise S3Error("AccessDenied", "Tags whose keys differ in case alone can not be told apart by a bucket policy.")
    return values or None


def _source_ip(received: Received) -> Values:
    address = received.request.raw.client_address
    return None if address == _UNIX_CLIENT else (address,)


def _principal_arn(received: Received) -> Values:
    return None if received.principal == NOBODY else (received.principal,)


def _principal_account(received: Received) -> Values:
    arn = parse_arn(received.principal)
    return None if arn is None else (arn[4],)


def _principal_type(received: Received) -> Values:
    """Source: AWS IAM User Guide, "AWS global condition context keys", ``aws:PrincipalType``."""
    arn = parse_arn(received.principal)
    return ("Anonymous" if arn is None else _PRINCIPAL_TYPES.get(arn[5].partition("/")[0], "User"),)


def _username(received: Received) -> Values:
    """The name of a user, without its path; roles have none."""
    arn = parse_arn(received.principal)
    kind, _, name = ("", "", "") if arn is None else arn[5].partition("/")
    return (name.rpartition("/")[2],) if kind == "user" else None


def _current_time(received: Received) -> Values:
    return (received.now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),)


def _epoch_time(received: Received) -> Values:
    return (str(int(received.now.timestamp())),)


_READERS: Mapping[str, Callable[[Received], Values]] = {
    f"s3:{SSE}": _encryption(SSE),
    f"s3:{SSE_KMS_KEY_ID}": _encryption(SSE_KMS_KEY_ID),
    f"s3:{COPY_SOURCE_HEADER}": _copy_source,
    "s3:authtype": _auth_type,
    "s3:delimiter": _query("delimiter"),
    "s3:max-keys": _query("max-keys"),
    "s3:object-lock-remaining-retention-days": _remaining_retention_days,
    "s3:objectcreationoperation": _creation,
    "s3:prefix": _query("prefix"),
    "s3:requestobjecttagkeys": _tag_keys,
    "s3:signatureage": _signature_age,
    "s3:signatureversion": _signature_version,
    "s3:tlsversion": _tls_version,
    "s3:versionid": _version_id,
    "s3:x-amz-content-sha256": _content_sha256,
    "aws:currenttime": _current_time,
    "aws:epochtime": _epoch_time,
    "aws:principalaccount": _principal_account,
    "aws:principalarn": _principal_arn,
    "aws:principalisawsservice": _constant("false"),
    "aws:principaltype": _principal_type,
    "aws:securetransport": _secure_transport,
    "aws:sourceip": _source_ip,
    "aws:tagkeys": _tag_keys,
    "aws:username": _username,
    "aws:viaawsservice": _constant("false"),
}
