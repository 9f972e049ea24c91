"""What clients see of the upstream's answers about sealed objects."""

from gateway.crypto.sealed.marker import MARKER
from gateway.modes.shown_etag import shown_etag
from gateway.s3.headers import Headers

#: What describes the stored bytes: their size, their place, their sums, and that they are sealed.
_ABOUT_STORED_BYTES = frozenset(
    {"content-length", "content-range", "content-md5", "x-amz-mp-parts-count", "x-amz-checksum-type", MARKER}
)
_CHECKSUM_PREFIX = "x-amz-checksum-"


def shown_headers(answered: Headers) -> Headers:
    """The header fields of an answer about a sealed object: without what describes its stored bytes, the ETag shown.

    Whoever answers adds the length of the plaintext.
    """
    return Headers.of(
        [
            (name, shown_etag(value) if name == "etag" else value)
            for name, value in answered.fields
            if name not in _ABOUT_STORED_BYTES and not name.startswith(_CHECKSUM_PREFIX)
        ]
    )
