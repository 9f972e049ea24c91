"""The entries of ListObjects, ListObjectsV2 and ListObjectVersions.

Answers are edited in place: whatever is not named here stays byte for byte. Source: Amazon S3 API Reference,
ListObjectsV2, ListObjects and ListObjectVersions.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from urllib.parse import unquote_to_bytes

from gateway.s3.xml_edit import Change, Leaf, Removed, apply_changes, scan

_ENTRIES = frozenset({"Contents", "Version"})
#: Depth of an entry's own fields: root, entry, field.
_FIELD_DEPTH = 3


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One object, or one version of an object, as the server lists it. Delete markers and prefixes are none.

    Attributes:
        object_key: the object key, decoded.
        version_id: the version, or None where the listing names none.
        etag: the server's ETag, quotes included; empty when there is none.
        stored_bytes: the stored size, or None when the server states none.
        leaves: where the entry's fields are in the document.
    """

    object_key: str
    version_id: str | None
    etag: str
    stored_bytes: int | None
    leaves: tuple[Leaf, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Correction:
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
        S3Error: InternalError when the answer is not XML.
    """
    reader = _Reader()
    scan(body, reader.on_leaf, reader.on_start)
    return reader.listed()


def correct_listing(body: bytes, corrections: Iterable[Correction]) -> bytes:
    """An answer with other sizes and ETags.

    Args:
        body: the answer that the entries were read from.
        corrections: what to change, in the answer's order.
    """
    return apply_changes(body, (change for correction in corrections for change in _changes(correction)))


class _Reader:
    def __init__(self) -> None:
        self._entries: list[list[Leaf]] = []
        self._encoded = False

    def on_start(self, path: list[str]) -> None:
        if len(path) == _FIELD_DEPTH - 1 and path[-1] in _ENTRIES:
            self._entries.append([])

    def on_leaf(self, leaf: Leaf) -> None:
        path = leaf.path
        if len(path) == _FIELD_DEPTH and path[1] in _ENTRIES:
            self._entries[-1].append(leaf)
        elif len(path) == _FIELD_DEPTH - 1 and path[1] == "EncodingType":
            self._encoded = leaf.text == "url"

    def listed(self) -> list[ListedObject]:
        # EncodingType may come behind the entries.
        entries = [_listed(leaves) for leaves in self._entries]
        if not self._encoded:
            return entries
        return [replace(entry, object_key=_decoded(entry.object_key)) for entry in entries]


def _listed(leaves: list[Leaf]) -> ListedObject:
    texts = {leaf.path[-1]: leaf.text for leaf in leaves}
    size = texts.get("Size", "").strip()
    return ListedObject(
        object_key=texts.get("Key", ""),
        version_id=texts.get("VersionId"),
        etag=texts.get("ETag", "").strip(),
        stored_bytes=int(size) if size.isascii() and size.isdigit() else None,
        leaves=tuple(leaves),
    )


def _decoded(object_key: str) -> str:
    """An object key out of a listing with ``encoding-type=url``. S3 writes a space as ``+``, others as ``%20``."""
    return unquote_to_bytes(object_key.replace("+", " ")).decode("utf-8", "surrogateescape")


def _changes(correction: Correction) -> Iterable[Change]:
    for leaf in correction.entry.leaves:
        name = leaf.path[-1]
        if name == "Size" and correction.size is not None:
            yield leaf, str(correction.size)
        elif name == "ETag" and correction.etag:
            yield leaf, correction.etag
        elif name.startswith("Checksum"):
            yield leaf, Removed.ELEMENT
