"""Answers as bytes: what is one, where it ends, and what is refused, wherever the bytes are cut."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.answer_body import AnswerBody, body_of
from gateway.upstream.answer_head import MAX_FIELDS, MAX_HEAD_BYTES, MAX_LINE_BYTES, AnswerHead, HeadReader
from gateway.upstream.faults import AnswerInvalid

_OK = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _OK + b"transfer-encoding: chunked\r\n\r\n"


@dataclass
class Read:
    """What became of some bytes."""

    head: AnswerHead | None = None
    body: AnswerBody | None = None
    data: bytes = b""

    @property
    def whole(self) -> bool:
        return self.body is not None and self.body.complete

    @property
    def reusable(self) -> bool:
        assert self.head is not None
        assert self.body is not None
        return self.head.persistent and not self.body.surplus


def read(*pieces: bytes, bodiless: bool = False) -> Read:
    reader = HeadReader(bodiless=bodiless)
    result = Read()
    for piece in pieces:
        rest = piece
        if result.body is None:
            begun = reader.feed(piece)
            if begun is None:
                continue
            result.head, rest = begun
            result.body = body_of(result.head)
        if rest:
            found = result.body.feed(rest)
            assert all(found)
            result.data += b"".join(found)
    return result


@dataclass(frozen=True)
class Case:
    """An answer, and how it is understood."""

    name: str
    answer: bytes
    status: int
    body: bytes
    reusable: bool = True
    bodiless: bool = False


CASES = [
    Case("sized", _OK + b"Content-Length: 5\r\n\r\nhello", 200, b"hello"),
    Case("empty", _OK + b"content-length: 0\r\n\r\n", 200, b""),
    Case("space behind a value", _OK + b"content-length: 2 \t\r\n\r\nok", 200, b"ok"),
    Case("no reason", b"HTTP/1.1 200 \r\ncontent-length: 1\r\n\r\nx", 200, b"x"),
    Case("no content", b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    Case("not modified", b"HTTP/1.1 304 X\r\ncontent-length: 700\r\n\r\n", 304, b""),
    Case("to HEAD", _OK + b"content-length: 700\r\n\r\n", 200, b"", bodiless=True),
    Case("to HEAD, chunked", _CHUNKED, 200, b"", bodiless=True),
    Case("continue first", b"HTTP/1.1 100 Continue\r\n\r\n" + _OK + b"content-length: 1\r\n\r\nx", 200, b"x"),
    Case(
        "hints first",
        b"HTTP/1.1 103 H\r\nlink: </a>\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 403 N\r\ncontent-length: 1\r\n\r\nx",
        403,
        b"x",
    ),
    Case("chunks", _CHUNKED + b"1\r\na\r\n0a\r\n0123456789\r\n0\r\n\r\n", 200, b"a0123456789"),
    Case("chunks with extras", _CHUNKED + b"1;x=y\r\na\r\n0\r\nx-trailer: t\r\n\r\n", 200, b"a"),
    Case("no chunks", _CHUNKED.replace(b"chunked", b"CHUNKED") + b"0\r\n\r\n", 200, b""),
    Case("said to close", _OK + b"connection: x, Close\r\ncontent-length: 1\r\n\r\nx", 200, b"x", reusable=False),
    Case("HTTP/1.0", b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx", 200, b"x", reusable=False),
    Case(
        "HTTP/1.0 kept",
        b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\nx",
        200,
        b"x",
        reusable=False,
    ),
    Case("too much", _OK + b"content-length: 1\r\n\r\nxHTTP/1.1", 200, b"x", reusable=False),
    Case("too much for none", b"HTTP/1.1 204 X\r\ncontent-length: 1\r\n\r\nx", 204, b"", reusable=False),
    Case("too much for HEAD", _OK + b"content-length: 1\r\n\r\nx", 200, b"", reusable=False, bodiless=True),
    Case("another answer", _CHUNKED + b"1\r\na\r\n0\r\n\r\n" + _OK, 200, b"a", reusable=False),
    Case("garbage behind chunks", _CHUNKED + b"1\r\na\r\n0\r\n\r\nx", 200, b"a", reusable=False),
    Case("an empty line behind chunks", _CHUNKED + b"0\r\n\r\n\r\n", 200, b"", reusable=False),
    Case("half a line end behind chunks", _CHUNKED + b"0\r\n\r\n\r", 200, b"", reusable=False),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_answers_are_understood_wherever_they_are_cut(case: Case) -> None:
    whole = case.answer
    cuts = [(whole,), tuple(whole[i : i + 1] for i in range(len(whole)))]
    cuts += [(whole[:i], whole[i:]) for i in range(1, len(whole))]
    for pieces in cuts:
        result = read(*pieces, bodiless=case.bodiless)
        assert result.head is not None
        assert (result.head.status, result.data, result.whole) == (case.status, case.body, True), pieces
        assert result.reusable == case.reusable, pieces


@given(st.sampled_from(CASES), st.lists(st.integers(0, 200), max_size=6))
def test_any_cuts_are_the_same(case: Case, places: list[int]) -> None:
    ends = [0, *sorted(places), len(case.answer)]
    pieces = [case.answer[start:end] for start, end in pairwise(ends)]
    result = read(*[piece for piece in pieces if piece], bodiless=case.bodiless)
    assert (result.whole, result.data, result.reusable) == (True, case.body, case.reusable)


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=8), st.integers(1, 97))
def test_chunks_come_out_as_they_went_in(chunks: list[bytes], step: int) -> None:
    wire = _CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    result = read(*[wire[i : i + step] for i in range(0, len(wire), step)])
    assert (result.whole, result.data, result.reusable) == (True, b"".join(chunks), True)


@pytest.mark.parametrize("case", [case for case in CASES if case.reusable], ids=lambda case: case.name)
def test_part_of_an_answer_is_not_whole(case: Case) -> None:
    for length in range(len(case.answer)):
        assert not read(case.answer[:length], bodiless=case.bodiless).whole


REFUSED = {
    "other protocol": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "newer HTTP": b"HTTP/2.0 200 OK\r\n\r\n",
    "older HTTP": b"HTTP/0.9 200 OK\r\n\r\n",
    "a request": b"GET / HTTP/1.1\r\n\r\n",
    "a line before it": b"\r\n" + _OK + b"\r\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "status below 100": b"HTTP/1.1 099 OK\r\n\r\n",
    "another protocol from here": b"HTTP/1.1 101 X\r\nupgrade: a\r\nconnection: upgrade\r\n\r\n",
    "folded line": _OK + b"a: b\r\n c\r\n\r\n",
    "space before the colon": _OK + b"a : b\r\n\r\n",
    "no colon": _OK + b"a\r\n\r\n",
    "no name": _OK + b": a\r\n\r\n",
    "zero byte": _OK + b"a: b\x00\r\n\r\n",
    "bare CR": _OK + b"a: b\rc: d\r\n\r\n",
    "bare LF": _OK + b"a: b\nc: d\r\n\r\n",
    "odd name": _OK + "ä: b\r\n\r\n".encode(),
    "two sizes": _OK + b"content-length: 1\r\ncontent-length: 1\r\n\r\nx",
    "two sizes in one": _OK + b"content-length: 1, 1\r\n\r\nx",
    "signed size": _OK + b"content-length: +1\r\n\r\nx",
    "hexadecimal size": _OK + b"content-length: 0x1\r\n\r\nx",
    "empty size": _OK + b"content-length:\r\n\r\n",
    "huge size": _OK + b"content-length: 99999999999999999999999\r\n\r\n",
    "size and chunks": _OK + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and size": _OK + b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n",
    "compressed chunks": _OK + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunks compressed": _OK + b"transfer-encoding: chunked, gzip\r\n\r\n",
    "chunks twice": _OK + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown coding": _OK + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "identity": _OK + b"transfer-encoding: identity\r\n\r\n",
    "chunks in HTTP/1.0": b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunk without size": _CHUNKED + b"\r\na\r\n0\r\n\r\n",
    "chunk of odd size": _CHUNKED + b"g\r\na\r\n0\r\n\r\n",
    "chunk of huge size": _CHUNKED + b"f" * 17 + b"\r\na\r\n0\r\n\r\n",
    "chunk size with space": _CHUNKED + b"1 \r\na\r\n0\r\n\r\n",
    "chunk longer than its size": _CHUNKED + b"1\r\nab\r\n0\r\n\r\n",
    "chunk with bare LF": _CHUNKED + b"1\na\n0\n\n",
    "folded trailer": _CHUNKED + b"0\r\na: b\r\n c\r\n\r\n",
}


@pytest.mark.parametrize("answer", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_answer_or_more_than_one_is_refused_wherever_it_is_cut(answer: bytes) -> None:
    for at in range(len(answer)):
        with pytest.raises(AnswerInvalid) as caught:
            read(*[piece for piece in (answer[:at], answer[at:]) if piece])
        assert not any(word.decode("latin-1") in str(caught.value) for word in answer.split() if len(word) > 8)


def test_heads_have_a_limit() -> None:
    line = b"a: " + b"x" * (MAX_LINE_BYTES - 1) + b"\r\n"
    assert read(_OK + line + b"content-length: 0\r\n\r\n").whole
    for answer in (
        _OK + line.replace(b"a:", b"ab:") + b"\r\n",
        b"HTTP/1.1 200 " + b"x" * MAX_LINE_BYTES + b"\r\n\r\n",
        _OK + b"a: b\r\n" * (MAX_FIELDS + 1) + b"\r\n",
        _OK + line[:-3] + b"\r\n" + line[:-3] + b"\r\n\r\n",
        b"HTTP/1.1 100 C\r\n\r\n" * (MAX_HEAD_BYTES // 18 + 1) + _OK + b"\r\n",
    ):
        with pytest.raises(AnswerInvalid):
            read(answer)
    reader = HeadReader(bodiless=False)
    for _ in range(MAX_HEAD_BYTES // 1000):
        assert reader.feed(b"a: " + b"x" * 997 if reader._bytes else _OK.ljust(1000, b"x")) is None
    with pytest.raises(AnswerInvalid):
        reader.feed(b"x" * 1000)
    assert read(_OK + b"a: b\r\n" * (MAX_FIELDS - 1) + b"content-length: 0\r\n\r\n").whole


@pytest.mark.parametrize("beginning", [b"1;x=", b"0\r\nx: ", b"0\r\n" + b"a: b\r\n"])
def test_what_is_skipped_in_chunks_has_a_limit(beginning: bytes) -> None:
    body = body_of(AnswerHead(200, read(_CHUNKED).head.headers, persistent=True, chunked=True, body_size=None))  # type: ignore[union-attr]
    body.feed(b"1\r\na\r\n" + beginning)
    more = b"a: b\r\n" * 100 if beginning.endswith(b"\n") else b"x" * 600
    for _ in range(MAX_HEAD_BYTES // len(more)):
        body.feed(more)
    with pytest.raises(AnswerInvalid):
        body.feed(more)


def test_a_body_without_framing_ends_with_the_connection() -> None:
    result = read(_OK + b"\r\nab", b"c")
    assert (result.data, result.whole, result.reusable) == (b"abc", False, False)
    assert result.body is not None
    result.body.end_of_connection()
    assert result.whole
    for framed in (_OK + b"content-length: 2\r\n\r\na", _CHUNKED + b"1\r\na\r\n"):
        cut = read(framed)
        assert cut.body is not None
        cut.body.end_of_connection()
        assert not cut.whole


def test_values_keep_their_bytes() -> None:
    head = read(_OK + b"X-Amz-Meta-A:\t \xc3\xa9\xff, b  \r\ncontent-length: 0\r\n\r\n").head
    assert head is not None
    assert head.headers.fields[0] == ("x-amz-meta-a", "é\udcff, b")
    assert "é" not in repr(head)
