"""The conditions in a DeleteObjects document: the ETag that an object has to have. Source: Amazon S3 API Reference."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.s3.xml_edit import Leaf, apply_changes, scan

#: Depth of an object's own fields: root, object, field.
_FIELD_DEPTH = 3


@dataclass(frozen=True, slots=True)
class ConditionalDeletion:
    """An object that is removed only while it has an ETag.

    Attributes:
        object_key: the object key.
        version_id: the version, or None.
        etag: the ETag as written.
        leaf: where it is in the document.
    """

    object_key: str
    version_id: str | None
    etag: str
    leaf: Leaf = field(repr=False)


def conditional_deletions(body: bytes) -> list[ConditionalDeletion]:
    """The entries of a DeleteObjects document that state an ETag, in its order.

    Raises:
        S3Error: it is not XML.
    """
    objects: list[dict[str, Leaf]] = []

    def on_start(path: list[str]) -> None:
        if len(path) == _FIELD_DEPTH - 1 and path[1] == "Object":
            objects.append({})

    def on_leaf(leaf: Leaf) -> None:
        if len(leaf.path) == _FIELD_DEPTH and leaf.path[1] == "Object":
            objects[-1].setdefault(leaf.path[2], leaf)

    scan(body, on_leaf, on_start)
    return [
        ConditionalDeletion(
            object_key=fields["Key"].text,
            version_id=fields["VersionId"].text if "VersionId" in fields else None,
            etag=fields["ETag"].text.strip(),
            leaf=fields["ETag"],
        )
        for fields in objects
        if "Key" in fields and "ETag" in fields
    ]


def with_etags(body: bytes, etags: Iterable[tuple[ConditionalDeletion, str]]) -> bytes:
    """The document with other ETags; entries in its order."""
    return apply_changes(body, ((deletion.leaf, etag) for deletion, etag in etags))
