"""Connections of one upstream: kept, counted, handed on in order, and never used when there is a doubt about them."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable

import pytest

from gateway.upstream.connecting import Origin
from gateway.upstream.connection import UpstreamConnection
from gateway.upstream.faults import ConnectionBroken, ConnectTimeout, Unreachable
from gateway.upstream.pool import ConnectionPool
from gateway.upstream.settings import UpstreamSettings
from tests.upstream.conftest import Loopback, MakeServer, eventually
from tests.upstream.raw_server import RawServer, Turn

_GET = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"


async def ok(turn: Turn) -> None:
    await turn.answer(200, b"ok")


MakePool = Callable[..., ConnectionPool]


@pytest.fixture
async def make_pool() -> AsyncIterator[MakePool]:
    pools: list[ConnectionPool] = []

    def make(**options: float) -> ConnectionPool:
        settings = UpstreamSettings("https://unused.test", **options)  # type: ignore[arg-type]
        pools.append(ConnectionPool(settings, ssl.create_default_context(), Loopback()))
        return pools[-1]

    yield make
    for pool in pools:
        await pool.close()
        assert (pool.in_use, pool.unused, len(pool._alive)) == (0, 0, 0)


def origin_of(server: RawServer, host: str = "127.0.0.1") -> Origin:
    return Origin(host, server.port, uses_tls=False)


async def get(pool: ConnectionPool, connection: UpstreamConnection) -> bytes:
    """A whole exchange on ``connection``, which is back in the pool afterwards."""
    incoming = connection.begin(bodiless=False)
    connection.write(_GET)
    connection.sent(5)
    head = await incoming.arrived()
    assert head.status == 200
    body = b""
    while piece := await incoming.piece(5):
        body += piece
    return body


async def test_the_connection_that_was_used_last_is_used_next(make_pool: MakePool, make_server: MakeServer) -> None:
    server = await make_server(ok)
    pool = make_pool()
    origin = origin_of(server)
    assert pool.take(origin) is None
    made = [await pool.connect(origin) for _ in range(3)]
    assert (pool.in_use, pool.unused) == (3, 0)
    for connection in made:
        assert await get(pool, connection) == b"ok"
    assert (pool.in_use, pool.unused) == (0, 3)
    assert [pool.take(origin) for _ in range(4)] == [*reversed(made), None]
    assert pool.in_use == 3
    for connection in made:
        connection.abort()
    assert (pool.in_use, pool.unused) == (0, 0)


async def test_those_who_wait_get_their_turn_in_order(make_pool: MakePool, make_server: MakeServer) -> None:
    server = await make_server(ok)
    pool = make_pool(max_connections=2)
    origin = origin_of(server)
    first, second = [await pool.connect(origin) for _ in range(2)]
    order: list[int] = []

    async def wait(number: int) -> UpstreamConnection:
        connection = await pool.connect(origin)
        order.append(number)
        return connection

    tasks = [asyncio.create_task(wait(number)) for number in range(4)]
    await asyncio.sleep(0.01)
    assert order == []
    tasks[1].cancel()
    await get(pool, first)  # its connection goes to the first one
    assert await tasks[0] is first
    second.abort()  # its room to the one behind the one who left
    third = await tasks[2]
    assert third not in {first, second}
    assert (pool.in_use, pool.unused) == (2, 0)
    await get(pool, first)
    assert await tasks[3] is first
    assert order == [0, 2, 3]
    assert server.connections == 3
    first.abort()
    third.abort()


async def test_room_that_came_to_one_who_just_left_is_passed_on(make_pool: MakePool, make_server: MakeServer) -> None:
    server = await make_server(ok)
    pool = make_pool(max_connections=1)
    origin = origin_of(server)
    for how in ("connection", "room"):
        connection = pool.take(origin) or await pool.connect(origin)
        tasks = [asyncio.create_task(pool.connect(origin)) for _ in range(2)]
        await asyncio.sleep(0.01)
        if how == "room":
            connection.abort()
        else:
            incoming = connection.begin(bodiless=False)
            connection.write(_GET)
            connection.sent(5)
            while not incoming.complete:
                await incoming.change()
        tasks[0].cancel()  # it has been given something that it does not know of yet
        given = await tasks[1]
        assert pool.in_use == 1
        assert await get(pool, given) == b"ok"
        assert tasks[0].cancelled()
        assert (pool.in_use, pool.unused) == (0, 1)


async def test_an_unused_connection_makes_room_for_another_server(make_pool: MakePool, make_server: MakeServer) -> None:
    server = await make_server(ok)
    pool = make_pool(max_connections=2)
    origins = [origin_of(server, host) for host in ("a.test", "b.test", "c.test")]
    for origin in origins[:2]:
        await get(pool, await pool.connect(origin))
    connection = await pool.connect(origins[2])
    assert (pool.in_use, pool.unused) == (1, 1)
    assert pool.take(origins[0]) is None, "it was unused for longest"
    other = pool.take(origins[1])
    assert other is not None
    # Both are in use now; who waits for a third server gets the room of the first that is done.
    waiting = asyncio.create_task(pool.connect(origins[0]))
    await asyncio.sleep(0.01)
    await get(pool, connection)
    third = await waiting
    assert third.origin == origins[0]
    assert pool.in_use == 2
    other.abort()
    third.abort()


async def test_waiting_and_connecting_share_one_time_out(make_pool: MakePool, make_server: MakeServer) -> None:
    server = await make_server(ok)
    pool = make_pool(max_connections=1, connect_timeout_seconds=0.1)
    connection = await pool.connect(origin_of(server))
    with pytest.raises(ConnectTimeout):
        await pool.connect(origin_of(server))
    assert not pool._waiting
    connection.abort()
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(ConnectTimeout):
        await pool.connect(Origin("a.test", silent.getsockname()[1], uses_tls=True))  # nobody answers the handshake
    assert pool.in_use == 0
    await eventually(lambda: not pool._alive)


async def test_servers_that_can_not_be_reached(make_pool: MakePool) -> None:
    pool = make_pool()
    with pytest.raises(Unreachable, match="not known"):
        await pool.connect(Origin("unknown.test", 443, uses_tls=True))
    with pytest.raises(Unreachable, match=r"refused|failed"):
        await pool.connect(Origin("127.0.0.1", 1, uses_tls=False))
    assert pool.in_use == 0


async def test_closing_the_pool_ends_waiting_and_exchanges(make_server: MakeServer) -> None:
    async def silent(turn: Turn) -> None:
        await turn.read_until_end()

    server = await make_server(silent)
    pool = ConnectionPool(
        UpstreamSettings("https://unused.test", max_connections=1), ssl.create_default_context(), Loopback()
    )
    origin = origin_of(server)
    connection = await pool.connect(origin)
    waiting = asyncio.create_task(pool.connect(origin))
    asking = asyncio.create_task(get(pool, connection))
    await asyncio.sleep(0.01)
    await pool.close()
    for task in (waiting, asking):
        with pytest.raises(ConnectionBroken):
            await task
    with pytest.raises(ConnectionBroken):
        await pool.connect(origin)
    assert (pool.in_use, pool.unused) == (0, 0)
    await eventually(lambda: server.seen[0].ended)
