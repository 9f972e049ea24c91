"""The conditions that a copy puts on its source. Source: Amazon S3 API Reference, CopyObject."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from gateway.errors import S3Error
from gateway.s3.headers import Headers

IF_MATCH: Final = "x-amz-copy-source-if-match"
IF_NONE_MATCH: Final = "x-amz-copy-source-if-none-match"
IF_MODIFIED_SINCE: Final = "x-amz-copy-source-if-modified-since"
IF_UNMODIFIED_SINCE: Final = "x-amz-copy-source-if-unmodified-since"

CONDITIONS: Final = frozenset({IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE})

_ETAG: Final = re.compile(r'(?:W/)?"([^"]*)"|([^\s",]+)')


def check_copy_conditions(requested: Headers, *, etag: str, last_modified: str | None) -> None:
    """See that the conditions of a copy hold for its source.

    ETags decide over times: a condition on a time counts only without the one on ETags that goes with it. A time that
    can not be read is no condition, as RFC 9110, section 13.1.3 has it.

    Args:
        requested: the copy's header fields.
        etag: the source's ETag as clients see it.
        last_modified: the source's ``Last-Modified``.

    Raises:
        S3Error: PreconditionFailed.
    """
    modified = _time(last_modified)
    match, none_match = requested.get(IF_MATCH), requested.get(IF_NONE_MATCH)
    unmodified_since = _time(requested.get(IF_UNMODIFIED_SINCE))
    modified_since = _time(requested.get(IF_MODIFIED_SINCE))
    if match is not None:
        held = _names(match, etag)
    else:
        held = modified is None or unmodified_since is None or modified <= unmodified_since
    if none_match is not None:
        held = held and not _names(none_match, etag)
    elif modified is not None and modified_since is not None:
        held = held and modified > modified_since
    if not held:
        raise S3Error("PreconditionFailed", "At least one of the pre-conditions you specified did not hold")


def _names(condition: str, etag: str) -> bool:
    if condition.strip() == "*":
        return True
    return etag.strip('"') in {quoted or bare for quoted, bare in _ETAG.findall(condition)}


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        time = parsedate_to_datetime(text)
    except ValueError:
        return None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
