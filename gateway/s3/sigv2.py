"""AWS Signature Version 2, in the ``Authorization`` header and in presigned URLs.

Retired, and off unless the configuration asks for it: it is HMAC-SHA1, leaves most query parameters unsigned, and its
presigned URLs may last for ever. Source: "Signing and authenticating REST requests" (Signature Version 2), Amazon S3
User Guide.
"""

import base64
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from gateway.errors import S3Error
from gateway.redact import SecretStr
from gateway.s3 import sigv4
from gateway.s3.authorization import check_skew, request_time
from gateway.s3.credentials import Identity
from gateway.s3.query import Query
from gateway.s3.request import RawRequest, S3Request
from gateway.s3.signature_errors import (
    carries_secret,
    render_iso8601,
    signature_does_not_match,
    unknown_access_key,
)
from gateway.s3.signature_verification import NOBODY, check_session_token

#: What stands for this version in the condition key ``s3:signatureversion``, and before the access key in the header.
VERSION = "AWS"

#: Query parameters that the signature covers. Later sub-resources are not among them.
SIGNED_PARAMETERS = frozenset(
    {
        "accelerate", "acl", "analytics", "cors", "defaultObjectAcl", "delete", "inventory", "lifecycle", "location",
        "logging", "metrics", "notification", "object-lock", "partNumber", "policy", "replication", "requestPayment",
        "response-cache-control", "response-content-disposition", "response-content-encoding",
        "response-content-language", "response-content-type", "response-expires", "restore", "select", "select-type",
        "storageClass", "tagging", "torrent", "uploadId", "uploads", "versionId", "versioning", "versions", "website",
    }
)  # fmt: skip

#: Selects the second form of a listing and nothing else, so it may stay unsigned.
_HARMLESS_KEYS = frozenset({"list-type"})
_QUERY_PARAMETERS = ("AWSAccessKeyId", "Expires", "Signature")
_EXPIRES = re.compile(r"[0-9]{1,11}", re.ASCII)
_PARAMETERS_OF_HEADERS = ("content-md5", "content-type")


def is_presigned_v2(query: Query) -> bool:
    """Whether the query carries a Signature Version 2."""
    return "Signature" in query or "AWSAccessKeyId" in query


def verify_header_v2(
    request: S3Request, identities: Mapping[str, Identity], now: datetime, max_skew_seconds: int
) -> Identity:
    """Verify ``Authorization: AWS <access key>:<signature>``.

    Raises:
        S3Error: ``InvalidArgument`` for a malformed header, ``AccessDenied`` without a date, ``RequestTimeTooSkewed``,
            and those of a wrong signature.
    """
    headers = request.raw.headers
    authorization = (headers.get("authorization") or "").removeprefix(f"{VERSION} ").strip()
    access_key_id, colon, signature = authorization.rpartition(":")
    if not colon or not access_key_id:
        raise S3Error(
            "InvalidArgument",
            "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature",
            details=(("ArgumentName", "Authorization"),),
        )
    check_skew(headers, request_time(headers), now, max_skew_seconds)
    date = "" if "x-amz-date" in headers else headers.get("date") or ""
    return _verify(request, identities, access_key_id, signature, date)


def verify_presigned_v2(request: S3Request, identities: Mapping[str, Identity], now: datetime) -> Identity:
    """Verify the query parameters ``AWSAccessKeyId``, ``Expires`` and ``Signature``.

    Raises:
        S3Error: ``AccessDenied`` when a parameter is missing, malformed or repeated or when the URL has expired, and
            those of a wrong signature.
    """
    query = request.query
    if not all(query.get(name) for name in _QUERY_PARAMETERS) or query.repeated().intersection(_QUERY_PARAMETERS):
        raise S3Error(
            "AccessDenied",
            "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters",
        )
    access_key_id, expires, signature = (query.get(name) or "" for name in _QUERY_PARAMETERS)
    if not _EXPIRES.fullmatch(expires):
        raise S3Error("AccessDenied", f"Invalid date (should be seconds since epoch): {expires}")
    expiry = datetime.fromtimestamp(int(expires), UTC)
    if now > expiry:
        raise S3Error(
            "AccessDenied",
            "Request has expired",
            details=(("Expires", render_iso8601(expiry)), ("ServerTime", render_iso8601(now))),
        )
    return _verify(request, identities, access_key_id, signature, expires)


