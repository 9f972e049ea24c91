"""A bucket in areas, by the encryptions that its rules let writes ask for.

Rules are tried in order and the statements of a policy are not, so what a statement is about has to be cut out. Each
prefix of the rules gets the encryptions of all rules that may be about an object below it; the rule for all the rest is
about everything except these prefixes (``NotResource``). That says what the rules say unless one prefix lies within
another that has other encryptions: no pattern stands for "below this, except below that". The outer one then takes what
either rule asks for, and is said to be loose. So it is where identity, tags or content type choose the rule, which the
store can not see.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.policy.glob_relations import covers, overlap, start_pattern
from gateway.policy.rules import KMS_MODES, EncryptionRule, ModeName

#: The glob of every object.
EVERYTHING: Final = "*"

_METHODS: Final = {ModeName.SSE_S3: "AES256", ModeName.SSE_KMS: "aws:kms", ModeName.DSSE_KMS: "aws:kms:dsse"}


@dataclass(frozen=True, slots=True)
class Allowed:
    """The encryptions that writes may ask for.

    Attributes:
        methods: values of ``x-amz-server-side-encryption``, each with a KMS key or None.
        customer: whether a customer key is one of them.
        anything: whether a request need not ask for any: the gateway seals the object, or its rule is ``none``.
    """

    methods: tuple[tuple[str, str | None], ...]
    customer: bool
    anything: bool


@dataclass(frozen=True, slots=True)
class Area:
    """A part of the bucket, and what may be written there.

    Attributes:
        patterns: its prefixes as globs.
        inverted: whether everything else is meant.
        allowed: the encryptions.
    """

    patterns: tuple[str, ...]
    inverted: bool
    allowed: Allowed


@dataclass(frozen=True, slots=True)
class Loose:
    """A prefix below which an object may be encrypted as any of several rules ask.

    Attributes:
        pattern: the prefix, as a glob.
        rules: the names of the rules.
    """

    pattern: str
    rules: tuple[str, ...]


def areas_of(rules: Sequence[EncryptionRule]) -> tuple[tuple[Area, ...], tuple[Loose, ...]]:
    """The bucket in areas by what may be written there, and where that is more than the rules say.

    Args:
        rules: the encryption rules about the bucket, in order.
    """
    chosen: dict[str, list[EncryptionRule]] = {}
    for rule in rules:
        for pattern in _patterns(rule):
            possible = _possible(rules, pattern)
            # A rule that never decides below its prefix does not cut it out.
            if pattern != EVERYTHING and rule in possible:
                chosen.setdefault(pattern, possible)
    together: dict[Allowed, list[str]] = {}
    for pattern, possible in chosen.items():
        together.setdefault(_allowed(possible), []).append(pattern)
    areas = [Area(tuple(patterns), inverted=False, allowed=allowed) for allowed, patterns in together.items()]
    rest = _until_certain([rule for rule in rules if EVERYTHING in _patterns(rule)], EVERYTHING)
    if rest:
        areas.append(Area(tuple(chosen), inverted=True, allowed=_allowed(rest)))
    found = (*chosen.items(), (EVERYTHING, rest))
    return tuple(areas), tuple(Loose(pattern, _names(several)) for pattern, several in found if _differ(several))


def _possible(rules: Sequence[EncryptionRule], pattern: str) -> list[EncryptionRule]:
    """The rules that may be about objects below a prefix."""
    about = [rule for rule in rules if any(overlap(pattern, each) for each in _patterns(rule))]
    return _until_certain(about, pattern)


def _until_certain(rules: Sequence[EncryptionRule], pattern: str) -> list[EncryptionRule]:
    """The rules up to the first that is about every object below a prefix."""
    for number, rule in enumerate(rules, 1):
        if not rule.is_conditional and any(covers(each, pattern) for each in _patterns(rule)):
            return list(rules[:number])
    return list(rules)


def _differ(rules: Sequence[EncryptionRule]) -> bool:
    return len({_allowed([rule]) for rule in rules}) > 1


def _names(rules: Sequence[EncryptionRule]) -> tuple[str, ...]:
    return tuple(rule.name for rule in rules)


def _patterns(rule: EncryptionRule) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(start_pattern(prefix) for prefix in rule.prefixes)) or (EVERYTHING,)
    return (EVERYTHING,) if EVERYTHING in found else found


def _allowed(rules: Sequence[EncryptionRule]) -> Allowed:
    methods = {(_METHODS[rule.mode], rule.kms_key_arn) for rule in rules if rule.mode in _METHODS}
    # What clients may name themselves passes through the gateway as it is.
    named = {key for rule in rules if not rule.enforce for key in rule.allowed_kms_keys}
    methods |= {(_METHODS[mode], key) for mode in KMS_MODES for key in named}
    return Allowed(
        methods=tuple(sorted(methods, key=lambda pair: (pair[0], pair[1] or ""))),
        customer=any(rule.mode is ModeName.SSE_C for rule in rules),
        anything=any(rule.mode in {ModeName.NONE, ModeName.CSE} for rule in rules),
    )
