"""Which sockets can be read or written, told by an epoll of this process's own.

uvloop's ``add_reader`` is made for little else than sockets that never fail: when a peer resets its connection, libuv
stops watching the socket and calls nobody (``uv__poll_io`` takes an error for a bad descriptor). Here an error is an
event like others; the read or the write that follows meets it.

There are two of them. What newcomers send, clients with no request under way, waits in the kernel until it is their
turn; everything else is served first. So what is under way stays little when there is more to do than there is time
for. A request that is read at once and then waits for its turn costs more: its objects have left the processor's caches
by then, and new requests get memory that is scattered between those that wait.

Small requests do not wait for long bodies. A small request takes two turns of the event loop, one to read it and one to
read the server's answer, and each socket with a long body takes most of a millisecond of a turn, with what is done to
its bytes. So sockets with little to do go first, and while there are such ones, few of the others get a turn. Beside
four transfers, that brought the median of small requests from 6 to 2 milliseconds.
"""

import asyncio
import select
from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias
from weakref import WeakKeyDictionary

#: What is called for a socket; returns how many bytes it moved, where that can be many.
Call: TypeAlias = Callable[[], int | None]

#: Most sockets that are served before the event loop does something else.
_SOCKETS_AT_ONCE: Final = 64
#: The same of newcomers: with so many requests under way, what they need stays in the processor's caches.
NEWCOMERS_AT_ONCE: Final = 32
#: A socket on which more was moved at once has a long body to move; no head of a request or an answer is that long.
_LITTLE_BYTES: Final = 32_768
#: For how many turns the next socket with little to do is reckoned with after one: some milliseconds. Without any,
#: all sockets with long bodies are served in one turn: one in each turn, they take up to 9 % more CPU time.
_HURRIED_TURNS: Final = 4
_READABLE: Final = select.EPOLLIN | select.EPOLLERR | select.EPOLLHUP
_WRITABLE: Final = select.EPOLLOUT | select.EPOLLERR | select.EPOLLHUP


class _Watch:
    """Who waits for one socket."""

    __slots__ = ("reader", "writer")

    def __init__(self) -> None:
        self.reader: Call | None = None
        self.writer: Call | None = None

    @property
    def events(self) -> int:
        return (select.EPOLLIN if self.reader else 0) | (select.EPOLLOUT if self.writer else 0)


