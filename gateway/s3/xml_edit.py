"""Edits of XML documents that leave every other byte as it was."""

import re
from collections.abc import Callable
from pyexpat import ExpatError, ParserCreate

from gateway.errors import S3Error

#: Deeper than any answer of S3 goes.
MAX_DEPTH = 32

#: Given the local names from the root down to an element without children, and its text: the new text, or None.
Edit = Callable[[tuple[str, ...], str], str | None]

_START_TAG = re.compile(rb"""<([^\s/>]+)(?:\s+[^\s=/>]+\s*=\s*(?:"[^"]*"|'[^']*'))*\s*(/?)>""")
# XML 1.0, production [2]: what no document can contain, escaped or not.
_NOT_A_CHARACTER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"})


def escape_text(text: str) -> str:
    """``text`` as the content of an element. What XML cannot express becomes U+FFFD."""
    return _NOT_A_CHARACTER.sub("\ufffd", text).translate(_ESCAPES)


def edit_text(body: bytes, edit: Edit) -> bytes:
    """``body`` with the texts that ``edit`` changes.

    The document must be UTF-8, as S3's are. White space in front of it is kept.

    Raises:
        S3Error: InternalError when it is not XML, has a DTD or is nested too deep.
    """
    return _Editor(body, edit).run()


class _Editor:
    def __init__(self, body: bytes, edit: Edit) -> None:
        self._body = body
        self._edit = edit
        self._offset = len(body) - len(body.lstrip())
        self._parser = ParserCreate("UTF-8")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._character_data
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._path: list[str] = []
        self._leaf_start: int | None = None
        self._text: list[str] = []
        self._done = 0
        self._pieces: list[bytes] = []

    def run(self) -> bytes:
        # The parser detects UTF-16 whatever encoding it is told, and its offsets would no longer fit.
        if b"\0" in self._body:
            raise _unreadable()
        try:
            self._parser.Parse(self._body[self._offset :], True)
        except ExpatError as error:
            raise _unreadable() from error
        self._pieces.append(self._body[self._done :])
        return b"".join(self._pieces)

    def _start(self, name: str, _attributes: object) -> None:
        self._path.append(name.rpartition(":")[2])
        if len(self._path) > MAX_DEPTH:
            raise _unreadable()
        self._leaf_start = self._offset + self._parser.CurrentByteIndex
        self._text.clear()

    def _character_data(self, text: str) -> None:
        self._text.append(text)

    def _end(self, _name: str) -> None:
        if self._leaf_start is not None:
            text = "".join(self._text)
            new = self._edit(tuple(self._path), text)
            if new is not None and new != text:
                self._replace(self._leaf_start, self._offset + self._parser.CurrentByteIndex, new)
        self._leaf_start = None
        self._path.pop()

    def _replace(self, start: int, content_end: int, new: str) -> None:
        """Put a text between the start tag at ``start`` and the end tag at ``content_end``."""
        tag = _START_TAG.match(self._body, start)
        if tag is None:
            raise AssertionError("internal error: the parser saw an element where there is none")
        name, empty = tag.groups()
        self._pieces.append(self._body[self._done : start])
        content = escape_text(new).encode()
        if empty:
            self._pieces.append(tag[0][:-2].rstrip() + b">" + content + b"</" + name + b">")
            self._done = tag.end()
        else:
            self._pieces.append(tag[0] + content)
            self._done = content_end

    def _doctype(self, *_declaration: object) -> None:
        raise _unreadable()


def _unreadable() -> S3Error:
    return S3Error("InternalError", "The upstream server's answer could not be read.")
