"""Streamed bodies against a server that records every byte."""

import asyncio
import zlib
from base64 import b64encode
from collections.abc import AsyncIterator

import pytest

from gateway.errors import S3Error, UpstreamUnavailable
from gateway.s3.checksums import Algorithm
from gateway.s3.operation import Operation
from gateway.upstream.body import BufferedBody, StreamedBody
from tests.upstream.conftest import (
    CREDENTIALS,
    MakeClient,
    MakeServer,
    Observed,
    connections,
    eventually,
    make_request,
    settle,
)
from tests.upstream.raw_server import Turn


class Source:
    """Pieces of a body, and how many were asked for."""

    def __init__(self, *pieces: bytes | Exception | asyncio.Event) -> None:
        self.pieces = pieces
        self.asked = 0
        self.interrupted = False
        self.running = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            self.asked += 1
            self.running = True
            try:
                await asyncio.sleep(0)
                if isinstance(piece, asyncio.Event):
                    await piece.wait()
                    continue
                if isinstance(piece, Exception):
                    raise piece
            except asyncio.CancelledError:
                self.interrupted = True
                raise
            finally:
                self.running = False
            yield piece

    def body(self, algorithm: Algorithm | None = None, size: int | None = None) -> StreamedBody:
        total = sum(len(piece) for piece in self.pieces if isinstance(piece, bytes))
        return StreamedBody(total if size is None else size, self.__aiter__(), algorithm)


async def store(turn: Turn) -> None:
    await turn.read_body()
    if not turn.seen.ended:
        await turn.answer(200, etag='"e"')


async def record_until_end(turn: Turn) -> None:
    await turn.read_until_end()


PIECES = [
    (),
    (b"",),
    (b"a",),
    (b"", b"a", b"", b"b", b""),
    (b"x" * 65536, b"y" * 65535),
    (b"x" * 1_000_000, b"y"),
    (b"p" * 100_000,) * 30,
]


@pytest.mark.parametrize("pieces", PIECES, ids=[str(len(p)) for p in PIECES])
@pytest.mark.parametrize("payload", ["unsigned", "trailer"])
async def test_a_streamed_body_arrives_whole(
    make_client: MakeClient, make_server: MakeServer, pieces: tuple[bytes, ...], payload: str
) -> None:
    server = await make_server(store)
    client = await make_client(server.url, payload=payload)
    data = b"".join(pieces)
    for _ in range(2):
        source = Source(*pieces)
        async with client.send(
            make_request(Operation.PUT_OBJECT, source.body(Algorithm.CRC32)), CREDENTIALS
        ) as response:
            assert response.status == 200
            assert await response.read(10) == b""
    assert server.connections == 1
    for seen in server.seen:
        assert "transfer-encoding" not in seen.headers
        assert len(seen.body) == int(seen.headers.get("content-length") or "")
        if payload == "unsigned":
            assert seen.body == data
            assert seen.headers.get("x-amz-content-sha256") == "UNSIGNED-PAYLOAD"
        else:
            checksum = b64encode(zlib.crc32(data).to_bytes(4, "big"))
            assert seen.body.endswith(b"0\r\nx-amz-checksum-crc32:" + checksum + b"\r\n\r\n")
            assert seen.headers.get("x-amz-decoded-content-length") == str(len(data))


@pytest.mark.parametrize("payload", ["unsigned", "trailer"])
@pytest.mark.parametrize("size", [0, 1, 5, 300_000])
async def test_a_source_that_fails_leaves_a_truncated_body_and_its_own_error(
    make_client: MakeClient, make_server: MakeServer, payload: str, size: int
) -> None:
    """Verification fails after every byte was read: the server must not have the last one."""
    server = await make_server(record_until_end)
    client = await make_client(server.url, payload=payload)
    error = S3Error("BadDigest", "no")
    source = Source(*([b"z" * size] if size else []), error)
    with pytest.raises(S3Error) as caught:
        async with client.send(make_request(Operation.PUT_OBJECT, source.body(size=size)), CREDENTIALS):
            pytest.fail("there is no answer")
    assert caught.value is error
    await settle(client)
    assert connections(client) == (0, 0)
    await eventually(lambda: all(seen.ended for seen in server.seen))
    for seen in server.seen:
        assert len(seen.body) < int(seen.headers.get("content-length") or "")
        assert b"x-amz-checksum" not in seen.body
    assert len(server.seen) <= 1


