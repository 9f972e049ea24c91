"""Which sockets can be read or written, told by an epoll of this process's own.

uvloop's ``add_reader`` is made for little else than sockets that never fail: when a peer resets its connection, libuv
stops watching the socket and calls nobody (``uv__poll_io`` takes an error for a bad descriptor). Here an error is an
event like others; the read or the write that follows meets it.

There are two of them. What newcomers send, clients with no request under way, waits in the kernel until it is their
turn; everything else is served first. So what is under way stays little when there is more to do than there is time
for. A request that is read at once and then waits for its turn costs more: its objects have left the processor's caches
by then, and new requests get memory that is scattered between those that wait.
"""

import asyncio
import select
from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary

#: Most sockets that are served before the event loop does something else.
_SOCKETS_AT_ONCE: Final = 64
#: The same of newcomers: with so many requests under way, what they need stays in the processor's caches.
NEWCOMERS_AT_ONCE: Final = 32
_READABLE: Final = select.EPOLLIN | select.EPOLLERR | select.EPOLLHUP
_WRITABLE: Final = select.EPOLLOUT | select.EPOLLERR | select.EPOLLHUP


class _Watch:
    """Who waits for one socket."""

    __slots__ = ("reader", "writer")

    def __init__(self) -> None:
        self.reader: Callable[[], None] | None = None
        self.writer: Callable[[], None] | None = None

    @property
    def events(self) -> int:
        return (select.EPOLLIN if self.reader else 0) | (select.EPOLLOUT if self.writer else 0)


class Readiness:
    """The sockets of one event loop that somebody waits for. Its methods are those of the loop.

    Sockets that are ready have their turn in the order in which they became so.

    Args:
        at_once: most sockets that are served before the event loop does something else.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._epoll = select.epoll()
        self._watches: dict[int, _Watch] = {}
        asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._look)

    def add_reader(self, descriptor: int, call: Callable[[], None]) -> None:
        """Call ``call`` again and again while the socket can be read, or has failed."""
        watch = self._watches.setdefault(descriptor, _Watch())
        before = watch.events
        watch.reader = call
        self._tell(descriptor, watch, before)

    def add_writer(self, descriptor: int, call: Callable[[], None]) -> None:
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
        for descriptor, events in self._epoll.poll(0, self._at_once):
            watch = self._watches.get(descriptor)
            if watch is not None and watch.reader is not None and events & _READABLE:
                self._call(watch.reader)
            # What was called may have closed the socket, and another may have its number by now.
            if watch is not None and watch is self._watches.get(descriptor) and watch.writer and events & _WRITABLE:
                self._call(watch.writer)

    def _call(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - the other sockets are served all the same
            context = {"message": "what waited for a socket failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)


_Readinesses = WeakKeyDictionary[asyncio.AbstractEventLoop, Readiness]
_of_loops: _Readinesses = WeakKeyDictionary()
_newcomers_of_loops: _Readinesses = WeakKeyDictionary()


def running_readiness() -> Readiness:
    """The one of the running event loop, for everything under way."""
    return _running(_of_loops, _SOCKETS_AT_ONCE)


def running_newcomers() -> Readiness:
    """The one of the running event loop for what has to wait for its turn."""
    return _running(_newcomers_of_loops, NEWCOMERS_AT_ONCE)


def _running(of_loops: _Readinesses, at_once: int) -> Readiness:
    loop = asyncio.get_running_loop()
    readiness = of_loops.get(loop)
    if readiness is None:
        readiness = of_loops[loop] = Readiness(at_once)
    return readiness
