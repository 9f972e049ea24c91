"""Ranges and parts of a sealed object, as a request and as header fields of the answer."""

import pytest

from gateway.crypto.sealed.closing import PartTable
from gateway.errors import S3Error
from gateway.s3.headers import Headers
from gateway.server.sealed.answers import shown_headers
from gateway.server.sealed.layouts import Layout
from gateway.server.sealed.selection import Selected, requested_selection


def layout(plaintext_bytes: int, table: PartTable | None = None) -> Layout:
    return Layout('"1"', 0, plaintext_bytes, bytes(16), bytes(32), "local:x", b"w", None, table)


def selected(found: Layout, *, byte_range: str | None = None, part: str | None = None) -> Selected | S3Error:
    selection = requested_selection(byte_range, part)
    assert selection is not None
    return selection.within(found)


PARTS = layout(25, PartTable.of([(1, 10), (2, 10), (7, 5)]))
EMPTY_END = layout(10, PartTable.of([(1, 10), (2, 0)]))


@pytest.mark.parametrize(
    ("found", "asked", "status", "fields"),
    [
        (layout(9), {"byte_range": "bytes=2-3"}, 206, [("content-length", "2"), ("content-range", "bytes 2-3/9")]),
        (layout(9), {"part": "1"}, 206, [("content-length", "9"), ("content-range", "bytes 0-8/9")]),
        (layout(0), {"part": "1"}, 200, [("content-length", "0")]),
        (
            PARTS,
            {"part": "2"},
            206,
            [("content-length", "10"), ("content-range", "bytes 10-19/25"), ("x-amz-mp-parts-count", "3")],
        ),
        (
            PARTS,
            {"part": "7"},
            206,
            [("content-length", "5"), ("content-range", "bytes 20-24/25"), ("x-amz-mp-parts-count", "3")],
        ),
        (EMPTY_END, {"part": "2"}, 206, [("content-length", "0"), ("x-amz-mp-parts-count", "2")]),
    ],
)
def test_what_is_selected(found: Layout, asked: dict[str, str], status: int, fields: list[tuple[str, str]]) -> None:
    answer = selected(found, **asked)
    assert isinstance(answer, Selected)
    assert answer.status == status
    assert list(answer.fields()) == fields


@pytest.mark.parametrize(
    ("found", "asked", "code"),
    [
        (layout(9), {"byte_range": "bytes=9-"}, "InvalidRange"),
        (layout(0), {"byte_range": "bytes=0-"}, "InvalidRange"),
        (layout(9), {"part": "2"}, "InvalidPartNumber"),
        (PARTS, {"part": "3"}, "InvalidPartNumber"),
        (PARTS, {"part": "8"}, "InvalidPartNumber"),
    ],
)
def test_what_is_not_there(found: Layout, asked: dict[str, str], code: str) -> None:
    answer = selected(found, **asked)
    assert isinstance(answer, S3Error)
    assert (answer.code, answer.status) == (code, 416)


@pytest.mark.parametrize(
    ("byte_range", "part", "code"),
    [
        (None, "0", "InvalidArgument"),
        (None, "10001", "InvalidArgument"),
        (None, "", "InvalidArgument"),
        (None, "1\n", "InvalidArgument"),
        ("bytes=0-1", "1", "InvalidRequest"),
        ("nonsense", "1", "InvalidRequest"),
    ],
)
def test_what_is_refused(byte_range: str | None, part: str, code: str) -> None:
    with pytest.raises(S3Error) as caught:
        requested_selection(byte_range, part)
    assert caught.value.code == code


@pytest.mark.parametrize("byte_range", [None, "bytes=2-1", "bytes=0-1,2-3"])
def test_nothing_is_selected(byte_range: str | None) -> None:
    assert requested_selection(byte_range, None) is None


def test_what_describes_the_stored_bytes_is_not_shown() -> None:
    answered = Headers(
        (
            ("ETag", '"ab"'),
            ("Content-Length", "1"),
            ("Content-Range", "bytes 0-0/2"),
            ("Content-MD5", "x"),
            ("x-amz-mp-parts-count", "4"),
            ("x-amz-checksum-crc64nvme", "x"),
            ("x-amz-checksum-type", "FULL_OBJECT"),
            ("x-amz-meta-sealgate", "v1"),
            ("x-amz-meta-sealgated", "stays"),
            ("x-amz-server-side-encryption", "AES256"),
        )
    )
    assert list(shown_headers(answered)) == [
        ("etag", '"ab-1"'),
        ("x-amz-meta-sealgated", "stays"),
        ("x-amz-server-side-encryption", "AES256"),
    ]
