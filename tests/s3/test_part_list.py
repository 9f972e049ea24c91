import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import S3Error
from gateway.s3.part_list import (
    NamedPart,
    PartsPage,
    StoredPart,
    parse_completion,
    parse_part_number,
    parse_parts,
    render_completion,
    show_parts,
)

_NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def document(*parts: str) -> bytes:
    return f"<CompleteMultipartUpload {_NAMESPACE}>{''.join(parts)}</CompleteMultipartUpload>".encode()


def part(number: object, etag: str = '"e"', more: str = "") -> str:
    return f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag>{more}</Part>"


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        (document(part(1)), (NamedPart(1, '"e"'),)),
        (document(part(1, "&quot;a&quot;"), part(10000, "b")), (NamedPart(1, '"a"'), NamedPart(10000, "b"))),
        (document(part(3, more="<ChecksumCRC32>AAAAAA==</ChecksumCRC32>")), (NamedPart(3, '"e"'),)),
        (document(" <Part>\n<ETag> x </ETag><PartNumber> 2 </PartNumber></Part> "), (NamedPart(2, "x"),)),
    ],
)
def test_parts_are_read(body: bytes, parts: tuple[NamedPart, ...]) -> None:
    assert parse_completion(body) == parts


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "MalformedXML"),
        (b"<a/>", "MalformedXML"),
        (b"<!DOCTYPE x []><CompleteMultipartUpload/>", "MalformedXML"),
        (document(), "MalformedXML"),
        (document("<Other/>"), "MalformedXML"),
        (document("<Part/>"), "MalformedXML"),
        (document("<Part><PartNumber>1</PartNumber></Part>"), "MalformedXML"),
        (document("<Part><ETag>e</ETag></Part>"), "MalformedXML"),
        (document(part(1, "")), "MalformedXML"),
        (document(part(1, more="<ETag>f</ETag>")), "MalformedXML"),
        (document(part(1, "<a>e</a>")), "MalformedXML"),
        (document(*(part(number % 10_000 + 1) for number in range(10_001))), "MalformedXML"),
        (document(part(2), part(1)), "InvalidPartOrder"),
        (document(part(2), part(2)), "InvalidPartOrder"),
        (document(part(0)), "InvalidArgument"),
        (document(part(10001)), "InvalidArgument"),
        (document(part(-1)), "InvalidArgument"),
        (document(part("1e3")), "InvalidArgument"),
        (document(part("\u0661")), "InvalidArgument"),
    ],
)
def test_other_documents_are_refused(body: bytes, code: str) -> None:
    with pytest.raises(S3Error) as caught:
        parse_completion(body)
    assert caught.value.code == code


def test_ten_thousand_parts_are_read() -> None:
    assert len(parse_completion(document(*(part(number) for number in range(1, 10_001))))) == 10_000


@pytest.mark.parametrize("text", ["", "0", "10001", "1.0", "+1", " 1", "00000000000000000001", "x"])
def test_no_part_numbers(text: str) -> None:
    with pytest.raises(S3Error) as caught:
        parse_part_number(text)
    assert (caught.value.code, dict(caught.value.details)["ArgumentValue"]) == ("InvalidArgument", text)


def test_part_numbers() -> None:
    assert [parse_part_number(text) for text in ("1", "10000", "007")] == [1, 10_000, 7]


@given(st.dictionaries(st.integers(1, 10_000), st.text('abcdef0123456789-"&<>', min_size=1), min_size=1, max_size=9))
def test_a_rendered_document_is_read_back(parts: dict[int, str]) -> None:
    ordered = sorted(parts.items())
    assert [(found.number, found.etag) for found in parse_completion(render_completion(ordered))] == ordered


def test_quotes_do_not_matter() -> None:
    assert NamedPart(1, '"e"').bare_etag == NamedPart(1, "e").bare_etag == "e"


_LISTED = f"""<?xml version="1.0" encoding="UTF-8"?>
<ListPartsResult {_NAMESPACE}><Bucket>b</Bucket><Key>a &amp; b</Key><UploadId>upstream</UploadId>
<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>
<Owner><ID>me</ID></Owner><NextPartNumberMarker>3</NextPartNumberMarker><IsTruncated>%s</IsTruncated>
<Part><PartNumber>1</PartNumber><ETag>&quot;a&quot;</ETag><Size>100</Size><ChecksumCRC32>x</ChecksumCRC32></Part>
<Part><ETag>"b"</ETag><PartNumber>2</PartNumber><Size>7</Size></Part>
<Part><PartNumber>3</PartNumber><ETag>"c"</ETag><Size>200</Size></Part></ListPartsResult>"""


def test_a_page_is_read() -> None:
    parts = (StoredPart(1, '"a"', 100), StoredPart(2, '"b"', 7), StoredPart(3, '"c"', 200))
    assert parse_parts((_LISTED % "false").encode()) == PartsPage(parts, None)
    assert parse_parts((_LISTED % "true").encode()) == PartsPage(parts, "3")
    without = (_LISTED % "true").replace("<NextPartNumberMarker>3</NextPartNumberMarker>", "")
    assert parse_parts(without.encode()).next_marker == "3"
    assert parse_parts(b"<ListPartsResult/>") == PartsPage((), None)


@pytest.mark.parametrize("body", [b"", b"<a><Part/></a>", b"<a><Part><PartNumber>1</PartNumber></Part></a>"])
def test_what_is_no_page_is_a_fault(body: bytes) -> None:
    with pytest.raises(S3Error) as caught:
        parse_parts(body)
    assert caught.value.code == "InternalError"


@pytest.mark.parametrize("before", ["", "<!-- not of the plain form -->"])
def test_a_client_sees_its_own_parts_and_sizes_only(before: str) -> None:
    listed = (_LISTED % "false").replace("<Bucket>", f"{before}<Bucket>")
    seen = {1: StoredPart(1, '"other"', 50), 2: StoredPart(2, '"b"', 7)}
    shown = show_parts(listed.encode(), upload_id="client's", shown=lambda stored: seen.get(stored.number))
    expected = (
        listed.replace("upstream", "client's")
        .replace("<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>", "")
        .replace("&quot;a&quot;", "&quot;other&quot;")
        .replace("<Size>100</Size><ChecksumCRC32>x</ChecksumCRC32>", "<Size>50</Size>")
        .replace('<Part><PartNumber>3</PartNumber><ETag>"c"</ETag><Size>200</Size></Part>', "")
    )
    assert shown.decode() == expected


def test_all_parts_may_be_hidden() -> None:
    shown = show_parts((_LISTED % "false").encode(), upload_id="u", shown=lambda _: None)
    assert parse_parts(shown) == PartsPage((), None)
