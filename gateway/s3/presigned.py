"""Presigned URLs: a Signature Version 4 in the query string, valid for a time that the signer chose.

Source: "Authenticating Requests: Using Query Parameters", Amazon S3 API Reference. Messages are those of Amazon S3.
"""

import re
from datetime import UTC, datetime, timedelta

from gateway.errors import S3Error
from gateway.redact import SecretStr
from gateway.s3 import sigv4
from gateway.s3.content_sha256 import HEADER as CONTENT_SHA256
from gateway.s3.content_sha256 import UNSIGNED_PAYLOAD
from gateway.s3.credential_scope import ScopeFault, parse_credential
from gateway.s3.headers import Headers
from gateway.s3.query import Query
from gateway.s3.signature_errors import render_iso8601, unsupported_asymmetric_signature
from gateway.s3.signature_verification import SignatureClaim, parse_signed_headers

#: The longest that a presigned URL may last: seven days, in seconds.
MAX_EXPIRES_SECONDS = 604800

_CODE = "AuthorizationQueryParametersError"
_FAULT = ScopeFault(_CODE, "Error parsing the X-Amz-Credential parameter;", "")
_REQUIRED = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Signature",
    "X-Amz-Date",
    "X-Amz-SignedHeaders",
    "X-Amz-Expires",
)
_TOKEN = "X-Amz-Security-Token"
_PAYLOAD_HASH = "X-Amz-Content-Sha256"
_SINGLE = frozenset({*_REQUIRED, _TOKEN, _PAYLOAD_HASH})
_NUMBER = re.compile(r"-?[0-9]{1,18}", re.ASCII)


def is_presigned(query: Query) -> bool:
    """Whether the query carries any part of a Signature Version 4."""
    return not query.names().isdisjoint(_REQUIRED)


def parse_presigned(query: Query, headers: Headers, now: datetime, max_skew_seconds: int) -> SignatureClaim:
    """The claim of a request that is signed in its query string.

    Args:
        query: the query as received.
        headers: the header fields as received; they may add a payload hash or a session token.
        now: the current time, aware.
        max_skew_seconds: how far in the future the URL's time may lie.

    Raises:
        S3Error: ``AuthorizationQueryParametersError``, ``AccessDenied`` when expired or not yet valid,
            ``NotImplemented`` for Signature Version 4A.
    """
    values = _required_values(query)
    if values["X-Amz-Algorithm"] == "AWS4-ECDSA-P256-SHA256":
        raise unsupported_asymmetric_signature()
    if values["X-Amz-Algorithm"] != sigv4.ALGORITHM:
        raise S3Error(_CODE, f'X-Amz-Algorithm only supports "{sigv4.ALGORITHM}"')
    timestamp = values["X-Amz-Date"]
    moment = sigv4.parse_timestamp(timestamp)
    if moment is None:
        raise S3Error(_CODE, "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
    scope = parse_credential(values["X-Amz-Credential"], timestamp, _FAULT)
    _check_validity(moment, _parse_expires(values["X-Amz-Expires"]), now, max_skew_seconds)
    token = query.get(_TOKEN)
    if token is None:
        token = headers.get("x-amz-security-token")
    return SignatureClaim(
        scope=scope,
        timestamp=timestamp,
        signed_at=moment,
        signed_headers=parse_signed_headers(values["X-Amz-SignedHeaders"]),
        signature=values["X-Amz-Signature"],
        payload_hash=_payload_hash(query, headers),
        session_token=None if token is None else SecretStr(token),
        unsigned_parameters=frozenset({"X-Amz-Signature"}),
    )


def _required_values(query: Query) -> dict[str, str]:
    values = {name: query.get(name) or "" for name in _REQUIRED}
    if not all(name in query for name in _REQUIRED):
        raise S3Error(
            _CODE,
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
            "X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
        )
    repeated = sorted(query.repeated() & _SINGLE)
    if repeated:
        raise S3Error(_CODE, f"{repeated[0]} must be given once.")
    return values


def _parse_expires(value: str) -> int:
    if not _NUMBER.fullmatch(value):
        raise S3Error(_CODE, "X-Amz-Expires should be a number")
    seconds = int(value)
    if seconds < 0:
        raise S3Error(_CODE, "X-Amz-Expires must be non-negative")
    if seconds == 0:
        raise S3Error(_CODE, "X-Amz-Expires must be at least 1 second")
    if seconds > MAX_EXPIRES_SECONDS:
        raise S3Error(
            _CODE,
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than "
            f"{MAX_EXPIRES_SECONDS} seconds",
        )
    return seconds


def _check_validity(moment: datetime, expires_seconds: int, now: datetime, max_skew_seconds: int) -> None:
    """S3 checks this once, when the request begins; a download may outlast its URL."""
    age_seconds = (now - moment).total_seconds()
    try:
        expires = render_iso8601(moment + timedelta(seconds=expires_seconds))
    except OverflowError:  # a date in the last week of the year 9999
        expires = render_iso8601(datetime.max.replace(tzinfo=UTC))
    if age_seconds > expires_seconds:
        raise S3Error(
            "AccessDenied",
            "Request has expired",
            details=(
                ("X-Amz-Expires", str(expires_seconds)),
                ("Expires", expires),
                ("ServerTime", render_iso8601(now)),
            ),
        )
    if age_seconds < -max_skew_seconds:
        raise S3Error(
            "AccessDenied",
            "Request is not yet valid",
            details=(
                ("X-Amz-Date", str(int(moment.timestamp() * 1000))),
                ("Expires", expires),
                ("ServerTime", render_iso8601(now)),
            ),
        )


def _payload_hash(query: Query, headers: Headers) -> str:
    """SDKs put the payload hash into the query, into a signed header field, or leave it out."""
    in_query = query.get(_PAYLOAD_HASH)
    in_headers = headers.get(CONTENT_SHA256)
    if in_query is not None and in_headers is not None and in_query != in_headers:
        raise S3Error("InvalidRequest", "Conflicting values provided in HTTP headers and query parameters")
    if in_query is not None:
        return in_query
    return UNSIGNED_PAYLOAD if in_headers is None else in_headers
