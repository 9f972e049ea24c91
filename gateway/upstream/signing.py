"""From a request to what is sent: payload framing, header fields, signature.

Payload strategies, source: Amazon S3 API Reference, "Signature Calculations for the Authorization Header: transferring
payload in multiple chunks" and "Protecting data with checksums":

- a buffered body is signed with its SHA-256, but for large data of objects that go over TLS to servers that take
  trailers: these get a checksum header instead, as data that stream get one behind them;
- a streamed body whose SHA-256 is known is signed with that, and the server compares;
- a streamed body goes to servers that take trailers as ``aws-chunked`` with a checksum behind it;
- otherwise it is ``UNSIGNED-PAYLOAD``: TLS protects it on the way, and a checksum header, if there is one, at its end.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime

from gateway.errors import S3Error
from gateway.s3.aws_chunked_encoder import encoded_size
from gateway.s3.checksums import NOT_VALUES, Algorithm, checksum
from gateway.s3.content_sha256 import EMPTY_SHA256, STREAMING_UNSIGNED_TRAILER, UNSIGNED_PAYLOAD
from gateway.s3.credentials import Credential
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.sigv4 import sign_headers
from gateway.upstream.body import BufferedBody, EmptyBody, StreamedBody
from gateway.upstream.request import UpstreamRequest
from gateway.upstream.urls import Location

_SERVICE = "s3"
#: What S3 itself computes and stores when nobody names a checksum.
_DEFAULT = Algorithm.CRC64NVME
_CHECKSUM_PREFIX = "x-amz-checksum-"
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
#: Control characters that no field value has. Source: RFC 9110, section 5.5.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_METHODS_WITH_BODY = frozenset({"PUT", "POST"})
#: Buffered data of objects beyond this size are not hashed: an upload of 64 KiB takes 6 % less CPU time with a CRC.
_HASHED_BYTES = 32 * 1024

#: Fields that this module or the HTTP client sets, or that belong to one connection. A caller's are dropped.
_OURS = frozenset(
    {
        "authorization", "connection", "content-length", "date", "expect", "host", "keep-alive", "proxy-authenticate",
        "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
        "x-amz-content-sha256", "x-amz-date", "x-amz-decoded-content-length", "x-amz-security-token", "x-amz-trailer",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Framing:
    """How a body is sent.

    Attributes:
        payload_hash: the value of ``x-amz-content-sha256``.
        content_length: bytes on the wire, or None for no ``Content-Length`` field.
        trailer: the checksum that follows the body in ``aws-chunked`` framing, or None for the plain body.
        checksum: the header field with the checksum of the body, or None for no further field.
    """

    payload_hash: str
    content_length: int | None
    trailer: Algorithm | None = None
    checksum: tuple[str, str] | None = None


def choose_framing(request: UpstreamRequest, *, sends_trailers: bool, over_tls: bool) -> Framing:
    """How the body of ``request`` is sent.

    Args:
        request: the request.
        sends_trailers: whether the upstream takes trailing checksums.
        over_tls: whether nobody can change the body on its way.
    """
    known = request.payload_sha256
    if known is not None and _SHA256.fullmatch(known) is None:
        raise AssertionError("internal error: payload_sha256 is not lower-case hexadecimal SHA-256")
    match request.body:
        case EmptyBody():
            return Framing(EMPTY_SHA256, 0 if request.method in _METHODS_WITH_BODY else None)
        case BufferedBody(data) if over_tls and sends_trailers and known is None and _is_large(request, data):
            return Framing(UNSIGNED_PAYLOAD, len(data), checksum=_checksum(request.headers, data))
        case BufferedBody(data):
            return Framing(known or hashlib.sha256(data).hexdigest(), len(data))
        case StreamedBody() as body:
            algorithm = _trailer(request, body) if sends_trailers and known is None else None
            if algorithm is None:
                return Framing(known or UNSIGNED_PAYLOAD, body.size)
            return Framing(STREAMING_UNSIGNED_TRAILER, encoded_size(body.size, algorithm), algorithm)


def sign_request(
    request: UpstreamRequest,
    framing: Framing,
    location: Location,
    *,
    credential: Credential | None,
    region: str,
    now: datetime,
) -> Headers:
    """The header fields to send, signed; unsigned without a credential.

    Raises:
        S3Error: InvalidArgument for a field value that can not be sent unchanged.
    """
    given = [field for field in request.headers.fields if field[0] not in _OURS]
    if framing.checksum is not None:
        given.append(framing.checksum)
    _check_values(given)
    headers = Headers.of([("host", location.host), *given])
    if framing.trailer is not None and isinstance(request.body, StreamedBody):
        headers = headers.replacing(_chunked_fields(headers, request.body.size, framing.trailer))
    signed = headers
    if credential is not None:
        signed = sign_headers(
            request.method,
            location.path,
            location.query,
            headers,
            credential,
            region,
            _SERVICE,
            now,
            framing.payload_hash,
        )
    if framing.content_length is None:
        return signed
    # Not signed: it describes the connection's framing, and some proxies in front of S3 servers rewrite it.
    return Headers.of((*signed.fields, ("content-length", str(framing.content_length))))


def _is_large(request: UpstreamRequest, data: bytes) -> bool:
    """Whether ``data`` are those of an object, and too many to be hashed."""
    return request.operation is Operation.PUT_OBJECT and len(data) > _HASHED_BYTES


def _checksum(headers: Headers, data: bytes) -> tuple[str, str] | None:
    """The checksum of ``data``; None when ``headers`` carry one already."""
    return None if _carries_checksum(headers) else (_DEFAULT.header, checksum(_DEFAULT, data))


def _trailer(request: UpstreamRequest, body: StreamedBody) -> Algorithm | None:
    """The checksum to send behind the body, or None when there must be none."""
    if _carries_checksum(request.headers):
        return None  # S3 refuses a trailer beside a checksum header, and the header already does the work
    if body.algorithm is not None:
        return body.algorithm
    if request.operation is Operation.UPLOAD_PART:
        return None  # its algorithm has to be the one that the upload was created with, which is not known here
    return _DEFAULT


def _carries_checksum(headers: Headers) -> bool:
    return any(
        name == "content-md5" or (name.startswith(_CHECKSUM_PREFIX) and name not in NOT_VALUES)
        for name in headers.names()
    )


def _chunked_fields(headers: Headers, size: int, algorithm: Algorithm) -> list[tuple[str, str]]:
    """The fields that announce ``aws-chunked`` framing around the caller's own encoding."""
    encoding = headers.get("content-encoding")
    return [
        ("content-encoding", f"aws-chunked,{encoding}" if encoding else "aws-chunked"),
        ("x-amz-decoded-content-length", str(size)),
        ("x-amz-trailer", algorithm.header),
    ]


def _check_values(fields: list[tuple[str, str]]) -> None:
    """Refuse what the HTTP client would refuse, or worse: it drops bytes that are not UTF-8 without a word."""
    values = "".join([value for _, value in fields])
    if values.isascii() and not _CONTROL.search(values):
        return
    for name, value in fields:
        _check_value(name, value)


def _check_value(name: str, value: str) -> None:
    fault = "contains control characters" if _CONTROL.search(value) else ""
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            fault = "is not UTF-8"
    if fault:
        raise S3Error("InvalidArgument", f"The value of header {name} {fault}.", details=(("ArgumentName", name),))
