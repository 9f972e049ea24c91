"""GetObjectAttributes, as a request and as a document."""

import pytest

from gateway.errors import S3Error
from gateway.s3.headers import Headers
from gateway.s3.object_attributes import (
    AttributesRequest,
    ObjectAttributes,
    render_object_attributes,
    requested_attributes,
)

_START = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b'<GetObjectAttributesResponse xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
)
_END = b"</GetObjectAttributesResponse>"
_PARTS = [(1, 10), (2, 10), (5, 3)]


def asked(*names: str, max_parts: int = 1000, marker: int = 0) -> AttributesRequest:
    return AttributesRequest(frozenset(names), max_parts, marker)


def rendered(wanted: AttributesRequest, *, part_count: int | None = 3) -> bytes:
    found = ObjectAttributes('"0123-3"', 23, "GLACIER_IR", part_count, _PARTS)
    document = render_object_attributes(wanted, found)
    assert document.startswith(_START)
    assert document.endswith(_END)
    return document.removeprefix(_START).removesuffix(_END)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([("x-amz-object-attributes", "ETag")], asked("ETag")),
        ([("X-Amz-Object-Attributes", "ETag, ObjectSize ,ETag")], asked("ETag", "ObjectSize")),
        (
            [("x-amz-object-attributes", "ObjectParts"), ("x-amz-object-attributes", "Checksum")],
            asked("ObjectParts", "Checksum"),
        ),
        (
            [
                ("x-amz-object-attributes", "StorageClass"),
                ("x-amz-max-parts", "2"),
                ("x-amz-part-number-marker", "7"),
            ],
            asked("StorageClass", max_parts=2, marker=7),
        ),
        ([("x-amz-object-attributes", "ETag"), ("x-amz-max-parts", "5000")], asked("ETag")),
    ],
)
def test_what_is_asked_for(fields: list[tuple[str, str]], expected: AttributesRequest) -> None:
    assert requested_attributes(Headers(fields)) == expected


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ([], "InvalidRequest"),
        ([("x-amz-object-attributes", " , ")], "InvalidRequest"),
        ([("x-amz-object-attributes", "ETag,Owner")], "InvalidArgument"),
        ([("x-amz-object-attributes", "etag")], "InvalidArgument"),
        ([("x-amz-object-attributes", "ETag"), ("x-amz-max-parts", "-1")], "InvalidArgument"),
        ([("x-amz-object-attributes", "ETag"), ("x-amz-part-number-marker", "x")], "InvalidArgument"),
    ],
)
def test_what_is_refused(fields: list[tuple[str, str]], code: str) -> None:
    with pytest.raises(S3Error) as caught:
        requested_attributes(Headers(fields))
    assert caught.value.code == code


def test_only_what_was_asked_for_is_said() -> None:
    assert rendered(asked("ETag")) == b"<ETag>0123-3</ETag>"
    assert rendered(asked("ObjectSize")) == b"<ObjectSize>23</ObjectSize>"
    assert rendered(asked("StorageClass")) == b"<StorageClass>GLACIER_IR</StorageClass>"
    assert rendered(asked("Checksum")) == b""
    assert rendered(asked("ObjectParts"), part_count=None) == b""


@pytest.mark.parametrize(
    ("max_parts", "marker", "numbers", "following", "truncated"),
    [
        (1000, 0, [1, 2, 5], 5, "false"),
        (2, 0, [1, 2], 2, "true"),
        (2, 2, [5], 5, "false"),
        (1, 2, [5], 5, "false"),
        (1000, 5, [], 5, "false"),
        (0, 0, [], 0, "true"),
    ],
)
def test_parts_come_in_pages(max_parts: int, marker: int, numbers: list[int], following: int, truncated: str) -> None:
    sizes = dict(_PARTS)
    listed = "".join(
        f"<Part><PartNumber>{number}</PartNumber><Size>{sizes[number]}</Size></Part>" for number in numbers
    )
    assert rendered(asked("ObjectParts", max_parts=max_parts, marker=marker)).decode() == (
        f"<ObjectParts><PartsCount>3</PartsCount><PartNumberMarker>{marker}</PartNumberMarker>"
        f"<NextPartNumberMarker>{following}</NextPartNumberMarker><MaxParts>{max_parts}</MaxParts>"
        f"<IsTruncated>{truncated}</IsTruncated>{listed}</ObjectParts>"
    )
