"""The byte range of a part copy. Source: Amazon S3 API Reference, UploadPartCopy."""

import re
from dataclasses import dataclass
from typing import Final

from gateway.errors import S3Error

COPY_SOURCE_RANGE: Final = "x-amz-copy-source-range"
#: Most digits of an offset.
MAX_OFFSET_DIGITS: Final = 19

_OFFSET: Final = f"[0-9]{{1,{MAX_OFFSET_DIGITS}}}"
_COPY: Final = re.compile(f"bytes=({_OFFSET})-({_OFFSET})")


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes ``first`` to ``last``, both inclusive, zero-based."""

    first: int
    last: int


def parse_copy_source_range(value: str) -> ByteRange:
    """The bytes of the source that UploadPartCopy asks for; only ``bytes=first-last`` is legal.

    Raises:
        S3Error: ``InvalidArgument``.
    """
    match = _COPY.fullmatch(value)
    if match is None or int(match[1]) > int(match[2]):
        raise _invalid_copy_range(
            f"The {COPY_SOURCE_RANGE} value must be of the form bytes=first-last where first and last are the "
            "zero-based offsets of the first and last bytes to copy",
            value,
        )
    return ByteRange(int(match[1]), int(match[2]))


def check_copy_source_range(wanted: ByteRange, size: int) -> None:
    """See that ``wanted`` lies inside a source object of ``size`` bytes.

    Raises:
        S3Error: ``InvalidArgument``.
    """
    if wanted.last >= size:
        raise _invalid_copy_range(
            f"Range specified is not valid for source object of size: {size}", f"bytes={wanted.first}-{wanted.last}"
        )


def _invalid_copy_range(message: str, value: str) -> S3Error:
    details = (("ArgumentName", COPY_SOURCE_RANGE), ("ArgumentValue", value))
    return S3Error("InvalidArgument", message, details=details)