class Readiness:
    """The sockets of one event loop that somebody waits for. Its methods are those of the loop.

    Sockets that are ready have their turn in the order in which they became so, those with long bodies last.

    Args:
        at_once: most sockets that are served before the event loop does something else.
        under_way: where requests that begin here go on.
    """

    def __init__(self, at_once: int, under_way: "Readiness | None" = None) -> None:
        self._at_once = at_once
        self._under_way = under_way
        self._epoll = select.epoll()
        self._watches: dict[int, _Watch] = {}
        #: Sockets with long bodies. One may have been closed, and its number be another's: that one is late once.
        self._long: set[int] = set()
        #: Those that wait for a turn, the one that has waited longest first.
        self._queue: deque[int] = deque()
        self._hurried_turns = 0
        #: Newcomers served since long bodies were: as many of these may follow. Without, GETs of 64 KiB take 50 % more.
        self._newcomers = 0
        asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._look)

    def add_reader(self, descriptor: int, call: Call) -> None:
        """Call ``call`` again and again while the socket can be read, or has failed."""
        watch = self._watches.setdefault(descriptor, _Watch())
        before = watch.events
        watch.reader = call
        self._tell(descriptor, watch, before)

    def add_writer(self, descriptor: int, call: Call) -> None:
        """Call ``call`` again and again while the socket can be written, or has failed."""
        watch = self._watches.setdefault(descriptor, _Watch())
        before = watch.events
        watch.writer = call
        self._tell(descriptor, watch, before)

    def remove_reader(self, descriptor: int) -> None:
        """Nobody wants to read the socket."""
        watch = self._watches.get(descriptor)
        if watch is not None:
            before = watch.events
            watch.reader = None
            self._tell(descriptor, watch, before)

    def remove_writer(self, descriptor: int) -> None:
        """Nobody wants to write to the socket."""
        watch = self._watches.get(descriptor)
        if watch is not None:
            before = watch.events
            watch.writer = None
            self._tell(descriptor, watch, before)

    def _tell(self, descriptor: int, watch: _Watch, before: int) -> None:
        """Let the kernel know what is waited for now; ``before``, other events may have been."""
        events = watch.events
        if events == before:
            return
        if not before:
            self._epoll.register(descriptor, events)
        elif events:
            self._epoll.modify(descriptor, events)
        else:
            # A failed socket would be reported for ever, whether or not anybody waits for it.
            del self._watches[descriptor]
            self._epoll.unregister(descriptor)

    def _look(self) -> None:
        """One turn. As many sockets with long bodies as others are served, and at least one, so that none starves."""
        ready = dict(self._epoll.poll(0, self._at_once))
        long = self._long.intersection(ready)
        short = len(ready) - len(long)
        if short:
            self.hurry(0)
            if self._under_way is not None:
                self._under_way.hurry(short)
            for descriptor, events in ready.items():
                if descriptor not in long:
                    self._serve(descriptor, events)
        elif self._hurried_turns:
            self._hurried_turns -= 1
        if long:
            turns = max(1, short + self._newcomers) if self._hurried_turns else len(long)
            self._newcomers = 0
            for descriptor in self._next(long, turns):
                self._serve(descriptor, ready[descriptor])

    def hurry(self, newcomers: int) -> None:
        """Expect sockets with little to do for some turns; so many just had their turn elsewhere."""
        self._hurried_turns = _HURRIED_TURNS
        self._newcomers += newcomers

    def _next(self, long: set[int], turns: int) -> list[int]:
        """Those of the sockets in ``long`` that have waited longest, ``turns`` or all."""
        self._queue.extend(long.difference(self._queue))
        chosen: list[int] = []
        while self._queue and len(chosen) < turns:
            descriptor = self._queue.popleft()
            if descriptor in long:  # another one has nothing to do any more
                chosen.append(descriptor)
        return chosen

    def _serve(self, descriptor: int, events: int) -> None:
        watch = self._watches.get(descriptor)
        moved = 0
        if watch is not None and watch.reader is not None and events & _READABLE:
            moved = self._call(watch.reader)
        # What was called may have closed the socket, and another may have its number by now.
        if watch is not None and watch is self._watches.get(descriptor) and watch.writer and events & _WRITABLE:
            moved = max(moved, self._call(watch.writer))
        if moved > _LITTLE_BYTES:
            self._long.add(descriptor)
        else:
            self._long.discard(descriptor)

    def _call(self, call: Call) -> int:
        try:
            return call() or 0
        except Exception as error:  # noqa: BLE001 - the other sockets are served all the same
            context = {"message": "what waited for a socket failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
            return 0


_Readinesses = WeakKeyDictionary[asyncio.AbstractEventLoop, Readiness]
_of_loops: _Readinesses = WeakKeyDictionary()
_newcomers_of_loops: _Readinesses = WeakKeyDictionary()


def running_readiness() -> Readiness:
    """The one of the running event loop, for everything under way."""
    loop = asyncio.get_running_loop()
    readiness = _of_loops.get(loop)
    if readiness is None:
        readiness = _of_loops[loop] = Readiness(_SOCKETS_AT_ONCE)
    return readiness


def running_newcomers() -> Readiness:
    """The one of the running event loop for what has to wait for its turn."""
    loop = asyncio.get_running_loop()
    newcomers = _newcomers_of_loops.get(loop)
    if newcomers is None:
        newcomers = _newcomers_of_loops[loop] = Readiness(NEWCOMERS_AT_ONCE, running_readiness())
    return newcomers
