"""JSON with the line of everything: the standard library reads the scalars, this module what stands around them.

Stricter than the library on purpose: a name that is given twice, a number that JSON does not have, half a surrogate
pair and deep nesting are faults. Source: RFC 8259; section 4 leaves repeated names to the reader, and a policy in which
readers choose differently is not one policy.
"""

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from json import JSONDecodeError, JSONDecoder
from typing import NoReturn, TypeAlias

from gateway.policy.iam.faults import Faults, shown

#: A policy needs seven levels: policy, statements, statement, condition, operator, key, values.
MAXIMUM_DEPTH = 16

_WHITE_SPACE = re.compile(r"[ \t\n\r]*")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Number(str):
    """A number as it was written; nothing here counts with it."""

    __slots__ = ()


Scalar: TypeAlias = str | Number | bool | None


@dataclass(frozen=True, slots=True)
class Node:
    """One value.

    Attributes:
        value: a scalar, the items of a list, or the members of an object.
        line: where it begins, from 1; for a member of an object the line of its name.
    """

    value: "Scalar | tuple[Node, ...] | Mapping[str, Node]"
    line: int


class _Syntax(Exception):
    """The text is not JSON from ``position`` on."""

    def __init__(self, position: int, message: str) -> None:
        super().__init__(message)
        self.position = position
        self.message = message


def parse_json(text: str, faults: Faults) -> Node:
    """The text as a tree.

    Args:
        text: the whole text.
        faults: where repeated names are added.

    Raises:
        PolicyError: the text is not JSON, so that nothing else can be said about it.
    """
    reader = _Reader(text, faults)
    try:
        return reader.whole()
    except _Syntax as fault:
        faults.add(reader.line(fault.position), "", fault.message)
        raise faults.error() from None


class _Reader:
    """Reads one text from the left."""

    def __init__(self, text: str, faults: Faults) -> None:
        self._text = text
        self._faults = faults
        self._line_ends = [found.start() for found in re.finditer("\n", text)]
        self._scalars = JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=_refuse)

    def line(self, position: int) -> int:
        """The line of a position, from 1."""
        return bisect_right(self._line_ends, position - 1) + 1

    def whole(self) -> Node:
        if (found := _SURROGATE.search(self._text)) is not None:
            raise _Syntax(found.start(), "holds half a surrogate pair, which is no character")
        begin = self._skip(0)
        node, position = self._value(begin, self.line(begin), "", 1)
        if self._skip(position) != len(self._text):
            raise _Syntax(self._skip(position), "something follows the end of the policy")
        return node

    def _value(self, position: int, line: int, path: str, depth: int) -> tuple[Node, int]:
        opening = self._text[position : position + 1]
        if opening not in ("{", "["):
            value, position = self._scalar(position)
            return Node(value, line), position
        if depth > MAXIMUM_DEPTH:
            raise _Syntax(position, f"nested more than {MAXIMUM_DEPTH} deep")
        if opening == "{":
            return self._object(position, line, path, depth)
        return self._list(position, line, path, depth)

    def _scalar(self, position: int) -> tuple[Scalar, int]:
        try:
            value, end = self._scalars.raw_decode(self._text, position)
        except JSONDecodeError as error:
            raise _Syntax(error.pos, f"not JSON: {error.msg}") from None
        except ValueError as error:
            raise _Syntax(position, str(error)) from None
        if isinstance(value, str) and _SURROGATE.search(value):
            raise _Syntax(position, "holds half a surrogate pair, which is no character")
        return value, end

    def _object(self, position: int, line: int, path: str, depth: int) -> tuple[Node, int]:
        members: dict[str, Node] = {}
        position = self._skip(position + 1)
        more = self._text[position : position + 1] != "}"
        while more:
            if self._text[position : position + 1] != '"':
                raise _Syntax(position, "not JSON: expected a name in double quotes")
            begin = position
            name, position = self._scalar(position)
            name = str(name)
            position = self._skip(position)
            self._expect(position, ":")
            here = f"{path}.{name}" if path else name
            member, position = self._value(self._skip(position + 1), self.line(begin), here, depth + 1)
            if name in members:
                self._faults.add(self.line(begin), path, f"{shown(name)} is given twice")
            members[name] = member
            position, more = self._separator(position, "}")
        return Node(members, line), position + 1

    def _list(self, position: int, line: int, path: str, depth: int) -> tuple[Node, int]:
        items: list[Node] = []
        position = self._skip(position + 1)
        more = self._text[position : position + 1] != "]"
        while more:
            item, position = self._value(position, self.line(position), f"{path}[{len(items)}]", depth + 1)
            items.append(item)
            position, more = self._separator(position, "]")
        return Node(tuple(items), line), position + 1

    def _separator(self, position: int, closing: str) -> tuple[int, bool]:
        """What follows an item: where the next one begins and True, or where the closing bracket is and False."""
        position = self._skip(position)
        if self._text[position : position + 1] == closing:
            return position, False
        self._expect(position, ",")
        return self._skip(position + 1), True

    def _expect(self, position: int, character: str) -> None:
        if self._text[position : position + 1] != character:
            raise _Syntax(position, f"not JSON: expected {character!r}")

    def _skip(self, position: int) -> int:
        found = _WHITE_SPACE.match(self._text, position)
        return found.end() if found else position


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"not JSON: {constant} is no number")
