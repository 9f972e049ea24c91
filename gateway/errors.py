"""The errors of the gateway, and the S3 answer that each one becomes.

Only classes that some caller branches on exist. Everything that reaches a client is an :class:`S3Error`, or is turned
into one by :func:`as_s3_error`; ``server/respond.py`` is the one place that renders it.
"""

from collections.abc import Mapping

#: HTTP status of every S3 error code the gateway itself answers with.
#: Source: Amazon S3 API Reference, "Error responses", list of error codes.
STATUS_BY_CODE: Mapping[str, int] = {
    "AccessDenied": 403,
    "AuthorizationHeaderMalformed": 400,
    "AuthorizationQueryParametersError": 400,
    "BadDigest": 400,
    "BadRequest": 400,
    "EntityTooLarge": 400,
    "EntityTooSmall": 400,
    "IncompleteBody": 400,
    "InternalError": 500,
    "InvalidAccessKeyId": 403,
    "InvalidArgument": 400,
    "InvalidBucketName": 400,
    "InvalidChunkSizeError": 403,
    "InvalidDigest": 400,
    "InvalidEncryptionAlgorithmError": 400,
    "InvalidPart": 400,
    "InvalidPartNumber": 416,
    "InvalidPartOrder": 400,
    "InvalidPolicyDocument": 400,
    "InvalidRange": 416,
    "InvalidRequest": 400,
    "InvalidToken": 400,
    "InvalidURI": 400,
    "KMS.DisabledException": 400,
    "KMS.KMSInvalidStateException": 400,
    "KMS.NotFoundException": 400,
    "KeyTooLongError": 400,
    "MalformedPOSTRequest": 400,
    "MalformedTrailerError": 400,
    "MalformedXML": 400,
    "MaxPostPreDataLengthExceededError": 400,
    "MethodNotAllowed": 405,
    "MissingContentLength": 411,
    "NoSuchUpload": 404,
    "NotImplemented": 501,
    "PreconditionFailed": 412,
    "RequestHeaderSectionTooLarge": 400,
    "RequestTimeTooSkewed": 403,
    "RequestTimeout": 400,
    "ServiceUnavailable": 503,
    "SignatureDoesNotMatch": 403,
    "SlowDown": 503,
    "XAmzContentSHA256Mismatch": 400,
}


#: Faults of key services that pass by themselves; SDKs repeat such requests.
_PASSING_CODES = frozenset({"ServiceUnavailable", "SlowDown"})
#: Tells clients how long to wait at least. Source: RFC 9110, section 10.2.3.
_RETRY_AFTER = (("Retry-After", "1"),)


class GatewayError(Exception):
    """Base of every error that the gateway raises on purpose."""


class ConfigError(GatewayError):
    """The configuration cannot be used.

    Args:
        faults: every fault found, each with the path of the option it concerns.
    """

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class S3Error(GatewayError):
    """An answer in S3's own error language.

    Args:
        code: S3's error code, a key of :data:`STATUS_BY_CODE`.
        message: the text a client sees; it never contains a secret.
        details: further XML elements in order, such as ``("ArgumentName", "partNumber")``.
        headers: extra HTTP header fields of the answer, such as ``("Retry-After", "1")``.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        details: tuple[tuple[str, str], ...] = (),
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.status = STATUS_BY_CODE[code]
        self.message = message
        self.details = details
        self.headers = headers


class KeyUnavailable(GatewayError):
    """A key vault or key provider did not give a usable key.

    Args:
        message: what failed, naming the vault and the secret's path or the wrapping key, but never a value.
        code: the S3 code a client sees. ``ServiceUnavailable`` marks a passing fault (vault down or sealed) and
            ``SlowDown`` a service that wants fewer requests: clients retry both. Any other code is permanent until
            somebody repairs the configuration.
    """

    def __init__(self, message: str, *, code: str = "ServiceUnavailable") -> None:
        super().__init__(message)
        self.code = code

    def again(self) -> "KeyUnavailable":
        """The same fault for another caller; one exception raised to many would collect all their tracebacks."""
        return KeyUnavailable(str(self), code=self.code)

    @property
    def permanent(self) -> bool:
        """Whether asking again can not help before somebody changes something."""
        return self.code not in _PASSING_CODES

    @property
    def throttled(self) -> bool:
        """Whether the service wants fewer requests."""
        return self.code == "SlowDown"

    @property
    def mended(self) -> bool:
        """Whether the service is well and the cause is already gone: asking again at once helps."""
        return False


class IntegrityError(GatewayError):
    """Stored bytes are not what a sealed object consists of: damaged, exchanged, cut short, or never sealed.

    Args:
        fault: what does not hold, a short name out of a closed set; metrics and the format's specification use it.
        message: the same in words, without keys and without content.
    """

    def __init__(self, fault: str, message: str) -> None:
        super().__init__(f"{fault}: {message}")
        self.fault = fault
        self.message = message


class UpstreamUnavailable(GatewayError):
    """The upstream S3 server did not answer a request.

    Args:
        message: what failed, without header values.
        timed_out: whether a time-out ended the attempt.
    """

    def __init__(self, message: str, *, timed_out: bool = False) -> None:
        super().__init__(message)
        self.timed_out = timed_out


def as_s3_error(error: GatewayError) -> S3Error:
    """The S3 answer for any error of the gateway."""
    if isinstance(error, S3Error):
        return error
    if isinstance(error, KeyUnavailable):
        return S3Error(error.code, str(error), headers=() if error.permanent else _RETRY_AFTER)
    if isinstance(error, IntegrityError):
        # Not a 5xx: SDKs would ask again for bytes that stay as they are.
        return S3Error("AccessDenied", f"The stored object is not released: {error.message}.")
    if isinstance(error, UpstreamUnavailable):
        return S3Error("ServiceUnavailable", str(error), headers=_RETRY_AFTER)
    return S3Error("InternalError", "We encountered an internal error. Please try again.")
