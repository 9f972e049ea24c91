"""Parser of browser uploads: the ``multipart/form-data`` body of an S3 POST request.

Sans-IO. The fields before the file are kept, within S3's limit; the file's content streams through. Parsing is linear
in the body's size, and no byte of a possible boundary is released before it is known not to be one.

Stricter than RFC 7578 where that costs no real client anything: no preamble, no padding after a boundary, no repeated
fields, UTF-8 only. Parts after the file are read up to the closing boundary and ignored, as S3 does.

Sources: RFC 7578; RFC 2046, section 5.1; Amazon S3 API Reference, "POST Object".
"""

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

from gateway.errors import S3Error
from gateway.s3.form_part import FormFile, malformed_form, parse_boundary, parse_part_headers

#: Most bytes before the file's content: fields, part headers and boundaries together. Source: "POST Object".
MAX_PRE_FILE_BYTES: Final = 20 * 1024

FILE_FIELD: Final = "file"

_CRLF: Final = b"\r\n"
_CLOSE: Final = b"--"
_HEADERS_END: Final = b"\r\n\r\n"


class _State(Enum):
    FIELD = auto()  # in a field's value, up to the next boundary
    BOUNDARY_END = auto()  # the two bytes after a boundary
    HEADERS = auto()  # a part's header fields
    FILE = auto()  # the file's content
    IGNORED = auto()  # parts after the file
    CLOSED = auto()  # after the closing boundary


class MultipartFormParser:
    """Parses one form.

    Args:
        content_type: the request's Content-Type.

    Raises:
        S3Error: ``PreconditionFailed`` for no multipart form, ``MalformedPOSTRequest`` for no usable boundary.
    """

    def __init__(self, content_type: str | None) -> None:
        self._delimiter = _CRLF + b"--" + parse_boundary(content_type)
        self._state = _State.FIELD
        self._fields: dict[str, str] = {}
        self._file: FormFile | None = None
        # Before the file: everything read, so that the first boundary follows a line end like all others.
        self._head = bytearray(_CRLF)
        self._position = 0
        self._scan_from = 0
        self._name: str | None = None
        # From the file on: bytes that may turn out to be a boundary.
        self._held = b""

    @property
    def fields(self) -> Mapping[str, str]:
        """The fields before the file, names in lower case; complete once :attr:`file` is set."""
        return MappingProxyType(self._fields)

    @property
    def file(self) -> FormFile | None:
        """What the form says about the file, once its part has begun."""
        return self._file

    @property
    def file_offset(self) -> int:
        """Bytes of the body before the file's content; known once :attr:`file` is set."""
        return self._position - len(_CRLF)

    @property
    def delimiter_size(self) -> int:
        """Bytes of the boundary that ends the file, with the line end and the dashes before it."""
        return len(self._delimiter)

    def feed(self, data: bytes) -> list[bytes]:
        """Take in the next bytes of the body and return the file's content in them, in order, without empty pieces.

        Raises:
            S3Error: ``MalformedPOSTRequest`` or ``MaxPostPreDataLengthExceededError``.
        """
        if self._file is None:
            data = self._read_head(data)
        return self._read_file(data) if self._file is not None else []

    def finish(self) -> None:
        """Say that the body has ended.

        Raises:
            S3Error: ``MalformedPOSTRequest`` when it ended early, ``InvalidArgument`` when it held no file.
        """
        if self._state is not _State.CLOSED:
            raise malformed_form()
        if self._file is None:
            raise S3Error(
                "InvalidArgument",
                "POST requires exactly one file upload per request.",
                details=(("ArgumentName", FILE_FIELD), ("ArgumentValue", "0")),
            )

    def _read_head(self, data: bytes) -> bytes:
        """Parse fields; returns the bytes after the file's part headers, or nothing while there is no file yet."""
        room = MAX_PRE_FILE_BYTES + len(_CRLF) - len(self._head)
        self._head += data[:room]
        while self._head_step():
            pass
        if self._file is not None:
            unread = len(self._head) - self._position
            self._head.clear()
            return data[min(room, len(data)) - unread :]
        if len(data) > room and self._state is not _State.CLOSED:
            raise S3Error(
                "MaxPostPreDataLengthExceededError",
                "Your POST request fields preceding the upload file were too large.",
            )
        return b""

    def _head_step(self) -> bool:
        """Take the next element before the file; False when more bytes are needed, or no more are."""
        if self._state is _State.FIELD:
            return self._take_value()
        if self._state is _State.BOUNDARY_END:
            end = bytes(self._head[self._position : self._position + 2])
            if len(end) < 2:
                return False
            self._position = self._scan_from = self._position + 2
            self._take_boundary_end(end, _State.HEADERS)
            return True
        return self._state is _State.HEADERS and self._take_headers()

    def _take_value(self) -> bool:
        value = self._head_until(self._delimiter)
        if value is None:
            return False
        if self._name is None:
            if value:
                raise malformed_form()  # a preamble
        else:
            self._fields[self._name] = _text(value)
        self._state = _State.BOUNDARY_END
        return True

    def _take_headers(self) -> bool:
        headers = self._head_until(_HEADERS_END)
        if headers is None:
            return False
        part = parse_part_headers(_text(headers))
        if part.name == FILE_FIELD:
            self._file = part.file
            self._state = _State.FILE
            return False
        if part.name in self._fields:
            raise malformed_form()
        self._name = part.name
        self._state = _State.FIELD
        return True

    def _head_until(self, mark: bytes) -> bytes | None:
        """The bytes up to ``mark``, which is consumed too; None when it is not there yet."""
        found = self._head.find(mark, self._scan_from)
        if found < 0:
            self._scan_from = max(self._position, len(self._head) - len(mark) + 1)
            return None
        value = bytes(self._head[self._position : found])
        self._position = self._scan_from = found + len(mark)
        return value

    def _take_boundary_end(self, end: bytes, following: _State) -> None:
        """After a boundary comes a line end and another part, or ``--`` and nothing that matters."""
        if end not in (_CRLF, _CLOSE):
            raise malformed_form()
        self._state = following if end == _CRLF else _State.CLOSED

    def _read_file(self, data: bytes) -> list[bytes]:
        data = self._held + data if self._held else data
        pieces: list[bytes] = []
        position = 0
        while self._state is not _State.CLOSED:
            if self._state is _State.BOUNDARY_END:
                end = data[position : position + 2]
                if len(end) < 2:
                    break
                position += 2
                self._take_boundary_end(end, _State.IGNORED)
                continue
            found = data.find(self._delimiter, position)
            end_of_content = found if found >= 0 else self._releasable(data, position)
            if self._state is _State.FILE and end_of_content > position:
                pieces.append(data[position:end_of_content])
            position = end_of_content
            if found < 0:
                break
            position += len(self._delimiter)
            self._state = _State.BOUNDARY_END
        self._held = data[position:] if self._state is not _State.CLOSED else b""
        return pieces

    def _releasable(self, data: bytes, position: int) -> int:
        """Where a possible start of the delimiter begins at the end of ``data``. Its only CR is its first byte."""
        start = data.rfind(b"\r", max(position, len(data) - len(self._delimiter) + 1))
        return start if start >= 0 and self._delimiter.startswith(data[start:]) else len(data)


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise malformed_form() from None
