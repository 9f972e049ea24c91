"""Policy variables: texts of a policy with places that each request fills in.

Source: AWS IAM User Guide, "IAM policy elements: Variables and tags": ``${key}``, ``${key, 'default'}``, and ``${*}``,
``${?}``, ``${$}`` for the three characters themselves. They exist from version 2012-10-17 on; before, ``$`` is only a
character. A value that is filled in is a literal: stars in it match stars.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from gateway.policy.glob import PieceGlob
from gateway.policy.iam.memo import Memo
from gateway.policy.iam.ranking import bounds_of_prefix

#: Finds the values of a condition key; :meth:`gateway.policy.iam.decision.Facts.values` is one.
Lookup: TypeAlias = Callable[[str], tuple[str, ...] | None]

#: Globs that one text is remembered as, for different values of its variables.
_MAXIMUM_GLOBS = 128

_TOKEN = re.compile(r"\$\{(?P<variable>[^}]*)\}|(?P<wildcard>[*?])|[^*?$]+|\$")
_VARIABLE = re.compile(r"(?P<key>[A-Za-z0-9_-]+:[^\s,'*?$]+)(?:\s*,\s*'(?P<default>[^']*)')?")
_WHOLE_VARIABLE = re.compile(r"\$\{[^}]*\}")
_CHARACTERS = frozenset("*?$")


def nothing(_key: str) -> None:
    """The lookup in a request that has no key at all."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable.

    Attributes:
        key: the condition key in lower case.
        default: what stands for it when the request does not have the key.
    """

    key: str
    default: str | None = None

    def value(self, lookup: Lookup) -> str | None:
        """What stands for it in one request; None when nothing does.

        Source: AWS IAM User Guide, "Single-valued vs. multivalued context keys": a key with several values can not be
        a variable.
        """
        values = lookup(self.key)
        return values[0] if values is not None and len(values) == 1 else self.default


#: Fixed texts and variables in a row.
_Literal: TypeAlias = tuple[str | Variable, ...]


class Template:
    """One text of a policy, compiled.

    Args:
        text: the text as written.
        variables: whether ``${...}`` means anything: the policy's version is 2012-10-17.
        wildcards: whether ``*`` and ``?`` mean anything here.

    Attributes:
        dynamic: whether it has variables.
        prefix: the fixed text with which everything begins that it can match.
        begins_with_prefix_only: whether it matches whatever begins with the prefix.

    Raises:
        ValueError: a variable is not written as one.
    """

    __slots__ = ("_glob", "_globs", "_pieces", "_variables", "begins_with_prefix_only", "dynamic", "prefix")

    def __init__(self, text: str, *, variables: bool, wildcards: bool) -> None:
        pieces = _pieces(text, variables=variables, wildcards=wildcards)
        self._pieces = pieces
        parts = [part for piece in pieces for literal in piece for part in literal]
        self._variables = tuple(part for part in parts if isinstance(part, Variable))
        self._globs: Memo[tuple[str, ...], PieceGlob] = Memo(_MAXIMUM_GLOBS)
        self.dynamic = bool(self._variables)
        first = pieces[0][0][0]
        self.prefix = first if isinstance(first, str) else ""
        self.begins_with_prefix_only = pieces == (((self.prefix,),), (("",),))
        self._glob = None if self.dynamic else self._fill(())

    def bounds(self) -> tuple[str, ...] | None:
        """Texts among which the place of another text says whether it is matched; None when there are none such."""
        if self.dynamic:
            return None
        if self._pieces == (((self.prefix,),),):
            return (self.prefix,)
        return bounds_of_prefix(self.prefix) if self.begins_with_prefix_only else None

    def glob(self, lookup: Lookup) -> PieceGlob | None:
        """What it matches in one request; None when a variable has no value there."""
        if self._glob is not None:
            return self._glob
        values = self._values(lookup)
        if values is None:
            return None
        known = self._globs.recall(values)
        return self._globs.keep(values, self._fill(values), sum(map(len, values))) if known is None else known

    def text(self, lookup: Lookup) -> str | None:
        """What it says in one request, for one without wildcards; None when a variable has no value there."""
        values = self._values(lookup)
        return None if values is None else _fill(self._pieces[0][0], iter(values))

    def _values(self, lookup: Lookup) -> tuple[str, ...] | None:
        """The value of each variable, from the left; None when one has none."""
        values: list[str] = []
        for variable in self._variables:
            value = variable.value(lookup)
            if value is None:
                return None
            values.append(value)
        return tuple(values)

    def _fill(self, values: tuple[str, ...]) -> PieceGlob:
        left = iter(values)
        return PieceGlob(tuple(tuple(_fill(literal, left) for literal in piece) for piece in self._pieces))


def mask_variables(text: str, *, variables: bool) -> str:
    """The text with every variable replaced by as many ``x``, to look for characters outside of variables."""
    return _WHOLE_VARIABLE.sub(lambda found: "x" * len(found[0]), text) if variables else text


def _fill(literal: _Literal, values: Iterator[str]) -> str:
    return "".join(part if isinstance(part, str) else next(values) for part in literal)


def _pieces(text: str, *, variables: bool, wildcards: bool) -> tuple[tuple[_Literal, ...], ...]:
    """Cut at stars into pieces, each piece at question marks into literals."""
    pieces: list[list[list[str | Variable]]] = [[[]]]
    for found in _TOKEN.finditer(text):
        literal = pieces[-1][-1]
        inside = found["variable"]
        if inside is not None and variables:
            literal.append(inside if inside in _CHARACTERS else _variable(inside))
        elif inside is not None:
            _extend(pieces, found[0], wildcards=wildcards)
        elif variables and text.startswith("${", found.start()):
            raise ValueError("a variable begins with ${ and does not end")
        else:
            _extend(pieces, found[0], wildcards=wildcards)
    return tuple(tuple(_merged(literal) for literal in piece) for piece in pieces)


def _extend(pieces: list[list[list[str | Variable]]], text: str, *, wildcards: bool) -> None:
    """Add plain text, in which stars and question marks cut when they are wildcards."""
    for star, between in enumerate(text.split("*") if wildcards else [text]):
        if star:
            pieces.append([[]])
        for mark, literal in enumerate(between.split("?") if wildcards else [between]):
            if mark:
                pieces[-1].append([])
            pieces[-1][-1].append(literal)


def _merged(literal: list[str | Variable]) -> _Literal:
    """Neighbouring texts as one; nothing at all as the empty text."""
    merged: list[str | Variable] = []
    for part in literal:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        elif part != "":
            merged.append(part)
    return tuple(merged) or ("",)


def _variable(inside: str) -> Variable:
    found = _VARIABLE.fullmatch(inside)
    if found is None:
        raise ValueError(f"${{{inside[:40]}}} is no variable: ${{key}}, ${{key, 'default'}}, ${{*}}, ${{?}} or ${{$}}")
    return Variable(found["key"].lower(), found["default"])
