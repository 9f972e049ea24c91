"""The header field that names a new object's tags."""

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import S3Error
from gateway.s3.headers import Headers
from gateway.s3.tagging import HEADER, MAX_TAGS, requested_tags


def _tags(value: str) -> dict[str, str]:
    return requested_tags(Headers([(HEADER, value)]))


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        ("", ()),
        ("a=1", (("a", "1"),)),
        ("a=1&b=2", (("a", "1"), ("b", "2"))),
        ("a=", (("a", ""),)),
        ("a=1=2", (("a", "1=2"),)),
        ("a%3D=%26", (("a=", "&"),)),
        ("a+b=c%20d", (("a b", "c d"),)),
        ("a=1&A=2", (("a", "1"), ("A", "2"))),
        ("%C3%A4=\udcc3\udca4", (("ä", "ä"),)),
    ],
)
def test_tags(value: str, tags: tuple[tuple[str, str], ...]) -> None:
    assert tuple(_tags(value).items()) == tags


def test_a_request_without_the_field_gives_no_tags() -> None:
    assert requested_tags(Headers()) == {}


def test_a_field_that_comes_twice_is_refused() -> None:
    with pytest.raises(S3Error, match="shall be encoded"):
        requested_tags(Headers([(HEADER, "a=1"), (HEADER, "b=1")]))


@pytest.mark.parametrize(
    "value",
    ["a", "&", "a=1&", "&a=1", "=1", "a=1&a=1", "a=1&%61=2", "a=%", "a=%4", "a=%zz", "%ff=1", "a=\udcff", "a=%C3"],
)
def test_what_could_be_read_in_two_ways_is_refused(value: str) -> None:
    with pytest.raises(S3Error) as refused:
        _tags(value)
    assert refused.value.code == "InvalidArgument"


def test_an_object_has_ten_tags_at_most() -> None:
    tags = [(str(number), "") for number in range(MAX_TAGS + 1)]
    assert len(_tags(urlencode(tags[:-1]))) == MAX_TAGS
    with pytest.raises(S3Error, match="cannot be greater than 10"):
        _tags(urlencode(tags))


@given(st.dictionaries(_TEXT.filter(bool), _TEXT, max_size=MAX_TAGS))
def test_what_an_sdk_encodes_is_read_back(tags: dict[str, str]) -> None:
    assert _tags(urlencode(tags)) == tags


@given(_TEXT)
def test_garbage_raises_nothing_but_s3s_error(value: str) -> None:
    try:
        _tags(value)
    except S3Error:
        return
