"""The conditions in a DeleteObjects document: the ETag that an object has to have. Source: Amazon S3 API Reference."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.s3.xml_edit import Element, apply_changes, scan

#: Depth of an object's own fields: root, object, field.
_FIELD_DEPTH = 3


@dataclass(frozen=True, slots=True)
class ConditionalDeletion:
    """An object that is removed only while it has an ETag.

    Attributes:
        object_key: the object key.
        version_id: the version, or None.
        etag: the ETag as written.
        element: where it is in the document.
    """

    object_key: str
    version_id: str | None
    etag: str
    element: Element = field(repr=False)


def conditional_deletions(body: bytes) -> list[ConditionalDeletion]:
    """The entries of a DeleteObjects document that state an ETag, in its order.

    Raises:
        S3Error: it is not XML.
    """
    objects: list[dict[str, tuple[str, Element]]] = []
    fields: dict[str, tuple[str, Element]] = {}

    def on_end(element: Element) -> None:
        nonlocal fields
        if len(element.path) == _FIELD_DEPTH and element.text is not None:
            fields.setdefault(element.path[2], (element.text, element))
        elif len(element.path) == _FIELD_DEPTH - 1:
            if element.path[1] == "Object":
                objects.append(fields)
            fields = {}

    scan(body, on_end)
    return [
        ConditionalDeletion(
            object_key=found["Key"][0],
            version_id=found["VersionId"][0] if "VersionId" in found else None,
            etag=found["ETag"][0].strip(),
            element=found["ETag"][1],
        )
        for found in objects
        if "Key" in found and "ETag" in found
    ]


def with_etags(body: bytes, etags: Iterable[tuple[ConditionalDeletion, str]]) -> bytes:
    """The document with other ETags; entries in its order."""
    return apply_changes(body, ((deletion.element, etag) for deletion, etag in etags))
