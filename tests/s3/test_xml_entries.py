"""Whatever a listing is written like, it says what a plain reading with ElementTree says, and changes nowhere else."""

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element, canonicalize, tostring

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import S3Error
from gateway.s3.listing import Correction, ListedObject, correct_listing, parse_listing
from gateway.s3.xml import local_name
from gateway.s3.xml_edit import MAX_DEPTH, escape_text

_ROOT = '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
_AWS = f"""<?xml version="1.0" encoding="UTF-8"?>
{_ROOT}<Name>b</Name><Prefix/><KeyCount>2</KeyCount><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>\
<Contents><Key>a%2Bb</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;aa&quot;</ETag>\
<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><Size>584</Size>\
<StorageClass>STANDARD</StorageClass><RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress></RestoreStatus>\
</Contents><CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes></ListBucketResult>"""
_MINIO = f"""<?xml version="1.0" encoding="UTF-8"?>
{_ROOT}<Name>b</Name><Prefix></Prefix><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated><Contents><Key>a&#39;b</Key>\
<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&#34;aa&#34;</ETag><Size>584</Size>\
<Owner><ID>1</ID><DisplayName>minio</DisplayName></Owner><StorageClass>STANDARD</StorageClass></Contents>\
</ListBucketResult>"""
_CEPH = f"""<?xml version="1.0" encoding="UTF-8"?>{_ROOT.replace("ListBucket", "ListVersions")}<Name>b</Name>\
<DeleteMarker><Key>k</Key><VersionId>2</VersionId><IsLatest>true</IsLatest><Owner><ID>1</ID></Owner></DeleteMarker>\
<Version><Key>k&amp;l</Key><VersionId>1</VersionId><IsLatest>false</IsLatest><ETag>&quot;aa&quot;</ETag><Size>584</Size>\
<StorageClass>STANDARD</StorageClass><Owner><ID>1</ID><DisplayName>o</DisplayName></Owner><Type>Normal</Type></Version>\
</ListVersionsResult>"""
_PRETTY = f"""{_ROOT}
  <Contents>
    <Key>é</Key>
    <Size>584</Size>
    <Owner xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type='a > "b"'><ID>1</ID></Owner>
  </Contents>
</ListBucketResult>
"""
_DOCUMENTS = {"aws": _AWS, "minio": _MINIO, "ceph-versions": _CEPH, "with-white-space": _PRETTY}


def seen(listed: ListedObject) -> tuple[object, ...]:
    return tuple(listed)[:-1]


def by_tree(body: bytes) -> list[tuple[object, ...]]:
    """What ElementTree reads in a listing without EncodingType."""
    return [
        (
            entry.findtext("{*}Key") or "",
            entry.findtext("{*}VersionId") or None,
            (entry.findtext("{*}ETag") or "").strip(),
            int(entry.findtext("{*}Size") or "0") if entry.find("{*}Size") is not None else None,
        )
        for entry in entries_of(fromstring(body.strip()))
    ]


def entries_of(root: Element) -> Iterator[Element]:
    return (child for child in root if local_name(child) in {"Contents", "Version"})


def corrected_tree(body: bytes) -> str:
    """A listing whose entries all have the size 5 and a longer ETag, by ElementTree."""
    root = fromstring(body.strip())
    for entry in entries_of(root):
        size, etag = entry.find("{*}Size"), entry.find("{*}ETag")
        if size is not None:
            size.text = "5"
        if etag is not None and (etag.text or "").strip():
            etag.text = f"{(etag.text or '').strip()}+"
        for at, field in reversed(list(enumerate(entry))):
            if local_name(field).startswith("Checksum"):
                _remove(entry, at)
    return canonical(root)


def canonical(root: Element) -> str:
    return canonicalize(tostring(root, encoding="unicode"), rewrite_prefixes=True)


def _remove(parent: Element, at: int) -> None:
    tail = parent[at].tail or ""
    if at:
        parent[at - 1].tail = (parent[at - 1].tail or "") + tail
    else:
        parent.text = (parent.text or "") + tail
    del parent[at]


def corrected(body: bytes) -> bytes:
    listed = parse_listing(body)
    return correct_listing(body, [Correction(one, 5, f"{one.etag}+" if one.etag else "") for one in listed])


