"""What CompleteMultipartUpload makes of a sealed upload: which parts the object has, and where its closing goes.

Arithmetic and rules only. The closing of an object follows its last part. A last part of 5 MiB or more stays as it is,
and the closing becomes one more part. A smaller one can not stay in front of another part, so its bytes are uploaded
once more, with the closing behind them: in its own place when the object has all parts of the upload, because some
servers (Ceph RGW) complete an upload with all of its parts only, and else under an unused number. The staging store
knows the part whose place was taken, so a completion that fails leaves the upload as the client knows it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.crypto.sealed.closing import PartTable
from gateway.crypto.sealed.geometry import MAX_PARTS, MIN_PART_BYTES, plaintext_size
from gateway.errors import S3Error
from gateway.modes.shown_etag import shown_etag, stored_etag
from gateway.s3.part_list import NamedPart, StoredPart
from gateway.server.sealed.staging import OwnPart

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

    @property
    def replaced(self) -> StoredPart | None:
        """The client's part whose place the closing takes."""
        return self.tail if self.tail is not None and self.tail.number == self.extra_number else None


def client_part(part: StoredPart, own: Iterable[OwnPart]) -> StoredPart | None:
    """A part that the server lists as the client knows it; None when it is none of the client's.

    Args:
        part: the part.
        own: the parts that are the gateway's own.
    """
    # What was recorded with an ETag is certain; what was recorded before there was one, in case of a crash, is not.
    for record in sorted(own, key=lambda known: known.etag is None):
        if record.is_at(part):
            return record.replaced
    return part


def plan_completion(
    named: Sequence[NamedPart], stored: Sequence[StoredPart], own: Sequence[OwnPart], upload_id: str
) -> Completion:
    """Check what a client names against what the server has, and decide where the closing goes.

    Args:
        named: the parts of the object, at least one, in ascending order.
        stored: all parts of the upload. Some servers list a part that was sent again beside the new one.
        own: the parts that are the gateway's own.
        upload_id: the upload id that the client knows.

    Raises:
        S3Error: InvalidPart or EntityTooSmall in S3's words, or InvalidRequest when there is no room for the closing.
    """
    known = {
        (part.number, part.etag.strip('"')): part for part in (client_part(other, own) for other in stored) if part
    }
    parts = [_found(part, known.get((part.number, stored_etag(part.bare_etag))), upload_id) for part in named]
    for part, size in parts[:-1]:
        if size < MIN_PART_BYTES:
            raise _too_small(part, size)
    last, last_bytes = parts[-1]
    tail = last if last_bytes < MIN_PART_BYTES else None
    kept = parts if tail is None else parts[:-1]
    takes_all = {number for number, _ in known} == {part.number for part in named}
    return Completion(
        table=PartTable.of((part.number, size) for part, size in parts),
        kept=tuple((part.number, part.etag) for part, _ in kept),
        tail=tail,
        extra_number=last.number if tail is not None and takes_all else _extra_number(last, tail, stored, own),
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


def _found(named: NamedPart, part: StoredPart | None, upload_id: str) -> tuple[StoredPart, int]:
    """A part and its plaintext size."""
    if part is None:
        raise invalid_part(named.number, named.etag, upload_id)
    size = plaintext_size(part.stored_bytes)
    if size is None:
        raise invalid_part(named.number, named.etag, upload_id, "It was not uploaded through the gateway.")
    return part, size


def _extra_number(
    last: StoredPart, tail: StoredPart | None, stored: Sequence[StoredPart], own: Sequence[OwnPart]
) -> int:
    """The number for the closing where it does not take the last part's place.

    It comes behind the last part, and no part of the client is lost. A part that an earlier completion left is used
    again, because servers that complete with all parts only would never complete otherwise.
    """
    behind = range(last.number + 1, MAX_PARTS + 1)
    clients = {part.number for part in stored if client_part(part, own) is not None}
    taken = {part.number for part in stored}
    left = next((number for number in sorted(taken - clients) if number > last.number), None)
    found = left or next((number for number in behind if number not in taken), None)
    if found is None and tail is not None:
        return tail.number
    if found is None:
        raise S3Error(
            "InvalidRequest",
            f"The object is encrypted by the gateway, which needs one unused part number between {last.number} and "
            f"{MAX_PARTS} to complete it.",
        )
    return found


def _too_small(part: StoredPart, plaintext_bytes: int) -> S3Error:
    return S3Error(
        "EntityTooSmall",
        "Your proposed upload is smaller than the minimum allowed size",
        details=(
            ("ProposedSize", str(plaintext_bytes)),
            ("MinSizeAllowed", str(MIN_PART_BYTES)),
            ("PartNumber", str(part.number)),
            ("ETag", shown_etag(part.etag).strip('"')),
        ),
    )
