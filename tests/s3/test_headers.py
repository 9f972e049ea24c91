"""Header fields: case does not count in names, order and repetitions are kept."""

import pytest

from gateway.s3.headers import Headers


@pytest.mark.parametrize(
    ("fields", "repeats"),
    [([], False), ([("a", "1"), ("b", "1")], False), ([("a", "1"), ("A", "1")], True), ([("a", ""), ("a", "2")], True)],
)
def test_a_name_that_comes_twice_is_noticed(fields: list[tuple[str, str]], repeats: bool) -> None:
    headers = Headers(fields)
    assert headers.repeats is repeats
    assert headers.fields == tuple((name.lower(), value) for name, value in fields)
