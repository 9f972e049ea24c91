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


class Removed(Enum):
    """In place of a new text: the element goes, tags and all."""

    ELEMENT = auto()


class Element(NamedTuple):
    """An element that ended.

    Attributes:
        path: the local names from the root down to the element.
        text: its text; None when it has child elements.
        start: the offset of its start tag, bytes.
        content_end: the offset of its end tag; ``start`` when the element is one empty tag.
    """

    path: tuple[str, ...]
    text: str | None
    start: int
    content_end: int


#: Where something is in a document: the offsets of its first byte and of the first byte behind it.
Span = tuple[int, int]
#: What comes in place of something: the offsets of its first byte and of the first byte behind it, and the new bytes.
Replacement = tuple[int, int, bytes]
#: Given the path of an element without children, and its text: the new text, the element's removal, or None.
Edit = Callable[[tuple[str, ...], str], str | Removed | None]
Change = tuple[Element, str | Removed]


def escape_text(text: str) -> str:
    """``text`` as the content of an element. What XML cannot express becomes U+FFFD."""
    if not (text.isascii() and text.isprintable()):
        text = _NOT_A_CHARACTER.sub("\ufffd", text)
    # "&" comes first, because the others put it in.
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&quot;").replace("\r", "&#13;")


def edit_text(body: bytes, edit: Edit) -> bytes:
    """``body`` with the texts that ``edit`` changes.

    The document must be UTF-8, as S3's are. White space in front of it is kept.

    Raises:
        S3Error: InternalError when it is not XML, has a DTD or is nested too deep.
    """
    changes: list[Change] = []

    def decide(element: Element) -> None:
        if element.text is None:
            return
        new = edit(element.path, element.text)
        if new is not None and new != element.text:
            changes.append((element, new))

    scan(body, decide)
    return apply_changes(body, changes)


def scan(body: bytes, on_end: Callable[[Element], None]) -> None:
    """Walk through a document.

    Args:
        body: the document, UTF-8.
        on_end: gets every element when it ends, so children come before their parents.

    Raises:
        S3Error: InternalError when it is not XML, has a DTD or is nested too deep.
    """
    _Scanner(body, on_end).run()


def apply_changes(body: bytes, changes: Iterable[Change]) -> bytes:
    """``body`` with changes at elements that :func:`scan` found in it."""
    return replaced(body, (_replacement(body, element, new) for element, new in changes))


def replaced(body: bytes, replacements: Iterable[Replacement]) -> bytes:
    """``body`` with other bytes at some places that do not overlap. What begins before the document is left out."""
    pieces: list[bytes] = []
    done = 0
    for start, end, new in sorted(replacements):
        if start >= 0:
            pieces.append(body[done:start])
            pieces.append(new)
            done = end
    pieces.append(body[done:])
    return b"".join(pieces)


def spans(body: bytes, element: Element) -> tuple[Span, Span | None]:
    """Where an element that :func:`scan` found is, tags and all, and where its content is; an empty tag has none."""
    tag = _start_tag(body, element)
    if tag[2]:
        return tag.span(), None
    return (element.start, body.index(b">", element.content_end) + 1), (tag.end(), element.content_end)


def _replacement(body: bytes, element: Element, new: str | Removed) -> Replacement:
    whole, content = spans(body, element)
    if isinstance(new, Removed):
        return (*whole, b"")
    text = escape_text(new).encode()
    if content is not None:
        return (*content, text)
    tag = _start_tag(body, element)
    return (*whole, tag[0][:-2].rstrip() + b">" + text + b"</" + tag[1] + b">")


def _start_tag(body: bytes, element: Element) -> re.Match[bytes]:
    tag = _START_TAG.match(body, element.start)
    if tag is None:
        raise AssertionError("internal error: the parser saw an element where there is none")
    return tag


class _Scanner:
    def __init__(self, body: bytes, on_end: Callable[[Element], None]) -> None:
        self._body = body
        self._on_end = on_end
        self._offset = len(body) - len(body.lstrip())
        self._parser = ParserCreate("UTF-8")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._character_data
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._path: list[str] = []
        self._starts: list[int] = []
        self._is_leaf = False
        self._text: list[str] = []

    def run(self) -> None:
        # The parser detects UTF-16 whatever encoding it is told, and its offsets would no longer fit.
        if b"\0" in self._body:
            raise unreadable()
        try:
            self._parser.Parse(self._body[self._offset :], True)
        except ExpatError as error:
            raise unreadable() from error

    def _start(self, name: str, _attributes: object) -> None:
        self._path.append(name.rpartition(":")[2])
        if len(self._path) > MAX_DEPTH:
            raise unreadable()
        self._starts.append(self._offset + self._parser.CurrentByteIndex)
        self._is_leaf = True
        self._text.clear()

    def _character_data(self, text: str) -> None:
        self._text.append(text)

    def _end(self, _name: str) -> None:
        text = "".join(self._text) if self._is_leaf else None
        end = self._offset + self._parser.CurrentByteIndex
        self._on_end(Element(tuple(self._path), text, self._starts.pop(), end))
        self._is_leaf = False
        self._path.pop()

    def _doctype(self, *_declaration: object) -> None:
        raise unreadable()


def unreadable() -> S3Error:
    """What is said of an answer that could not be read."""
    return S3Error("InternalError", "The upstream server's answer could not be read.")