@pytest.mark.parametrize(
    ("size", "pieces"), [(5, [b"four"]), (0, [b"x"]), (3, [b"four"]), (4, [b"four", b"x"]), (1, [])]
)
@pytest.mark.parametrize("payload", ["unsigned", "trailer"])
async def test_a_body_of_another_length_than_announced_is_refused(
    make_client: MakeClient, make_server: MakeServer, size: int, pieces: list[bytes], payload: str
) -> None:
    server = await make_server(record_until_end)
    client = await make_client(server.url, payload=payload)
    with pytest.raises(S3Error, match="IncompleteBody"):
        async with client.send(make_request(Operation.PUT_OBJECT, Source(*pieces).body(size=size)), CREDENTIALS):
            pytest.fail("there is no answer")
    await eventually(lambda: all(seen.ended for seen in server.seen))
    assert all(len(seen.body) < int(seen.headers.get("content-length") or "1") for seen in server.seen)


async def test_other_exceptions_of_the_source_come_out_unchanged(
    make_client: MakeClient, make_server: MakeServer
) -> None:
    server = await make_server(record_until_end)
    client = await make_client(server.url)
    for error in (ConnectionResetError("the client went away"), TimeoutError("slow"), ValueError("odd")):
        with pytest.raises(type(error)) as caught:
            async with client.send(make_request(Operation.PUT_OBJECT, Source(b"abc", error).body(size=9)), CREDENTIALS):
                pytest.fail("there is no answer")
        assert caught.value is error
        await settle(client)
    assert connections(client) == (0, 0)


@pytest.mark.parametrize("length", [0, 100_000])
async def test_an_early_refusal_is_delivered_and_the_rest_of_the_body_stays(
    make_client: MakeClient, make_server: MakeServer, length: int
) -> None:
    """While the source waits for a slow client, the server refuses. Nothing more is asked for."""

    async def refuse(turn: Turn) -> None:
        await turn.read_body(10)
        await turn.answer(403, b"n" * length)
        await turn.read_until_end()

    server = await make_server(refuse)
    client = await make_client(server.url)
    never = asyncio.Event()
    source = Source(b"0123456789", never, b"rest")
    async with client.send(make_request(Operation.PUT_OBJECT, source.body()), CREDENTIALS) as response:
        assert response.status == 403
        assert source.interrupted
        assert not source.running
        assert await response.read(200_000) == b"n" * length
    assert source.asked == 2
    await settle(client)
    assert connections(client) == (0, 0)
    await eventually(lambda: server.seen[0].ended)
    assert server.seen[0].body == b"0123456789"


async def test_an_early_refusal_ends_a_body_that_the_server_does_not_take(
    make_client: MakeClient, make_server: MakeServer
) -> None:
    async def refuse(turn: Turn) -> None:
        await asyncio.sleep(0.1)  # until every buffer is full
        await turn.answer(403, b"denied")
        await asyncio.sleep(0.5)
        turn.close()

    server = await make_server(refuse)
    client = await make_client(server.url)
    source = Source(*([b"m" * 1_000_000] * 100))
    async with client.send(make_request(Operation.PUT_OBJECT, source.body()), CREDENTIALS) as response:
        asked = source.asked
        assert asked < 50
        assert (response.status, await response.read(10)) == (403, b"denied")
        await asyncio.sleep(0.05)
    assert source.asked == asked


async def test_success_before_the_end_of_the_body_is_no_success(
    make_client: MakeClient, make_server: MakeServer
) -> None:
    async def hasty(turn: Turn) -> None:
        await turn.read_body(3)
        await turn.answer(200)
        await turn.read_until_end()

    server = await make_server(hasty)
    client = await make_client(server.url)
    source = Source(b"abc", asyncio.Event(), b"def")
    with pytest.raises(UpstreamUnavailable, match="before it had the whole body"):
        async with client.send(make_request(Operation.PUT_OBJECT, source.body()), CREDENTIALS):
            pytest.fail("there is no answer")
    await settle(client)
    assert connections(client) == (0, 0)


