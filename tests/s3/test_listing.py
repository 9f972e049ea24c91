"""Listings: every entry is found, and nothing but sizes, ETags and checksums of corrected ones changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import S3Error
from gateway.s3.listing import Correction, correct_listing, parse_listing
from gateway.s3.xml_edit import escape_text

V2 = """<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix>Size</Prefix><KeyCount>3</KeyCount>
<Contents><Key>a+b &amp; c%20d//é</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;aa&quot;</ETag>
<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumAlgorithm>SHA1</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>
<Size>584</Size><StorageClass>STANDARD</StorageClass><Owner><ID>1</ID><DisplayName>Size</DisplayName></Owner></Contents>
<Contents><Size>9</Size><ETag>"bb-2"</ETag><Key>second</Key></Contents><Contents><Key>nothing else</Key></Contents>
<CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes></ListBucketResult>""".encode()

VERSIONS = b"""<ListVersionsResult><Name>b</Name>
<Version><ETag>"aa"</ETag><Size>584</Size><Key>k</Key><VersionId>v1</VersionId><IsLatest>false</IsLatest></Version>
<DeleteMarker><Key>k</Key><VersionId>v2</VersionId><IsLatest>true</IsLatest><Size>7</Size></DeleteMarker>
<Version><ETag>"bb"</ETag><Size>585</Size><Key>l</Key><VersionId>null</VersionId></Version></ListVersionsResult>"""


def test_entries_of_a_list() -> None:
    assert [(entry.object_key, entry.version_id, entry.etag, entry.stored_bytes) for entry in parse_listing(V2)] == [
        ("a+b & c%20d//é", None, '"aa"', 584),
        ("second", None, '"bb-2"', 9),
        ("nothing else", None, "", None),
    ]


def test_entries_of_a_list_of_versions_are_no_delete_markers() -> None:
    assert [(entry.object_key, entry.version_id, entry.stored_bytes) for entry in parse_listing(VERSIONS)] == [
        ("k", "v1", 584),
        ("l", "null", 585),
    ]


def test_without_corrections_every_byte_stays() -> None:
    assert correct_listing(V2, []) == V2


def test_a_correction_changes_one_entry() -> None:
    first, second, _ = parse_listing(V2)
    corrected = correct_listing(V2, [Correction(first, 0, '"aa-1"'), Correction(second, None, '"bb-2"')])
    expected = (
        V2.replace(b"&quot;aa&quot;", b"&quot;aa-1&quot;")
        .replace(b"<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumAlgorithm>SHA1</ChecksumAlgorithm>", b"")
        .replace(b"<ChecksumType>FULL_OBJECT</ChecksumType>", b"")
        .replace(b"<Size>584</Size>", b"<Size>0</Size>")
    )
    assert corrected.replace(b"&quot;bb-2&quot;", b'"bb-2"') == expected


@pytest.mark.parametrize(
    ("listed", "object_key"),
    [
        ("a%2Bb", "a+b"),
        ("a+b", "a b"),
        ("a%20b", "a b"),
        ("100%25", "100%"),
        ("a//b/..", "a//b/.."),
        ("%C3%A9", "é"),
        ("%FF", "\udcff"),
        ("a%0Ab", "a\nb"),
    ],
)
@pytest.mark.parametrize("place", ["before", "behind"])
def test_encoded_keys_are_decoded(listed: str, object_key: str, place: str) -> None:
    encoding = "<EncodingType>url</EncodingType>"
    before, behind = (encoding, "") if place == "before" else ("", encoding)
    body = f"<L>{before}<Contents><Key>{listed}</Key></Contents>{behind}</L>".encode()
    assert parse_listing(body)[0].object_key == object_key


@pytest.mark.parametrize("body", [b"", b"<L>", b"<L><Contents></L>", b"<!DOCTYPE L><L/>"])
def test_what_is_no_document_is_refused(body: bytes) -> None:
    with pytest.raises(S3Error):
        parse_listing(body)


_NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1)


@given(st.lists(st.tuples(_NAMES, st.integers(0, 2**50), st.booleans())))
def test_corrections_end_up_at_their_entries(entries: list[tuple[str, int, bool]]) -> None:
    body = b"<L>%s</L>" % b"".join(
        f"<Contents><Key>{escape_text(key)}</Key><Size>{size}</Size></Contents>".encode() for key, size, _ in entries
    )
    listed = parse_listing(body)
    corrections = [
        Correction(entry, size + 1, "") for entry, (_, size, wanted) in zip(listed, entries, strict=True) if wanted
    ]
    seen = [(entry.object_key, entry.stored_bytes) for entry in parse_listing(correct_listing(body, corrections))]
    keys = [entry.object_key for entry in listed]
    assert seen == [(key, size + wanted) for key, (_, size, wanted) in zip(keys, entries, strict=True)]
