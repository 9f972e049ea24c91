"""Exchanges on one connection: when it is used again, and what is left when one of the two goes away."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from gateway.errors import UpstreamUnavailable
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.upstream.body import StreamedBody
from gateway.upstream.request_head import render_head
from tests.upstream.conftest import (
    CREDENTIALS,
    Loopback,
    MakeClient,
    MakeServer,
    connections,
    eventually,
    make_request,
)
from tests.upstream.raw_server import Turn


async def ok(turn: Turn) -> None:
    await turn.answer(200, b"ok")


async def _then_garbage(turn: Turn) -> None:
    await ok(turn)
    await asyncio.sleep(0.02)
    await turn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")


async def _then_close(turn: Turn) -> None:
    await ok(turn)
    await asyncio.sleep(0.02)
    turn.close()


async def _too_much(turn: Turn) -> None:
    await turn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")


async def _said_to_close(turn: Turn) -> None:
    await turn.answer(200, b"ok", connection="close")


async def _old(turn: Turn) -> None:
    await turn.send(b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok")


async def _to_its_end(turn: Turn) -> None:
    await turn.send(b"HTTP/1.1 200 OK\r\n\r\nok")
    turn.close()


@pytest.mark.parametrize(
    "behave",
    [_then_garbage, _then_close, _too_much, _said_to_close, _old, _to_its_end],
    ids=lambda behave: behave.__name__.strip("_"),
)
async def test_connections_that_leave_a_doubt_are_not_used_again(
    make_client: MakeClient, make_server: MakeServer, behave: Callable[[Turn], Awaitable[None]]
) -> None:
    server = await make_server(behave)
    client = await make_client(server.url)
    for number in (1, 2, 3):
        async with client.send(make_request(Operation.PUT_OBJECT), CREDENTIALS) as response:
            assert await response.read(10) == b"ok"
        await eventually(lambda: connections(client) == (0, 0))
        assert server.connections == number


async def test_interim_answers_are_skipped(make_client: MakeClient, make_server: MakeServer) -> None:
    """Nobody asks for them, and proxies in front of servers send them all the same."""

    async def unasked(turn: Turn) -> None:
        await turn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await turn.read_body()
        await turn.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 X\r\nx: y\r\n\r\n")
        await turn.answer(200, b"ok")

    async def pieces() -> AsyncIterator[bytes]:
        yield b"abc"
        await asyncio.sleep(0.05)
        yield b"def"

    server = await make_server(unasked)
    client = await make_client(server.url)
    for _ in range(2):
        body = StreamedBody(6, pieces())
        async with client.send(make_request(Operation.PUT_OBJECT, body), CREDENTIALS) as response:
            assert (response.status, await response.read(10)) == (200, b"ok")
    assert server.connections == 1
    assert server.seen[0].body == b"abcdef"


async def test_many_requests_share_few_connections(make_client: MakeClient, make_server: MakeServer) -> None:
    server = await make_server(ok)
    client = await make_client(server.url, max_connections=3)

    async def many() -> None:
        for _ in range(20):
            async with client.send(make_request(), CREDENTIALS) as response:
                assert await response.read(10) == b"ok"

    await asyncio.gather(*[many() for _ in range(10)])
    assert server.connections == 3
    assert connections(client) == (0, 3)


async def test_answers_that_end_with_the_connection_are_delivered(
    make_client: MakeClient, make_server: MakeServer
) -> None:
    async def behave(turn: Turn) -> None:
        await turn.send(b"HTTP/1.1 200 OK\r\n\r\n")
        await turn.send(b"a" * 300_000)
        turn.close()

    server = await make_server(behave)
    client = await make_client(server.url)
    async with client.send(make_request(), CREDENTIALS) as response:
        assert await response.read(300_000) == b"a" * 300_000


async def test_an_answer_that_waits_whole_in_memory_does_not_hold_the_connection(
    make_client: MakeClient, make_server: MakeServer
) -> None:
    """Its last bytes are more than what stops the reading; the next answer on the connection is read all the same."""
    data = b"a" * 132_000

    async def behave(turn: Turn) -> None:
        await turn.answer(200, data)

    server = await make_server(behave)
    client = await make_client(server.url)
    for _ in range(3):
        async with client.send(make_request(), CREDENTIALS) as response:
            await eventually(lambda: connections(client) == (0, 1))
            assert await response.read(132_000) == data
    assert server.connections == 1


async def test_a_reader_that_waited_once_may_be_slow_afterwards(
    make_client: MakeClient, make_server: MakeServer
) -> None:
    """The time-out is for the server's silence while somebody listens."""

    async def behave(turn: Turn) -> None:
        await turn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n")
        await asyncio.sleep(0.02)
        await turn.send(b"ab")
        await asyncio.sleep(0.4)
        await turn.send(b"cd")

    server = await make_server(behave)
    client = await make_client(server.url, idle_timeout_seconds=0.2)
    async with client.send(make_request(), CREDENTIALS) as response:
        chunks = response.iter_chunks()
        assert await anext(chunks) == b"ab"
        await asyncio.sleep(0.5)
        assert await anext(chunks) == b"cd"
        await chunks.aclose()


