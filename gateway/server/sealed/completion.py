"""What CompleteMultipartUpload makes of a sealed upload: which parts the object has, and where its closing goes.

Arithmetic and rules only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.crypto.sealed.closing import PartTable
from gateway.crypto.sealed.geometry import MAX_PARTS, MIN_PART_BYTES, plaintext_size
from gateway.errors import S3Error
from gateway.s3.part_list import NamedPart, StoredPart
from gateway.server.sealed.staging import part_name

_NOT_FOUND: Final = (
    "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified "
    "entity tag may not match the part's entity tag."
)


@dataclass(frozen=True, slots=True)
class Completion:
    """One object out of the parts of an upload.

    Attributes:
        table: its parts as clients see them.
        kept: its parts that stay as they were uploaded, number and ETag each.
        tail: a last part below 5 MiB, which is uploaded once more with the closing behind it; None without one.
        extra_number: the number of the part that carries the closing.
    """

    table: PartTable
    kept: tuple[tuple[int, str], ...]
    tail: StoredPart | None
    extra_number: int

    @property
    def tail_bytes(self) -> int:
        """The plaintext size of the tail."""
        return 0 if self.tail is None else (plaintext_size(self.tail.stored_bytes) or 0)


#: All parts of an upload by number. Some servers keep, and list, a part that was sent again beside the new one.
StoredParts = Mapping[int, Sequence[StoredPart]]


def plan_completion(named: Sequence[NamedPart], stored: StoredParts, own: frozenset[str], upload_id: str) -> Completion:
    """Check what a client names against what the server has, and decide where the closing goes.

    Args:
        named: the parts of the object, at least one, in ascending order.
        stored: all parts of the upload.
        own: the :func:`~gateway.server.sealed.staging.part_name` of parts that are the gateway's own.
        upload_id: the upload id that the client knows.

    Raises:
        S3Error: InvalidPart or EntityTooSmall in S3's words, or InvalidRequest when there is no room for the closing.
    """
    sizes: list[tuple[int, int]] = []
    parts: list[StoredPart] = []
    for part in named:
        found = next((other for other in stored.get(part.number, ()) if other.etag.strip('"') == part.bare_etag), None)
        if found is None or part_name(found.number, found.etag) in own:
            raise invalid_part(part.number, part.etag, upload_id)
        size = plaintext_size(found.stored_bytes)
        if size is None:
            raise invalid_part(part.number, part.etag, upload_id, "It was not uploaded through the gateway.")
        parts.append(found)
        sizes.append((part.number, size))
    for part, (_, size) in zip(parts[:-1], sizes, strict=False):
        if size < MIN_PART_BYTES:
            raise _too_small(part, size)
    tail = parts[-1] if sizes[-1][1] < MIN_PART_BYTES else None
    kept = parts if tail is None else parts[:-1]
    return Completion(
        table=PartTable.of(sizes),
        kept=tuple((part.number, part.etag) for part in kept),
        tail=tail,
        extra_number=_extra_number(parts[-1], stored, own, takes_place=tail is not None),
    )


def invalid_part(number: int, etag: str, upload_id: str, reason: str = "") -> S3Error:
    """S3's answer for a part that an object can not have.

    Args:
        number: the part's number.
        etag: its ETag as the client names it.
        upload_id: the upload id that the client knows.
        reason: what S3's own words do not say.
    """
    details = (("UploadId", upload_id), ("PartNumber", str(number)), ("ETag", etag.strip('"')))
    return S3Error("InvalidPart", f"{_NOT_FOUND} {reason}".rstrip(), details=details)


def _extra_number(last: StoredPart, stored: StoredParts, own: frozenset[str], *, takes_place: bool) -> int:
    """The number for the closing: it comes behind the last part, and no part of a client is lost.

    A completion that fails, because a condition does not hold for instance, must leave the upload as it was.
    """
    behind = range(last.number + 1, MAX_PARTS + 1)
    free = next((number for number in behind if number not in stored), None)
    if free is None:
        free = next((n for n in behind if all(part_name(n, part.etag) in own for part in stored[n])), None)
    if free is None and takes_place:
        free = last.number
    if free is None:
        raise S3Error(
            "InvalidRequest",
            f"The object is encrypted by the gateway, which needs one unused part number between {last.number} and "
            f"{MAX_PARTS} to complete it.",
        )
    return free


def _too_small(part: StoredPart, plaintext_bytes: int) -> S3Error:
    return S3Error(
        "EntityTooSmall",
        "Your proposed upload is smaller than the minimum allowed size",
        details=(
            ("ProposedSize", str(plaintext_bytes)),
            ("MinSizeAllowed", str(MIN_PART_BYTES)),
            ("PartNumber", str(part.number)),
            ("ETag", part.etag.strip('"')),
        ),
    )
