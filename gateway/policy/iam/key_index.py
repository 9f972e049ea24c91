"""Every condition on one key, answered together."""

from collections.abc import Callable, Iterable
from typing import Any

from gateway.policy.iam.conditions import CompiledCondition
from gateway.policy.iam.memo import Memo
from gateway.policy.iam.ranking import Ranking
from gateway.policy.iam.variables import nothing


class KeyIndex:
    """The conditions of some statements, which are bits of an integer, on one key.

    Args:
        key: the condition key.
        conditions: each with the statements that have it; none depends on variables.

    Attributes:
        key: the condition key.
        mentioned: the statements that have a condition on it.
    """

    __slots__ = ("_failing_absent", "_failing_present", "_readings", "key", "mentioned")

    def __init__(self, key: str, conditions: Iterable[tuple[CompiledCondition, int]]) -> None:
        self.key = key
        self.mentioned = 0
        self._failing_absent = 0
        self._failing_present = 0
        readings: dict[tuple[Callable[[str], Any], bool], list[tuple[CompiledCondition, int]]] = {}
        for condition, having in conditions:
            self.mentioned |= having
            if not condition.holds((), nothing):
                self._failing_absent |= having
            if not condition.about_presence:
                readings.setdefault((condition.read, condition.bounds is None), []).append((condition, having))
            elif not condition.holds(("",), nothing):
                self._failing_present |= having
        self._readings = tuple(
            _Globs(found) if unbounded else _Bounds(found) for (_, unbounded), found in readings.items()
        )

    def narrow(self, statements: int, values: tuple[str, ...] | None) -> int:
        """Those of the statements whose conditions on the key all hold, given its values in the request."""
        if not values:
            return statements & ~self._failing_absent
        failing = self._failing_present
        for reading in self._readings:
            failing |= reading.failing(values)
        return statements & ~failing


class _Reading:
    """Conditions that read the values of their key alike.

    Args:
        conditions: each with the statements that have it.
    """

    __slots__ = ("_conditions", "_memo", "_read")

    def __init__(self, conditions: list[tuple[CompiledCondition, int]]) -> None:
        self._conditions = conditions
        self._read = conditions[0][0].read
        self._memo: Memo[Any, int] = Memo()

    def _evaluate(self, values: tuple[Any, ...]) -> int:
        failing = 0
        for condition, having in self._conditions:
            if not condition.holds(values, nothing):
                failing |= having
        return failing


class _Globs(_Reading):
    """Conditions that compare with globs: what is remembered are answers for the values themselves."""

    __slots__ = ()

    def failing(self, values: tuple[str, ...]) -> int:
        """The statements that have a condition which does not hold."""
        known = self._memo.recall(values)
        if known is not None:
            return known
        failing = self._evaluate(tuple(map(self._read, values)))
        return self._memo.keep(values, failing, sum(map(len, values)) + len(values))


class _Bounds(_Reading):
    """Conditions that compare with bounds: what is remembered are answers for the places between them."""

    __slots__ = ("_ranking",)

    def __init__(self, conditions: list[tuple[CompiledCondition, int]]) -> None:
        super().__init__(conditions)
        self._ranking = Ranking[Any](bound for condition, _ in conditions for bound in condition.bounds or ())

    def failing(self, values: tuple[str, ...]) -> int:
        """The statements that have a condition which does not hold."""
        if len(values) == 1:
            # Nearly always; remembered by its place alone.
            value = self._read(values[0])
            rank = self._ranking.rank(value)
            known = self._memo.recall(rank)
            return self._memo.keep(rank, self._evaluate((value,)), 1) if known is None else known
        read = tuple(map(self._read, values))
        ranks = tuple(map(self._ranking.rank, read))
        known = self._memo.recall(ranks)
        return self._memo.keep(ranks, self._evaluate(read), len(ranks)) if known is None else known
