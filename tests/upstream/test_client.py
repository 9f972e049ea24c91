"""Requests and answers of the client against a server that does exactly what it is told."""

import asyncio
import gzip
import hashlib
import socket
from pathlib import Path

import pytest

from gateway.errors import ConfigError, S3Error, UpstreamUnavailable
from gateway.s3.encryption_headers import COPY_SSE_C_KEY, SSE_C_KEY
from gateway.s3.operation import Operation
from gateway.upstream.body import BufferedBody
from gateway.upstream.client import UpstreamClient
from gateway.upstream.settings import UpstreamSettings
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


async def echo(turn: Turn) -> None:
    await turn.read_body()
    await turn.answer(200, b"hello", etag='"e"', x_amz_meta_a="é")


async def test_a_request_arrives_as_it_was_asked_for(make_client: MakeClient, make_server: MakeServer) -> None:
    server = await make_server(echo)
    client = await make_client(server.url)
    request = make_request(
        key="a%20b//../c%2fd/(%C3%BC)+~'",
        query="versionId=x+y&partNumber&response-content-type=a%2fb%e9",
        headers=(
            ("range", "bytes=0-1"), ("x-amz-meta-a", "é"), ("x-amz-meta-b", "1"), ("x-amz-meta-b", "2"),
            ("user-agent", "test"), ("host", "client-side"), ("connection", "close"), ("expect", "100-continue"),
            ("transfer-encoding", "chunked"), ("content-length", "7"), ("authorization", "client's"),
            ("x-amz-date", "20000101T000000Z"), ("x-amz-security-token", "client's"),
        ),
    )  # fmt: skip
    async with client.send(request, CREDENTIALS) as response:
        assert response.status == 200
        assert response.headers.get("etag") == '"e"'
        assert response.headers.get("x-amz-meta-a") == "é"
        assert await response.read(5) == b"hello"
    (seen,) = server.seen
    assert seen.method == "GET"
    assert seen.target == (
        "/bucket/a%20b//../c/d/%28%C3%BC%29%2B~%27?versionId=x%20y&partNumber&response-content-type=a%2Fb%E9"
    )
    assert seen.headers.get("host") == f"127.0.0.1:{server.port}"
    assert seen.headers.all("x-amz-meta-b") == ("1", "2")
    assert seen.headers.names() == {
        "host", "range", "x-amz-meta-a", "x-amz-meta-b", "user-agent",
        "authorization", "x-amz-date", "x-amz-content-sha256",
    }  # fmt: skip
    assert str(seen.headers.get("authorization")).startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert seen.headers.get("x-amz-date") != "20000101T000000Z"


async def test_a_preflight_is_not_signed(make_client: MakeClient, make_server: MakeServer) -> None:
    server = await make_server(echo)
    client = await make_client(server.url)
    request = make_request(Operation.CORS_PREFLIGHT, headers=(("origin", "https://app.example.com"),))
    async with client.send(request, None) as response:
        assert response.status == 200
        await response.read(5)
    assert server.seen[0].method == "OPTIONS"
    assert server.seen[0].headers.names() == {"host", "origin"}


@pytest.mark.parametrize(
    ("operation", "bucket", "key", "target"),
    [
        (Operation.LIST_BUCKETS, None, None, "/"),
        (Operation.LIST_OBJECTS_V2, "b.c-d", None, "/b.c-d"),
        (Operation.GET_OBJECT, "b", "/", "/b//"),
        (Operation.GET_OBJECT, "b", "", "/b/"),
        (Operation.GET_OBJECT, "b", ".", "/b/."),
        (Operation.GET_OBJECT, "b", "%2e%2e/x", "/b/../x"),
        (Operation.GET_OBJECT, "b", "a%3fb%23c", "/b/a%3Fb%23c"),
        (Operation.HEAD_OBJECT, "b", "k" * 1024, "/b/" + "k" * 1024),
        (Operation.GET_OBJECT, "b", "\udcff%ff", "/b/%FF%FF"),
    ],
)
async def test_targets(
    make_client: MakeClient,
    make_server: MakeServer,
    operation: Operation,
    bucket: str | None,
    key: str | None,
    target: str,
) -> None:
    server = await make_server(echo)
    client = await make_client(server.url)
    async with client.send(make_request(operation, bucket=bucket, key=key), CREDENTIALS) as response:
        await response.read(100)
    assert server.seen[0].target == target


