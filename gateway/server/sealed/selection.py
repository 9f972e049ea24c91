"""Which bytes of an object a read asks for: a range or a part, and how the answer says so.

Source: Amazon S3 API Reference, GetObject and HeadObject (``Range``, ``partNumber``).
"""

import re
from dataclasses import dataclass

from gateway.crypto.sealed.geometry import MAX_PARTS
from gateway.errors import S3Error
from gateway.s3.copy_source_range import ByteRange
from gateway.s3.ranges import RequestedRange, content_range, requested_range
from gateway.server.sealed.layouts import Layout

_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Selected:
    """Bytes of one object.

    Attributes:
        first: the first byte.
        last: the last byte, inclusive; before ``first`` when there is none.
        total: the object's size.
        parts_count: how many parts the object has, when one of them was asked for.
    """

    first: int
    last: int
    total: int
    parts_count: int | None = None

    @property
    def size(self) -> int:
        """How many bytes."""
        return self.last - self.first + 1

    @property
    def status(self) -> int:
        """The answer's status."""
        return 206 if self.size or self.parts_count is not None else 200

    def fields(self) -> tuple[tuple[str, str], ...]:
        """The answer's header fields about them. There is no Content-Range for no bytes."""
        fields = [("content-length", str(self.size))]
        if self.size:
            fields.append(("content-range", content_range(ByteRange(self.first, self.last), self.total)))
        if self.parts_count is not None:
            fields.append(("x-amz-mp-parts-count", str(self.parts_count)))
        return tuple(fields)


@dataclass(frozen=True, slots=True)
class Selection:
    """What a client asks for. Made by :func:`requested_selection`; exactly one of the two is set.

    Attributes:
        byte_range: a range.
        part_number: a part.
    """

    byte_range: RequestedRange | None
    part_number: int | None

    def within(self, layout: Layout) -> Selected | S3Error:
        """The bytes of one object, or the error that there are none: a layout may be out of date."""
        total = layout.plaintext_bytes
        if self.part_number is not None:
            return _part(layout, self.part_number)
        if self.byte_range is None:
            return Selected(0, total - 1, total)
        try:
            found = self.byte_range.within(total)
        except S3Error as error:
            return error
        return Selected(found.first, found.last, total)


def requested_selection(range_field: str | None, part_number: str | None) -> Selection | None:
    """What a request's ``Range`` field and ``partNumber`` parameter ask for; None for the whole object.

    Raises:
        S3Error: both were sent, or the part number is none.
    """
    if part_number is None:
        byte_range = requested_range(range_field)
        return None if byte_range is None else Selection(byte_range, None)
    if _NUMBER.fullmatch(part_number) is None or not 1 <= int(part_number) <= MAX_PARTS:
        raise S3Error(
            "InvalidArgument",
            f"Part number must be an integer between 1 and {MAX_PARTS}, inclusive",
            details=(("ArgumentName", "partNumber"), ("ArgumentValue", part_number)),
        )
    if range_field is not None:
        raise S3Error("InvalidRequest", "Cannot specify both Range header and partNumber query parameter")
    return Selection(None, int(part_number))


def _part(layout: Layout, number: int) -> Selected | S3Error:
    total = layout.plaintext_bytes
    if layout.table is None:
        return Selected(0, total - 1, total) if number == 1 else _no_such_part(number, 1)
    part = layout.table.by_number(number)
    if part is None:
        return _no_such_part(number, layout.table.part_count)
    first = part.plaintext_offset
    return Selected(first, first + part.plaintext_bytes - 1, total, layout.table.part_count)


def _no_such_part(number: int, count: int) -> S3Error:
    return S3Error(
        "InvalidPartNumber",
        "The requested partnumber is not satisfiable",
        details=(("PartNumberRequested", str(number)), ("ActualPartCount", str(count))),
    )