def sign_text_v2(secret: SecretStr, text: str) -> str:
    """The signature of ``text``: HMAC-SHA1 in base64."""
    return base64.b64encode(hmac.digest(sigv4.to_bytes(secret.reveal()), sigv4.to_bytes(text), "sha1")).decode()


def _verify(
    request: S3Request, identities: Mapping[str, Identity], access_key_id: str, signature: str, date: str
) -> Identity:
    _refuse_unsigned_sub_resources(request)
    identity = identities.get(access_key_id, NOBODY)
    fields = _fields(request.raw, request.query)
    string_to_sign = _string_to_sign(request, fields, date)
    expected = sign_text_v2(identity.credential.secret_access_key, string_to_sign)
    matches = hmac.compare_digest(expected.encode(), sigv4.to_bytes(signature))
    if identity is NOBODY:
        raise unknown_access_key(access_key_id)
    if not matches:
        shown = None if carries_secret(request.raw) else string_to_sign
        raise signature_does_not_match(access_key_id, signature, shown)
    token = fields.get("x-amz-security-token")
    check_session_token(identity, None if token is None else SecretStr(token))
    return identity


def _refuse_unsigned_sub_resources(request: S3Request) -> None:
    """A sub-resource outside the signature would let anyone turn the URL of one operation into that of another."""
    unsigned = request.operation.info.query_keys - SIGNED_PARAMETERS - _HARMLESS_KEYS
    if unsigned:
        raise S3Error(
            "InvalidRequest",
            f"Signature Version 2 does not cover {', '.join(sorted(unsigned))}. Please use AWS4-HMAC-SHA256.",
        )


def _fields(raw: RawRequest, query: Query) -> dict[str, str]:
    """The signed header fields.

    The SDKs move ``x-amz-*`` and the two content fields of a presigned request into its query, after signing them as
    fields. One that arrives in both places counts with both values, so an addition never goes unnoticed.
    """
    values: dict[str, list[str]] = {}
    for name, value in raw.headers:
        values.setdefault(name, []).append(value.strip())
    for name, value in query.items():
        lowered = name.lower()
        if (lowered.startswith("x-amz-") or lowered in _PARAMETERS_OF_HEADERS) and value not in values.get(lowered, ()):
            values.setdefault(lowered, []).append(value.strip())
    return {name: ",".join(several) for name, several in values.items()}


def _string_to_sign(request: S3Request, fields: Mapping[str, str], date: str) -> str:
    content = "\n".join(fields.get(name, "") for name in _PARAMETERS_OF_HEADERS)
    amz_lines = "".join(f"{name}:{fields[name]}\n" for name in sorted(fields) if name.startswith("x-amz-"))
    return f"{request.raw.method}\n{content}\n{date}\n{amz_lines}{_resource(request)}"


def _resource(request: S3Request) -> str:
    """The path, led by the bucket even when that stood in ``Host``, and the signed parameters by name."""
    path = request.raw.raw_path or "/"
    virtual_host = (
        path == "/" if request.raw_object_key is None else path[1:].replace("+", "%2B") == request.raw_object_key
    )
    if request.bucket is not None and virtual_host:
        path = f"/{request.bucket}{path}"
    parameters = sorted(
        (pair for pair in _decoded_pairs(request.query) if pair[0] in SIGNED_PARAMETERS), key=lambda pair: pair[0]
    )
    if not parameters:
        return path
    return f"{path}?{'&'.join(name if value is None else f'{name}={value}' for name, value in parameters)}"


def _decoded_pairs(query: Query) -> list[tuple[str, str | None]]:
    """Decoded names and values; unlike :meth:`Query.items` a name without ``=`` has no value."""
    pairs = [pair for pair in query.pairs if pair[0] or pair[1] is not None]
    return [
        (name, None if raw_value is None else value)
        for (_, raw_value), (name, value) in zip(pairs, query.items(), strict=True)
    ]
