"""GetObjectAttributes: what a client asks for, and the document that answers it.

Source: Amazon S3 API Reference, GetObjectAttributes.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from gateway.errors import S3Error
from gateway.s3.headers import Headers
from gateway.s3.xml import NAMESPACE
from gateway.s3.xml_edit import escape_text

OBJECT_ATTRIBUTES: Final = "x-amz-object-attributes"
MAX_PARTS: Final = "x-amz-max-parts"
PART_NUMBER_MARKER: Final = "x-amz-part-number-marker"

_NAMES: Final = frozenset({"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"})
_MOST_PARTS: Final = 1000
_NUMBER: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'


@dataclass(frozen=True, slots=True)
class AttributesRequest:
    """What a client asks for.

    Attributes:
        names: the attributes.
        max_parts: most parts in the answer.
        part_number_marker: parts up to this number are left out.
    """

    names: frozenset[str]
    max_parts: int
    part_number_marker: int


@dataclass(frozen=True, slots=True)
class ObjectAttributes:
    """What the answer says.

    Attributes:
        etag: the ETag as clients see it, with or without quotes.
        size: the object's size.
        storage_class: the storage class.
        part_count: the number of parts; None for an object that is not multipart.
        parts: number and size of each part, ascending.
    """

    etag: str
    size: int
    storage_class: str
    part_count: int | None
    parts: Iterable[tuple[int, int]]


def requested_attributes(headers: Headers) -> AttributesRequest:
    """What the header fields of a request ask for.

    Raises:
        S3Error: no attribute, an unknown one, or a number that is none.
    """
    stated = ",".join(headers.all(OBJECT_ATTRIBUTES))
    names = frozenset(name.strip() for name in stated.split(",") if name.strip())
    if not names:
        raise S3Error(
            "InvalidRequest",
            "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty",
        )
    if not names <= _NAMES:
        raise S3Error(
            "InvalidArgument",
            "Invalid attribute name specified.",
            details=(("ArgumentName", OBJECT_ATTRIBUTES), ("ArgumentValue", stated)),
        )
    return AttributesRequest(
        names,
        min(_number(headers, MAX_PARTS, _MOST_PARTS), _MOST_PARTS),
        _number(headers, PART_NUMBER_MARKER, 0),
    )


def render_object_attributes(wanted: AttributesRequest, found: ObjectAttributes) -> bytes:
    """The answer's document. It has no Checksum."""
    content = []
    if "ETag" in wanted.names:
        content.append(_element("ETag", found.etag.strip('"')))
    if "ObjectParts" in wanted.names and found.part_count is not None:
        content.append(_parts(wanted, found, found.part_count))
    if "StorageClass" in wanted.names:
        content.append(_element("StorageClass", found.storage_class))
    if "ObjectSize" in wanted.names:
        content.append(_element("ObjectSize", found.size))
    body = "".join(content)
    root = "GetObjectAttributesResponse"
    return f'{_DECLARATION}<{root} xmlns="{NAMESPACE}">{body}</{root}>'.encode()


def _parts(wanted: AttributesRequest, found: ObjectAttributes, count: int) -> str:
    after = ((number, size) for number, size in found.parts if number > wanted.part_number_marker)
    shown = list(islice(after, wanted.max_parts))
    truncated = any(True for _ in after)
    fields: Iterator[str] = (
        f"<Part>{_element('PartNumber', number)}{_element('Size', size)}</Part>" for number, size in shown
    )
    return _wrapped(
        "ObjectParts",
        _element("PartsCount", count),
        _element("PartNumberMarker", wanted.part_number_marker),
        _element("NextPartNumberMarker", shown[-1][0] if shown else wanted.part_number_marker),
        _element("MaxParts", wanted.max_parts),
        _element("IsTruncated", "true" if truncated else "false"),
        *fields,
    )


def _element(name: str, value: object) -> str:
    return f"<{name}>{escape_text(str(value))}</{name}>"


def _wrapped(name: str, *content: str) -> str:
    return f"<{name}>{''.join(content)}</{name}>"


def _number(headers: Headers, name: str, default: int) -> int:
    text = headers.get(name)
    if text is None:
        return default
    if _NUMBER.fullmatch(text) is None:
        raise S3Error(
            "InvalidArgument",
            f"Provided {name} not an integer or within integer range",
            details=(("ArgumentName", name), ("ArgumentValue", text)),
        )
    return int(text)