@pytest.mark.parametrize("body", ["none", "streamed"])
async def test_cancellation_at_any_moment_leaves_nothing(
    make_client: MakeClient, make_server: MakeServer, body: str
) -> None:
    """Connecting, sending, waiting and reading are each interrupted in every turn of the event loop."""

    async def behave(turn: Turn) -> None:
        await turn.read_body()
        await turn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n")
        await asyncio.sleep(0)
        await turn.send(b"ab")
        await asyncio.sleep(0)
        await turn.send(b"cd")

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            await asyncio.sleep(0)
            yield b"x"

    server = await make_server(behave)
    client = await make_client(server.url.replace("127.0.0.1", "a.test"), resolver=Loopback())
    before = asyncio.all_tasks()
    finished = 0

    async def ask() -> None:
        nonlocal finished
        request = make_request() if body == "none" else make_request(Operation.PUT_OBJECT, StreamedBody(3, pieces()))
        async with client.send(request, CREDENTIALS) as response:
            assert await response.read(10) == b"abcd"
        finished += 1

    turns = 0
    while finished < 3:
        turns += 1
        task = asyncio.create_task(ask())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            await eventually(lambda: connections(client)[0] == 0)
        pool = client._pool
        assert pool is not None
        await eventually(lambda pool=pool: len(pool._alive) == pool.unused)  # type: ignore[misc]
        for connection in [connection for unused in pool._unused.values() for connection in unused]:
            connection.abort()
    assert turns > 10
    await eventually(lambda: not [t for t in asyncio.all_tasks() - before if "_serve" not in repr(t.get_coro())])


async def test_an_answer_that_comes_while_the_caller_is_cancelled_does_not_hide_it(
    make_client: MakeClient, make_server: MakeServer
) -> None:
    """Both end the wait for the source; only one of them is the caller's business."""
    go_on = asyncio.Event()

    async def refuse(turn: Turn) -> None:
        await turn.read_body(1)
        await go_on.wait()
        await turn.answer(403, b"no")
        await turn.read_until_end()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            task.cancel()  # in the moment when the answer has interrupted it
            raise

    server = await make_server(refuse)
    client = await make_client(server.url)

    async def upload() -> None:
        async with client.send(make_request(Operation.PUT_OBJECT, StreamedBody(9, pieces())), CREDENTIALS):
            pytest.fail("the caller was cancelled")

    task = asyncio.create_task(upload())
    await asyncio.sleep(0.05)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert connections(client) == (0, 0)


async def test_a_caller_that_was_answered_early_can_go_on_waiting(
    make_client: MakeClient, make_server: MakeServer
) -> None:
    """The interruption of the source leaves no trace in the task."""

    async def refuse(turn: Turn) -> None:
        await turn.read_body(1)
        await turn.answer(403, b"no")
        await turn.read_until_end()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"
        await asyncio.Event().wait()

    server = await make_server(refuse)
    client = await make_client(server.url)
    async with client.send(make_request(Operation.PUT_OBJECT, StreamedBody(9, pieces())), CREDENTIALS) as response:
        assert await response.read(2) == b"no"
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()


async def test_a_head_waits_for_the_beginning_of_its_body(make_client: MakeClient, make_server: MakeServer) -> None:
    """There are servers that store an empty object when the connection ends behind the head."""

    async def behave(turn: Turn) -> None:
        await turn.read_until_end()

    go_on = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        await go_on.wait()
        if go_on.is_set():
            raise ConnectionResetError("the client went away")
        yield b"abc"

    server = await make_server(behave)
    client = await make_client(server.url)

    async def upload() -> None:
        async with client.send(make_request(Operation.PUT_OBJECT, StreamedBody(9, pieces())), CREDENTIALS):
            pytest.fail("there is no answer")

    task = asyncio.create_task(upload())
    await asyncio.sleep(0.1)
    assert server.connections == 1
    go_on.set()
    with pytest.raises(ConnectionResetError):
        await task
    await asyncio.sleep(0.05)
    assert server.seen == []


@pytest.mark.parametrize(
    ("target", "field"), [("/", "a\r\nb: c"), ("/", "a\n"), ("/", "a\0"), ("/ HTTP/1.1", "a"), ("/\r\nb: c", "a")]
)
def test_no_line_is_added_to_a_head(target: str, field: str) -> None:
    assert render_head("GET", "/a?b", Headers([("x", "ü")])) == "GET /a?b HTTP/1.1\r\nx: ü\r\n\r\n".encode()
    with pytest.raises(AssertionError, match="would have become two"):
        render_head("GET", target, Headers([("x", field)]))


async def test_errors_of_a_closed_connection_have_no_values(make_client: MakeClient, make_server: MakeServer) -> None:
    async def behave(turn: Turn) -> None:
        await turn.send(b"HTTP/1.1 200 OK\r\nx-amz-meta-a: folded\r\n secret-value\r\n\r\n")
        await turn.read_until_end()

    server = await make_server(behave)
    client = await make_client(server.url)
    with pytest.raises(UpstreamUnavailable, match="not valid HTTP") as caught:
        async with client.send(make_request(), CREDENTIALS):
            pytest.fail("there is no answer")
    error: BaseException | None = caught.value
    while error is not None:
        assert "secret-value" not in f"{error!r}{error}"
        assert "AKIDEXAMPLE" not in f"{error!r}{error}"
        error = error.__cause__ or error.__context__
