"""The answers to requests that do not prove who sent them, worded as S3 words them.

A ``SignatureDoesNotMatch`` shows the client what was signed here, so that it can compare. That text repeats header
fields and query parameters; it is left out whenever one of them is a secret.
"""

from datetime import UTC, datetime

from gateway.errors import S3Error
from gateway.s3.query import Query
from gateway.s3.request import RawRequest
from gateway.s3.sigv4 import to_bytes

#: Header fields and query parameters whose values are secrets.
SECRET_NAMES = frozenset(
    {
        "x-amz-copy-source-server-side-encryption-customer-key",
        "x-amz-security-token",
        "x-amz-server-side-encryption-customer-key",
    }
)

_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your key and signing method."
)


def carries_secret(raw: RawRequest) -> bool:
    """Whether the signed text of ``raw`` may contain a customer key or a session token."""
    if raw.headers.names() & SECRET_NAMES:
        return True
    return any(name.lower() in SECRET_NAMES for name in Query.parse(raw.raw_query).names())


def access_denied() -> S3Error:
    """The answer to a request without any proof."""
    return S3Error("AccessDenied", "Access Denied")


def signature_does_not_match(
    access_key_id: str, signature: str, string_to_sign: str | None = None, canonical_request: str | None = None
) -> S3Error:
    """``SignatureDoesNotMatch`` with what was signed here, or without it where that is None."""
    details = [("AWSAccessKeyId", printable(access_key_id))]
    if string_to_sign is not None:
        details.append(("StringToSign", printable(string_to_sign)))
    details.append(("SignatureProvided", printable(signature)))
    if string_to_sign is not None:
        details.append(("StringToSignBytes", to_bytes(string_to_sign).hex(" ")))
    if canonical_request is not None:
        details.append(("CanonicalRequest", printable(canonical_request)))
        details.append(("CanonicalRequestBytes", to_bytes(canonical_request).hex(" ")))
    return S3Error("SignatureDoesNotMatch", _MISMATCH, details=tuple(details))


def unknown_access_key(access_key_id: str) -> S3Error:
    """``InvalidAccessKeyId``."""
    return S3Error(
        "InvalidAccessKeyId",
        "The AWS Access Key Id you provided does not exist in our records.",
        details=(("AWSAccessKeyId", printable(access_key_id)),),
    )


def invalid_token() -> S3Error:
    """``InvalidToken``: the session token is missing, wrong, or given where there should be none."""
    return S3Error("InvalidToken", "The provided token is malformed or otherwise invalid.")


def headers_not_signed(names: tuple[str, ...]) -> S3Error:
    """``AccessDenied`` for header fields that the signature had to cover."""
    return S3Error(
        "AccessDenied",
        "There were headers present in the request which were not signed",
        details=(("HeadersNotSigned", printable(", ".join(names))),),
    )


def missing_date() -> S3Error:
    """``AccessDenied`` for a signed request that does not say when it was signed."""
    return S3Error("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header")


def request_time_too_skewed(request_time: str, now: datetime, max_skew_seconds: int) -> S3Error:
    """``RequestTimeTooSkewed``; SDKs correct their clock from it."""
    return S3Error(
        "RequestTimeTooSkewed",
        "The difference between the request time and the current time is too large.",
        details=(
            ("RequestTime", printable(request_time)),
            ("ServerTime", render_iso8601(now)),
            ("MaxAllowedSkewMilliseconds", str(max_skew_seconds * 1000)),
        ),
    )


def unsupported_signature_version() -> S3Error:
    """``InvalidRequest``: what S3 answers to Signature Version 2 in regions that never had it."""
    return S3Error(
        "InvalidRequest",
        "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
    )


def unsupported_asymmetric_signature() -> S3Error:
    """``NotImplemented``: Signature Version 4A."""
    return S3Error(
        "NotImplemented",
        "Signature Version 4A (AWS4-ECDSA-P256-SHA256) is not implemented. Please use AWS4-HMAC-SHA256.",
    )


def render_iso8601(moment: datetime) -> str:
    """``YYYY-MM-DDTHH:MM:SSZ`` of an aware ``moment``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def printable(text: str) -> str:
    """``text`` without surrogates, which no XML document can hold."""
    return to_bytes(text).decode("utf-8", "replace")
