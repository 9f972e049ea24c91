"""The byte range of a part copy."""

import pytest

from gateway.errors import S3Error
from gateway.s3.copy_source_range import ByteRange, check_copy_source_range, parse_copy_source_range

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
