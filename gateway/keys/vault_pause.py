"""The growing pause between failed attempts to get a token: a loop of them takes a vault down."""

import asyncio
import random

#: The first pause is at most this long.
FIRST_PAUSE_SECONDS = 0.5


class Pause:
    """How long to wait before the next attempt; :meth:`reset` ends it."""

    __slots__ = ("_failures", "_until")

    def __init__(self) -> None:
        self._failures = 0
        self._until = 0.0

    def remaining(self) -> float:
        """Seconds until the next attempt is allowed; 0 or less when it is."""
        return self._until - asyncio.get_running_loop().time()

    def grow(self, longest_seconds: float) -> None:
        """Note a failure: the pause doubles up to ``longest_seconds``, less up to half of it by chance."""
        seconds = min(longest_seconds, FIRST_PAUSE_SECONDS * 2 ** min(self._failures, 16))
        self._failures += 1
        self._until = asyncio.get_running_loop().time() + seconds * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Note a success."""
        self._failures = 0
        self._until = 0.0
