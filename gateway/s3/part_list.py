"""The part lists of multipart uploads: what CompleteMultipartUpload names, and what ListParts answers.

Source: Amazon S3 API Reference, CompleteMultipartUpload and ListParts.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final
from xml.etree.ElementTree import Element

from gateway.errors import S3Error
from gateway.s3.xml import NAMESPACE, local_name, parse_xml
from gateway.s3.xml_edit import Replacement, escape_text, replaced
from gateway.s3.xml_entries import WHOLE, Entries, Entry, ListForm, checksums_of

MAX_PARTS: Final = 10_000
#: What the root of a ListParts answer says of the upload's checksums.
_UPLOAD_CHECKSUM: Final = ("ChecksumAlgorithm", "ChecksumType")
_PAGE: Final = ("IsTruncated", "NextPartNumberMarker")
_FORM: Final = ListForm(
    entries=("Part",),
    fields=("PartNumber", "ETag", "Size"),
    named=("UploadId", *_PAGE, *_UPLOAD_CHECKSUM),
)


@dataclass(frozen=True, slots=True)
class NamedPart:
    """A part as CompleteMultipartUpload names it.

    Attributes:
        number: 1 to 10,000.
        etag: its ETag as written, quotes included if there were any.
    """

    number: int
    etag: str

    @property
    def bare_etag(self) -> str:
        """The ETag without quotes: clients send it in both ways."""
        return self.etag.strip('"')


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part as the server lists it.

    Attributes:
        number: 1 to 10,000.
        etag: its ETag, quotes included.
        stored_bytes: its stored size.
    """

    number: int
    etag: str
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class PartsPage:
    """One answer to ListParts.

    Attributes:
        parts: the parts in ascending order.
        next_marker: the ``part-number-marker`` of the next page, or None when this is the last one.
    """

    parts: tuple[StoredPart, ...]
    next_marker: str | None


def parse_part_number(text: str) -> int:
    """A part number.

    Raises:
        S3Error: InvalidArgument, in S3's words.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= MAX_PARTS):
        raise S3Error(
            "InvalidArgument",
            f"Part number must be an integer between 1 and {MAX_PARTS}, inclusive",
            details=(("ArgumentName", "partNumber"), ("ArgumentValue", text)),
        )
    return int(text)


def parse_completion(body: bytes) -> tuple[NamedPart, ...]:
    """The parts that a CompleteMultipartUpload document names, at least one, numbers ascending.

    Checksums of parts are not looked at: they were verified when the parts were uploaded.

    Raises:
        S3Error: MalformedXML, InvalidPartOrder or InvalidArgument.
    """
    root = parse_xml(body)
    if local_name(root) != "CompleteMultipartUpload":
        raise _malformed()
    parts = tuple(_named_part(element) for element in root)
    if not 1 <= len(parts) <= MAX_PARTS:
        raise _malformed()
    if any(after.number <= before.number for before, after in pairwise(parts)):
        raise S3Error(
            "InvalidPartOrder",
            "The list of parts was not in ascending order. The parts list must be specified in order by part number.",
        )
    return parts


def render_completion(parts: Iterable[tuple[int, str]]) -> bytes:
    """The document of a CompleteMultipartUpload request.

    Args:
        parts: number and ETag of each part, in order.
    """
    listed = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{escape_text(etag)}</ETag></Part>" for number, etag in parts
    )
    return f'<CompleteMultipartUpload xmlns="{NAMESPACE}">{listed}</CompleteMultipartUpload>'.encode()


def parse_parts(body: bytes) -> PartsPage:
    """An answer to ListParts.

    Raises:
        S3Error: InternalError when it is not one.
    """
    listed = _FORM.read(body)
    parts = _stored_parts(listed)
    truncated, marker = (listed.named[name].text.strip() if name in listed.named else "" for name in _PAGE)
    if truncated != "true":
        return PartsPage(parts, None)
    return PartsPage(parts, marker or (str(parts[-1].number) if parts else None))


def show_parts(body: bytes, *, upload_id: str, shown: Callable[[StoredPart], StoredPart | None]) -> bytes:
    """An answer to ListParts as a client sees it: without checksums, for they are those of stored bytes.

    Args:
        body: the server's answer.
        upload_id: the upload id that the client knows.
        shown: a part as the client knows it, its size included; None hides it.

    Raises:
        S3Error: InternalError when it is not such an answer.
    """
    listed = _FORM.read(body)
    named = listed.named
    changes: list[Replacement] = [(*named[name].whole, b"") for name in _UPLOAD_CHECKSUM if name in named]
    if "UploadId" in named:
        changes.append((*named["UploadId"].content, escape_text(upload_id).encode()))
    for entry, stored in zip(listed.entries, _stored_parts(listed), strict=True):
        changes += _shown_changes(entry, stored, shown(stored))
    return replaced(body, changes)


def _stored_parts(listed: Entries) -> tuple[StoredPart, ...]:
    try:
        return tuple(
            StoredPart(int(number), etag.strip(), int(size)) for number, etag, size in zip(*listed.texts, strict=True)
        )
    except ValueError as error:
        raise S3Error("InternalError", "The upstream server's list of parts could not be read.") from error


def _shown_changes(entry: Entry, stored: StoredPart, part: StoredPart | None) -> Iterable[Replacement]:
    if part is None:
        yield (*entry.span(WHOLE), b"")
        return
    yield from ((*place, b"") for place in checksums_of(entry))
    if part.stored_bytes != stored.stored_bytes:
        yield (*entry.span("Size"), b"%d" % part.stored_bytes)
    if part.etag != stored.etag:
        yield (*entry.span("ETag"), escape_text(part.etag).encode())


def _named_part(element: Element) -> NamedPart:
    if local_name(element) != "Part":
        raise _malformed()
    fields: dict[str, str] = {}
    for child in element:
        name = local_name(child)
        if name in fields or len(child):
            raise _malformed()
        fields[name] = (child.text or "").strip()
    number, etag = fields.get("PartNumber", ""), fields.get("ETag", "")
    if not number or not etag:
        raise _malformed()
    return NamedPart(parse_part_number(number), etag)


def _malformed() -> S3Error:
    return S3Error(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    )
