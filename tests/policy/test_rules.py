"""Rules: which objects they are about, and what they are made of."""

from typing import Any

import pytest

from gateway.policy.rules import EncryptionRule, ModeName, ObjectTraits


def _rule(name: str, buckets: tuple[str, ...], prefixes: tuple[str, ...] = ()) -> EncryptionRule:
    return EncryptionRule(name, buckets, prefixes, ModeName.NONE)


RULES = (
    _rule("secret logs", ("logs", "*-logs"), ("secret/", "*/private-?/")),
    _rule("logs", ("logs", "*-logs")),
    _rule("images", ("data",), ("images/",)),
)


_CONDITIONS = EncryptionRule(
    "conditions",
    ("*",),
    (),
    ModeName.SSE_S3,
    identities=("ann", "bob"),
    tags=(("class", "secret*"), ("team", "?")),
    content_types=("Image/*", "text/plain"),
)
_TAGS = {"class": "secret-1", "team": "a", "more": ""}


@pytest.mark.parametrize(
    ("traits", "accepted"),
    [
        (ObjectTraits("ann", _TAGS, "image/png"), True),
        (ObjectTraits("bob", _TAGS, "text/plain"), True),
        (ObjectTraits("", _TAGS, "image/png"), False),
        (ObjectTraits("an", _TAGS, "image/png"), False),
        (ObjectTraits("ann", _TAGS | {"team": "ab"}, "image/png"), False),
        (ObjectTraits("ann", {"class": "secret"}, "image/png"), False),
        (ObjectTraits("ann", {}, "image/png"), False),
        (ObjectTraits("ann", _TAGS, "text/plain2"), False),
        (ObjectTraits("ann", _TAGS, "text/html"), False),
        (ObjectTraits(), None),
        (ObjectTraits("ann"), None),
        (ObjectTraits("ann", _TAGS), None),
        (ObjectTraits(None, _TAGS, "image/png"), None),
        (ObjectTraits("eve"), False),
        (ObjectTraits(None, {}), False),
        (ObjectTraits(None, None, "text/html"), False),
    ],
)
def test_accepts(traits: ObjectTraits, accepted: bool | None) -> None:
    """All conditions have to hold; one that surely does not settles it, one that is not known leaves it open."""
    assert _CONDITIONS.accepts(traits) is accepted


def test_a_rule_without_conditions_accepts_everything() -> None:
    assert RULES[0].accepts(ObjectTraits()) is True
    assert not RULES[0].is_conditional
    assert _CONDITIONS.is_conditional


@pytest.mark.parametrize(
    ("options", "binds"),
    [
        ({}, False),
        ({"enforce": True}, True),
        ({"refuse_others": True}, True),
        ({"allowed_kms_keys": ("key",)}, True),
    ],
    ids=str,
)
def test_binds_clients(options: dict[str, Any], binds: bool) -> None:
    assert EncryptionRule("r", ("*",), (), ModeName.SSE_S3, **options).binds_clients is binds


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