async def test_a_server_that_stops_taking_bytes_is_given_up(make_client: MakeClient, make_server: MakeServer) -> None:
    async def stall(turn: Turn) -> None:
        await asyncio.sleep(5)

    server = await make_server(stall)
    client = await make_client(server.url, idle_timeout_seconds=0.2)
    with pytest.raises(UpstreamUnavailable, match="in time") as caught:
        async with client.send(
            make_request(Operation.PUT_OBJECT, Source(*([b"m" * 1_000_000] * 100)).body()), CREDENTIALS
        ):
            pytest.fail("there is no answer")
    assert caught.value.timed_out


@pytest.mark.parametrize("size", [1_000, 65_536, 100_000, 20_000_000])
async def test_a_server_that_takes_no_buffered_body_is_given_up(
    make_client: MakeClient, make_server: MakeServer, size: int
) -> None:
    async def deaf(turn: Turn) -> None:
        await asyncio.sleep(5)

    server = await make_server(deaf)
    client = await make_client(server.url, idle_timeout_seconds=0.2, first_byte_timeout_seconds=0.2)
    with pytest.raises(UpstreamUnavailable, match="in time"):
        async with client.send(
            make_request(Operation.DELETE_OBJECTS, BufferedBody(b"x" * size), key=None, query="delete"), CREDENTIALS
        ):
            pytest.fail("there is no answer")


async def test_a_slow_client_is_not_held_against_the_server(make_client: MakeClient, make_server: MakeServer) -> None:
    server = await make_server(store)
    client = await make_client(server.url, idle_timeout_seconds=0.5, first_byte_timeout_seconds=0.5)
    release = asyncio.Event()
    asyncio.get_running_loop().call_later(1.2, release.set)
    source = Source(b"abc", release, b"def")
    async with client.send(make_request(Operation.PUT_OBJECT, source.body()), CREDENTIALS) as response:
        assert response.status == 200
    assert server.seen[0].body == b"abcdef"


async def test_no_answer_after_the_body_is_given_up(make_client: MakeClient, make_server: MakeServer) -> None:
    async def silent(turn: Turn) -> None:
        await turn.read_until_end()

    server = await make_server(silent)
    client = await make_client(server.url, first_byte_timeout_seconds=0.2)
    with pytest.raises(UpstreamUnavailable, match="in time") as caught:
        async with client.send(make_request(Operation.PUT_OBJECT, Source(b"abc").body()), CREDENTIALS):
            pytest.fail("there is no answer")
    assert caught.value.timed_out


async def test_backpressure_reaches_the_source(make_client: MakeClient, make_server: MakeServer) -> None:
    go_on = asyncio.Event()

    async def slow(turn: Turn) -> None:
        await go_on.wait()
        await turn.read_body()
        await turn.answer(200)

    server = await make_server(slow)
    client = await make_client(server.url)
    source = Source(*([b"m" * 1_000_000] * 60))

    async def upload() -> int:
        async with client.send(make_request(Operation.PUT_OBJECT, source.body()), CREDENTIALS) as response:
            return response.status

    task = asyncio.create_task(upload())
    await asyncio.sleep(0.3)
    assert source.asked < 30
    go_on.set()
    assert await task == 200
    assert len(server.seen[0].body) == 60_000_000


@pytest.mark.parametrize("cancelled_while", ["pulling", "stalled", "answering"])
async def test_cancellation_closes_the_connection_and_frees_the_source(
    make_client: MakeClient, make_server: MakeServer, observed: Observed, cancelled_while: str
) -> None:
    async def behave(turn: Turn) -> None:
        if cancelled_while == "stalled":
            await asyncio.sleep(1)
        await turn.read_until_end()

    pieces: dict[str, list[bytes | Exception | asyncio.Event]] = {
        "pulling": [b"abc", asyncio.Event(), b"def"],
        "stalled": [b"m" * 1_000_000] * 100,
        "answering": [b"abc"],
    }
    server = await make_server(behave)
    client = await make_client(server.url)
    source = Source(*pieces[cancelled_while])

    async def upload() -> None:
        async with client.send(make_request(Operation.PUT_OBJECT, source.body()), CREDENTIALS):
            pytest.fail("there is no answer")

    task = asyncio.create_task(upload())
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not source.running
    await settle(client)
    assert connections(client) == (0, 0)
    assert observed.requests == [("PutObject", "error")]
