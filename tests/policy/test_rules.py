"""Rules: the first match wins."""

import pytest

from gateway.policy.rules import EncryptionRule, ModeName, first_match


def _rule(name: str, buckets: tuple[str, ...], prefixes: tuple[str, ...] = ()) -> EncryptionRule:
    return EncryptionRule(name, buckets, prefixes, ModeName.NONE)


RULES = (
    _rule("secret logs", ("logs", "*-logs"), ("secret/", "*/private-?/")),
    _rule("logs", ("logs", "*-logs")),
    _rule("images", ("data",), ("images/",)),
)


@pytest.mark.parametrize(
    ("bucket", "object_key", "expected"),
    [
        ("logs", "secret/a", "secret logs"),
        ("eu-logs", "x/private-1/a", "secret logs"),
        ("eu-logs", "x/private-12/a", "logs"),
        ("logs", "secret", "logs"),
        ("data", "images/", "images"),
        ("data", "image", None),
        ("other", "images/a", None),
    ],
)
def test_first_match(bucket: str, object_key: str, expected: str | None) -> None:
    """The first rule in order whose bucket and prefix fit; none fits: None."""
    found = first_match(RULES, bucket, object_key)
    assert (found.name if found else None) == expected


def test_matches_bucket_ignores_prefixes() -> None:
    assert RULES[2].matches_bucket("data")
    assert not RULES[2].matches_bucket("logs")


def test_context_is_filled_in_one_pass() -> None:
    """What a value brings with it is not a template again, and unknown braces stay."""
    rule = EncryptionRule(
        "r",
        ("*",),
        (),
        ModeName.SSE_KMS,
        encryption_context=(("where", "{bucket}/{object_key}"), ("who", "app {identity}"), ("fixed", "{x}")),
    )
    assert rule.context_for("b", "{identity}", "ann") == (
        ("where", "b/{identity}"),
        ("who", "app ann"),
        ("fixed", "{x}"),
    )


def test_rules_are_values() -> None:
    """Equal fields make equal rules; the compiled globs take no part in comparison or repr."""
    assert _rule("a", ("b",)) == _rule("a", ("b",))
    assert hash(_rule("a", ("b",))) == hash(_rule("a", ("b",)))
    assert "Glob" not in repr(_rule("a", ("b",)))
