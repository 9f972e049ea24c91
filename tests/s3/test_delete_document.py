"""DeleteObjects documents: read strictly, written anew, answered with errors of our own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import S3Error
from gateway.s3.delete_document import (
    MAX_OBJECTS,
    DeleteDocument,
    Deletion,
    DeletionError,
    parse_delete_document,
    render_delete_document,
    render_result,
    result_with_errors,
)
from gateway.s3.xml import parse_xml

_NAMESPACE = b'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def test_everything_that_the_schema_has() -> None:
    body = (
        b'<?xml version="1.0"?>\n<Delete ' + _NAMESPACE + b"> <Object><Key>a &amp; b </Key><VersionId>v</VersionId>"
        b'<ETag>"x"</ETag><LastModifiedTime>t</LastModifiedTime><Size>1</Size></Object>\n'
        b"<Quiet> true </Quiet><Object><Key>c<!-- d -->e</Key></Object></Delete>"
    )
    document = parse_delete_document(body)
    assert document.quiet == "true"
    assert [(one.object_key, one.version_id) for one in document.deletions] == [("a & b ", "v"), ("ce", None)]
    assert dict(document.deletions[0].fields)["ETag"] == '"x"'
    assert parse_delete_document(render_delete_document(document)) == document


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<Delete>",
        b"<Delete/>",
        b"<Remove><Object><Key>k</Key></Object></Remove>",
        b"<!DOCTYPE a []><Delete><Object><Key>k</Key></Object></Delete>",
        b"<Delete><Object/></Delete>",
        b"<Delete><Object><Key/></Object></Delete>",
        b"<Delete><Object><Key>k</Key><Key>l</Key></Object></Delete>",
        b"<Delete><Object><Key>k</Key><VersionId>v</VersionId><VersionId>w</VersionId></Object></Delete>",
        b"<Delete><Object><Key>k<b>l</b></Key></Object></Delete>",
        b"<Delete><Object><Key>k</Key><Other>x</Other></Object></Delete>",
        b"<Delete><Key>k</Key></Delete>",
        b"<Delete><Quiet>true</Quiet><Quiet>false</Quiet><Object><Key>k</Key></Object></Delete>",
        b"<Delete><Quiet>maybe</Quiet><Object><Key>k</Key></Object></Delete>",
        b"<Delete>" + b"<Object><Key>k</Key></Object>" * (MAX_OBJECTS + 1) + b"</Delete>",
    ],
    ids=[
        "nothing", "not closed", "no object", "another root", "a DTD", "no key", "empty key", "two keys",
        "two versions", "an element in a key", "an unknown field", "a key beside the objects", "quiet twice",
        "quiet and not", "too many",
    ],
)  # fmt: skip
def test_anything_else_is_refused(body: bytes) -> None:
    """Two readers could take it for two things, and the policies would judge one of them."""
    with pytest.raises(S3Error) as caught:
        parse_delete_document(body)
    assert caught.value.code == "MalformedXML"


_ERROR = DeletionError(Deletion("a<b", "v", ()), "AccessDenied", "by policy 'p' & others")
_WRITTEN = (
    b"<Error><Key>a&lt;b</Key><VersionId>v</VersionId><Code>AccessDenied</Code>"
    b"<Message>by policy 'p' &amp; others</Message></Error>"
)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (b"<DeleteResult/>", b"<DeleteResult>%b</DeleteResult>"),
        (b"<DeleteResult " + _NAMESPACE + b" />\n", b"<DeleteResult " + _NAMESPACE + b" >%b</DeleteResult>"),
        (
            b'<?xml version="1.0"?><DeleteResult><Deleted><Key>k</Key></Deleted></DeleteResult>',
            b'<?xml version="1.0"?><DeleteResult><Deleted><Key>k</Key></Deleted>%b</DeleteResult>',
        ),
        (b"<DeleteResult></DeleteResult>\n", b"<DeleteResult>%b</DeleteResult>\n"),
        (b"<DeleteResult><Deleted/></DeleteResult>", b"<DeleteResult><Deleted/>%b</DeleteResult>"),
    ],
)
def test_errors_are_added_to_the_servers_result(result: bytes, expected: bytes) -> None:
    assert result_with_errors(result, (_ERROR,)) == expected % _WRITTEN


@pytest.mark.parametrize(
    "result", [b"", b"text", b"<Error><Code>x</Code></Error>", b"<DeleteResult></DeleteResult><!-- </x> -->"]
)
def test_what_is_no_result_is_not_passed_on(result: bytes) -> None:
    with pytest.raises(S3Error) as caught:
        result_with_errors(result, (_ERROR,))
    assert caught.value.code == "InternalError"


def test_a_result_of_errors_alone() -> None:
    body = render_result((_ERROR, _ERROR))
    assert body.count(_WRITTEN) == 2
    assert [element.tag.rpartition("}")[2] for element in parse_xml(body)] == ["Error", "Error"]


_TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cc", "Cs", "Cn"]), max_size=9
)


@given(
    st.lists(st.tuples(_TEXT.filter(bool), st.none() | _TEXT), min_size=1, max_size=5), st.sampled_from([None, "true"])
)
def test_what_is_written_is_what_was_judged(objects: list[tuple[str, str | None]], quiet: str | None) -> None:
    deletions = tuple(
        Deletion(key, version, (("Key", key), *(() if version is None else (("VersionId", version),))))
        for key, version in objects
    )
    document = DeleteDocument(quiet, deletions)
    assert parse_delete_document(render_delete_document(document)) == document


@given(st.binary(max_size=80))
def test_garbage_is_an_s3_error(body: bytes) -> None:
    with pytest.raises(S3Error):
        parse_delete_document(body)
