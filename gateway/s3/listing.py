"""The entries of ListObjects, ListObjectsV2 and ListObjectVersions.

Answers are edited in place: whatever is not named here stays byte for byte. Source: Amazon S3 API Reference,
ListObjectsV2, ListObjects and ListObjectVersions.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from gateway.s3.xml_edit import Replacement, escape_text, replaced
from gateway.s3.xml_entries import Entry, ListForm, checksums_of

_FORM: Final = ListForm(
    entries=("Contents", "Version"), fields=("Key", "VersionId", "ETag", "Size"), named=("EncodingType",)
)
#: A size that has more digits is none: the largest object has 14 of them.
_MOST_DIGITS: Final = 19


# Tuples, because dataclasses that are frozen take three times as long to make, and a listing makes 2,000.
class ListedObject(NamedTuple):
    """One object, or one version of an object, as the server lists it. Delete markers and prefixes are none.

    Attributes:
        object_key: the object key, decoded.
        version_id: the version, or None where the listing names none.
        etag: the server's ETag, quotes included; empty when there is none.
        stored_bytes: the stored size, or None when the server states none.
        entry: where the entry's fields are in the document.
    """

    object_key: str
    version_id: str | None
    etag: str
    stored_bytes: int | None
    entry: Entry


class Correction(NamedTuple):
    """What a client shall see of one entry instead; its checksums go.

    Attributes:
        entry: the entry.
        size: its size in bytes; None leaves the server's.
        etag: its ETag, quotes included.
    """

    entry: ListedObject
    size: int | None
    etag: str


def parse_listing(body: bytes) -> list[ListedObject]:
    """The entries of an answer, in its order.

    Raises:
        S3Error: InternalError when the answer is not understood.
    """
    entries, (object_keys, version_ids, etags, sizes), named = _FORM.read(body)
    if "EncodingType" in named and named["EncodingType"].text == "url":
        object_keys = list(map(_decoded, object_keys))
    columns = (
        object_keys,
        [version_id or None for version_id in version_ids],
        [etag.strip() for etag in etags],
        [_size(size.strip()) for size in sizes],
        entries,
    )
    return list(map(ListedObject._make, zip(*columns, strict=True)))


def correct_listing(body: bytes, corrections: Iterable[Correction]) -> bytes:
    """An answer with other sizes and ETags.

    Args:
        body: the answer that the entries were read from.
        corrections: what to change.
    """
    changes: list[Replacement] = []
    for (_, _, _, _, entry), size, etag in corrections:
        # In the order that S3 has.
        if etag:
            start, end = entry.span("ETag")
            changes.append((start, end, escape_text(etag).encode()))
        for start, end in checksums_of(entry):
            changes.append((start, end, b""))
        if size is not None:
            start, end = entry.span("Size")
            changes.append((start, end, b"%d" % size))
    return replaced(body, changes)


def _decoded(object_key: str) -> str:
    """An object key out of a listing with ``encoding-type=url``. S3 writes a space as ``+``, others as ``%20``."""
    spaced = object_key.replace("+", " ")
    return unquote_to_bytes(spaced).decode("utf-8", "surrogateescape") if "%" in spaced else spaced


def _size(digits: str) -> int | None:
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS else None
