"""Byte ranges of reads and of part copies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import S3Error
from gateway.s3.ranges import ByteRange, check_copy_source_range, parse_copy_source_range, parse_range


@pytest.mark.parametrize(
    ("value", "size", "first", "last"),
    [
        ("bytes=0-0", 10, 0, 0),
        ("bytes=0-9", 10, 0, 9),
        ("bytes=2-5", 10, 2, 5),
        ("bytes=9-9", 10, 9, 9),
        ("bytes=9-", 10, 9, 9),
        ("bytes=0-", 10, 0, 9),
        ("bytes=5-10", 10, 5, 9),
        ("bytes=5-9999999999999999999", 10, 5, 9),
        ("bytes=-1", 10, 9, 9),
        ("bytes=-10", 10, 0, 9),
        ("bytes=-11", 10, 0, 9),
        ("bytes=-9999999999999999999", 10, 0, 9),
        ("BYTES=0-0", 1, 0, 0),
        ("bytes=007-008", 10, 7, 8),
    ],
)
def test_satisfiable(value: str, size: int, first: int, last: int) -> None:
    wanted = parse_range(value, size)
    assert wanted == ByteRange(first, last)
    assert wanted is not None
    assert wanted.size == last - first + 1
    assert wanted.content_range(size) == f"bytes {first}-{last}/{size}"


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("bytes=10-", 10),
        ("bytes=10-20", 10),
        ("bytes=9999999999999999999-", 10),
        ("bytes=-0", 10),
        ("bytes=0-0", 0),
        ("bytes=0-", 0),
        ("bytes=-1", 0),
    ],
)
def test_unsatisfiable(value: str, size: int) -> None:
    with pytest.raises(S3Error) as caught:
        parse_range(value, size)
    assert (caught.value.code, caught.value.status) == ("InvalidRange", 416)
    assert caught.value.details == (("RangeRequested", value), ("ActualObjectSize", str(size)))


MALFORMED = [
    "",
    "bytes",
    "bytes=",
    "bytes=-",
    "bytes=a-b",
    "bytes=5-2",
    "bytes=1",
    "bytes=--1",
    "bytes=1--2",
    "bytes=+1-2",
    "bytes= 1-2",
    "bytes=1-2 ",
    "bytes=1 - 2",
    "bytes=1-2\n",
    "bytes=٠-١",
    "bytes=0-00000000000000000001",
    "bytes=" + "9" * 5000 + "-",
    "items=0-1",
    "0-1",
    "bytes=0-1,3-4",
    "bytes=0-1,",
]


@pytest.mark.parametrize("value", [None, *MALFORMED])
@pytest.mark.parametrize("size", [0, 10])
def test_ignored(value: str | None, size: int) -> None:
    """Malformed and multiple ranges mean the whole object."""
    assert parse_range(value, size) is None


@given(st.integers(0, 20), st.integers(0, 25), st.integers(0, 25))
def test_a_range_selects_what_slicing_selects(size: int, first: int, last: int) -> None:
    data = bytes(range(size))
    for value, selected in (
        (f"bytes={first}-{last}", data[first : last + 1] if first <= last else data),
        (f"bytes={first}-", data[first:]),
        (f"bytes=-{last}", data[max(0, size - last) :]),
    ):
        try:
            wanted = parse_range(value, size)
        except S3Error:
            assert selected == b""
        else:
            assert (data if wanted is None else data[wanted.first : wanted.last + 1]) == selected


@given(st.text(), st.integers(0, 99))
def test_garbage_is_ignored(value: str, size: int) -> None:
    assert parse_range(value, size) is None


def test_a_copy_source_range() -> None:
    assert parse_copy_source_range("bytes=0-0") == ByteRange(0, 0)
    assert parse_copy_source_range("bytes=5242880-10485759") == ByteRange(5242880, 10485759)


@pytest.mark.parametrize("value", [*MALFORMED, "bytes=1-", "bytes=-1", "Bytes=0-1"])
def test_a_malformed_copy_source_range_is_refused(value: str) -> None:
    with pytest.raises(S3Error) as caught:
        parse_copy_source_range(value)
    assert (caught.value.code, caught.value.status) == ("InvalidArgument", 400)
    assert "must be of the form bytes=first-last" in caught.value.message
    assert caught.value.details == (("ArgumentName", "x-amz-copy-source-range"), ("ArgumentValue", value))


def test_a_copy_source_range_must_lie_in_the_source() -> None:
    check_copy_source_range(ByteRange(0, 9), 10)
    with pytest.raises(S3Error) as caught:
        check_copy_source_range(ByteRange(0, 10), 10)
    assert caught.value.code == "InvalidArgument"
    assert caught.value.message == "Range specified is not valid for source object of size: 10"
    assert caught.value.details == (("ArgumentName", "x-amz-copy-source-range"), ("ArgumentValue", "bytes=0-10"))
