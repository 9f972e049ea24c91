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

#: What stands between two stars: the fixed texts that single-character wildcards separate. ``a?b`` is ``("a", "b")``.
Piece = tuple[str, ...]


class PieceGlob:
    """A glob from what stands between its stars.

    Args:
        pieces: the pieces from the left; stars and question marks inside their texts are only themselves.
    """

    __slots__ = ("_first", "_last", "_middle")

    def __init__(self, pieces: tuple[Piece, ...]) -> None:
        self._first = _Between(pieces[0])
        self._middle = tuple(_Between(piece) for piece in pieces[1:-1] if piece != ("",))
        self._last = _Between(pieces[-1]) if len(pieces) > 1 else None

    def matches(self, text: str) -> bool:
        """Whether the glob describes the whole of ``text``."""
        position = self._after_middle(text)
        if position < 0:
            return False
        if self._last is None:
            return position == len(text)
        tail = len(text) - self._last.length
        return tail >= position and self._last.fits(text, tail)

    def matches_start(self, text: str) -> bool:
        """Whether the glob describes some beginning of ``text``."""
        position = self._after_middle(text)
        if position < 0:
            return False
        return self._last is None or self._last.end(text, position) >= 0

    def _after_middle(self, text: str) -> int:
        """Where the text continues after every piece but the last; -1 when one of them does not fit."""
        position = self._first.length if self._first.fits(text, 0) else -1
        for piece in self._middle:
            if position < 0:
                break
            position = piece.end(text, position)
        return position


class Glob(PieceGlob):
    """One compiled glob.

    Args:
        pattern: the glob as written.

    Raises:
        ValueError: the pattern is longer than :data:`MAXIMUM_GLOB_LENGTH`.
    """

    __slots__ = ("pattern",)

    def __init__(self, pattern: str) -> None:
        if len(pattern) > MAXIMUM_GLOB_LENGTH:
            raise ValueError(f"a glob has at most {MAXIMUM_GLOB_LENGTH} characters")
        super().__init__(tuple(tuple(piece.split("?")) for piece in pattern.split("*")))
        self.pattern = pattern

    def __repr__(self) -> str:
        return f"Glob({self.pattern!r})"


class _Between:
    """One piece.

    Args:
        piece: the piece.

    Attributes:
        length: how many characters it describes.
    """

    __slots__ = ("_expression", "_offset", "_text", "length")

    def __init__(self, piece: Piece) -> None:
        self.length = sum(map(len, piece)) + len(piece) - 1
        fixed = [text for text in piece if text]
        self._text = fixed[0] if fixed else ""
        # How many single-character wildcards come before the first fixed text.
        self._offset = piece.index(self._text) if fixed else 0
        # Only several texts need an expression; it has no quantifier to back up into.
        self._expression = re.compile(".".join(map(re.escape, piece)), re.DOTALL) if len(fixed) > 1 else None

    def fits(self, text: str, position: int) -> bool:
        """Whether the text has it at a position."""
        if self._expression is not None:
            return self._expression.match(text, position) is not None
        return position + self.length <= len(text) and text.startswith(self._text, position + self._offset)

    def end(self, text: str, position: int) -> int:
        """Where it ends at the first place from a position on where the text has it; -1 when there is none."""
        if self._expression is not None:
            found = self._expression.search(text, position)
            return -1 if found is None else found.end()
        place = text.find(self._text, position + self._offset)
        end = place - self._offset + self.length
        return end if place >= 0 and end <= len(text) else -1
