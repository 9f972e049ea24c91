"""The byte range that a read asks for.

A range is understood before the object's size is known, and cut to the object afterwards. Sources: RFC 9110, section 14
(a server may ignore Range, and ignores one that it can not parse); Amazon S3 API Reference, GetObject (one range per
request).
"""

import re
from dataclasses import dataclass
from typing import Final

from gateway.errors import S3Error
from gateway.s3.copy_source_range import MAX_OFFSET_DIGITS, ByteRange

_OFFSET: Final = f"[0-9]{{1,{MAX_OFFSET_DIGITS}}}"
_FROM: Final = re.compile(f"bytes=({_OFFSET})-({_OFFSET})?", re.IGNORECASE)
_SUFFIX: Final = re.compile(f"bytes=-({_OFFSET})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RequestedRange:
    """A range as a client states it. Made by :func:`requested_range`.

    Attributes:
        value: the header's value.
        first: the first byte; None when the last ``length`` bytes are asked for.
        last: the last byte, inclusive; None for the object's last.
        length: how many of the last bytes are asked for, when ``first`` is None.
    """

    value: str
    first: int | None
    last: int | None = None
    length: int = 0

    def within(self, size: int) -> ByteRange:
        """The bytes of an object of ``size`` bytes.

        Raises:
            S3Error: ``InvalidRange`` when no byte of the object lies in the range.
        """
        if self.first is None:
            first, last = max(0, size - self.length), size - 1
        else:
            first, last = self.first, size - 1 if self.last is None else min(self.last, size - 1)
        if first > last:
            raise S3Error(
                "InvalidRange",
                "The requested range is not satisfiable",
                details=(("RangeRequested", self.value), ("ActualObjectSize", str(size))),
                headers=(("Content-Range", f"bytes */{size}"),),
            )
        return ByteRange(first, last)


def requested_range(value: str | None) -> RequestedRange | None:
    """The range in a ``Range`` header.

    Returns:
        None for the whole object: there is no header, it is malformed, or it asks for several ranges.
    """
    if value is None:
        return None
    match = _FROM.fullmatch(value)
    if match is not None:
        first, last = int(match[1]), None if match[2] is None else int(match[2])
        return None if last is not None and last < first else RequestedRange(value, first, last)
    match = _SUFFIX.fullmatch(value)
    return None if match is None else RequestedRange(value, None, length=int(match[1]))


def content_range(found: ByteRange, size: int) -> str:
    """The Content-Range field of a part of an object of ``size`` bytes."""
    return f"bytes {found.first}-{found.last}/{size}"


def range_field(first: int, last: int) -> str:
    """The Range field that asks for the bytes ``first`` to ``last``, both inclusive."""
    return f"bytes={first}-{last}"