@pytest.mark.parametrize("name", _DOCUMENTS)
def test_what_servers_write_is_of_the_plain_form(name: str) -> None:
    assert all(isinstance(listed.entry, re.Match) for listed in parse_listing(_DOCUMENTS[name].encode()))
    assert parse_listing(_DOCUMENTS[name].encode())


@pytest.mark.parametrize("name", _DOCUMENTS)
def test_a_comment_makes_no_difference(name: str) -> None:
    plain = _DOCUMENTS[name].encode()
    unusual = plain.replace(b"</List", b"<!-- <Contents> --></List")
    assert not any(isinstance(listed.entry, re.Match) for listed in parse_listing(unusual))
    assert [seen(listed) for listed in parse_listing(unusual)] == [seen(listed) for listed in parse_listing(plain)]
    assert corrected(unusual).replace(b"<!-- <Contents> -->", b"") == corrected(plain)


_TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"))
_SPELLINGS = st.sampled_from(
    [
        escape_text,
        lambda text: "".join(f"&#{ord(character)};" for character in text),
        lambda text: "".join(f"&#x{ord(character):X};" for character in text),
        lambda text: f"<![CDATA[{text.replace(']]>', '')}]]>",
        lambda text: f"<!-- </Key> -->{escape_text(text)}<?x y?>",
        lambda text: f"{escape_text(text)}\r\n",
    ]
)
_TAGS = st.sampled_from(["{0}", "{0} ", "p:{0}", "{0} a='>'", '{0}\n a="1" b = "/>"'])
_OTHERS = st.sampled_from(
    [
        "",
        "\n  ",
        "<StorageClass>STANDARD</StorageClass>",
        "<Owner><ID>1</ID><Size>1</Size><Key/></Owner>",
        "<Owner a='/>'/>",
        "<SizeLimit>7</SizeLimit>",
        "<!-- <Size>8</Size> -->",
        "<![CDATA[<Size>8</Size>]]>",
        "<?Size <Size>8</Size>?>",
        "<Other><Contents><Key>inside</Key></Contents></Other>",
    ]
)
_CHECKSUMS = (
    "",
    "<ChecksumAlgorithm>CRC32</ChecksumAlgorithm>",
    "<ChecksumType/>",
    "<ChecksumCRC32>AA==</ChecksumCRC32>",
)


@st.composite
def fields(draw: st.DrawFn, name: str, texts: st.SearchStrategy[str]) -> str:
    """A field, in some spelling; most are spelled as servers do."""
    text = draw(texts)
    if draw(st.integers(0, 3)):
        return f"<{name}>{escape_text(text)}</{name}>"
    tag = draw(_TAGS).format(name)
    return f"<{tag}>{draw(_SPELLINGS)(text)}</{tag.split()[0]}>"


@st.composite
def listings(draw: st.DrawFn) -> bytes:
    sizes = st.integers(0, 2**45).map(str)
    written: list[str] = []
    for name in draw(st.lists(st.sampled_from(["Contents", "Version", "DeleteMarker", "CommonPrefixes"]), max_size=5)):
        optional = {"Key": _TEXTS, "VersionId": _TEXTS, "ETag": _TEXTS, "Size": sizes}
        chosen = draw(st.lists(st.sampled_from(sorted(optional)), unique=True))
        inside = [draw(fields(field, optional[field])) for field in chosen]
        inside += draw(st.lists(_OTHERS, max_size=3)) + draw(st.lists(st.sampled_from(_CHECKSUMS), max_size=3))
        written.append(f"<{name}>{''.join(draw(st.permutations(inside)))}</{name}>" + draw(_OTHERS))
    return f"<L xmlns='u' xmlns:p='v'>{''.join(written)}</L>".encode()


@given(listings())
def test_a_listing_says_what_elementtree_reads(body: bytes) -> None:
    assert [seen(listed) for listed in parse_listing(body)] == by_tree(body)


@given(listings())
def test_a_corrected_listing_is_what_elementtree_makes_of_it(body: bytes) -> None:
    assert canonical(fromstring(corrected(body))) == corrected_tree(body)
    assert correct_listing(body, []) == body


