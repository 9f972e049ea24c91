"""Conditions of reads of sealed objects."""

import pytest

from gateway.s3.headers import Headers
from gateway.server.sealed.conditions import beside_pin, depend_on_sealing, range_applies, stored_conditions

_TIME = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.parametrize(
    ("sent", "stored", "depends"),
    [
        ({"If-Match": '"ab-1"'}, {"if-match": '"ab"'}, True),
        ({"If-Match": "*"}, {"if-match": "*"}, False),
        ({"If-None-Match": '"ab-10001", "cd-7"'}, {"if-none-match": '"ab-1", "cd-7"'}, True),
        ({"If-None-Match": '"cd-7"'}, {"if-none-match": '"cd-7"'}, False),
        ({"If-Modified-Since": _TIME, "Range": "bytes=0-1"}, {"if-modified-since": _TIME}, False),
        ({"Accept": "x-1"}, {}, False),
    ],
)
def test_conditions_are_translated(sent: dict[str, str], stored: dict[str, str], depends: bool) -> None:
    headers = Headers(sent.items())
    assert dict(stored_conditions(headers)) == stored
    assert depend_on_sealing(headers) is depends


@pytest.mark.parametrize(
    ("conditions", "left"),
    [
        ({}, {}),
        ({"if-match": '"1"'}, {}),
        ({"if-match": '"2", "1"'}, {}),
        ({"if-match": "1"}, {}),
        ({"if-match": " * "}, {}),
        ({"if-match": '"2"'}, None),
        ({"if-match": '"11"'}, None),
        ({"if-none-match": '"1"'}, {"if-none-match": '"1"'}),
        ({"if-modified-since": _TIME}, {"if-modified-since": _TIME}),
        ({"if-unmodified-since": _TIME}, None),
        ({"if-match": '"1"', "if-unmodified-since": _TIME}, {}),
        ({"if-match": '"1"', "if-none-match": '"1"'}, {"if-none-match": '"1"'}),
    ],
)
def test_what_is_left_beside_a_pin(conditions: dict[str, str], left: dict[str, str] | None) -> None:
    found = beside_pin(Headers(conditions.items()), '"1"')
    assert (None if found is None else dict(found)) == left


@pytest.mark.parametrize(
    ("condition", "applies"),
    [
        ('"ab-1"', True),
        ('"ab"', False),
        ('W/"ab-1"', False),
        (_TIME, True),
        ("Wed, 21 Oct 2015 07:28:01 GMT", False),
        ("yesterday", False),
        ("", False),
    ],
)
def test_if_range(condition: str, applies: bool) -> None:
    answered = Headers((("etag", '"ab"'), ("last-modified", _TIME)))
    assert range_applies(condition, answered) is applies
    assert not range_applies(_TIME, Headers())
