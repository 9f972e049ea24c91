"""The ``x-amz-tagging`` header field: tags that a new object gets.

Source: Amazon S3 API Reference, PutObject: the tag set is encoded as the parameters of a URL query; Amazon S3 User
Guide, "Categorizing your objects using tags": at most ten tags, each key once.
"""

import re
from urllib.parse import unquote_to_bytes

from gateway.errors import S3Error
from gateway.s3.headers import Headers

HEADER = "x-amz-tagging"
#: Tags that one object may have; S3 refuses more.
MAX_TAGS = 10

_BROKEN_PERCENT_ENCODING = re.compile(r"%(?![0-9A-Fa-f]{2})")


def requested_tags(headers: Headers) -> dict[str, str]:
    """The tags by key, in the field's order; empty when the request gives none.

    Raises:
        S3Error: InvalidArgument, in S3's words, for anything that two servers could read as different tags.
    """
    values = headers.all(HEADER)
    if len(values) > 1:
        raise _malformed()
    value = values[0].strip(" \t") if values else ""
    if not value:
        return {}
    pairs = value.split("&")
    if len(pairs) > MAX_TAGS:
        raise S3Error("InvalidArgument", f"Object tags cannot be greater than {MAX_TAGS}")
    tags: dict[str, str] = {}
    for pair in pairs:
        encoded_key, equals, encoded_value = pair.partition("=")
        key = _decode(encoded_key)
        if not equals or not key or key in tags:
            raise _malformed()
        tags[key] = _decode(encoded_value)
    return tags


def _decode(text: str) -> str:
    if _BROKEN_PERCENT_ENCODING.search(text):
        raise _malformed()
    try:
        return unquote_to_bytes(text.replace("+", " ").encode("utf-8", "surrogateescape")).decode("utf-8")
    except UnicodeDecodeError as error:
        raise _malformed() from error


def _malformed() -> S3Error:
    return S3Error(
        "InvalidArgument",
        f"The header '{HEADER}' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name "
        "duplicates.",
        details=(("ArgumentName", HEADER), ("ArgumentValue", "")),
    )
