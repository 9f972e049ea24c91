"""Rules that nothing reaches, and rules that encrypt nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.findings import Severity
from gateway.cli.policy.rule_checks import covers, rule_findings
from gateway.policy.rules import EncryptionRule, ModeName


def _rule(
    buckets: str,
    prefixes: str = "",
    *,
    identities: str = "",
    tags: tuple[tuple[str, str], ...] = (),
    content_types: str = "",
    mode: ModeName = ModeName.SSE_S3,
    name: str = "rule",
) -> EncryptionRule:
    return EncryptionRule(
        name,
        tuple(buckets.split()),
        tuple(prefixes.split()),
        mode,
        identities=tuple(identities.split()),
        tags=tags,
        content_types=tuple(content_types.split()),
    )


@pytest.mark.parametrize(
    ("earlier", "later", "covered"),
    [
        (_rule("*"), _rule("bucket"), True),
        (_rule("*"), _rule("*"), True),
        (_rule("bucket"), _rule("*"), False),
        (_rule("a*"), _rule("ab*"), True),
        (_rule("ab*"), _rule("a*"), False),
        (_rule("a?*"), _rule("a*"), False),
        (_rule("a*"), _rule("a?"), True),
        (_rule("a?"), _rule("a*"), False),
        (_rule("a???"), _rule("a*"), False),
        (_rule("a*c"), _rule("abc"), True),
        (_rule("a b"), _rule("a b"), True),
        (_rule("a b"), _rule("a c"), False),
        (_rule("a* b*"), _rule("ax bx"), True),
        (_rule("*"), _rule("*", "logs/"), True),
        (_rule("*", "logs/"), _rule("*"), False),
        (_rule("*", "logs/"), _rule("*", "logs/*"), True),
        (_rule("*", "logs/*"), _rule("*", "logs/"), True),
        (_rule("*", "logs/"), _rule("*", "logs/2026/"), True),
        (_rule("*", "logs/2026/"), _rule("*", "logs/"), False),
        (_rule("*", "logs/ tmp/"), _rule("*", "tmp/x"), True),
        (_rule("*", "*.log"), _rule("*", "a.log"), True),
        (_rule("*", identities="a"), _rule("*"), False),
        (_rule("*", identities="a b"), _rule("*", identities="a"), True),
        (_rule("*", identities="a"), _rule("*", identities="a b"), False),
        (_rule("*"), _rule("*", identities="a"), True),
        (_rule("*", tags=(("t", "1"),)), _rule("*", tags=(("t", "1"), ("u", "2"))), True),
        (_rule("*", tags=(("t", "1"),)), _rule("*", tags=(("t", "2"),)), False),
        (_rule("*", content_types="text/*"), _rule("*", content_types="text/*"), True),
        (_rule("*", content_types="text/*"), _rule("*"), False),
    ],
    ids=lambda value: value if isinstance(value, bool) else f"{' '.join(value.buckets)}|{' '.join(value.prefixes)}",
)
def test_one_rule_covers_another(earlier: EncryptionRule, later: EncryptionRule, covered: bool) -> None:
    assert covers(earlier, later) is covered


_GLOBS = st.text("ab*?", min_size=1, max_size=6)


@given(_GLOBS, _GLOBS, st.text("abc", max_size=8))
def test_what_is_covered_is_never_reached(wide: str, narrow: str, text: str) -> None:
    """Whatever the later rule is about, the earlier one takes."""
    earlier, later = _rule(wide), _rule(narrow)
    if covers(earlier, later) and later.matches_bucket(text):
        assert earlier.matches_bucket(text)
    earlier, later = _rule("*", wide), _rule("*", narrow)
    if covers(earlier, later) and later.matches("bucket", text):
        assert earlier.matches("bucket", text)


def test_findings_name_both_rules() -> None:
    rules = [
        _rule("*", name="all"),
        _rule("payroll", name="payroll"),
        _rule("tmp", name="none", mode=ModeName.NONE, identities="a"),
    ]
    found = [(each.subject, each.severity, each.message) for each in rule_findings(rules)]
    assert found == [
        (
            "rules[1] payroll",
            Severity.FAILURE,
            "is never reached: 'all' before it is about every object that it is about",
        ),
        ("rules[2] none", Severity.FAILURE, "is never reached: 'all' before it is about every object that it is about"),
        ("rules[2] none", Severity.WARNING, "gives objects no encryption"),
    ]


def test_a_rule_that_takes_encryption_away_says_so() -> None:
    rule = EncryptionRule("off", ("*",), (), ModeName.NONE, enforce=True)
    assert [each.message for each in rule_findings([rule])] == [
        "gives objects no encryption, and takes away what clients ask for"
    ]


def test_rules_in_a_good_order_have_no_findings() -> None:
    assert not list(rule_findings([_rule("payroll"), _rule("*", "tmp/"), _rule("*")]))
