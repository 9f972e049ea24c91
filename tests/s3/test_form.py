"""Browser uploads: every form whole, byte by byte and in odd slices."""

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import S3Error
from gateway.s3.form import MAX_PRE_FILE_BYTES, MultipartFormParser
from tests.s3.chunked_bodies import feed, feed_at, outcome, read

BOUNDARY = "9431149156168"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
CLOSE = f"\r\n--{BOUNDARY}--\r\n".encode()
STEPS = [0, 1, 2, 5, 17, 64]


def part(name: str, value: bytes, more: str = "") -> bytes:
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value


def form(fields: dict[str, str], content: bytes, more: str = '; filename="a.txt"\r\nContent-Type: text/plain') -> bytes:
    parts = [part(name, value.encode()) for name, value in fields.items()]
    return b"\r\n".join([*parts, part("file", content, more)]) + CLOSE


def refusal(body: bytes, step: int = 0) -> S3Error:
    parser = MultipartFormParser(CONTENT_TYPE)
    with pytest.raises(S3Error) as caught:
        read(parser, body, step)
    return caught.value


CONTENTS = {
    "text": b"content",
    "empty": b"",
    "line end": b"\r\n",
    "line ends at both ends": b"\r\n\r\ncontent\r\n\r\n",
    "almost a boundary": f"\r\n--{BOUNDARY[:-1]}\r\n--{BOUNDARY[:-1]}9".encode(),
    "boundary without its line end": f"--{BOUNDARY}--".encode(),
    "boundary after a line feed": f"\n--{BOUNDARY}--".encode(),
    "many starts of a boundary": b"\r\r\n\r\n-\r\n--\r\n--9\r" * 9,
    "every byte": bytes(range(256)) * 3,
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())
def test_a_form(content: bytes, step: int) -> None:
    parser = MultipartFormParser(CONTENT_TYPE)
    fields = {"key": "user/${filename}", "Content-Type": "text/plain", "X-Amz-Meta-Empty": "", "acl": "grün"}
    assert feed(parser, form(fields, content), step) == content
    parser.finish()
    assert parser.fields == {name.lower(): value for name, value in fields.items()}
    assert parser.file is not None
    assert (parser.file.filename, parser.file.content_type) == ("a.txt", "text/plain")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "after",
    [
        b"--",
        b"--\r\n",
        b"--epilogue\r\n--" + BOUNDARY.encode(),
        b"\r\n" + part("submit", b"Upload")[15:] + CLOSE,
        b"\r\n" + part("file", b"second file")[15:] + CLOSE,
        b"\r\nno headers at all" + CLOSE,
    ],
)
def test_what_follows_the_file_is_ignored(after: bytes, step: int) -> None:
    parser = MultipartFormParser(CONTENT_TYPE)
    body = part("key", b"k") + b"\r\n" + part("FILE", b"content") + f"\r\n--{BOUNDARY}".encode() + after
    assert feed(parser, body, step) == b"content"
    parser.finish()
    assert parser.fields == {"key": "k"}


def test_the_fields_are_known_before_the_content() -> None:
    parser = MultipartFormParser(CONTENT_TYPE)
    head = part("key", b"k") + b"\r\n" + part("file", b"")
    assert parser.feed(head[:-1]) == []
    before = parser.file
    assert before is None
    assert parser.feed(head[-1:]) == []
    assert parser.file is not None
    assert parser.fields == {"key": "k"}


@pytest.mark.parametrize("step", STEPS)
def test_the_size_of_a_file_follows_from_the_length_of_the_form(step: int) -> None:
    parser = MultipartFormParser(CONTENT_TYPE)
    body = form({"key": "k"}, b"content")
    read(parser, body, step)
    assert body[parser.file_offset :].startswith(b"content\r\n--")
    assert len(body) - parser.file_offset - parser.delimiter_size - len("--\r\n") == len(b"content")


def test_content_is_passed_on_without_a_copy() -> None:
    parser = MultipartFormParser(CONTENT_TYPE)
    parser.feed(part("file", b""))
    data = b"content"
    assert parser.feed(data)[0] is data


def test_no_byte_of_a_boundary_is_released() -> None:
    parser = MultipartFormParser(CONTENT_TYPE)
    parser.feed(part("file", b""))
    assert parser.feed(b"content\r\n-x") == [b"content\r\n-x"]
    assert parser.feed(b"content\r\n--94311") == [b"content"]
    assert parser.feed(b"4915616") == []
    assert parser.feed(b"x") == [b"\r\n--943114915616x"]


