"""Globs know only ``*`` and ``?``, and matching stays cheap."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.glob import MAXIMUM_GLOB_LENGTH, Glob, PieceGlob


@pytest.mark.parametrize(
    ("pattern", "text", "whole", "start"),
    [
        ("", "", True, True),
        ("", "a", False, True),
        ("*", "", True, True),
        ("*", "anything/at all\n", True, True),
        ("data", "data", True, True),
        ("data", "data2", False, True),
        ("data", "xdata", False, False),
        ("data-*", "data-", True, True),
        ("data-*", "data", False, False),
        ("*-logs", "eu-logs", True, True),
        ("*-logs", "eu-logs-old", False, True),
        ("*-logs", "-logs-logs", True, True),
        ("a*b*c", "a1b2c", True, True),
        ("a*b*c", "abc", True, True),
        ("a*b*c", "acb", False, False),
        ("a*a", "a", False, False),
        ("a**b", "a/x/b", True, True),
        ("d?ta", "data", True, True),
        ("d?ta", "dta", False, False),
        ("?", "\n", True, True),
        ("*?", "", False, False),
        ("[ab]", "a", False, False),
        ("[ab]", "[ab]", True, True),
        ("a.c", "abc", False, False),
        ("A", "a", False, False),
        ("logs/", "logs/2026/x", False, True),
        ("logs/*", "logs/2026/x", True, True),
        ("*/secret/", "a/b/secret/c", False, True),
        ("\udcff*", "\udcffx", True, True),
    ],
)
def test_glob(pattern: str, text: str, whole: bool, start: bool) -> None:
    """``*`` any run, ``?`` any one character, everything else itself."""
    assert Glob(pattern).matches(text) is whole
    assert Glob(pattern).matches_start(text) is start


def _as_expression(pattern: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)


@given(st.text("ab/*?", max_size=8), st.text("ab/", max_size=10))
def test_glob_agrees_with_regular_expressions(pattern: str, text: str) -> None:
    """The greedy piecewise match decides exactly as the backtracking one."""
    expression = _as_expression(pattern)
    assert Glob(pattern).matches(text) == (re.fullmatch(expression, text, re.DOTALL) is not None)
    assert Glob(pattern).matches_start(text) == (re.match(expression, text, re.DOTALL) is not None)


@pytest.mark.timeout(5)
def test_glob_with_many_stars_stays_cheap() -> None:
    """A pattern on which backtracking would never end is answered at once."""
    glob = Glob("*a" * 500 + "*b")
    assert not glob.matches("a" * 1024)
    assert not glob.matches_start("a" * 1024)


@pytest.mark.timeout(5)
def test_glob_with_many_marks_stays_cheap() -> None:
    """Each place of the text is tried at most once for each character of the glob."""
    glob = Glob("*" + "?" * 300 + "a?" * 300 + "b*")
    assert not glob.matches("a" * 10_000)
    assert glob.matches("x" * 301 + "a/" * 300 + "b")


@pytest.mark.parametrize(
    ("pieces", "text", "expected"),
    [
        ((("a*c",),), "a*c", True),
        ((("a*c",),), "abc", False),
        ((("a?", "c"),), "a?bc", True),
        ((("a?", "c"),), "axbc", False),
        ((("",), ("*", "?"), ("",)), "x*y?z", True),
        ((("",), ("*", "?"), ("",)), "x*?z", False),
    ],
)
def test_pieces_are_literal(pieces: tuple[tuple[str, ...], ...], text: str, expected: bool) -> None:
    """Inside of pieces, stars and question marks are only themselves."""
    assert PieceGlob(pieces).matches(text) is expected


def test_glob_length_is_bounded() -> None:
    Glob("a" * MAXIMUM_GLOB_LENGTH)
    with pytest.raises(ValueError, match="at most 1024"):
        Glob("a" * (MAXIMUM_GLOB_LENGTH + 1))
