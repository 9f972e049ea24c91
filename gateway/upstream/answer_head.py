"""The head of an answer: found in the bytes that arrive, held to limits, and parsed strictly.

llhttp (through httptools) knows the grammar and refuses what could be understood in two ways: folded lines, a second
Content-Length, one beside Transfer-Encoding, lines that end without CR. What it leaves open is refused here: other
versions than HTTP/1.0 and 1.1, transfer codings other than ``chunked`` alone, and a change of protocol.

Source: RFC 9112, sections 4 to 6 and 9.3; RFC 9110, section 15.2.
"""

from dataclasses import dataclass
from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from gateway.s3.headers import Headers
from gateway.upstream.faults import AnswerInvalid

#: Longest line of an answer's head, in bytes. S3 returns at most 8 KiB of fields; other servers add their own.
MAX_LINE_BYTES: Final = 64 * 1024
#: Most header fields of an answer: 2 KiB of user metadata can be hundreds of them.
MAX_FIELDS: Final = 1024
#: Most bytes before the body, interim answers included.
MAX_HEAD_BYTES: Final = 128 * 1024

_END = b"\r\n\r\n"
_VERSIONS = (b"HTTP/1.1 ", b"HTTP/1.0 ")
_VERSION_BYTES = len(_VERSIONS[0])
_BODILESS_STATUSES = frozenset({204, 304})


@dataclass(slots=True)
class AnswerHead:
    """Status and header fields of one answer, and where its body ends.

    Attributes:
        status: the HTTP status, never an interim one.
        headers: the header fields.
        persistent: whether the server keeps the connection open for another request. HTTP/1.0 never does here: whether
            it would depends on a field that servers understood in different ways.
        chunked: whether the body is in chunks.
        body_size: the body's bytes; None when only its own framing or the end of the connection tells.
    """

    status: int
    headers: Headers
    persistent: bool
    chunked: bool
    body_size: int | None


class HeadReader:
    """Collects bytes until the head of the final answer is whole.

    Args:
        bodiless: whether the answer has no body whatever its fields say, as one to HEAD has.
    """

    __slots__ = ("_bodiless", "_bytes", "_seen")

    def __init__(self, *, bodiless: bool) -> None:
        self._bodiless = bodiless
        self._bytes = bytearray()
        self._seen = 0

    def feed(self, data: bytes) -> tuple[AnswerHead, bytes] | None:
        """The head and what follows it, or None while its end is missing.

        Raises:
            AnswerInvalid: this is no answer, or its head is larger than the limits.
        """
        self._seen += len(data)
        if self._bytes:
            searched = max(0, len(self._bytes) - len(_END) + 1)
            self._bytes += data
            if self._bytes.find(_END, searched) < 0:
                self._check_beginning(self._bytes)
                return None
            data = bytes(self._bytes)
            self._bytes.clear()
        while (end := data.find(_END)) >= 0:
            end += len(_END)
            if self._seen - len(data) + end > MAX_HEAD_BYTES:
                raise AnswerInvalid("the head of the answer is too long")
            head = _parse(data[:end], bodiless=self._bodiless)
            data = data[end:]
            if head.status >= 200:
                return head, data
        self._check_beginning(data)
        self._bytes += data
        return None

    def _check_beginning(self, data: bytes | bytearray) -> None:
        """Do not wait for the end of what is no answer."""
        if self._seen > MAX_HEAD_BYTES:
            raise AnswerInvalid("the head of the answer is too long")
        beginning = bytes(data[:_VERSION_BYTES])
        if not any(version.startswith(beginning) for version in _VERSIONS):
            raise AnswerInvalid("the answer is not HTTP/1.1")


class _Fields:
    """Takes the header fields that the parser finds."""

    __slots__ = ("found",)

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep one field; the parser leaves white space behind a value."""
        if len(self.found) == MAX_FIELDS or len(name) + len(value) > MAX_LINE_BYTES:
            raise AnswerInvalid("the head of the answer is too long")
        self.found.append((name.decode("ascii"), value.rstrip(b" \t").decode("utf-8", "surrogateescape")))


def _parse(data: bytes, *, bodiless: bool) -> AnswerHead:
    """One head, up to and including its empty line."""
    if not data.startswith(_VERSIONS) or data.index(b"\r\n") > MAX_LINE_BYTES:
        raise AnswerInvalid("the answer is not HTTP/1.1")
    fields = _Fields()
    # A parser of its own for each head: it is made in less than a microsecond, remembers nothing of the answer before,
    # and is never given a byte of a body, whose end is then found without it.
    parser = HttpResponseParser(fields)
    try:
        parser.feed_data(data)
    except (HttpParserError, HttpParserUpgrade) as error:
        raise AnswerInvalid("the head of the answer is malformed") from error
    status = parser.get_status_code()
    if status < 100 or status == 101:
        raise AnswerInvalid("the status of the answer is none that was asked for")
    headers = Headers(fields.found)
    persistent = data.startswith(_VERSIONS[0]) and _stays_open(headers)
    if bodiless or status in _BODILESS_STATUSES:
        return AnswerHead(status, headers, persistent, chunked=False, body_size=0)
    if _is_chunked(headers, data):
        return AnswerHead(status, headers, persistent, chunked=True, body_size=None)
    size = headers.get("content-length")
    if size is None:
        return AnswerHead(status, headers, persistent=False, chunked=False, body_size=None)
    return AnswerHead(status, headers, persistent, chunked=False, body_size=int(size))


def _is_chunked(headers: Headers, data: bytes) -> bool:
    if "transfer-encoding" not in headers:
        return False
    codings = headers.all("transfer-encoding")
    if len(codings) != 1 or codings[0].lower() != "chunked" or not data.startswith(_VERSIONS[0]):
        raise AnswerInvalid("the transfer coding of the answer is none that was asked for")
    return True


def _stays_open(headers: Headers) -> bool:
    """Whether no ``Connection`` field says otherwise; an option that only contains the word costs a connection."""
    return "connection" not in headers or not any("close" in value.lower() for value in headers.all("connection"))
