"""Conditions of reads: translated, so that the server can evaluate them on sealed objects.

Source: RFC 9110, section 13; Amazon S3 API Reference, GetObject.
"""

from email.utils import parsedate_to_datetime
from typing import Final

from gateway.modes.shown_etag import shown_etag, stored_condition
from gateway.s3.headers import Headers

_ON_ETAGS: Final = frozenset({"if-match", "if-none-match"})
_ON_TIMES: Final = frozenset({"if-modified-since", "if-unmodified-since"})
CONDITIONS: Final = _ON_ETAGS | _ON_TIMES


def stored_conditions(headers: Headers) -> Headers:
    """The conditions of a read in the server's terms, for an object that is sealed."""
    return Headers.of(
        [
            (name, stored_condition(value) if name in _ON_ETAGS else value)
            for name, value in headers.fields
            if name in CONDITIONS
        ]
    )


def depend_on_sealing(headers: Headers) -> bool:
    """Whether the conditions of a read mean something else for a sealed object than for one that is not."""
    return any(stored_condition(value) != value for name, value in headers if name in _ON_ETAGS)


def beside_pin(conditions: Headers, etag: str) -> Headers | None:
    """What is left of conditions when a request is pinned to an ETag; None when the two do not go together.

    Args:
        conditions: conditions in the server's terms.
        etag: the ETag that If-Match is going to name.
    """
    stated = conditions.get("if-match")
    if stated is None:
        # A server ignores If-Unmodified-Since beside If-Match.
        return None if "if-unmodified-since" in conditions else conditions
    if not _names(stated, etag):
        return None
    return conditions.without(("if-match", "if-unmodified-since"))


def range_applies(condition: str, answered: Headers) -> bool:
    """Whether the validator of If-Range is the one of a sealed object. Source: RFC 9110, section 13.1.5.

    Args:
        condition: the header's value.
        answered: the upstream's header fields about the object.
    """
    if condition.startswith("W/"):
        return False
    if condition.startswith('"'):
        return condition == shown_etag(answered.get("etag") or "")
    try:
        return parsedate_to_datetime(condition) == parsedate_to_datetime(answered.get("last-modified") or "")
    except ValueError:
        return False


def _names(condition: str, etag: str) -> bool:
    if condition.strip() == "*":
        return True
    return etag.strip('"') in {token.strip().strip('"') for token in condition.split(",")}
