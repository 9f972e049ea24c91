"""What is odd about the encryption rules by themselves: rules that nothing reaches, and rules that encrypt nothing."""

from collections.abc import Iterator, Sequence

from gateway.cli.findings import Finding, failure, warning
from gateway.policy.glob_relations import covers as glob_covers
from gateway.policy.glob_relations import start_pattern
from gateway.policy.rules import EncryptionRule, ModeName


def rule_findings(rules: Sequence[EncryptionRule]) -> Iterator[Finding]:
    """Everything odd about the rules of a configuration."""
    for number, rule in enumerate(rules):
        where = f"rules[{number}] {rule.name}"
        earlier = next((other for other in rules[:number] if covers(other, rule)), None)
        if earlier is not None:
            yield failure(
                where,
                f"is never reached: '{earlier.name}' before it is about every object that it is about",
                "move it up, or remove it",
            )
        if rule.mode is ModeName.NONE:
            yield warning(
                where,
                "gives objects no encryption" + (", and takes away what clients ask for" if rule.enforce else ""),
                "choose a mode, or keep it for objects that may be read by whoever reads the disks",
            )


def covers(earlier: EncryptionRule, later: EncryptionRule) -> bool:
    """Whether a rule is about every object that another is about.

    Rules that ask for more than the place of an object are compared by that part as a whole.
    """
    if earlier.is_conditional and not _asks_the_same(earlier, later):
        return False
    return all(any(glob_covers(wide, narrow) for wide in earlier.buckets) for narrow in later.buckets) and (
        not earlier.prefixes
        or (
            bool(later.prefixes)
            and all(
                any(glob_covers(start_pattern(wide), start_pattern(narrow)) for wide in earlier.prefixes)
                for narrow in later.prefixes
            )
        )
    )


def _asks_the_same(earlier: EncryptionRule, later: EncryptionRule) -> bool:
    return (
        (not earlier.identities or (bool(later.identities) and set(later.identities) <= set(earlier.identities)))
        and set(earlier.tags) <= set(later.tags)
        and (
            not earlier.content_types
            or (bool(later.content_types) and set(later.content_types) <= set(earlier.content_types))
        )
    )
