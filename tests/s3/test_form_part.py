"""The header fields inside a form."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import S3Error
from gateway.s3.form_part import FormFile, parse_boundary, parse_part_headers
from tests.s3.chunked_bodies import outcome

NAME = "Content-Disposition: form-data; name=file"


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ("multipart/form-data;boundary=----WebKitFormBoundary7MA4YWxk", b"----WebKitFormBoundary7MA4YWxk"),
        ("Multipart/Form-Data; Charset=utf-8; Boundary=abc", b"abc"),
        ('multipart/form-data; boundary="a b:c"; charset="utf-8"', b"a b:c"),
        (f"multipart/form-data; boundary={'a' * 70}", b"a" * 70),
    ],
)
def test_boundaries(content_type: str, boundary: bytes) -> None:
    assert parse_boundary(content_type) == boundary


@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "multipart/mixed; boundary=abc", "application/x-www-form-urlencoded"]
)
def test_other_types_are_no_forms(content_type: str | None) -> None:
    with pytest.raises(S3Error) as caught:
        parse_boundary(content_type)
    assert (caught.value.code, caught.value.status) == ("PreconditionFailed", 412)
    assert caught.value.details == (("Condition", "Bucket POST must be of the enclosure-type multipart/form-data"),)


@pytest.mark.parametrize(
    "parameters",
    [
        "",
        ";",
        "; charset=utf-8",
        "; boundary=",
        '; boundary=""',
        "; boundary=a b",
        '; boundary="a b ',
        '; boundary="a "',
        '; boundary="a\r\nb"',
        "; boundary=a; boundary=b",
        "; boundary=a;",
        "; boundary=a, b",
        f"; boundary={'a' * 71}",
        "; boundary=ä",
    ],
)
def test_unusable_boundaries(parameters: str) -> None:
    with pytest.raises(S3Error, match="MalformedPOSTRequest"):
        parse_boundary("multipart/form-data" + parameters)


@pytest.mark.parametrize(
    ("block", "name", "file"),
    [
        (NAME, "file", FormFile(None, None)),
        ('content-disposition:FORM-DATA;NAME="X-Amz-Date"', "x-amz-date", FormFile(None, None)),
        ('Content-Disposition: form-data; name="file"; filename=""', "file", FormFile("", None)),
        ('Content-Disposition: form-data; filename="a;b=c.txt"; name="file"', "file", FormFile("a;b=c.txt", None)),
        (
            'Content-Disposition: form-data; name="file"; filename="C:\\dir\\a.txt"',
            "file",
            FormFile("C:\\dir\\a.txt", None),
        ),
        ('Content-Disposition: form-data; name="file"; filename="a\\"b"', "file", FormFile('a"b', None)),
        ('Content-Disposition: form-data; name="file"; filename="ü.txt"', "file", FormFile("ü.txt", None)),
        (f"{NAME}; filename*=utf-8''a", "file", FormFile(None, None)),
        (f"{NAME}; filename=a\r\nContent-Type:\timage/png \t", "file", FormFile("a", "image/png")),
        (f"X-Other: a\r\nContent-Transfer-Encoding: Binary\r\n{NAME}", "file", FormFile(None, None)),
    ],
)
def test_part_headers(block: str, name: str, file: FormFile) -> None:
    headers = parse_part_headers(block)
    assert (headers.name, headers.file) == (name, file)


@pytest.mark.parametrize(
    "block",
    [
        "",
        "Content-Type: text/plain",
        "Content-Disposition: form-data",
        'Content-Disposition: form-data; name=""',
        "Content-Disposition: form-data; filename=a",
        "Content-Disposition: attachment; name=file",
        "Content-Disposition: form-data name=file",
        f"{NAME}; name=other",
        f"{NAME}; NAME=other",
        f"{NAME}; filename=a; filename=b",
        f"{NAME};",
        f"{NAME}; filename",
        f'{NAME}; filename="a',
        f'{NAME}; filename="a"b',
        f'{NAME}; filename="a\\"',
        f"{NAME}\r\n{NAME}",
        f"{NAME}\r\n",
        f"\r\n{NAME}",
        f"{NAME}\r\n folded",
        f"{NAME}\r\nno colon",
        f"{NAME}\r\nspace : a",
        f"{NAME}\r\nX-Other: a\nb",
        f"{NAME}\r\nX-Other: a\rb",
        f"{NAME}\r\nX-Other: a\x00b",
        f"{NAME}\r\nContent-Transfer-Encoding: base64",
        f"{NAME}\r\nContent-Transfer-Encoding: quoted-printable",
    ],
)
def test_malformed_part_headers(block: str) -> None:
    with pytest.raises(S3Error, match="MalformedPOSTRequest"):
        parse_part_headers(block)


@given(st.text(), st.lists(st.sampled_from([NAME, "; ", '"', "\\", "=", "a", "\r\n", ";", "filename="])).map("".join))
def test_garbage_raises_only_s3_errors(text: str, fragments: str) -> None:
    for garbage in (text, fragments, NAME + fragments, NAME + text):
        for parse in (parse_part_headers, parse_boundary, lambda rest: parse_boundary("multipart/form-data" + rest)):
            error = outcome(partial(parse, garbage))
            assert error is None or error.code in {"MalformedPOSTRequest", "PreconditionFailed"}
