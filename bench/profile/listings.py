"""Long answers of servers for the micro-benchmarks, and what the gateway makes of them where objects are sealed."""

from dataclasses import replace
from typing import Final

from gateway.crypto.sealed.geometry import plaintext_size, sealed_size
from gateway.modes.shown_etag import shown_etag
from gateway.s3.listing import Correction, correct_listing, parse_listing
from gateway.s3.part_list import StoredPart, show_parts
from gateway.s3.xml import NAMESPACE

ENTRIES: Final = 1_000
_MODIFIED: Final = "<LastModified>2026-01-01T00:00:00.000Z</LastModified>"
_OWNER: Final = "<Owner><ID>02d6176db174dc93cb1b899f7c6078f08654445fe8cf1b6ce98d8855f66bdbf4</ID></Owner>"


def objects_answer() -> bytes:
    """ListObjectsV2 as Amazon S3 answers it."""
    return _answer(
        "ListBucketResult",
        "<Name>bucket</Name><KeyCount>1000</KeyCount><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>",
        "<Contents><Key>invoices/2026/01/{at:08x}.json</Key>" + _MODIFIED + "<ETag>&quot;{at:032x}&quot;</ETag>"
        "<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>"
        "<Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>",
    )


def versions_answer() -> bytes:
    """ListObjectVersions as servers answer it that name owners."""
    return _answer(
        "ListVersionsResult",
        "<Name>bucket</Name><KeyMarker/><VersionIdMarker/><IsTruncated>false</IsTruncated>",
        "<Version><Key>invoices/2026/01/{at:08x}.json</Key><VersionId>{at:032x}</VersionId><IsLatest>true</IsLatest>"
        + _MODIFIED
        + "<ETag>&#34;{at:032x}&#34;</ETag><Size>{size}</Size>"
        + _OWNER
        + "<StorageClass>STANDARD</StorageClass></Version>",
    )


def parts_answer() -> bytes:
    """ListParts as Amazon S3 answers it."""
    return _answer(
        "ListPartsResult",
        "<Bucket>bucket</Bucket><Key>k</Key><UploadId>u</UploadId><IsTruncated>false</IsTruncated>",
        "<Part><PartNumber>{number}</PartNumber>" + _MODIFIED + "<ETag>&quot;{at:032x}&quot;</ETag>"
        "<Size>{size}</Size><ChecksumCRC64NVME>AAAAAAAAAAA=</ChecksumCRC64NVME></Part>",
    )


def show_objects(body: bytes) -> bytes:
    """A listing with the sizes that clients see."""
    return correct_listing(
        body,
        [
            Correction(listed, plaintext_size(listed.stored_bytes or 0), shown_etag(listed.etag))
            for listed in parse_listing(body)
        ],
    )


def show_own_parts(body: bytes) -> bytes:
    """A part list with the sizes that clients see."""

    def shown(part: StoredPart) -> StoredPart:
        return replace(part, etag=shown_etag(part.etag), stored_bytes=plaintext_size(part.stored_bytes) or 0)

    return show_parts(body, upload_id="client's", shown=shown)


def _answer(root: str, head: str, entry: str) -> bytes:
    entries = "".join(entry.format(at=at, number=at + 1, size=sealed_size(at)) for at in range(ENTRIES))
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{NAMESPACE}">{head}{entries}</{root}>'.encode()
