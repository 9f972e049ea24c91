import pytest

from gateway.errors import S3Error
from gateway.s3.deletion import conditional_deletions, with_etags

_BODY = b"""<?xml version="1.0"?><Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>
<Object><Key>a &amp; b</Key><ETag>"x-1"</ETag></Object><Object><Key>plain</Key></Object>
<Object><ETag>y</ETag><VersionId>v</VersionId><Key>c</Key></Object></Delete>"""


def test_only_objects_with_a_condition_are_found_and_changed() -> None:
    found = conditional_deletions(_BODY)
    assert [(one.object_key, one.version_id, one.etag) for one in found] == [("a & b", None, '"x-1"'), ("c", "v", "y")]
    assert with_etags(_BODY, [(found[0], '"x"')]) == _BODY.replace(b'"x-1"', b"&quot;x&quot;")
    assert with_etags(_BODY, [(found[1], "z")]) == _BODY.replace(b">y<", b">z<")
    assert with_etags(_BODY, []) == _BODY


@pytest.mark.parametrize("body", [b"<Delete/>", b"<Delete><Object><ETag>x</ETag></Object></Delete>", b"<a><ETag/></a>"])
def test_what_names_no_object_has_no_conditions(body: bytes) -> None:
    assert conditional_deletions(body) == []


@pytest.mark.parametrize("body", [b"", b"<Delete>", b"<!DOCTYPE a []><a/>"])
def test_what_is_no_document_is_an_error(body: bytes) -> None:
    with pytest.raises(S3Error):
        conditional_deletions(body)