@pytest.mark.parametrize("name", _DOCUMENTS)
def test_a_document_that_was_cut_is_refused(name: str) -> None:
    body = _DOCUMENTS[name].encode().rstrip()
    for size in range(len(body)):
        with pytest.raises(S3Error):
            parse_listing(body[:size])


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE L><L><Contents><Key>k</Key></Contents></L>",
        b'<!DOCTYPE L [<!ENTITY k "x">]><L><Contents><Key>&k;</Key></Contents></L>',
        b"<L><Contents><Key>&k;</Key></Contents></L>",
        b"<L><Contents><Key>&#0;</Key></Contents></L>",
        b"<L><Contents><Key>a & b</Key></Contents></L>",
        b"<L><Contents><Key>]]></Key></Contents></L>",
        b"<L><Contents><Key>\x01</Key></Contents></L>",
        b"<L><Contents><Key>\0</Key></Contents></L>",
        b"<L><Contents><Key>\xff</Key></Contents></L>",
        b"<L><Contents><Key>\xed\xa0\x80</Key></Contents></L>",
        b"<L><Contents><Key>k</Size></Contents></L>",
        b"<L><Contents><Owner>k</Contents></Owner></L>",
        b"<L><Contents><Key>k</Key></Version></L>",
        b"<L><Contents><Key>k</Key></Contents></M>",
        b"<L><Contents><Key>k</Key></Contents></L><L/>",
        b"<L><Contents><Key>k</Key></Contents></L>junk",
        b"junk<L><Contents><Key>k</Key></Contents></L>",
        b"<L a='1' a='2'><Contents><Key>k</Key></Contents></L>",
        b"<L><Contents><Key>k</Key></Contents><?xml version='1.0'?></L>",
        "<L><Contents><Key>k</Key></Contents></L>".encode("utf-16"),
        "<L><Contents><Key>k</Key></Contents></L>".encode("utf-16-le"),
        "<L><Contents><Key>k</Key></Contents></L>".encode("utf-32"),
        b"<L><Contents>" + b"<a>" * MAX_DEPTH + b"</a>" * MAX_DEPTH + b"</Contents></L>",
    ],
)
def test_what_is_no_document_is_refused(body: bytes) -> None:
    with pytest.raises(S3Error) as caught:
        parse_listing(body)
    assert caught.value.code == "InternalError"


@pytest.mark.parametrize("comment", ["", "<!-- -->"])
@pytest.mark.parametrize(
    "inside",
    [
        "<Contents><Size>1</Size><Size>2</Size></Contents>",
        "<Contents><Key>a</Key><Size>1</Size><Key>b</Key></Contents>",
        "<Contents xmlns:p='u'><Key>a</Key><p:Key>b</p:Key></Contents>",
        "<Contents><Key/><Key>b</Key></Contents>",
        "<Contents><Key>a<Key>b</Key></Key></Contents>",
        "<Contents><ETag>a<b/></ETag></Contents>",
        "<EncodingType>url</EncodingType><EncodingType>none</EncodingType>",
    ],
)
def test_what_readers_would_not_agree_on_is_refused(inside: str, comment: str) -> None:
    with pytest.raises(S3Error) as caught:
        parse_listing(f"<L>{inside}{comment}</L>".encode())
    assert caught.value.code == "InternalError"


@pytest.mark.parametrize("declared", ["ISO-8859-1", "US-ASCII", "UTF-16", "unknown"])
def test_keys_are_utf_8_whatever_is_declared(declared: str) -> None:
    body = f'<?xml version="1.0" encoding="{declared}"?><L><Contents><Key>é</Key></Contents></L>'
    assert [listed.object_key for listed in parse_listing(body.encode())] == ["é"]


@pytest.mark.parametrize("size", ["", "x", "-1", "1.0", "9" * 20, "9" * 5000, "\u0661"])
def test_other_sizes_are_none(size: str) -> None:
    assert parse_listing(f"<L><Contents><Size>{size}</Size></Contents></L>".encode())[0].stored_bytes is None


def test_an_entry_with_very_many_fields_is_read() -> None:
    others = "<Other>1</Other>" * 100_000
    body = f"<L><Contents>{others}<Size>5</Size></Contents><Contents><Size>6</Size></Contents></L>".encode()
    assert [listed.stored_bytes for listed in parse_listing(body)] == [5, 6]
