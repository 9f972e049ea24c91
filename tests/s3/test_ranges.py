"""Byte ranges of reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import S3Error
from gateway.s3.copy_source_range import ByteRange
from gateway.s3.ranges import content_range, range_field, requested_range


def selected(value: str | None, size: int) -> ByteRange | None:
    wanted = requested_range(value)
    return None if wanted is None else wanted.within(size)


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
    wanted = selected(value, size)
    assert wanted == ByteRange(first, last)
    assert wanted is not None
    assert content_range(wanted, size) == f"bytes {first}-{last}/{size}"


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("bytes=10-", 10),
        ("bytes=10-20", 10),
        ("bytes=9999999999999999999-", 10),
        ("bytes=-0", 10),
        ("bytes=-0", 0),
        ("bytes=0-0", 0),
        ("bytes=0-", 0),
        ("bytes=-1", 0),
    ],
)
def test_unsatisfiable(value: str, size: int) -> None:
    with pytest.raises(S3Error) as caught:
        selected(value, size)
    assert (caught.value.code, caught.value.status) == ("InvalidRange", 416)
    assert caught.value.details == (("RangeRequested", value), ("ActualObjectSize", str(size)))
    assert caught.value.headers == (("Content-Range", f"bytes */{size}"),)


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
def test_ignored(value: str | None) -> None:
    """Malformed and multiple ranges mean the whole object."""
    assert requested_range(value) is None


@given(st.integers(0, 20), st.integers(0, 25), st.integers(0, 25))
def test_a_range_selects_what_slicing_selects(size: int, first: int, last: int) -> None:
    data = bytes(range(size))
    for value, expected in (
        (f"bytes={first}-{last}", data[first : last + 1] if first <= last else data),
        (f"bytes={first}-", data[first:]),
        (f"bytes=-{last}", data[max(0, size - last) :]),
    ):
        try:
            wanted = selected(value, size)
        except S3Error:
            assert expected == b""
        else:
            assert (data if wanted is None else data[wanted.first : wanted.last + 1]) == expected


@given(st.text())
def test_garbage_is_ignored(value: str) -> None:
    assert requested_range(value) is None


@given(st.integers(0, 10**18), st.integers(0, 10**18))
def test_what_is_asked_upstream_is_understood_by_the_same_rules(first: int, length: int) -> None:
    assert selected(range_field(first, first + length), 10**19) == ByteRange(first, first + length)
