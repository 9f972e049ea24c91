"""Who has its turn when many sockets can be read, and that nobody is forgotten."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import pytest

from gateway.net.readiness import NEWCOMERS_AT_ONCE, running_newcomers, running_readiness
from tests.net.conftest import Connect, until

_MANY = 3 * NEWCOMERS_AT_ONCE


@pytest.fixture
def waiting() -> Iterator[list[socket.socket]]:
    """Sockets on which something waits to be read."""
    with contextlib.ExitStack() as stack:
        readable = []
        for _ in range(_MANY + 1):
            here, there = socket.socketpair()
            stack.enter_context(here)
            stack.enter_context(there).send(b"x")
            readable.append(here)
        yield readable


async def test_newcomers_have_their_turn_a_few_at_a_time_and_in_order(waiting: list[socket.socket]) -> None:
    descriptors = [each.fileno() for each in waiting[:_MANY]]
    newcomers = running_newcomers()
    served: list[int] = []
    for descriptor in descriptors:
        newcomers.add_reader(descriptor, partial(served.append, descriptor))
    turns = [0]
    while len(served) < 2 * _MANY:
        await asyncio.sleep(0)
        turns.append(len(served))
    assert max(later - now for now, later in pairwise(turns)) == NEWCOMERS_AT_ONCE
    assert served[: 2 * _MANY] == 2 * descriptors
    for descriptor in descriptors:
        newcomers.remove_reader(descriptor)


async def test_what_is_under_way_does_not_wait_for_newcomers(waiting: list[socket.socket]) -> None:
    newcomers, readiness = running_newcomers(), running_readiness()
    served: list[int] = []
    for each in waiting[:_MANY]:
        newcomers.add_reader(each.fileno(), partial(served.append, each.fileno()))
    last = waiting[_MANY].fileno()
    readiness.add_reader(last, partial(served.append, last))
    while last not in served:  # noqa: ASYNC110 - turns of the loop are what is counted
        await asyncio.sleep(0)
    assert served.index(last) <= NEWCOMERS_AT_ONCE
    readiness.remove_reader(last)
    for each in waiting[:_MANY]:
        newcomers.remove_reader(each.fileno())


async def test_a_connection_may_change_places_at_any_time(connect: Connect) -> None:
    """Between pieces, while something waits to be read, and while nothing is read."""
    protocol, peer = await connect()
    transport = protocol.transport
    sent = b""
    for turns in (True, True, False, False, True):
        transport.take_turns(turns)
        for paused in (False, True):
            if paused:
                transport.pause_reading()
            sent += b"0123456789"
            await peer.send(b"0123456789")
            transport.take_turns(not turns)
            transport.take_turns(turns)
            if paused:
                await asyncio.sleep(0.01)
                assert len(protocol.received) == len(sent) - 10
                transport.resume_reading()
            await protocol.until(lambda: bytes(protocol.received) == sent)  # noqa: B023 - called at once


async def test_a_newcomer_whose_connection_ends_is_forgotten(connect: Connect) -> None:
    protocol, peer = await connect()
    protocol.transport.take_turns(True)
    await asyncio.to_thread(peer.reset)
    assert isinstance(await protocol.lost, OSError)
    assert not running_newcomers()._watches


async def _moving_long_bodies(descriptors: list[int]) -> list[int]:
    """Whose turn it was, which goes on growing; the sockets are known to have long bodies by now."""
    served: list[int] = []

    def serve(descriptor: int) -> int:
        served.append(descriptor)
        return 262_144

    for descriptor in descriptors:
        running_readiness().add_reader(descriptor, partial(serve, descriptor))
    await until(lambda: len(served) >= 40)
    return served


async def test_long_bodies_under_way_make_room_when_newcomers_come(waiting: list[socket.socket]) -> None:
    """Their requests go on among what is under way, one turn later."""
    readiness, newcomers = running_readiness(), running_newcomers()
    long = [each.fileno() for each in waiting[:4]]
    served = await _moving_long_bodies(long)
    newcomer = waiting[4].fileno()
    newcomers.add_reader(newcomer, partial(served.append, newcomer))
    await until(lambda: served.count(newcomer) >= 10)
    newcomers.remove_reader(newcomer)
    for descriptor in long:
        readiness.remove_reader(descriptor)
    turns = [index for index, descriptor in enumerate(served) if descriptor == newcomer]
    assert {later - now - 1 for now, later in pairwise(turns)} == {1}


async def test_as_many_long_bodies_follow_as_newcomers_had_their_turn(waiting: list[socket.socket]) -> None:
    """Each newcomer's request becomes one under way, and many of those have a body."""
    readiness, newcomers = running_readiness(), running_newcomers()
    long = [each.fileno() for each in waiting[:4]]
    first, *others = [each.fileno() for each in waiting[4:7]]
    served = await _moving_long_bodies(long)
    for descriptor in (first, *others):
        newcomers.add_reader(descriptor, partial(served.append, descriptor))
    await until(lambda: served.count(first) >= 10)
    for descriptor in (first, *others):
        newcomers.remove_reader(descriptor)
    for descriptor in long:
        readiness.remove_reader(descriptor)
    turns = [index for index, descriptor in enumerate(served) if descriptor == first]
    assert {later - now - 1 - len(others) for now, later in pairwise(turns)} == {3}
