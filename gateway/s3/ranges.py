"""Byte ranges: the ``Range`` of a read and the ``x-amz-copy-source-range`` of a part copy.

Sources: RFC 9110, section 14 (a server may ignore Range, and ignores one it can not parse); Amazon S3 API Reference,
GetObject (one range per request) and UploadPartCopy.
"""

import re
from dataclasses import dataclass
from typing import Final

from gateway.errors import S3Error

COPY_SOURCE_RANGE: Final = "x-amz-copy-source-range"
#: Most digits of an offset.
MAX_OFFSET_DIGITS: Final = 19

_OFFSET: Final = f"[0-9]{{1,{MAX_OFFSET_DIGITS}}}"
_FROM: Final = re.compile(f"bytes=({_OFFSET})-({_OFFSET})?", re.IGNORECASE)
_SUFFIX: Final = re.compile(f"bytes=-({_OFFSET})", re.IGNORECASE)
_COPY: Final = re.compile(f"bytes=({_OFFSET})-({_OFFSET})")


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes ``first`` to ``last``, both inclusive, zero-based."""

    first: int
    last: int

    @property
    def size(self) -> int:
        """Number of bytes."""
        return self.last - self.first + 1

    def content_range(self, total: int) -> str:
        """The Content-Range field of a part of ``total`` bytes."""
        return f"bytes {self.first}-{self.last}/{total}"


def parse_range(value: str | None, size: int) -> ByteRange | None:
    """The part of an object that a ``Range`` header asks for.

    Args:
        value: the header's value, or None.
        size: the object's size in bytes.

    Returns:
        The bytes to send with 206, or None for the whole object with 200: there is no header, it is malformed, or it
        asks for several ranges.

    Raises:
        S3Error: ``InvalidRange`` when no byte of the object lies in the range.
    """
    if value is None:
        return None
    match = _FROM.fullmatch(value)
    if match is not None:
        first = int(match[1])
        last = int(match[2]) if match[2] is not None else max(first, size - 1)
        if last < first:
            return None
        if first >= size:
            raise _unsatisfiable(value, size)
        return ByteRange(first, min(last, size - 1))
    match = _SUFFIX.fullmatch(value)
    if match is None:
        return None
    length = min(int(match[1]), size)
    if length == 0:
        raise _unsatisfiable(value, size)
    return ByteRange(size - length, size - 1)


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


def _unsatisfiable(value: str, size: int) -> S3Error:
    return S3Error(
        "InvalidRange",
        "The requested range is not satisfiable",
        details=(("RangeRequested", value), ("ActualObjectSize", str(size))),
    )


def _invalid_copy_range(message: str, value: str) -> S3Error:
    details = (("ArgumentName", COPY_SOURCE_RANGE), ("ArgumentValue", value))
    return S3Error("InvalidArgument", message, details=details)
