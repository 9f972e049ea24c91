"""Conditions on the source of a copy, as S3 decides them."""

import pytest

from gateway.errors import S3Error
from gateway.s3.copy_conditions import check_copy_conditions
from gateway.s3.headers import Headers

_MODIFIED = "Wed, 21 Oct 2015 07:28:00 GMT"
_BEFORE, _AFTER = "Wed, 21 Oct 2015 07:27:59 GMT", "Wed, 21 Oct 2015 07:28:01 GMT"
_MATCH, _NONE_MATCH, _MODIFIED_SINCE, _UNMODIFIED_SINCE = (
    f"x-amz-copy-source-if-{name}" for name in ("match", "none-match", "modified-since", "unmodified-since")
)


@pytest.mark.parametrize(
    ("held", "conditions"),
    [
        (True, {}),
        (True, {_MATCH: '"aa-1"'}),
        (True, {_MATCH: "aa-1"}),
        (True, {_MATCH: '"x", "aa-1"'}),
        (True, {_MATCH: "*"}),
        (False, {_MATCH: '"aa"'}),
        (False, {_MATCH: ""}),
        (False, {_NONE_MATCH: '"aa-1"'}),
        (False, {_NONE_MATCH: "*"}),
        (True, {_NONE_MATCH: '"aa"'}),
        (True, {_MODIFIED_SINCE: _BEFORE}),
        (False, {_MODIFIED_SINCE: _MODIFIED}),
        (False, {_MODIFIED_SINCE: _AFTER}),
        (True, {_UNMODIFIED_SINCE: _MODIFIED}),
        (True, {_UNMODIFIED_SINCE: _AFTER}),
        (False, {_UNMODIFIED_SINCE: _BEFORE}),
        (True, {_MATCH: '"aa-1"', _UNMODIFIED_SINCE: _BEFORE}),
        (False, {_MATCH: '"aa"', _UNMODIFIED_SINCE: _AFTER}),
        (False, {_NONE_MATCH: '"aa-1"', _MODIFIED_SINCE: _BEFORE}),
        (True, {_NONE_MATCH: '"aa"', _MODIFIED_SINCE: _AFTER}),
        (False, {_MATCH: '"aa-1"', _NONE_MATCH: '"aa-1"'}),
        (True, {_MODIFIED_SINCE: "yesterday", _UNMODIFIED_SINCE: "today"}),
        (False, {_UNMODIFIED_SINCE: "Wed, 21 Oct 2015 07:27:59 -0000"}),
    ],
)
def test_conditions(held: bool, conditions: dict[str, str]) -> None:
    def check() -> None:
        check_copy_conditions(Headers(conditions.items()), etag='"aa-1"', last_modified=_MODIFIED)

    if held:
        check()
        return
    with pytest.raises(S3Error) as refused:
        check()
    assert refused.value.code == "PreconditionFailed"


def test_an_unknown_time_fulfils_conditions_on_times() -> None:
    check_copy_conditions(
        Headers(((_MODIFIED_SINCE, _AFTER), (_UNMODIFIED_SINCE, _BEFORE))), etag='"a"', last_modified=None
    )
