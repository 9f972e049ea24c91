"""Which requests are served now, which wait for their turn, and which are refused.

A refusal costs a good part of a small answer: the request has to be decrypted and parsed before anybody can say no, and
the error has to be written. A server that refuses at once what it has no time for is kept busy with refusals by clients
that ask again: with three times the demand, it served a third of what it could. So requests wait, which costs nothing:
a connection has one request at a time, and a client whose request waits sends no other.

When the processor is what is short, they wait unread in the kernel, see :mod:`gateway.net.readiness`; here wait those
that were read and find no place, and those on connections whose reading does not take turns.
"""

import asyncio
from collections import deque
from typing import Final

from gateway.net.readiness import NEWCOMERS_AT_ONCE

#: Most requests that begin in one turn of the event loop, before those under way go on. Beyond capacity, this keeps
#: requests under way few: what they need stays in the processor's caches and their memory is soon free. A turn that
#: begins so many takes some milliseconds: with a distant store, several hundred requests are under way all the same.
STARTS_PER_TURN: Final = NEWCOMERS_AT_ONCE


class Admission:
    """The places of requests under way, and the line before them, whose length is that of the connections.

    A request that waited for too long is refused, but no more than one in a turn of the event loop. When nothing moves,
    because a store hangs, turns are short, and everybody is refused in time. When the processor is what is short, turns
    are long; then refusals take no more than a few percent of it, and most of those that are late are served instead.
    The same holds for requests that waited for too long before they were read.

    Args:
        limit: places.
        wait_seconds: wait after which a request is refused.

    Attributes:
        in_flight: places taken.
    """

    def __init__(self, limit: int, wait_seconds: float) -> None:
        self.in_flight = 0
        self._limit = limit
        self._wait_seconds = wait_seconds
        self._started_in_turn = 0
        self._refused_in_turn = False
        self._turn_is_due = False
        # In order of arrival, each with the time when it is refused. The timer is that of the first.
        self._line: deque[tuple[float, asyncio.Future[bool]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def enter(self) -> bool:
        """Take a place, if there is one and nobody waits. :meth:`leave` gives it back."""
        if self._line or not self._may_start():
            return False
        self._start()
        return True

    async def wait(self) -> bool:
        """Wait for a place and take it; False when there was none in time. :meth:`leave` gives it back."""
        loop = asyncio.get_running_loop()
        place: asyncio.Future[bool] = loop.create_future()
        self._line.append((loop.time() + self._wait_seconds, place))
        self._ask_for_turn()
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.result():
                self.leave()  # the client went away in the moment in which the place was given
            raise

    def refuses(self, waited_seconds: float) -> bool:
        """Whether to refuse a request that waited for its turn to be read; one that is late, in a turn of the loop."""
        if waited_seconds <= self._wait_seconds or self._refused_in_turn:
            return False
        self._refused_in_turn = True
        self._ask_for_turn()
        return True

    def leave(self) -> None:
        """Give a place back."""
        self.in_flight -= 1
        self._ask_for_turn()

    def _may_start(self) -> bool:
        return self.in_flight < self._limit and self._started_in_turn < STARTS_PER_TURN

    def _start(self) -> None:
        self.in_flight += 1
        self._started_in_turn += 1
        self._ask_for_turn()

    def _ask_for_turn(self) -> None:
        if not self._turn_is_due and (self._line or self._started_in_turn or self._refused_in_turn):
            self._turn_is_due = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        """A new turn of the event loop: the first in the line get the free places, and one that is late is refused."""
        self._turn_is_due = self._refused_in_turn = False
        self._started_in_turn = 0
        while self._line and self._may_start():
            _, place = self._line.popleft()
            if not place.done():
                self._start()
                place.set_result(True)
        if self._line:
            self._refuse_late()

    def _refuse_late(self) -> None:
        """Refuse the first in the line if its time is over; otherwise see to it that this is done in time."""
        loop = asyncio.get_running_loop()
        deadline, place = self._line[0]
        if deadline <= loop.time():
            self._line.popleft()
            if not place.done():
                place.set_result(False)
            self._ask_for_turn()
        elif self._timer is None:
            self._timer = loop.call_at(deadline, self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer = None
        self._ask_for_turn()
