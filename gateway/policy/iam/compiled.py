"""All policies as one, compiled so that a decision costs little however many statements there are.

Every statement is one bit of an integer. What a request is about (its action, its principal, its bucket, the values of
a condition key) leaves some of the bits, and which ones is remembered. So a decision is a few look-ups and a few ANDs
over all statements at once. Only what depends on policy variables is asked anew each time, and only about statements
that are left.

Source: AWS IAM User Guide, "Policy evaluation logic": an explicit deny overrides every allow, wherever it stands.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from gateway.policy.iam.conditions import CompiledCondition
from gateway.policy.iam.decision import Access, Decision, Effect, Facts
from gateway.policy.iam.document import Policy
from gateway.policy.iam.key_index import KeyIndex
from gateway.policy.iam.memo import Memo
from gateway.policy.iam.principals import Principals
from gateway.policy.iam.resources import ResourceClause, ResourceIndex
from gateway.policy.iam.statements import Selection
from gateway.policy.iam.variables import Template, nothing

_NEUTRAL = Decision(Effect.NEUTRAL)

Part = TypeVar("Part", bound=Hashable)
Compiled = TypeVar("Compiled")


class CompiledPolicies:
    """Policies that are evaluated together.

    Args:
        policies: them, in the order in which a decision names the first statement of several that apply.
    """

    def __init__(self, policies: Sequence[Policy]) -> None:
        rows = [(policy, statement) for policy in policies for statement in policy.statements]
        self._decisions = tuple(
            Decision(statement.effect, policy.name, statement.number, statement.sid) for policy, statement in rows
        )
        self._denies = _bits(statement.effect is Effect.DENY for _, statement in rows)
        actions = _grouped(([statement.actions] for _, statement in rows), _action_matcher)
        self._actions = _Matching(actions)
        principals = _grouped(([statement.principals] for _, statement in rows), _principal_matcher)
        self._principals = _Matching(principals)
        clauses = _grouped(
            ([(statement.resources, policy.variables)] for policy, statement in rows),
            lambda part: ResourceClause(part[0], variables=part[1]),
        )
        self._resources = ResourceIndex(clauses)
        conditions = _grouped(
            ([(condition, policy.variables) for condition in statement.conditions] for policy, statement in rows),
            lambda part: CompiledCondition(part[0], variables=part[1]),
        )
        self._keys = _key_indexes(conditions)
        self._dynamic_clauses = [(clause, having) for clause, having in clauses if clause.dynamic]
        self._dynamic_conditions = [(condition, having) for condition, having in conditions if condition.dynamic]
        self._dynamic = 0
        for _, having in (*self._dynamic_clauses, *self._dynamic_conditions):
            self._dynamic |= having

    def decide(self, facts: Facts, access: Access) -> Decision:
        """What the policies say about one access.

        Args:
            facts: the request as it was received.
            access: one thing that it wants to do.

        Returns:
            The first statement that denies; else the first that allows; else neutral.
        """
        statements = self._actions.statements(access.action) & self._principals.statements(facts.principal)
        if statements:
            statements = self._resources.narrow(statements, access.resource)
        for index in self._keys:
            if statements & index.mentioned:
                statements = index.narrow(statements, facts.values(index.key))
        if statements & self._dynamic:
            statements = self._without_failing_variables(statements, facts, access)
        if not statements:
            return _NEUTRAL
        deciding = statements & self._denies or statements
        return self._decisions[(deciding & -deciding).bit_length() - 1]

    def _without_failing_variables(self, statements: int, facts: Facts, access: Access) -> int:
        """Those of the statements that apply with this request's values for their variables."""
        for clause, having in self._dynamic_clauses:
            if statements & having and not clause.matches(access.resource, facts.values):
                statements &= ~having
        for condition, having in self._dynamic_conditions:
            if statements & having:
                values = tuple(map(condition.read, facts.values(condition.key) or ()))
                if not condition.holds(values, facts.values):
                    statements &= ~having
        return statements


def _bits(flags: Iterable[bool]) -> int:
    return sum(1 << bit for bit, flag in enumerate(flags) if flag)


def _grouped(parts: Iterable[Iterable[Part]], compile_part: Callable[[Part], Compiled]) -> list[tuple[Compiled, int]]:
    """Every different part of the statements once, compiled, with the statements that have it.

    Args:
        parts: the parts of each statement.
        compile_part: compiles one.
    """
    having: dict[Part, int] = {}
    for bit, of_statement in enumerate(parts):
        for part in of_statement:
            having[part] = having.get(part, 0) | 1 << bit
    return [(compile_part(part), bits) for part, bits in having.items()]


class _Matching:
    """The statements that match a text.

    Args:
        matchers: each with the statements that have it.
    """

    def __init__(self, matchers: Sequence[tuple[Callable[[str], bool], int]]) -> None:
        self._matchers = matchers
        self._memo: Memo[str, int] = Memo()

    def statements(self, text: str) -> int:
        """The statements one of whose matchers matches."""
        known = self._memo.recall(text)
        if known is not None:
            return known
        found = 0
        for matches, having in self._matchers:
            if matches(text):
                found |= having
        return self._memo.keep(text, found, len(text))


def _principal_matcher(principals: Principals) -> Callable[[str], bool]:
    return principals.match


def _action_matcher(actions: Selection) -> Callable[[str], bool]:
    """Source: AWS IAM User Guide, "IAM JSON policy elements: Action": case does not count."""
    patterns = [Template(text.lower(), variables=False, wildcards=True).glob(nothing) for text in actions.values]
    globs = [glob for glob in patterns if glob is not None]
    return lambda action: any(glob.matches(action.lower()) for glob in globs) != actions.negated


def _key_indexes(conditions: list[tuple[CompiledCondition, int]]) -> tuple[KeyIndex, ...]:
    """One index for each key, those with the fewest conditions first."""
    by_key: dict[str, list[tuple[CompiledCondition, int]]] = {}
    for condition, having in conditions:
        if not condition.dynamic:
            by_key.setdefault(condition.key, []).append((condition, having))
    indexes = [KeyIndex(key, found) for key, found in by_key.items()]
    return tuple(sorted(indexes, key=lambda index: index.mentioned.bit_count()))
