"""Shell-like globs for bucket names and object keys: ``*`` is any run of characters, ``?`` is any one character.

Nothing else is special: brackets and backslashes stand for themselves, ``*`` crosses ``/``, case counts. A glob is
matched piece by piece from the left, each piece at the first place where it fits. That is exact for this language and
costs at most (length of the text) x (length of the glob), where a regular expression with several ``.*`` may go through
every combination of places.
"""

import re

#: More than this many characters in one glob is a fault of the configuration: bucket names have at most 63 characters
#: and object keys 1024 bytes (Amazon S3 User Guide, "Object key naming").
MAXIMUM_GLOB_LENGTH = 1024


class Glob:
    """One compiled glob.

    Args:
        pattern: the glob as written.

    Raises:
        ValueError: the pattern is longer than :data:`MAXIMUM_GLOB_LENGTH`.
    """

    __slots__ = ("_first", "_last", "_last_length", "_middle", "pattern")

    def __init__(self, pattern: str) -> None:
        if len(pattern) > MAXIMUM_GLOB_LENGTH:
            raise ValueError(f"a glob has at most {MAXIMUM_GLOB_LENGTH} characters")
        self.pattern = pattern
        first, *rest = pattern.split("*")
        self._first = _literal(first)
        self._middle = tuple(_literal(piece) for piece in rest[:-1] if piece)
        self._last = _literal(rest[-1]) if rest else None
        self._last_length = len(rest[-1]) if rest else 0

    def matches(self, text: str) -> bool:
        """Whether the glob describes the whole of ``text``."""
        position = self._after_middle(text)
        if position is None:
            return False
        if self._last is None:
            return position == len(text)
        tail = len(text) - self._last_length
        return tail >= position and self._last.match(text, tail) is not None

    def matches_start(self, text: str) -> bool:
        """Whether the glob describes some beginning of ``text``."""
        position = self._after_middle(text)
        if position is None:
            return False
        return self._last is None or self._last.search(text, position) is not None

    def _after_middle(self, text: str) -> int | None:
        """Where the text continues after every piece but the last, or None when one of them does not fit."""
        found = self._first.match(text)
        for piece in self._middle:
            if found is None:
                return None
            found = piece.search(text, found.end())
        return None if found is None else found.end()

    def __repr__(self) -> str:
        return f"Glob({self.pattern!r})"


def _literal(piece: str) -> re.Pattern[str]:
    """A piece between two stars: fixed characters and ``?``, so its expression has no quantifier to back up into."""
    return re.compile("".join("." if character == "?" else re.escape(character) for character in piece), re.DOTALL)
