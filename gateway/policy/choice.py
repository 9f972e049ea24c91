"""Which rule is about an object.

Rules are tried in the order written; the first that is about the object decides. A rule that asks who writes the
object, or how it is tagged, decides when the object is written. Nobody can tell that of a stored object afterwards, so
whoever looks for one reckons with every rule that may have written it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from operator import attrgetter

from gateway.policy.rules import EncryptionRule, Existing, ModeName, ObjectTraits

_NOTHING_KNOWN = ObjectTraits()
_IS_CONDITIONAL = attrgetter("is_conditional")


def possible_rules(
    rules: Sequence[EncryptionRule], bucket: str, object_key: str, traits: ObjectTraits = _NOTHING_KNOWN
) -> tuple[EncryptionRule, ...]:
    """The rules that may be about an object, in order: the last one surely is, unless none surely is.

    Args:
        rules: the encryption rules in order.
        bucket: where the object is.
        object_key: its key, decoded.
        traits: what else is known of it.
    """
    found: list[EncryptionRule] = []
    for rule in rules:
        if rule.matches(bucket, object_key):
            found.append(rule)
            if not rule.is_conditional:
                break
    return narrowed(tuple(found), traits)


def narrowed(possible: tuple[EncryptionRule, ...], traits: ObjectTraits) -> tuple[EncryptionRule, ...]:
    """Those of the rules that may be about an object, once more is known of it.

    Args:
        possible: what :func:`possible_rules` found for its place.
        traits: what is known of it.
    """
    if not any_conditional(possible):
        return possible
    found: list[EncryptionRule] = []
    for rule in possible:
        accepted = rule.accepts(traits)
        if accepted is not False:
            found.append(rule)
        if accepted:
            break
    return tuple(found)


def any_conditional(rules: Iterable[EncryptionRule]) -> bool:
    """Whether more than the place of an object says which of the rules is about it."""
    return any(map(_IS_CONDITIONAL, rules))


def agreed_rule(possible: Sequence[EncryptionRule]) -> EncryptionRule | None:
    """The first of several rules when all of them do the same; None when they differ, or when there is none."""
    if not possible or any(rule.outcome != possible[0].outcome for rule in possible[1:]):
        return None
    return possible[0]


def stored_rule(rules: Sequence[EncryptionRule], bucket: str, object_key: str) -> EncryptionRule | None:
    """What is to be expected of a stored object, whoever wrote it; None when no rule is about it."""
    return standing_for(possible_rules(rules, bucket, object_key))


def stored_rules(rules: Sequence[EncryptionRule], bucket: str) -> Callable[[str], EncryptionRule | None]:
    """:func:`stored_rule` for many objects of one bucket: what the bucket alone decides is found out once."""
    of_bucket = tuple(rule for rule in rules if rule.matches_bucket(bucket))
    if of_bucket and not of_bucket[0].prefixes and not of_bucket[0].is_conditional:
        return lambda _object_key: of_bucket[0]
    return lambda object_key: stored_rule(of_bucket, bucket, object_key)


def standing_for(possible: tuple[EncryptionRule, ...]) -> EncryptionRule | None:
    """The rule that stands for all that may have written an object; None when there is none.

    Where several rules may have written it, one stands for all: one that seals, else one with a customer key, else
    one that encrypts. Where not all of them seal, it says that objects which are not sealed may exist, so that what
    the others wrote stays readable.
    """
    if len(possible) <= 1:
        return possible[0] if possible else None
    return _standing_for(possible)


def written_rule(chosen: EncryptionRule, possible: Sequence[EncryptionRule]) -> EncryptionRule:
    """The rule of a new object, with what may be at its place already.

    Args:
        chosen: the rule about the new object.
        possible: the rules that may have written an object at its place.
    """
    if chosen.mode is not ModeName.CSE or chosen.existing is Existing.PLAINTEXT or _all_sealed(possible):
        return chosen
    return _beside_plaintext(chosen)


# A configuration has few combinations of rules, and making a rule takes longer than finding it here.
@lru_cache(maxsize=1024)
def _standing_for(possible: tuple[EncryptionRule, ...]) -> EncryptionRule:
    chosen = max(possible, key=_precedence)
    if chosen.mode is ModeName.CSE and not _all_sealed(possible):
        chosen = _beside_plaintext(chosen)
    return replace(chosen, enforce=any(rule.enforce for rule in possible))


@lru_cache(maxsize=1024)
def _beside_plaintext(rule: EncryptionRule) -> EncryptionRule:
    return replace(rule, existing=Existing.PLAINTEXT)


def _all_sealed(possible: Sequence[EncryptionRule]) -> bool:
    return all(rule.mode is ModeName.CSE and rule.existing is Existing.NONE for rule in possible)


def _precedence(rule: EncryptionRule) -> tuple[bool, bool, bool, bool]:
    """Of equal ones :func:`max` takes the first."""
    return (
        rule.mode is ModeName.CSE,
        rule.mode is ModeName.SSE_C and rule.enforce,
        rule.mode is ModeName.SSE_C,
        rule.mode is not ModeName.NONE,
    )
