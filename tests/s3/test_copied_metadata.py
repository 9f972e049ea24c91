"""What a copy takes from its source and what from the request."""

from urllib.parse import parse_qsl

import pytest

from gateway.errors import S3Error
from gateway.s3.content_encoding import stored_content_encoding
from gateway.s3.copied_metadata import copied_headers, copied_tagging, source_conditions
from gateway.s3.headers import Headers
from gateway.s3.kms_key_id import bare_key_id

_SOURCE = Headers(
    (
        ("content-type", "text/source"), ("cache-control", "no-cache"), ("x-amz-meta-a", "source"), ("etag", '"1"'),
        ("content-length", "5"), ("x-amz-version-id", "v"), ("last-modified", "never"),
        ("x-amz-server-side-encryption", "AES256"), ("x-amz-checksum-crc32", "AAAAAA=="), ("expires", "0"),
    )
)  # fmt: skip
_REQUEST = Headers(
    (
        ("x-amz-copy-source", "b/k"), ("x-amz-copy-source-if-match", '"1"'), ("content-type", "text/request"),
        ("x-amz-meta-b", "request"), ("x-amz-acl", "private"), ("x-amz-storage-class", "STANDARD_IA"),
        ("x-amz-server-side-encryption", "aws:kms"), ("x-amz-checksum-algorithm", "CRC32"),
    )
)  # fmt: skip


def test_a_copy_keeps_the_sources_metadata_and_the_requests_settings() -> None:
    copied = copied_headers(_REQUEST, _SOURCE)
    assert sorted(copied) == [
        ("cache-control", "no-cache"), ("content-type", "text/source"), ("expires", "0"), ("x-amz-acl", "private"),
        ("x-amz-meta-a", "source"), ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-storage-class", "STANDARD_IA"),
    ]  # fmt: skip


@pytest.mark.parametrize("directive", ["MOVE", "COPY,REPLACE"])
def test_a_directive_is_one_of_two(directive: str) -> None:
    requested = _REQUEST.replacing((("x-amz-metadata-directive", directive),))
    with pytest.raises(S3Error, match="InvalidArgument: Unknown metadata directive"):
        copied_headers(requested, _SOURCE)


@pytest.mark.parametrize("directive", ["REPLACE", "replace"])
def test_replacing_takes_all_metadata_from_the_request(directive: str) -> None:
    copied = copied_headers(_REQUEST.replacing((("x-amz-metadata-directive", directive),)), _SOURCE)
    assert sorted(copied) == [
        ("content-type", "text/request"), ("x-amz-acl", "private"), ("x-amz-meta-b", "request"),
        ("x-amz-server-side-encryption", "aws:kms"), ("x-amz-storage-class", "STANDARD_IA"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "as_read"),
    [
        ("x-amz-copy-source-if-match", "if-match"),
        ("x-amz-copy-source-if-none-match", "if-none-match"),
        ("x-amz-copy-source-if-modified-since", "if-modified-since"),
        ("x-amz-copy-source-if-unmodified-since", "if-unmodified-since"),
        ("x-amz-copy-source-range", "range"),
    ],
)
def test_conditions_on_the_source_become_those_of_a_read(condition: str, as_read: str) -> None:
    assert source_conditions(Headers(((condition, "value"), ("if-none-match", "*")))) == Headers(((as_read, "value"),))


def test_tags_survive_with_every_character() -> None:
    body = (
        b'<Tagging xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><TagSet>'
        b"<Tag><Key>a&amp;b=</Key><Value>\xc3\xa4 +%</Value></Tag><Tag><Key>empty</Key><Value/></Tag>"
        b"</TagSet></Tagging>"
    )
    value = copied_tagging(body).get("x-amz-tagging") or ""
    assert parse_qsl(value, keep_blank_values=True) == [("a&b=", "ä +%"), ("empty", "")]


@pytest.mark.parametrize("body", [b"<Tagging><TagSet/></Tagging>", b"", b"\n"])
def test_no_tags_are_no_field(body: bytes) -> None:
    assert copied_tagging(body) == Headers()


@pytest.mark.parametrize("body", [b"not XML", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'])
def test_what_is_no_tagging_document_is_refused(body: bytes) -> None:
    with pytest.raises(S3Error):
        copied_tagging(body)


@pytest.mark.parametrize(
    ("values", "stored"),
    [
        ((), None), (("gzip",), "gzip"), (("aws-chunked",), None), (("AWS-Chunked",), None),
        (("aws-chunked,gzip",), "gzip"), (("gzip, aws-chunked",), "gzip"), (("br,aws-chunked,gzip",), "br,gzip"),
        (("gzip", "aws-chunked"), "gzip"), (("gzip, br",), "gzip, br"), (("aws-chunked-2",), "aws-chunked-2"),
        (("",), None),
    ],
)  # fmt: skip
def test_the_stored_encoding_is_without_the_framing(values: tuple[str, ...], stored: str | None) -> None:
    assert stored_content_encoding(Headers(("Content-Encoding", value) for value in values)) == stored


@pytest.mark.parametrize(
    ("written", "bare"),
    [
        ("arn:aws:kms:us-east-1:111122223333:key/1234", "1234"),
        ("arn:aws-cn:kms:cn-north-1:111122223333:key/mrk-1234", "mrk-1234"),
        ("arn:aws:kms:name", "name"), ("name", "name"), ("key/1234", "1234"), ("", ""),
    ],
)  # fmt: skip
def test_key_ids_are_compared_by_what_follows_the_prefixes(written: str, bare: str) -> None:
    assert bare_key_id(written) == bare
