"""The names of condition operators, with their prefixes and suffixes.

Source: AWS IAM User Guide, "IAM JSON policy elements: Condition operators" and "Set operators for multivalued context
keys".
"""

from dataclasses import dataclass
from enum import StrEnum

from gateway.policy.iam.comparisons import COMPARISONS

#: The operator that asks only whether a key is there.
NULL = "Null"

_NEGATIONS = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
}
_IF_EXISTS = "IfExists"

#: Every operator without prefix and suffix.
OPERATORS = frozenset({*COMPARISONS, *_NEGATIONS, NULL})


class Quantifier(StrEnum):
    """How many of a key's values have to fit."""

    #: No set operator: the key has one value.
    SINGLE = ""
    ANY = "ForAnyValue"
    ALL = "ForAllValues"


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator.

    Attributes:
        name: the name as written, such as ``ForAnyValue:StringNotLikeIfExists``.
        comparison: what it compares: a key of :data:`COMPARISONS`, or :data:`NULL`.
        negated: whether it holds when the comparison does not.
        quantifier: its set operator.
        if_exists: whether it holds when the request does not have the key.
    """

    name: str
    comparison: str
    negated: bool
    quantifier: Quantifier
    if_exists: bool

    @property
    def base(self) -> str:
        """The name without prefix and suffix."""
        return self.name.rpartition(":")[2].removesuffix(_IF_EXISTS)

    @property
    def when_absent(self) -> bool:
        """Whether it holds when the request does not have the key, or has it without any value.

        Not a question for ``Null``.
        """
        if self.if_exists:
            return True
        if self.quantifier is Quantifier.SINGLE:
            return self.negated
        return self.quantifier is Quantifier.ALL


def parse_operator(name: str) -> Operator:
    """An operator from its name; case counts.

    Raises:
        ValueError: there is none of that name.
    """
    prefix, colon, rest = name.rpartition(":")
    base = rest.removesuffix(_IF_EXISTS)
    if base not in OPERATORS or (colon and prefix not in (Quantifier.ANY, Quantifier.ALL)):
        raise ValueError("is no condition operator")
    if base == NULL and name != NULL:
        raise ValueError("Null takes neither a set operator nor IfExists: it asks itself whether the key is there")
    return Operator(
        name=name,
        comparison=_NEGATIONS.get(base, base),
        negated=base in _NEGATIONS,
        quantifier=Quantifier(prefix),
        if_exists=rest != base,
    )
