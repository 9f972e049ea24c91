"""TLS to the upstream: verified, modern, and with the authorities that were named."""

import asyncio
import socket
import ssl
import warnings
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvloop

from gateway.errors import S3Error, UpstreamUnavailable
from gateway.s3.encryption_headers import SSE_C_KEY
from gateway.s3.operation import Operation
from gateway.upstream.body import StreamedBody
from gateway.upstream.client import UpstreamClient
from gateway.upstream.settings import UpstreamSettings
from lab.certificates import CertificateAuthority
from tests.upstream.conftest import CREDENTIALS, MakeClient, Observed, eventually, make_request
from tests.upstream.raw_server import RawServer, Turn


async def echo(turn: Turn) -> None:
    await turn.read_body()
    if not turn.seen.ended:
        await turn.answer(200, b"ok")


def server_context(authority: CertificateAuthority, **names: tuple[str, ...]) -> ssl.SSLContext:
    files = authority.issue_server("server", **names)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    return context


async def test_a_trusted_server_gets_customer_keys(make_client: MakeClient, authority: CertificateAuthority) -> None:
    server = RawServer(echo, tls=server_context(authority))
    await server.start()
    client = await make_client(server.url, ca_bundle=authority.ca_file, allow_insecure_plain_http_upstream=False)
    async with client.send(make_request(headers=((SSE_C_KEY, "a2V5"),)), CREDENTIALS) as response:
        assert await response.read(2) == b"ok"
    assert server.seen[0].headers.get(SSE_C_KEY) == "a2V5"
    await client.close()
    await client.start()
    await server.stop()


@pytest.mark.parametrize("case", ["other authority", "system authorities", "other name", "old protocol"])
async def test_servers_that_are_not_trusted(
    make_client: MakeClient, authority: CertificateAuthority, observed: Observed, tmp_path: Path, case: str
) -> None:
    names = {"hosts": ("s3.example.com",), "addresses": ()} if case == "other name" else {}
    context = server_context(authority, **names)
    if case == "old protocol":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
    ca_bundle: Path | None = authority.ca_file
    if case == "other authority":
        ca_bundle = CertificateAuthority(tmp_path).ca_file
    if case == "system authorities":
        ca_bundle = None
    server = RawServer(echo, tls=context)
    await server.start()
    client = await make_client(server.url, ca_bundle=ca_bundle)
    # A server that resets the connection instead of sending an alert can not be told from one that is not there.
    expected = "no TLS connection|can not be reached" if case == "old protocol" else "certificate is not trusted"
    with pytest.raises(UpstreamUnavailable, match=expected):
        async with client.send(make_request(), CREDENTIALS):
            pytest.fail("there is no answer")
    assert not server.seen
    assert case == "old protocol" or observed.retries == []
    await server.stop()


def test_streamed_bodies_keep_their_promises_on_uvloop_and_tls(authority: CertificateAuthority) -> None:
    """The loop and the transport that the gateway runs on differ from those of the other tests."""

    async def pieces(last: bytes | None, waiting: asyncio.Event | None) -> AsyncIterator[bytes]:
        yield b"x" * 300_000
        if waiting is not None:
            await waiting.wait()
        if last is None:
            raise S3Error("BadDigest", "no")
        yield last

    async def refuse_third(turn: Turn) -> None:
        if turn.number != 3:
            await echo(turn)
            return
        await turn.read_body(100_000)
        await turn.answer(403, b"denied")
        await turn.read_until_end()

    async def scenario() -> None:
        server = RawServer(refuse_third, tls=server_context(authority))
        await server.start()
        client = UpstreamClient(UpstreamSettings(server.url, ca_bundle=authority.ca_file))
        await client.start()
        good = StreamedBody(300_003, pieces(b"end", None))
        async with client.send(make_request(Operation.PUT_OBJECT, good), CREDENTIALS) as response:
            assert await response.read(2) == b"ok"
        with pytest.raises(S3Error, match="BadDigest"):
            async with client.send(
                make_request(Operation.PUT_OBJECT, StreamedBody(300_003, pieces(None, None))), CREDENTIALS
            ):
                pytest.fail("there is no answer")
        waits = StreamedBody(300_003, pieces(b"end", asyncio.Event()))
        async with client.send(make_request(Operation.PUT_OBJECT, waits), CREDENTIALS) as response:
            assert (response.status, await response.read(10)) == (403, b"denied")
        await eventually(lambda: [seen.ended for seen in server.seen] == [False, True, True])
        assert len(server.seen[0].body) == 300_003
        assert all(len(seen.body) <= 300_000 for seen in server.seen[1:])
        await client.close()
        await server.stop()

    uvloop.run(scenario())


async def test_a_server_that_is_left_in_its_answer_is_stopped(
    make_client: MakeClient, authority: CertificateAuthority
) -> None:
    """An orderly end of TLS would let it send on."""
    stopped = asyncio.Event()

    async def endless(turn: Turn) -> None:
        await turn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000000\r\n\r\n")
        try:
            while True:
                await turn.send(b"x" * 100_000)
        except ConnectionError:
            stopped.set()

    server = RawServer(endless, tls=server_context(authority))
    await server.start()
    client = await make_client(server.url, ca_bundle=authority.ca_file)
    async with client.send(make_request(), CREDENTIALS) as response:
        await anext(response.iter_chunks())
    await asyncio.wait_for(stopped.wait(), 5)
    await server.stop()


async def test_a_request_that_is_given_up_leaves_no_connection_behind(
    make_client: MakeClient, authority: CertificateAuthority
) -> None:
    """The server neither reads nor answers, so it does not consent to an orderly end of TLS either."""
    release = asyncio.Event()

    async def deaf(turn: Turn) -> None:
        turn.writer.transport.pause_reading()  # type: ignore[attr-defined] # typeshed has it on read transports only
        await release.wait()
        turn.writer.transport.abort()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"abc"
        await asyncio.sleep(0.1)
        pool = client._pool
        assert pool is not None
        (connection,) = pool._alive
        assert connection._transport is not None
        sockets.append(connection._transport.get_extra_info("socket"))
        raise S3Error("BadDigest", "no")

    sockets: list[socket.socket] = []
    server = RawServer(deaf, tls=server_context(authority))
    await server.start()
    client = await make_client(server.url, ca_bundle=authority.ca_file)
    with pytest.raises(S3Error, match="BadDigest"):
        async with client.send(make_request(Operation.PUT_OBJECT, StreamedBody(9, pieces())), CREDENTIALS):
            pytest.fail("there is no answer")
    await asyncio.sleep(0.1)
    assert sockets[0].fileno() == -1, "it was closed in the loop's next turn, without asking the server"
    release.set()
    await server.stop()
