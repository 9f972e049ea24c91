"""Which statements are about a resource, mostly known from where it lies among the beginnings that policies name.

Nearly every resource of a policy is an exact ARN, or everything that begins with one. Between two neighbouring bounds
of all those, every resource gets the same answer, so the answer is remembered for the place. What is left to look at
one by one are patterns with wildcards in the middle, and of those only the ones whose fixed beginning fits.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.policy.iam.arn import ArnTemplate, arn_matches, parse_arn, split_arn
from gateway.policy.iam.memo import Memo
from gateway.policy.iam.ranking import Ranking, bounds_of_prefix
from gateway.policy.iam.statements import EVERYTHING, Selection
from gateway.policy.iam.variables import Lookup, Template, nothing

_NOT_LITERAL = frozenset("*?$")


class ResourcePattern:
    """One resource of a policy.

    Args:
        text: the pattern as written, free of faults.
        variables: whether its policy's version has variables.

    Attributes:
        dynamic: whether it has variables.
        bounds: among these the place of a resource says what :meth:`by_place` answers.
    """

    __slots__ = ("_arn", "_by_place", "_prefix", "_whole", "bounds", "dynamic")

    def __init__(self, text: str, *, variables: bool) -> None:
        head = () if text == EVERYTHING else split_arn(text, variables=variables)[:-1]
        self._whole = Template(text, variables=variables, wildcards=True)
        # With wildcards in the last part only, the whole text can be matched at once.
        self._arn = None if _NOT_LITERAL.isdisjoint("".join(head)) else ArnTemplate(text, variables=variables)
        self.dynamic = self._whole.dynamic
        self._prefix = "" if self._arn else self._whole.prefix
        bounds = None if self._arn else self._whole.bounds()
        self._by_place = bounds is not None or text == EVERYTHING
        self.bounds = bounds or bounds_of_prefix(self._prefix) or ()

    def matches(self, resource: str, lookup: Lookup) -> bool | None:
        """Whether a resource is meant; None when a variable has no value in this request."""
        if self._arn is None:
            glob = self._whole.glob(lookup)
            return None if glob is None else glob.matches(resource)
        globs = self._arn.globs(lookup)
        if globs is None:
            return None
        arn = parse_arn(resource)
        return arn is not None and arn_matches(globs, arn)

    def by_place(self, resource: str) -> bool | None:
        """Whether a resource is meant, when its place among the bounds is enough to know; None when it is not."""
        if self._by_place:
            return self.matches(resource, nothing)
        return None if resource.startswith(self._prefix) else False


class ResourceClause:
    """All resources of a statement.

    Args:
        selection: them as written, free of faults.
        variables: whether the policy's version has variables.

    Attributes:
        dynamic: whether one of them has variables.
        patterns: one for each.
    """

    __slots__ = ("_negated", "dynamic", "patterns")

    def __init__(self, selection: Selection, *, variables: bool) -> None:
        self._negated = selection.negated
        self.patterns = tuple(ResourcePattern(text, variables=variables) for text in selection.values)
        self.dynamic = any(pattern.dynamic for pattern in self.patterns)

    def matches(self, resource: str, lookup: Lookup) -> bool:
        """Whether a resource is meant.

        A pattern with a variable that has no value matches nothing; and as it is not known then what "everything else"
        is, that matches nothing either.
        """
        if self._negated:
            return all(pattern.matches(resource, lookup) is False for pattern in self.patterns)
        return any(
            pattern.by_place(resource) is not False and pattern.matches(resource, lookup) for pattern in self.patterns
        )

    def by_place(self, resource: str) -> bool | None:
        """Whether a resource is meant, when its place among all bounds is enough to know; None when it is not."""
        answers = {pattern.by_place(resource) for pattern in self.patterns}
        if True in answers:
            return not self._negated
        if None in answers or (self._negated and self.dynamic):
            return None
        return self._negated


@dataclass(frozen=True, slots=True)
class _Place:
    """What is known about all resources between two bounds.

    Attributes:
        sure: the statements that are about them, and those whose variables have to be looked at.
        unsure: clauses to be asked about each resource, with the statements that have them.
    """

    sure: int
    unsure: tuple[tuple[ResourceClause, int], ...]


class ResourceIndex:
    """Every resource clause of some statements, which are bits of an integer.

    Args:
        clauses: each with the statements that have it.
    """

    def __init__(self, clauses: Iterable[tuple[ResourceClause, int]]) -> None:
        self._clauses = tuple(clauses)
        self._ranking = Ranking(
            bound for clause, _ in self._clauses for pattern in clause.patterns for bound in pattern.bounds
        )
        self._places: Memo[int, _Place] = Memo()

    def narrow(self, statements: int, resource: str) -> int:
        """Those of the statements that are about a resource, as far as that does not depend on variables."""
        rank = self._ranking.rank(resource)
        place = self._places.recall(rank)
        if place is None:
            place = self._places.keep(rank, self._place(resource), 1)
        about = statements & place.sure
        for clause, having in place.unsure:
            asked = statements & having
            if asked and clause.matches(resource, nothing):
                about |= asked
        return about

    def _place(self, resource: str) -> _Place:
        sure = 0
        unsure: list[tuple[ResourceClause, int]] = []
        for clause, having in self._clauses:
            meant = clause.by_place(resource)
            if meant or (meant is None and clause.dynamic):
                sure |= having
            elif meant is None:
                unsure.append((clause, having))
        return _Place(sure, tuple(unsure))
