"""Documents in, documents out."""

from datetime import UTC, datetime, timedelta, timezone
from xml.etree.ElementTree import Element

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import S3Error
from gateway.s3.xml import (
    MAX_ERROR_BYTES,
    ErrorAnswer,
    element_text,
    error_code,
    local_name,
    parse_error,
    parse_xml,
    render_copy_result,
    render_error,
    render_post_response,
    replace_text,
)

BILLION_LAUGHS = b'<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;">]><Error><Code>&y;</Code></Error>'
EXTERNAL_ENTITY = b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><Error><Code>&x;</Code></Error>'
NO_XML = [
    b"",
    b" ",
    b"Access Denied",
    b"<Error>",
    b"<Error><Code>X</Error>",
    b"<Error/><Error/>",
    b"<Error>\x00</Error>",
    b"<Error>\xff</Error>",
    b"<Error>&nbsp;</Error>",
    b"<!DOCTYPE html><html></html>",
    b'<?xml version="1.0" encoding="no-such"?><Error/>',
    b'<?xml version="1.0" encoding="shift_jis"?><Error/>',
    b'{"Code": "X"}',
    BILLION_LAUGHS,
    EXTERNAL_ENTITY,
]


def rendered(details: tuple[tuple[str, str], ...] = (), message: str = "m", resource: str = "/b/k") -> bytes:
    return render_error(
        code="InvalidArgument", message=message, resource=resource, request_id="R", host_id="H", details=details
    )


def children(root: Element) -> list[tuple[str, str]]:
    return [(child.tag, child.text or "") for child in root]


def test_errors_have_the_form_of_s3() -> None:
    assert rendered((("ArgumentName", "a"), ("ArgumentValue", "b"))) == (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>InvalidArgument</Code><Message>m</Message>'
        b"<ArgumentName>a</ArgumentName><ArgumentValue>b</ArgumentValue><Resource>/b/k</Resource>"
        b"<RequestId>R</RequestId><HostId>H</HostId></Error>"
    )


@given(st.text(), st.text(), st.text())
def test_whatever_is_in_an_error_it_is_well_formed_and_injects_nothing(message: str, resource: str, value: str) -> None:
    root = fromstring(rendered((("ArgumentValue", value),), message, resource))
    assert [child.tag for child in root] == ["Code", "Message", "ArgumentValue", "Resource", "RequestId", "HostId"]


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")))
def test_texts_come_out_as_they_went_in(message: str) -> None:
    found = parse_error(rendered(message=message))
    assert found == ErrorAnswer("InvalidArgument", message)


def test_what_xml_cannot_say_is_replaced() -> None:
    assert "a\ufffdb\ufffdc\td\ne&#13;f".encode() in rendered(message="a\x00b\udcffc\td\ne\rf")


def test_copy_results() -> None:
    when = datetime(2026, 1, 2, 4, 5, 6, 789, tzinfo=timezone(timedelta(hours=1)))
    body = render_copy_result("CopyObjectResult", etag='"e"', last_modified=when, checksums=(("ChecksumCRC32", "x="),))
    assert body == (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<CopyObjectResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        b"<LastModified>2026-01-02T03:05:06.000Z</LastModified><ETag>&quot;e&quot;</ETag>"
        b"<ChecksumCRC32>x=</ChecksumCRC32></CopyObjectResult>"
    )
    part = parse_xml(render_copy_result("CopyPartResult", etag='"e"', last_modified=datetime.now(UTC)))
    assert (local_name(part), part.findtext("{*}ETag")) == ("CopyPartResult", '"e"')


def test_post_responses() -> None:
    body = render_post_response(location="https://h/b/a%26b", bucket="b", object_key="a&b<", etag='"e"')
    root = fromstring(body)
    assert root.tag == "PostResponse"
    assert children(root) == [("Location", "https://h/b/a%26b"), ("Bucket", "b"), ("Key", "a&b<"), ("ETag", '"e"')]


@pytest.mark.parametrize("body", NO_XML)
def test_what_is_no_xml_is_malformed_and_no_error(body: bytes) -> None:
    with pytest.raises(S3Error) as caught:
        parse_xml(body)
    assert (caught.value.code, caught.value.status) == ("MalformedXML", 400)
    assert parse_error(body) is None
    assert error_code(body) is None
    assert element_text(body, "Code") is None


@given(st.binary())
def test_garbage_is_malformed_and_no_error(body: bytes) -> None:
    for candidate in (body, b"<Error>" + body, b"<a>" + body + b"</a>"):
        assert parse_error(candidate) is None
        try:
            parse_xml(candidate)
        except S3Error as error:
            assert error.code == "MalformedXML"  # noqa: PT017 - either outcome is right


def test_the_size_of_a_document_is_limited() -> None:
    body = b"<a>" + b"x" * 93 + b"</a>"
    assert parse_xml(body, 100).text == "x" * 93
    with pytest.raises(S3Error):
        parse_xml(body, 99)
    long = b"<Error><Code>X</Code>" + b" " * MAX_ERROR_BYTES + b"</Error>"
    assert parse_error(long) is None


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"<Error><Code>X</Code><Message>m</Message></Error>", ErrorAnswer("X", "m")),
        (b'  \n <?xml version="1.0"?>\n <Error><Code>X</Code></Error>\n', ErrorAnswer("X", "")),
        (b'<Error xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Code>X</Code></Error>', ErrorAnswer("X", "")),
        (b'<e:Error xmlns:e="u"><e:Code>X</e:Code></e:Error>', ErrorAnswer("X", "")),
        # An Error without a code is an error all the same; SDKs take it for a 500.
        (b"<Error/>", ErrorAnswer("InternalError", "")),
        (b"<CopyObjectResult><Error><Code>X</Code></Error></CopyObjectResult>", None),
        (b"<Errors><Code>X</Code></Errors>", None),
        (b"<Code>X</Code>", None),
    ],
)
def test_errors_inside_answers(body: bytes, found: ErrorAnswer | None) -> None:
    assert parse_error(body) == found
    assert error_code(body) == (None if found is None else found.code)


def test_element_text_finds_the_first_in_any_namespace() -> None:
    body = b' <a xmlns="u"><b><UploadId>x&amp;y</UploadId></b><UploadId>z</UploadId><Empty/></a>'
    assert element_text(body, "UploadId") == "x&y"
    assert element_text(body, "Empty") == ""
    assert element_text(body, "Missing") is None
    assert element_text(body, "UploadId", limit=10) is None


def test_replace_text_by_name() -> None:
    body = b'<a xmlns="u"><UploadId>x</UploadId><Key>x</Key></a>'
    assert replace_text(body, {"UploadId": "<&>"}) == b'<a xmlns="u"><UploadId>&lt;&amp;&gt;</UploadId><Key>x</Key></a>'
