"""How many requests per second there were lately, of one process."""

import math
import time
from collections import deque
from collections.abc import Callable
from typing import Final

#: What "lately" means. Prometheus asks every 15 to 60 s: whatever happened is in at least one of its samples.
WINDOW_SECONDS: Final = 60


class RequestRate:
    """The requests of the last minute.

    Args:
        clock: the time in seconds; never goes back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds: deque[tuple[int, float]] = deque()

    def add(self, requests: float = 1.0) -> None:
        """Requests were made just now; an estimate may be a part of one."""
        second = math.floor(self._clock())
        before = self._seconds.pop()[1] if self._seconds and self._seconds[-1][0] == second else 0.0
        self._seconds.append((second, before + requests))

    @property
    def per_second(self) -> float:
        """Requests per second; exactly 0 when there were none for a minute."""
        oldest = math.floor(self._clock()) - WINDOW_SECONDS
        while self._seconds and self._seconds[0][0] <= oldest:
            self._seconds.popleft()
        return sum(requests for _, requests in self._seconds) / WINDOW_SECONDS
