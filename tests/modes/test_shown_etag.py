"""ETags of sealed objects: what clients see, and the way back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.modes.shown_etag import counts_parts, shown_etag, stored_condition, stored_etag

_HEX = "d41d8cd98f00b204e9800998ecf8427e"


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        (f'"{_HEX}"', f'"{_HEX}-1"'),
        (_HEX, f"{_HEX}-1"),
        (f'"{_HEX}-1"', f'"{_HEX}-10001"'),
        (f'"{_HEX}-2"', f'"{_HEX}-2"'),
        (f'"{_HEX}-10000"', f'"{_HEX}-10000"'),
    ],
)
def test_an_etag_is_never_taken_for_the_md5_of_the_content(stored: str, shown: str) -> None:
    assert shown_etag(stored) == shown
    assert stored_etag(shown) == stored


@given(st.from_regex(r'"[0-9a-f]{32}(-([1-9][0-9]{0,3}|10000))?"', fullmatch=True))
def test_the_way_back_is_unique(etag: str) -> None:
    assert stored_etag(shown_etag(etag)) == etag
    assert "-" in shown_etag(etag)


@pytest.mark.parametrize(
    ("sent", "forwarded"),
    [
        ("*", "*"),
        (f'"{_HEX}-1"', f'"{_HEX}"'),
        (f"{_HEX}-1", _HEX),
        (f'"{_HEX}-1", "{_HEX}-3"', f'"{_HEX}", "{_HEX}-3"'),
        (f'W/"{_HEX}-1"', f'W/"{_HEX}"'),
    ],
)
def test_conditions_are_translated(sent: str, forwarded: str) -> None:
    assert stored_condition(sent) == forwarded


def test_part_counts_are_seen() -> None:
    assert counts_parts(f'"{_HEX}-7"')
    assert not counts_parts(f'"{_HEX}"')
