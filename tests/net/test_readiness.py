"""In which order ready sockets are served: long bodies do not keep small requests waiting, nor one another."""

import socket
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from gateway.net.readiness import Call, Readiness, running_readiness
from tests.net.conftest import until

_LONG = 262_144
_LITTLE = 1_000
#: Every ready socket has been served that often when the order is looked at.
_ENOUGH = 20


class _Sockets:
    """Sockets that can be read for ever, and the order in which they were served."""

    def __init__(self, readiness: Readiness) -> None:
        self.served: list[str] = []
        self._readiness = readiness
        self._pairs: list[tuple[socket.socket, socket.socket]] = []

    def add(self, name: str, moved: int) -> int:
        """One that moves so many bytes each time; its descriptor."""
        descriptor = self._ready()

        def serve() -> int:
            self.served.append(name)
            return moved

        self._readiness.add_reader(descriptor, serve)
        return descriptor

    def add_call(self, call: Call) -> int:
        """One for which ``call`` is called."""
        descriptor = self._ready()
        self._readiness.add_reader(descriptor, call)
        return descriptor

    def forget(self, descriptor: int) -> None:
        """Serve it no longer."""
        self._readiness.remove_reader(descriptor)

    def close(self) -> None:
        """End all."""
        for near, far in self._pairs:
            self._readiness.remove_reader(near.fileno())
            near.close()
            far.close()

    def _ready(self) -> int:
        near, far = socket.socketpair()
        self._pairs.append((near, far))
        far.send(b"!")
        return near.fileno()


@pytest.fixture
async def sockets() -> AsyncIterator[_Sockets]:
    opened = _Sockets(running_readiness())
    yield opened
    opened.close()


def _longest_wait(served: list[str], name: str) -> int:
    """How many others were served between two turns of ``name``, at most."""
    turns = [index for index, each in enumerate(served) if each == name]
    return max(later - earlier - 1 for earlier, later in pairwise(turns))


async def test_one_long_body_at_a_time_beside_small_requests(sockets: _Sockets) -> None:
    for number in range(4):
        sockets.add(f"long {number}", _LONG)
    sockets.add("small", _LITTLE)
    await until(lambda: sockets.served.count("small") >= _ENOUGH)
    settled = sockets.served[5 * 2 :]  # what a socket has to do is known once it was served
    assert _longest_wait(settled, "small") == 1


async def test_long_bodies_take_turns_beside_small_requests(sockets: _Sockets) -> None:
    for number in range(4):
        sockets.add(f"long {number}", _LONG)
    sockets.add("small", _LITTLE)
    await until(lambda: sockets.served.count("small") >= _ENOUGH)
    long = [name for name in sockets.served[5 * 2 :] if name != "small"]
    assert all(len(set(long[at : at + 4])) == 4 for at in range(len(long) - 3))


@pytest.mark.parametrize("small", [2, 5])
async def test_long_bodies_get_as_many_turns_as_small_requests(sockets: _Sockets, small: int) -> None:
    for number in range(4):
        sockets.add(f"long {number}", _LONG)
    for number in range(small):
        sockets.add(f"small {number}", _LITTLE)
    await until(lambda: sockets.served.count("small 0") >= _ENOUGH)
    settled = sockets.served[(4 + small) * 2 :]
    assert _longest_wait(settled, "small 0") == small - 1 + min(small, 4)


async def test_long_bodies_alone_are_served_together(sockets: _Sockets) -> None:
    small = sockets.add("small", _LITTLE)
    for number in range(4):
        sockets.add(f"long {number}", _LONG)
    await until(lambda: sockets.served.count("small") >= _ENOUGH)
    sockets.forget(small)
    sockets.served.clear()
    turns: list[int] = []

    def note() -> int:
        turns.append(len(sockets.served))
        return _LONG

    sockets.add_call(note)
    await until(lambda: len(turns) >= _ENOUGH)
    assert turns[-1] - turns[-2] == 4


async def test_a_socket_is_judged_by_what_it_did_last(sockets: _Sockets) -> None:
    moves = [_LONG] * 10
    served: list[int] = []

    def serve() -> int:
        served.append(moves.pop() if moves else _LITTLE)
        return served[-1]

    sockets.add_call(serve)
    sockets.add("long 0", _LONG)
    sockets.add("long 1", _LONG)
    await until(lambda: served.count(_LITTLE) >= _ENOUGH)
    sockets.served.clear()
    before = len(served)
    await until(lambda: len(served) >= before + _ENOUGH)
    assert len(sockets.served) <= len(served) - before + 2


async def test_a_socket_that_is_forgotten_in_a_turn_is_not_served_in_it(sockets: _Sockets) -> None:
    calls: list[str] = []
    descriptors: dict[str, int] = {}

    def serving(name: str, other: str) -> Call:
        def serve() -> int:
            calls.append(name)
            sockets.forget(descriptors[other])
            return _LONG

        return serve

    descriptors["one"] = sockets.add_call(serving("one", "other"))
    descriptors["other"] = sockets.add_call(serving("other", "one"))
    await until(lambda: len(calls) >= _ENOUGH)
    assert len(set(calls)) == 1
