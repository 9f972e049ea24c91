"""What a client claims about the body of its request, read from the header fields before any of the body.

Claims that can not be checked are refused here, in S3's words. The size that the payload will have is known afterwards.

Sources: Amazon S3 API Reference, PutObject and "Signature calculations: transferring payload in multiple chunks";
Amazon S3 User Guide, "Checking object integrity".
"""

from dataclasses import dataclass
from typing import Final

from gateway.errors import S3Error
from gateway.s3.aws_chunked import malformed_trailer
from gateway.s3.checksums import (
    BY_HEADER,
    NOT_VALUES,
    UNSUPPORTED_HEADERS,
    Algorithm,
    parse_checksum_value,
    parse_content_md5,
)
from gateway.s3.content_encoding import stored_content_encoding
from gateway.s3.content_sha256 import ContentSha256, ContentSha256Kind
from gateway.s3.headers import Headers

#: Largest body of one PutObject or UploadPart, in bytes.
MAX_PAYLOAD_SIZE: Final = 5 * 1024**3

DECODED_LENGTH: Final = "x-amz-decoded-content-length"
TRAILER: Final = "x-amz-trailer"
SDK_ALGORITHM: Final = "x-amz-sdk-checksum-algorithm"

#: Longest decimal number read from a length field; 5 GiB needs 10 digits.
MAX_LENGTH_DIGITS: Final = 19


@dataclass(frozen=True, slots=True)
class PayloadClaims:
    """What a client says about the body that it is going to send. Made by :func:`parse_claims` only.

    Attributes:
        payload_size: bytes of the payload, without aws-chunked framing.
        content_sha256: the parsed ``x-amz-content-sha256``.
        content_encoding: the encoding to store with the object: the header without ``aws-chunked``, or None.
        content_md5: Content-MD5 in base64, or None.
        checksum: the algorithm and base64 value of an ``x-amz-checksum-*`` header, or None.
        trailer: the algorithm whose value comes after the body, or None.
    """

    payload_size: int
    content_sha256: ContentSha256
    content_encoding: str | None = None
    content_md5: str | None = None
    checksum: tuple[Algorithm, str] | None = None
    trailer: Algorithm | None = None

    @property
    def aws_chunked(self) -> bool:
        """Whether the body comes in aws-chunked framing."""
        return self.content_sha256.streaming

    @property
    def algorithm(self) -> Algorithm | None:
        """The checksum algorithm the client uses, in a header or a trailer."""
        return self.checksum[0] if self.checksum is not None else self.trailer


def parse_claims(
    headers: Headers,
    content_sha256: ContentSha256,
    *,
    requires_length: bool = True,
    covers_body: bool = True,
    size_limit: int = MAX_PAYLOAD_SIZE,
) -> PayloadClaims:
    """Read what the header fields say about the body, before any of it is read.

    Args:
        headers: the request's header fields.
        content_sha256: the request's parsed ``x-amz-content-sha256``.
        requires_length: False where a request without any length field has an empty body (GET, DELETE).
        covers_body: False where ``x-amz-checksum-*`` describes the object and not this body (CompleteMultipartUpload).
        size_limit: largest payload accepted, in bytes.

    Raises:
        S3Error: ``MissingContentLength``, ``NotImplemented``, ``EntityTooLarge``, ``InvalidDigest``, ``InvalidRequest``
            or ``MalformedTrailerError``.
    """
    size = _payload_size(headers, content_sha256, requires_length=requires_length)
    if size > size_limit:
        raise S3Error(
            "EntityTooLarge",
            "Your proposed upload exceeds the maximum allowed size",
            details=(("ProposedSize", str(size)), ("MaxSizeAllowed", str(size_limit))),
        )
    checksum = _header_checksum(headers) if covers_body else None
    trailer = _trailer_algorithm(headers, content_sha256)
    if checksum is not None and trailer is not None:
        raise S3Error("InvalidRequest", "Expecting a single x-amz-checksum- header")
    if covers_body:
        _check_sdk_algorithm(headers, checksum[0] if checksum is not None else trailer)
    return PayloadClaims(
        payload_size=size,
        content_sha256=content_sha256,
        content_encoding=stored_content_encoding(headers),
        content_md5=_content_md5(headers),
        checksum=checksum,
        trailer=trailer,
    )


