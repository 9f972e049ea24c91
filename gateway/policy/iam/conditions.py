"""Conditions: one operator, one key, the values that the policy names.

Source: AWS IAM User Guide, "Evaluation logic for multiple context keys or values in a condition block": every operator
and every key has to hold; one of several values is enough, and for a negated operator none of them may fit.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from gateway.policy.iam.comparisons import COMPARISONS, Comparison, Matcher, PolicyValue
from gateway.policy.iam.element import Element
from gateway.policy.iam.faults import shown
from gateway.policy.iam.operators import NULL, Operator, Quantifier, parse_operator
from gateway.policy.iam.variables import Lookup, nothing

_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}:[^\x00-\x1f\x7f*?${}]{1,256}")

#: A value of a request as an operator reads it; None when it can not be read.
_Read: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition.

    Attributes:
        operator: the operator.
        key: the condition key in lower case; case does not count in keys.
        values: the values as written; numbers and booleans as texts.
        line: where it stands in the policy, from 1.
    """

    operator: Operator
    key: str
    values: tuple[str, ...]
    line: int = field(compare=False)


def parse_conditions(element: Element, *, variables: bool) -> tuple[Condition, ...]:
    """The conditions of a ``Condition`` element; what is wrong becomes faults."""
    conditions: list[Condition] = []
    for name, keys in (element.members() or {}).items():
        try:
            operator = parse_operator(name)
        except ValueError as error:
            keys.fault(str(error))
            continue
        seen: set[str] = set()
        members = keys.members()
        if members is not None and not members:
            keys.fault("is empty")
        for key, values in (members or {}).items():
            if key.lower() in seen:
                values.fault("is given twice: case does not count in condition keys")
            seen.add(key.lower())
            conditions += _condition(operator, key, values, variables=variables)
    return tuple(conditions)


def _condition(operator: Operator, key: str, element: Element, *, variables: bool) -> tuple[Condition, ...]:
    if not _KEY.fullmatch(key):
        element.fault("is no condition key: service:name")
    values: list[str] = []
    for item in element.items():
        value = item.scalar()
        if value is None:
            continue
        try:
            compile_value(operator, value, variables=variables)
        except ValueError as error:
            item.fault(f"{shown(value)} {error}")
        values.append(value)
    return (Condition(operator, key.lower(), tuple(values), element.node.line),)


def compile_value(operator: Operator, value: str, *, variables: bool) -> PolicyValue[Any]:
    """One value of a policy, ready to be compared.

    Raises:
        ValueError: the operator does not take it.
    """
    compiled = _comparison(operator).compile(value, variables)
    if compiled.dynamic and operator.comparison == NULL:
        raise ValueError("is a variable, which Null does not take")
    return compiled


class CompiledCondition:
    """A condition, compiled.

    Args:
        condition: the condition, free of faults.
        variables: whether its policy's version has variables.

    Attributes:
        key: the condition key.
        dynamic: whether what it wants depends on the request: a value has variables.
        read: how it reads a value of the request.
        about_presence: whether it asks only whether the request has the key.
        bounds: what is enough to know about a value of the request: where it lies among these. None when it has
            wildcards or variables.
    """

    __slots__ = ("_fixed", "_operator", "_values", "about_presence", "bounds", "dynamic", "key", "read")

    def __init__(self, condition: Condition, *, variables: bool) -> None:
        self._operator = condition.operator
        self._values = tuple(
            compile_value(condition.operator, value, variables=variables) for value in condition.values
        )
        self.key = condition.key
        self.dynamic = any(value.dynamic for value in self._values)
        self.about_presence = self._operator.comparison == NULL
        self.read: Callable[[str], _Read] = _comparison(self._operator).read
        bounds = [value.bounds for value in self._values]
        self.bounds = None if None in bounds else tuple(bound for found in bounds for bound in found or ())
        self._fixed = None if self.dynamic else self._matchers(nothing)

    def holds(self, values: Sequence[_Read], lookup: Lookup) -> bool:
        """Whether the condition holds in one request.

        Args:
            values: the values of its key, each as :attr:`read` reads it; empty when the request does not have the key.
            lookup: where variables get their values.
        """
        operator = self._operator
        if self.about_presence:
            return any(matcher(not values) for matcher in self._fixed or ())
        if not values:
            return operator.when_absent
        matchers = self._matchers(lookup) if self._fixed is None else self._fixed
        if operator.negated and len(matchers) < len(self._values):
            return False
        if operator.quantifier is Quantifier.SINGLE:
            return any(_fits(value, matchers) for value in values) != operator.negated
        every = all if operator.quantifier is Quantifier.ALL else any
        return every(_fits(value, matchers) != operator.negated for value in values)

    def _matchers(self, lookup: Lookup) -> tuple[Matcher[_Read], ...]:
        """What the values mean in one request; those with a variable that has no value there mean nothing."""
        meanings = (value.meaning(lookup) for value in self._values)
        return tuple(matcher for matcher in meanings if matcher is not None)


def _comparison(operator: Operator) -> Comparison[Any]:
    """What an operator compares: Null takes booleans, as Bool does."""
    return COMPARISONS["Bool" if operator.comparison == NULL else operator.comparison]


def _fits(value: _Read, matchers: tuple[Matcher[_Read], ...]) -> bool:
    return value is not None and any(matcher(value) for matcher in matchers)