@pytest.mark.parametrize("size", [0, 1, 5_000, 2_500_000])
async def test_a_buffered_body_is_signed(make_client: MakeClient, make_server: MakeServer, size: int) -> None:
    server = await make_server(echo)
    client = await make_client(server.url, payload="trailer")
    data = b"<a/>" * (size // 4) + b"x" * (size % 4)
    request = make_request(Operation.DELETE_OBJECTS, BufferedBody(data), key=None, query="delete")
    async with client.send(request, CREDENTIALS) as response:
        assert await response.read(5) == b"hello"
    (seen,) = server.seen
    assert seen.body == data
    assert seen.headers.get("x-amz-content-sha256") == hashlib.sha256(data).hexdigest()
    assert seen.headers.get("content-length") == str(size)
    assert "content-type" not in seen.headers


async def test_an_empty_put_announces_no_bytes(make_client: MakeClient, make_server: MakeServer) -> None:
    server = await make_server(echo)
    client = await make_client(server.url)
    async with client.send(make_request(Operation.CREATE_MULTIPART_UPLOAD, query="uploads"), CREDENTIALS) as response:
        await response.read(5)
    assert server.seen[0].headers.all("content-length") == ("0",)


async def test_connections_are_used_again_only_when_the_answer_was_read(
    make_client: MakeClient, make_server: MakeServer, observed: Observed
) -> None:
    async def large(turn: Turn) -> None:
        await turn.answer(200, b"x" * 5_000_000)

    server = await make_server(large)
    client = await make_client(server.url)
    for _ in range(3):
        async with client.send(make_request(), CREDENTIALS) as response:
            assert sum([len(chunk) async for chunk in response.iter_chunks()]) == 5_000_000
            assert connections(client) == (0, 1)
    assert server.connections == 1
    async with client.send(make_request(), CREDENTIALS) as response:
        async for _ in response.iter_chunks():
            break
    await settle(client)
    assert connections(client) == (0, 0)
    async with client.send(make_request(), CREDENTIALS) as response:
        await response.read(5_000_000)
    assert server.connections == 2
    assert observed.requests == [("GetObject", 200)] * 5
    assert observed.first_bytes == ["GetObject"] * 5


async def test_answers_without_a_body_free_the_connection_at_once(
    make_client: MakeClient, make_server: MakeServer
) -> None:
    async def behave(turn: Turn) -> None:
        await turn.answer(*[(200, b"not sent"), (304, b""), (204, b"")][turn.number - 1])

    server = await make_server(behave)
    client = await make_client(server.url)
    for operation, status in (
        (Operation.HEAD_OBJECT, 200),
        (Operation.GET_OBJECT, 304),
        (Operation.DELETE_OBJECT, 204),
    ):
        async with client.send(make_request(operation), CREDENTIALS) as response:
            assert response.status == status
            assert connections(client) == (0, 1)
            assert await response.read(0) == b""
    assert server.connections == 1


async def test_a_slow_reader_stops_the_server(make_client: MakeClient, make_server: MakeServer) -> None:
    sent = 0

    async def endless(turn: Turn) -> None:
        nonlocal sent
        await turn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        for _ in range(1000):
            await turn.send(b"x" * 1_000_000)
            sent += 1

    server = await make_server(endless)
    client = await make_client(server.url, idle_timeout_seconds=0.1)
    async with client.send(make_request(), CREDENTIALS) as response:
        chunks = response.iter_chunks()
        await anext(chunks)
        await asyncio.sleep(0.5)  # longer than the idle time-out: the server is not the one who is silent
        assert sent < 30
        assert len(await anext(chunks)) <= 1024 * 1024
        await chunks.aclose()


@pytest.mark.parametrize("framing", ["content-length: 100", "transfer-encoding: chunked"])
async def test_an_answer_that_ends_early_is_an_error(
    make_client: MakeClient, make_server: MakeServer, framing: str
) -> None:
    async def cut(turn: Turn) -> None:
        start = b"32\r\n" if "chunked" in framing else b""
        await turn.send(
            f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode() + start + b"x" * 50 + (b"\r\n" if start else b"")
        )
        turn.close()

    server = await make_server(cut)
    client = await make_client(server.url)
    async with client.send(make_request(), CREDENTIALS) as response:
        chunks = response.iter_chunks()
        assert await anext(chunks) == b"x" * 50
        with pytest.raises(UpstreamUnavailable, match="broke its answer off"):
            await anext(chunks)


async def test_a_server_that_goes_silent_in_its_answer_is_given_up(
    make_client: MakeClient, make_server: MakeServer
) -> None:
    async def silent(turn: Turn) -> None:
        await turn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
        await asyncio.sleep(0.05)
        await turn.send(b"x" * 50)
        await turn.read_until_end()

    server = await make_server(silent)
    client = await make_client(server.url, idle_timeout_seconds=0.2)
    async with client.send(make_request(), CREDENTIALS) as response:
        with pytest.raises(UpstreamUnavailable, match="stopped sending") as caught:
            await response.read(100)
    assert caught.value.timed_out


async def test_an_answer_may_begin_late_and_a_body_may_not(make_client: MakeClient, make_server: MakeServer) -> None:
    """The time-out for the first byte is another one than that between two bytes."""

    async def late(turn: Turn) -> None:
        await asyncio.sleep(0.3)
        await turn.answer(200, b"ok")

    server = await make_server(late)
    client = await make_client(server.url, idle_timeout_seconds=0.1, first_byte_timeout_seconds=5)
    async with client.send(make_request(), CREDENTIALS) as response:
        assert await response.read(2) == b"ok"
    impatient = await make_client(server.url, first_byte_timeout_seconds=0.1)
    with pytest.raises(UpstreamUnavailable) as caught:
        async with impatient.send(make_request(), CREDENTIALS):
            pytest.fail("there is no answer")
    assert caught.value.timed_out
    assert len(server.seen) == 2, "a time-out is not repeated"


async def test_reading_is_limited(make_client: MakeClient, make_server: MakeServer) -> None:
    server = await make_server(echo)
    client = await make_client(server.url)
    async with client.send(make_request(), CREDENTIALS) as response:
        with pytest.raises(UpstreamUnavailable, match="longer than 4 bytes"):
            await response.read(4)


async def test_a_compressed_object_stays_compressed(make_client: MakeClient, make_server: MakeServer) -> None:
    data = gzip.compress(b"hello")

    async def behave(turn: Turn) -> None:
        await turn.answer(200, data, content_encoding="gzip", set_cookie="a=b")

    server = await make_server(behave)
    client = await make_client(server.url)
    for _ in range(2):
        async with client.send(make_request(), CREDENTIALS) as response:
            assert await response.read(100) == data
            assert response.headers.get("content-encoding") == "gzip"
    assert "cookie" not in server.seen[1].headers
    assert "accept-encoding" not in server.seen[1].headers


async def test_large_and_many_header_fields_of_an_answer(make_client: MakeClient, make_server: MakeServer) -> None:
    async def behave(turn: Turn) -> None:
        fields = "".join(f"x-amz-meta-{i}: {i}\r\n" for i in range(500))
        await turn.send(f"HTTP/1.1 200 OK\r\n{fields}x-long: {'y' * 30_000}\r\ncontent-length: 0\r\n\r\n".encode())

    server = await make_server(behave)
    client = await make_client(server.url)
    async with client.send(make_request(), CREDENTIALS) as response:
        assert response.headers.get("x-amz-meta-499") == "499"
        assert len(response.headers.get("x-long") or "") == 30_000


async def test_garbage_is_no_answer(make_client: MakeClient, make_server: MakeServer) -> None:
    async def behave(turn: Turn) -> None:
        await turn.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        await turn.read_until_end()

    server = await make_server(behave)
    client = await make_client(server.url)
    with pytest.raises(UpstreamUnavailable, match="not valid HTTP") as caught:
        async with client.send(make_request(), CREDENTIALS):
            pytest.fail("there is no answer")
    shown = f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
    assert "AKIDEXAMPLE" not in shown
    assert "SSH" not in shown
    assert len(server.seen) == 1


async def test_cancellation_while_waiting_and_while_reading(make_client: MakeClient, make_server: MakeServer) -> None:
    async def behave(turn: Turn) -> None:
        if turn.number > 1:
            await turn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nx")
        await turn.read_until_end()

    server = await make_server(behave)
    client = await make_client(server.url)

    async def read() -> None:
        async with client.send(make_request(), CREDENTIALS) as response:
            await response.read(100)

    for _ in range(3):
        task = asyncio.create_task(read())
        await asyncio.sleep(0.1)
        assert connections(client) == (1, 0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await settle(client)
        assert connections(client) == (0, 0)
    await eventually(lambda: all(seen.ended for seen in server.seen))


async def test_waiting_for_a_connection_ends(make_client: MakeClient, make_server: MakeServer) -> None:
    release = asyncio.Event()

    async def behave(turn: Turn) -> None:
        await release.wait()
        await turn.answer(200, b"ok")

    server = await make_server(behave)
    client = await make_client(server.url, max_connections=1, connect_timeout_seconds=1)

    async def get() -> bytes:
        async with client.send(make_request(), CREDENTIALS) as response:
            return await response.read(2)

    first = asyncio.create_task(get())
    await asyncio.sleep(0.05)
    with pytest.raises(UpstreamUnavailable, match="no connection"):
        await get()
    release.set()
    assert await first == b"ok"
    assert await get() == b"ok"


async def test_nagle_is_off(make_client: MakeClient, make_server: MakeServer) -> None:
    """Otherwise a request whose head and body leave in two writes waits 40 ms for a delayed acknowledgement."""
    server = await make_server(echo)
    client = await make_client(server.url)
    async with client.send(make_request(), CREDENTIALS) as response:
        await response.read(5)
    pool = client._pool
    assert pool is not None
    ((connection,),) = pool._unused.values()
    assert connection._transport is not None
    assert connection._transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("header", [SSE_C_KEY, COPY_SSE_C_KEY])
async def test_a_customer_key_never_goes_to_plain_http(
    make_client: MakeClient, make_server: MakeServer, header: str
) -> None:
    server = await make_server(echo)
    client = await make_client(server.url)
    with pytest.raises(S3Error, match="must be made over a secure connection") as caught:
        async with client.send(make_request(headers=((header, "a2V5"),)), CREDENTIALS):
            pytest.fail("there is no answer")
    assert caught.value.code == "InvalidRequest"
    assert server.connections == 0


@pytest.mark.parametrize(
    ("value", "fault"), [("a\r\nx: y", "control"), ("\x00", "control"), ("caf\udce9", "not UTF-8")]
)
async def test_values_that_can_not_be_sent_unchanged_are_refused(
    make_client: MakeClient, make_server: MakeServer, value: str, fault: str
) -> None:
    server = await make_server(echo)
    client = await make_client(server.url)
    with pytest.raises(S3Error, match=fault) as caught:
        async with client.send(make_request(headers=(("x-amz-meta-a", value),)), CREDENTIALS):
            pytest.fail("there is no answer")
    assert caught.value.code == "InvalidArgument"
    assert not server.seen


def test_faulty_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="allow_insecure_plain_http_upstream"):
        UpstreamClient(UpstreamSettings("http://s3.example.com"))
    with pytest.raises(ConfigError, match="ca_bundle"):
        UpstreamClient(UpstreamSettings("https://s3.example.com", ca_bundle=tmp_path / "none.pem"))
    (tmp_path / "junk.pem").write_text("junk")
    with pytest.raises(ConfigError, match="ca_bundle"):
        UpstreamClient(UpstreamSettings("https://s3.example.com", ca_bundle=tmp_path / "junk.pem"))


async def test_a_closed_client_answers_nothing(make_client: MakeClient) -> None:
    client = UpstreamClient(UpstreamSettings("https://s3.example.com"))
    with pytest.raises(UpstreamUnavailable, match="shutting down"):
        async with client.send(make_request(), CREDENTIALS):
            pytest.fail("there is no answer")


async def test_closing_ends_requests_in_flight(make_client: MakeClient, make_server: MakeServer) -> None:
    async def behave(turn: Turn) -> None:
        await turn.read_until_end()

    server = await make_server(behave)
    client = UpstreamClient(UpstreamSettings(server.url, allow_insecure_plain_http_upstream=True), chance=lambda: 0.0)
    await client.start()

    async def get() -> None:
        async with client.send(make_request(), CREDENTIALS) as response:
            await response.read(2)

    task = asyncio.create_task(get())
    await asyncio.sleep(0.05)
    await client.close()
    with pytest.raises(UpstreamUnavailable):
        await task
