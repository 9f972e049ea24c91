"""Header fields: case does not count in names, order and repetitions are kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.s3.headers import Headers


@pytest.mark.parametrize(
    ("fields", "repeats"),
    [([], False), ([("a", "1"), ("b", "1")], False), ([("a", "1"), ("A", "1")], True), ([("a", ""), ("a", "2")], True)],
)
def test_a_name_that_comes_twice_is_noticed(fields: list[tuple[str, str]], repeats: bool) -> None:
    headers = Headers(fields)
    assert headers.repeats is repeats
    assert headers.fields == tuple((name.lower(), value) for name, value in fields)


_NAMES = st.sampled_from(["Host", "host", "X-Amz-Date", "x-amz-meta-a", "X-AMZ-META-A"])
_FIELDS = st.lists(st.tuples(_NAMES, st.text(max_size=5)), max_size=8)


@given(_FIELDS)
def test_values_are_found_by_name_in_any_number(fields: list[tuple[str, str]]) -> None:
    headers = Headers(fields)
    for name in ("host", "x-amz-date", "x-amz-meta-a", "absent"):
        values = tuple(value for given_name, value in fields if given_name.lower() == name)
        assert headers.all(name) == values
        assert headers.get(name) == (values[0] if values else None)
        assert headers.joined().get(name) == (",".join(values) if values else None)
        assert (name in headers) is bool(values)


@given(st.lists(st.tuples(_NAMES.map(str.encode), st.binary(max_size=5)), max_size=8))
def test_fields_of_a_message_keep_every_byte_of_their_values(fields: list[tuple[bytes, bytes]]) -> None:
    headers = Headers.received(fields)
    assert [value.encode("utf-8", "surrogateescape") for _, value in headers] == [value for _, value in fields]
    assert [name for name, _ in headers] == [name.decode().lower() for name, _ in fields]
    assert headers == Headers.of(headers.fields)
