"""The time-outs of all connections of one upstream, kept by one timer."""

import asyncio
from collections.abc import Collection
from math import inf
from typing import Final, Protocol

#: The shortest pause between two looks at all connections, in seconds.
_SHORTEST_PAUSE_SECONDS: Final = 0.01


class Watched(Protocol):
    """Something that has a deadline.

    Attributes:
        due: when, on the clock of the event loop; infinite for never.
    """

    due: float

    def expire(self) -> None:
        """The deadline has passed."""


class Deadlines:
    """Calls :meth:`Watched.expire` on what is due.

    Nearly every deadline is moved before it is reached. Moving one is therefore only a note; the timer looks at all of
    them when the first one that it was set for is due. ``asyncio.timeout`` takes 3 us for every wait, and a request
    waits for its answer and for each piece of a body.

    Args:
        watched: all that may have a deadline; read anew at each look.
    """

    def __init__(self, watched: Collection[Watched]) -> None:
        self._watched = watched
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._next_look = inf

    def set(self, watched: Watched, seconds: float) -> None:
        """``watched`` is due in ``seconds``."""
        watched.due = due = self._loop.time() + seconds
        if due < self._next_look:
            self._set_timer(due)

    def close(self) -> None:
        """Nothing is due any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._next_look = inf

    def _set_timer(self, due: float) -> None:
        self.close()
        self._next_look = due
        self._timer = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        self._timer = None
        self._next_look = inf
        now = self._loop.time()
        for watched in tuple(self._watched):
            if watched.due <= now:
                watched.due = inf
                watched.expire()
        first = min((watched.due for watched in self._watched), default=inf)
        if first < self._next_look:
            self._set_timer(max(first, now + _SHORTEST_PAUSE_SECONDS))
