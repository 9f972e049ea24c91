"""Findings in the order in which the store lists the objects, whichever of them was looked at first."""

from collections import deque
from collections.abc import AsyncIterator, Callable

from gateway.cli.auditing.finding import Finding
from gateway.cli.rotation.listed import Listed


class InOrder:
    """Keeps back what is ahead of its turn, so that two audits of the same objects say the same.

    Args:
        hand_on: called with each finding.
    """

    def __init__(self, hand_on: Callable[[Finding], None]) -> None:
        self._hand_on = hand_on
        self._waiting: deque[Listed] = deque()
        self._done: dict[int, Finding | None] = {}

    async def noting(self, items: AsyncIterator[Listed]) -> AsyncIterator[Listed]:
        """The objects as they come; their order is kept."""
        async for listed in items:
            self._waiting.append(listed)
            yield listed

    def add(self, listed: Listed, finding: Finding | None) -> None:
        """Note what was found of an object, and hand on whatever has its turn."""
        self._done[id(listed)] = finding
        while self._waiting and id(self._waiting[0]) in self._done:
            self._next()

    def close(self) -> None:
        """Hand on the rest: after an interruption there are objects that nobody looked at."""
        while self._waiting:
            self._next()

    def _next(self) -> None:
        finding = self._done.pop(id(self._waiting.popleft()), None)
        if finding is not None:
            self._hand_on(finding)
