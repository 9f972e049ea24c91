"""The ``Authorization`` header of a Signature Version 4.

Source: "Authenticating Requests: Using the Authorization Header", Amazon S3 API Reference.
"""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from gateway.errors import S3Error
from gateway.redact import SecretStr
from gateway.s3 import sigv4
from gateway.s3.content_sha256 import HEADER as CONTENT_SHA256
from gateway.s3.credential_scope import ScopeFault, parse_credential
from gateway.s3.headers import Headers
from gateway.s3.signature_errors import missing_date, request_time_too_skewed
from gateway.s3.signature_verification import SignatureClaim, parse_signed_headers

_MALFORMED = "The authorization header is malformed;"
_FAULT = ScopeFault("AuthorizationHeaderMalformed", _MALFORMED, f"{_MALFORMED} ")
_COMPONENTS = frozenset({"Credential", "SignedHeaders", "Signature"})


def parse_authorization(headers: Headers, now: datetime, max_skew_seconds: int) -> SignatureClaim:
    """The claim of a request that is signed in its headers.

    Raises:
        S3Error: ``AuthorizationHeaderMalformed``, ``AccessDenied`` without a valid date, ``RequestTimeTooSkewed``, or
            ``InvalidRequest`` without ``x-amz-content-sha256``.
    """
    components = _parse_components((headers.get("authorization") or "").removeprefix(sigv4.ALGORITHM))
    stated = _stated_time(headers)
    moment = sigv4.parse_timestamp(stated)
    timestamp = stated
    if moment is None:
        moment = request_time(headers)
        timestamp = sigv4.render_timestamp(moment)
    scope = parse_credential(components["Credential"], timestamp, _FAULT)
    check_skew(headers, moment, now, max_skew_seconds)
    if CONTENT_SHA256 not in headers:
        raise S3Error("InvalidRequest", f"Missing required header for this request: {CONTENT_SHA256}")
    token = headers.get("x-amz-security-token")
    return SignatureClaim(
        scope=scope,
        timestamp=timestamp,
        signed_at=moment,
        signed_headers=parse_signed_headers(components["SignedHeaders"]),
        signature=components["Signature"],
        payload_hash=",".join(headers.all(CONTENT_SHA256)),
        session_token=None if token is None else SecretStr(token),
    )


def request_time(headers: Headers) -> datetime:
    """When a request says it was signed: ``x-amz-date``, or else ``Date``.

    Raises:
        S3Error: ``AccessDenied`` when neither is there, or when the one that counts is no date.
    """
    value = _stated_time(headers)
    moment = sigv4.parse_timestamp(value)
    if moment is not None:
        return moment
    try:
        moment = parsedate_to_datetime(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        raise missing_date() from None


def check_skew(headers: Headers, moment: datetime, now: datetime, max_skew_seconds: int) -> None:
    """Refuse a request that was signed too long before or after ``now``.

    Raises:
        S3Error: ``RequestTimeTooSkewed``.
    """
    if abs((now - moment).total_seconds()) > max_skew_seconds:
        raise request_time_too_skewed(_stated_time(headers), now, max_skew_seconds)


def _stated_time(headers: Headers) -> str:
    return headers.get("x-amz-date") or headers.get("date") or ""


def _parse_components(text: str) -> dict[str, str]:
    components: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = part.strip().partition("=")
        if not equals or name in components or name not in _COMPONENTS:
            _FAULT.refuse("the authorization component is malformed.")
        components[name] = value
    if len(components) != len(_COMPONENTS):
        _FAULT.refuse("the authorization header requires three components: Credential, SignedHeaders, and Signature.")
    return components
