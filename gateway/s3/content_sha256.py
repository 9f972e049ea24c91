"""The ``x-amz-content-sha256`` header: how a client vouches for its body, and how that body is framed.

Source: AWS, "Authenticating Requests: Using the Authorization Header", list of values of ``x-amz-content-sha256``.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from gateway.errors import S3Error

HEADER: Final = "x-amz-content-sha256"
UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"
STREAMING_UNSIGNED_TRAILER: Final = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
STREAMING_SIGNED: Final = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
STREAMING_SIGNED_TRAILER: Final = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
#: SHA-256 of no bytes at all, lower-case hex.
EMPTY_SHA256: Final = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

_NOT_SUPPORTED: Final = (
    "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
    "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER",
)
_DIGEST: Final = re.compile(r"[0-9A-Fa-f]{64}")


class ContentSha256Kind(Enum):
    """The five forms of the header that are supported."""

    LITERAL = "literal"
    UNSIGNED = UNSIGNED_PAYLOAD
    STREAMING_UNSIGNED_TRAILER = STREAMING_UNSIGNED_TRAILER
    STREAMING_SIGNED = STREAMING_SIGNED
    STREAMING_SIGNED_TRAILER = STREAMING_SIGNED_TRAILER


@dataclass(frozen=True, slots=True)
class ContentSha256:
    """A parsed ``x-amz-content-sha256``.

    Attributes:
        kind: which form it has.
        digest: SHA-256 of the body in lower-case hex for :attr:`ContentSha256Kind.LITERAL`, None otherwise.
    """

    kind: ContentSha256Kind
    digest: str | None = None

    @property
    def streaming(self) -> bool:
        """Whether the body is framed as aws-chunked."""
        return self.signed_chunks or self.kind is ContentSha256Kind.STREAMING_UNSIGNED_TRAILER

    @property
    def signed_chunks(self) -> bool:
        """Whether every chunk carries a signature."""
        return self.kind in (ContentSha256Kind.STREAMING_SIGNED, ContentSha256Kind.STREAMING_SIGNED_TRAILER)

    @property
    def trailing(self) -> bool:
        """Whether a trailer may follow the last chunk."""
        return self.kind in (
            ContentSha256Kind.STREAMING_UNSIGNED_TRAILER,
            ContentSha256Kind.STREAMING_SIGNED_TRAILER,
        )


#: What a request without the header means where the protocol allows that (presigned URLs, SigV2).
UNSIGNED: Final = ContentSha256(ContentSha256Kind.UNSIGNED)

_BY_NAME: Final = {
    kind.value: ContentSha256(kind) for kind in ContentSha256Kind if kind is not ContentSha256Kind.LITERAL
}


def parse_content_sha256(value: str) -> ContentSha256:
    """Parse the header's value.

    Raises:
        S3Error: ``NotImplemented`` for the SigV4A (ECDSA) forms, ``InvalidArgument`` for anything unknown.
    """
    named = _BY_NAME.get(value)
    if named is not None:
        return named
    if _DIGEST.fullmatch(value):
        return ContentSha256(ContentSha256Kind.LITERAL, value.lower())
    if value in _NOT_SUPPORTED:
        raise S3Error(
            "NotImplemented",
            "A header you provided implies functionality that is not implemented.",
            details=(("Header", HEADER),),
        )
    names = ", ".join((*_BY_NAME, *_NOT_SUPPORTED))
    raise S3Error(
        "InvalidArgument",
        f"{HEADER} must be {names} or a valid sha256 value.",
        details=(("ArgumentName", HEADER), ("ArgumentValue", value)),
    )