PART = part("file", b"content")
MALFORMED = {
    "nothing": b"",
    "no boundary": b"content",
    "preamble": b"preamble\r\n" + PART + CLOSE,
    "empty line first": b"\r\n" + PART + CLOSE,
    "another boundary": PART.replace(b"9431", b"1349") + CLOSE,
    "boundary goes on": PART.replace(BOUNDARY.encode(), BOUNDARY.encode() + b"0") + CLOSE,
    "boundary in the content goes on": PART + f"\r\n--{BOUNDARY}0".encode() + CLOSE,
    "space after the boundary": PART.replace(b"168\r\n", b"168 \r\n") + CLOSE,
    "line feed after the boundary": PART.replace(b"168\r\n", b"168\n") + CLOSE,
    "no closing boundary": PART,
    "boundary at the end": PART + f"\r\n--{BOUNDARY}".encode(),
    "half a closing boundary": PART + f"\r\n--{BOUNDARY}-".encode(),
    "not closed after other parts": PART + b"\r\n" + part("submit", b"Upload"),
    "headers not ended": PART.partition(b"\r\n\r\n")[0],
    "no headers": f"--{BOUNDARY}\r\n\r\ncontent".encode() + CLOSE,
    "field twice": part("key", b"a") + b"\r\n" + part("Key", b"b") + b"\r\n" + PART + CLOSE,
    "field not UTF-8": part("key", b"\xff") + b"\r\n" + PART + CLOSE,
    "name not UTF-8": PART.replace(b'"file"', b'"\xff"') + CLOSE,
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_forms(body: bytes, step: int) -> None:
    error = refusal(body, step)
    assert (error.code, error.status) == ("MalformedPOSTRequest", 400)
    assert error.message == "The body of your POST request is not well-formed multipart/form-data."


def test_a_form_cut_anywhere_is_refused() -> None:
    body = form({"key": "k"}, b"content").removesuffix(b"\r\n")
    for end in range(len(body)):
        assert refusal(body[:end]).code == "MalformedPOSTRequest"


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("fields", [b"", part("key", b"k")])
def test_a_form_without_a_file(fields: bytes, step: int) -> None:
    body = fields + CLOSE if fields else CLOSE[2:]
    error = refusal(body + b"epilogue" * 9999, step or len(body) + 80000)
    assert (error.code, error.message) == ("InvalidArgument", "POST requires exactly one file upload per request.")
    assert error.details == (("ArgumentName", "file"), ("ArgumentValue", "0"))


@pytest.mark.parametrize("step", [0, 1, 4096])
def test_what_precedes_the_file_is_limited(step: int) -> None:
    """Fields, headers and boundaries count together; the file does not."""
    assert MAX_PRE_FILE_BYTES == 20480
    overhead = len(part("key", b"") + b"\r\n" + part("file", b""))
    value = "v" * (MAX_PRE_FILE_BYTES - overhead)
    parser = MultipartFormParser(CONTENT_TYPE)
    body = form({"key": value}, b"c" * 50_000, "")
    assert feed(parser, body, step) == b"c" * 50_000
    parser.finish()
    error = refusal(form({"key": value + "v"}, b"content", ""), step)
    assert (error.code, error.status) == ("MaxPostPreDataLengthExceededError", 400)


def test_endless_headers_are_refused() -> None:
    endless = f"--{BOUNDARY}\r\nContent-Disposition: ".encode() + b"x" * MAX_PRE_FILE_BYTES
    assert refusal(endless, 1000).code == "MaxPostPreDataLengthExceededError"


def test_hostile_content_takes_linear_time() -> None:
    """Starts of a boundary in every piece: eight times the content, about eight times the time."""

    def seconds(size: int) -> float:
        parser = MultipartFormParser(CONTENT_TYPE)
        parser.feed(part("file", b""))
        body = (b"\r\n--" + BOUNDARY.encode()[:-1]) * (size // 16)
        started = time.process_time()
        assert feed(parser, body, 15)
        return time.process_time() - started

    assert seconds(1_600_000) < 40 * max(seconds(200_000), 0.001)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([b"\r", b"\n", b"--", BOUNDARY.encode()[:-1], b"x", b"\x00" * 50]), max_size=60).map(
        b"".join
    ),
    st.lists(st.integers(0, 10**4), max_size=40),
)
def test_any_split_gives_the_content(content: bytes, cuts: list[int]) -> None:
    parser = MultipartFormParser(CONTENT_TYPE)
    assert feed_at(parser, form({"key": "k"}, content), cuts) == content
    parser.finish()
    assert parser.fields == {"key": "k"}


FRAGMENTS = [
    b"\r\n",
    b"--",
    BOUNDARY.encode(),
    b'Content-Disposition: form-data; name="file"',
    b"\r\n\r\n",
    CLOSE,
    PART,
]


@given(
    st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.binary(max_size=9)), max_size=20).map(b"".join),
    st.integers(0, 50),
)
def test_garbage_raises_only_s3_errors(body: bytes, step: int) -> None:
    parser = MultipartFormParser(CONTENT_TYPE)
    error = outcome(lambda: read(parser, body, step))
    assert error is None or error.code in {"MalformedPOSTRequest", "InvalidArgument"}


def test_large_content() -> None:
    content = random.Random(3).randbytes(1 << 20)
    parser = MultipartFormParser(CONTENT_TYPE)
    assert feed(parser, form({}, content), 65536) == content
    parser.finish()
