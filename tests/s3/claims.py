"""Header fields of uploads, for tests of what clients claim about a body."""

import hashlib

from gateway.s3.content_sha256 import parse_content_sha256
from gateway.s3.headers import Headers
from gateway.s3.payload import PayloadClaims, parse_claims

UNSIGNED = "UNSIGNED-PAYLOAD"
TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"

HELLO_SHA256 = hashlib.sha256(b"hello").hexdigest()
HELLO_MD5 = "XUFAKrxLKna5cZ2REBfFkg=="
FIVE = ("Content-Length", "5")
DECODED = ("X-Amz-Decoded-Content-Length", "5")
ENCODED = ("Content-Length", "46")
CHUNKED = ("Transfer-Encoding", "chunked")
CRC32_TRAILER = ("X-Amz-Trailer", "x-amz-checksum-crc32")
CRC32_HEADER = ("x-amz-checksum-crc32", "NhCmhg==")
ONE_CHECKSUM = "Expecting a single x-amz-checksum- header"

Fields = list[tuple[str, str]]


def claims(content_sha256: str, fields: Fields) -> PayloadClaims:
    return parse_claims(Headers(fields), parse_content_sha256(content_sha256))
