"""The source of a copy, in every spelling that SDKs produce."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import S3Error
from gateway.s3.copy_source import MAX_COPY_SOURCE_CHARACTERS, CopySource, parse_copy_source


@pytest.mark.parametrize(
    ("value", "object_key", "version_id"),
    [
        ("my-bucket/key", "key", None),
        ("/my-bucket/key", "key", None),
        ("my-bucket/a/b//c/", "a/b//c/", None),
        ("/my-bucket//key", "/key", None),
        ("my-bucket/../x", "../x", None),
        ("my-bucket%2Fa%2Fb", "a/b", None),
        ("%2Fmy-bucket%2Fa%2Fb", "a/b", None),
        ("my-bucket/a%20b", "a b", None),
        ("my-bucket/a+b", "a b", None),
        ("my-bucket/a%2Bb", "a+b", None),
        ("my-bucket/a b", "a b", None),
        ("my-bucket/a%3Fb", "a?b", None),
        ("my-bucket/a%3FversionId%3Dv", "a?versionId=v", None),
        ("my-bucket/100%2525", "100%25", None),
        ("my-bucket/%D0%BA", "к", None),
        ("my-bucket/к", "к", None),
        ("my-bucket/k?versionId=v1.x_-", "k", "v1.x_-"),
        ("my-bucket/k?versionId=null", "k", "null"),
        ("my-bucket/k?versionId=a%2Fb%3D", "k", "a/b="),
        ("my-bucket/" + "k" * 1024, "k" * 1024, None),
    ],
)
def test_sources(value: str, object_key: str, version_id: str | None) -> None:
    source = parse_copy_source(value)
    assert (source.bucket, source.object_key, source.version_id) == ("my-bucket", object_key, version_id)
    assert parse_copy_source(source.render()) == source


def test_rendering_is_one_spelling() -> None:
    for value in ("my-bucket/a b+c", "/my-bucket/a%20b%20c", "my-bucket%2Fa+b+c"):
        assert parse_copy_source(value).render() == "/my-bucket/a%20b%20c"
    source = CopySource("my-bucket", "a%2Bb", "a+b", "v/1")
    assert source.render() == "/my-bucket/a%2Bb?versionId=v%2F1"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("", "InvalidArgument"),
        ("/", "InvalidArgument"),
        ("key", "InvalidArgument"),
        ("my-bucket/", "InvalidArgument"),
        ("/my-bucket", "InvalidArgument"),
        ("//key", "InvalidArgument"),
        ("B/key", "InvalidArgument"),
        ("my bucket/key", "InvalidArgument"),
        ("my-bucket/a%", "InvalidArgument"),
        ("my-bucket/a%zz", "InvalidArgument"),
        ("my-bucket/%ff", "InvalidArgument"),
        ("my-bucket/\udcff", "InvalidArgument"),
        ("my-bucket/a%00", "InvalidArgument"),
        ("my-bucket/a\r\nb", "InvalidArgument"),
        ("my-bucket/k?", "InvalidArgument"),
        ("my-bucket/k?acl", "InvalidArgument"),
        ("my-bucket/k?versionId=", "InvalidArgument"),
        ("my-bucket/k?versionId=a&versionId=b", "InvalidArgument"),
        ("my-bucket/k?versionId=%", "InvalidArgument"),
        ("my-bucket/" + "k" * MAX_COPY_SOURCE_CHARACTERS, "InvalidArgument"),
        ("my-bucket/" + "k" * 1025, "KeyTooLongError"),
        ("arn:aws:s3:us-east-1:123456789012:accesspoint/ap/object/k", "NotImplemented"),
        ("arn%3Aaws%3As3%3Aus-east-1%3A123456789012%3Aaccesspoint%2Fap%2Fobject%2Fk", "NotImplemented"),
        ("/data--use1-az4--x-s3/k", "NotImplemented"),
    ],
)
def test_refused_sources(value: str, code: str) -> None:
    with pytest.raises(S3Error) as caught:
        parse_copy_source(value)
    assert caught.value.code == code
    if code == "InvalidArgument":
        assert caught.value.details[0] == ("ArgumentName", "x-amz-copy-source")


@given(st.text())
def test_garbage_is_refused_with_an_s3_error(value: str) -> None:
    for candidate in (value, "my-bucket/" + value):
        try:
            source = parse_copy_source(candidate)
        except S3Error:
            continue
        assert parse_copy_source(source.render()) == source
