"""Edits of XML documents that leave every other byte as it was."""

import re
from collections.abc import Callable, Iterable
from enum import Enum, auto
from pyexpat import ExpatError, ParserCreate
from typing import NamedTuple

from gateway.errors import S3Error

#: Deeper than any answer of S3 goes.
MAX_DEPTH = 32

_START_TAG = re.compile(rb"""<([^\s/>]+)(?:\s+[^\s=/>]+\s*=\s*(?:"[^"]*"|'[^']*'))*\s*(/?)>""")
# XML 1.0, production [2]: what no document can contain, escaped or not.
_NOT_A_CHARACTER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"})


class Removed(Enum):
    """In place of a new text: the element goes, tags and all."""

    ELEMENT = auto()


class Leaf(NamedTuple):
    """An element without child elements.

    Attributes:
        path: the local names from the root down to the element.
        text: its text.
        start: the offset of its start tag, bytes.
        content_end: the offset of its end tag; ``start`` when the element is one empty tag.
    """

    path: tuple[str, ...]
    text: str
    start: int
    content_end: int


#: Given the path of an element without children, and its text: the new text, the element's removal, or None.
Edit = Callable[[tuple[str, ...], str], str | Removed | None]
Change = tuple[Leaf, str | Removed]


def escape_text(text: str) -> str:
    """``text`` as the content of an element. What XML cannot express becomes U+FFFD."""
    return _NOT_A_CHARACTER.sub("\ufffd", text).translate(_ESCAPES)


def edit_text(body: bytes, edit: Edit) -> bytes:
    """``body`` with the texts that ``edit`` changes.

    The document must be UTF-8, as S3's are. White space in front of it is kept.

    Raises:
        S3Error: InternalError when it is not XML, has a DTD or is nested too deep.
    """
    changes: list[Change] = []

    def decide(leaf: Leaf) -> None:
        new = edit(leaf.path, leaf.text)
        if new is not None and new != leaf.text:
            changes.append((leaf, new))

    scan(body, decide)
    return apply_changes(body, changes)


def scan(body: bytes, on_leaf: Callable[[Leaf], None], on_start: Callable[[list[str]], None] | None = None) -> None:
    """Walk through a document in order.

    Args:
        body: the document, UTF-8.
        on_leaf: gets every element without child elements when it ends.
        on_start: gets the path of every element when it starts; the list is valid during the call only.

    Raises:
        S3Error: InternalError when it is not XML, has a DTD or is nested too deep.
    """
    _Scanner(body, on_leaf, on_start).run()


def apply_changes(body: bytes, changes: Iterable[Change]) -> bytes:
    """``body`` with changes at leaves that :func:`scan` found in it, given in the document's order."""
    pieces: list[bytes] = []
    done = 0
    for leaf, new in changes:
        tag = _START_TAG.match(body, leaf.start)
        if tag is None:
            raise AssertionError("internal error: the parser saw an element where there is none")
        name, empty = tag.groups()
        pieces.append(body[done : leaf.start])
        if isinstance(new, Removed):
            done = tag.end() if empty else body.index(b">", leaf.content_end) + 1
        elif empty:
            pieces.append(tag[0][:-2].rstrip() + b">" + escape_text(new).encode() + b"</" + name + b">")
            done = tag.end()
        else:
            pieces.append(tag[0] + escape_text(new).encode())
            done = leaf.content_end
    pieces.append(body[done:])
    return b"".join(pieces)


class _Scanner:
    def __init__(
        self, body: bytes, on_leaf: Callable[[Leaf], None], on_start: Callable[[list[str]], None] | None
    ) -> None:
        self._body = body
        self._on_leaf = on_leaf
        self._on_start = on_start
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

    def run(self) -> None:
        # The parser detects UTF-16 whatever encoding it is told, and its offsets would no longer fit.
        if b"\0" in self._body:
            raise _unreadable()
        try:
            self._parser.Parse(self._body[self._offset :], True)
        except ExpatError as error:
            raise _unreadable() from error

    def _start(self, name: str, _attributes: object) -> None:
        self._path.append(name.rpartition(":")[2])
        if len(self._path) > MAX_DEPTH:
            raise _unreadable()
        self._leaf_start = self._offset + self._parser.CurrentByteIndex
        self._text.clear()
        if self._on_start is not None:
            self._on_start(self._path)

    def _character_data(self, text: str) -> None:
        self._text.append(text)

    def _end(self, _name: str) -> None:
        if self._leaf_start is not None:
            end = self._offset + self._parser.CurrentByteIndex
            self._on_leaf(Leaf(tuple(self._path), "".join(self._text), self._leaf_start, end))
        self._leaf_start = None
        self._path.pop()

    def _doctype(self, *_declaration: object) -> None:
        raise _unreadable()


def _unreadable() -> S3Error:
    return S3Error("InternalError", "The upstream server's answer could not be read.")
