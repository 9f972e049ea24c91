"""Whether globs have texts in common, and whether one takes in the other."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.glob import Glob
from gateway.policy.glob_relations import covers, overlap, start_pattern

_LETTERS = "ab"
_PATTERNS = st.text("ab*?", max_size=5).map(start_pattern)
#: Long enough for a witness: two patterns of at most five signs each.
_TEXTS = ["".join(letters) for size in range(8) for letters in itertools.product(_LETTERS, repeat=size)]


@pytest.mark.parametrize(
    ("glob", "expected"),
    [("", "*"), ("*", "*"), ("**", "*"), ("a", "a*"), ("a*", "a*"), ("a**b", "a*b*"), ("*a", "*a*"), ("?", "?*")],
)
def test_one_spelling(glob: str, expected: str) -> None:
    assert start_pattern(glob) == expected


@given(st.text("ab*?", max_size=6), st.text("ab", max_size=6))
def test_the_spelling_means_the_same(glob: str, text: str) -> None:
    assert Glob(start_pattern(glob)).matches(text) == Glob(glob).matches_start(text)


@pytest.mark.parametrize(
    ("one", "other", "common", "taken_in"),
    [
        ("logs/*", "logs/tmp/*", True, True),
        ("logs/tmp/*", "logs/*", True, False),
        ("logs/*", "data/*", False, False),
        ("*", "a*", True, True),
        ("a*", "*", True, False),
        ("*.csv*", "data/*", True, False),
        ("a?c*", "abc*", True, True),
        ("a?c*", "abd*", False, False),
        ("abc*", "a?c*", True, False),
        ("a*b*", "ab*", True, True),
        ("*a*", "b*", True, False),
    ],
)
def test_relations(one: str, other: str, common: bool, taken_in: bool) -> None:
    assert overlap(one, other) is overlap(other, one) is common
    assert covers(one, other) is taken_in


@given(_PATTERNS, _PATTERNS)
def test_overlap_is_exact(one: str, other: str) -> None:
    globs = Glob(one), Glob(other)
    assert overlap(one, other) == any(all(glob.matches(text) for glob in globs) for text in _TEXTS)


@given(_PATTERNS, _PATTERNS)
def test_what_covers_takes_in_every_text(wide: str, narrow: str) -> None:
    if covers(wide, narrow):
        assert all(Glob(wide).matches(text) for text in _TEXTS if Glob(narrow).matches(text))


@given(st.text("ab/", max_size=6), st.text("ab/", max_size=6))
def test_of_plain_prefixes_the_answer_is_exact(one: str, other: str) -> None:
    assert covers(start_pattern(one), start_pattern(other)) == other.startswith(one)


def test_long_globs_cost_little() -> None:
    hostile = "*a" * 500
    assert overlap(start_pattern(hostile), start_pattern("*b" * 500))
    assert not covers(start_pattern(hostile), start_pattern("b" * 1000))
