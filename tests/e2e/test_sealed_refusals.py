"""What is refused where objects are sealed, because the server would have to understand their content."""

import pytest

from tests.e2e.stage import CSE, NONE, Stage

_SELECT = (
    b'<SelectObjectContentRequest xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Expression>select * from s3object'
    b"</Expression><ExpressionType>SQL</ExpressionType><InputSerialization><CSV/></InputSerialization>"
    b"<OutputSerialization><CSV/></OutputSerialization></SelectObjectContentRequest>"
)


@pytest.mark.parametrize(
    ("method", "query", "body"),
    [
        ("POST", "select&select-type=2", _SELECT),
        ("GET", "torrent", b""),
        ("PUT", "annotation&annotationName=note", b"in the clear"),
    ],
)
def test_the_server_is_asked_for_nothing_that_needs_the_content(
    stage: Stage, method: str, query: str, body: bytes
) -> None:
    stage.client.put_object(Bucket=stage.bucket(CSE), Key="refused", Body=b"a,b\n1,2\n")
    answer = stage.ask(method, f"/{stage.bucket(CSE)}/refused?{query}", body=body)
    assert (answer.status, answer.code) == (501, "NotImplemented")


@pytest.mark.parametrize("encryption", [NONE, CSE])
def test_the_mark_of_sealed_objects_can_not_be_set_by_clients(stage: Stage, encryption: str) -> None:
    target = f"/{stage.bucket(encryption)}/marked"
    headers = {"x-amz-meta-sealgate": "v1;size=3"}
    for method, query in (("PUT", ""), ("POST", "?uploads")):
        answer = stage.ask(method, target + query, headers=headers, body=b"abc" if method == "PUT" else b"")
        assert (answer.status, answer.code) == (400, "InvalidArgument")
    copy = stage.ask("PUT", target, headers=headers | {"x-amz-copy-source": f"{stage.bucket(NONE)}/any"})
    assert (copy.status, copy.code) == (400, "InvalidArgument")