def _payload_size(headers: Headers, content_sha256: ContentSha256, *, requires_length: bool) -> int:
    """The decoded size that the header fields announce."""
    lengths = headers.all("content-length")
    encodings = headers.all("transfer-encoding")
    if lengths and encodings:
        raise S3Error("InvalidRequest", "Content-Length and Transfer-Encoding must not both be provided.")
    if encodings and not (content_sha256.streaming and _is_chunked(encodings)):
        raise S3Error(
            "NotImplemented",
            "A header you provided implies functionality that is not implemented.",
            details=(("Header", "Transfer-Encoding"),),
        )
    if not content_sha256.streaming:
        if DECODED_LENGTH in headers:
            raise S3Error("InvalidRequest", f"{DECODED_LENGTH} needs a STREAMING- value of x-amz-content-sha256.")
        return _length(lengths) if lengths or requires_length else 0
    if lengths:
        _length(lengths)
    elif not encodings:
        raise _missing_length()
    return _length(headers.all(DECODED_LENGTH))


def _is_chunked(encodings: tuple[str, ...]) -> bool:
    return len(encodings) == 1 and encodings[0].lower() == "chunked"


def _length(values: tuple[str, ...]) -> int:
    """One length field. S3 answers 411 also for values that are no number."""
    if len(values) != 1 or len(values[0]) > MAX_LENGTH_DIGITS or not (values[0].isascii() and values[0].isdigit()):
        raise _missing_length()
    return int(values[0])


def _missing_length() -> S3Error:
    return S3Error("MissingContentLength", "You must provide the Content-Length HTTP header.")


def _content_md5(headers: Headers) -> str | None:
    values = headers.all("content-md5")
    return parse_content_md5(",".join(values)) if values else None


def _header_checksum(headers: Headers) -> tuple[Algorithm, str] | None:
    """The one ``x-amz-checksum-*`` header with a value, if there is any."""
    found = [(name, value) for name, value in headers if name.startswith("x-amz-checksum-") and name not in NOT_VALUES]
    for name, _ in found:
        _refuse_unsupported(name)
        if name not in BY_HEADER:
            raise S3Error("InvalidRequest", "The algorithm type you specified in x-amz-checksum- header is invalid.")
    if len(found) > 1:
        raise S3Error(
            "InvalidRequest",
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        )
    if not found:
        return None
    name, value = found[0]
    algorithm = BY_HEADER[name]
    return algorithm, parse_checksum_value(algorithm, value)


def _trailer_algorithm(headers: Headers, content_sha256: ContentSha256) -> Algorithm | None:
    """The checksum that ``x-amz-trailer`` announces. S3 takes exactly one checksum, so one trailer."""
    names = headers.all(TRAILER)
    if not names:
        if content_sha256.kind is ContentSha256Kind.STREAMING_SIGNED_TRAILER:
            raise malformed_trailer()
        return None
    if not content_sha256.trailing:
        raise S3Error("InvalidRequest", f"{TRAILER} needs a -TRAILER value of x-amz-content-sha256.")
    name = ",".join(names).strip().lower()
    _refuse_unsupported(name)
    algorithm = BY_HEADER.get(name)
    if algorithm is None:
        raise S3Error("InvalidRequest", f"The value specified in the {TRAILER} header is not supported")
    return algorithm


def _refuse_unsupported(name: str) -> None:
    if name in UNSUPPORTED_HEADERS:
        raise S3Error(
            "NotImplemented",
            "A header you provided implies functionality that is not implemented.",
            details=(("Header", name),),
        )


def _check_sdk_algorithm(headers: Headers, claimed: Algorithm | None) -> None:
    """``x-amz-sdk-checksum-algorithm`` promises a checksum of that algorithm: see that it is there."""
    value = headers.get(SDK_ALGORITHM)
    if value is None:
        return
    if claimed is None:
        raise S3Error(
            "InvalidRequest",
            f"{SDK_ALGORITHM} specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.",
        )
    if value.upper() != claimed.value:
        raise S3Error("InvalidRequest", f"Value for {SDK_ALGORITHM} header is invalid.")
