"""Values put into as many classes as the bounds of a policy tell apart.

Whether 1,234,567 is greater than 600,000 is also whether 1,234,568 is. So for what is compared with bounds, it is
enough to remember answers by where a value lies among them, and these are few however many values clients send.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")

#: What no bound says anything about: a value that could not be read.
UNREADABLE = -1


class Ranking(Generic[Value]):
    """Bounds in order.

    Args:
        bounds: values that can be compared with each other.
    """

    __slots__ = ("_bounds",)

    def __init__(self, bounds: Iterable[Value]) -> None:
        self._bounds: list[Any] = sorted(set[Any](bounds))

    def rank(self, value: Value | None) -> int:
        """Where a value lies: at one of the bounds (odd) or between two of them (even)."""
        if value is None:
            return UNREADABLE
        return bisect_left(self._bounds, value) + bisect_right(self._bounds, value)


def bounds_of_prefix(prefix: str) -> tuple[str, str] | None:
    """The first text that begins with a prefix, and the first after all of those; None when there is none after."""
    if not prefix or prefix[-1] == "\U0010ffff":
        return None
    return prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1)
