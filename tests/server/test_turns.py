"""Requests that wait in the kernel until it is their turn: what the gateway knows of them before it reads them."""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from gateway.net.tls_listener import TlsListener
from gateway.observe.metrics import Metrics
from gateway.server.connection import ConnectionInfo
from gateway.server.http_server import http_server
from gateway.server.limits import LimitSettings
from gateway.server.protocol import GatewayProtocol
from gateway.server.serving import Serving, serving
from lab.certificates import CertificateAuthority

_QUEUE_SECONDS = 0.3
_GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class _Answering:
    """A data path that answers everything once it has the whole body."""

    async def handle(self, request: web.BaseRequest, connection: ConnectionInfo) -> web.StreamResponse:
        del connection
        return web.Response(text=f"got {len(await request.content.read())}")


class _Client:
    """A blocking client: what it sends is in the gateway's kernel before the event loop runs again."""

    def __init__(self, connection: ssl.SSLSocket, served: Serving) -> None:
        self.connection = connection
        self.gateway = next(iter(served.table.snapshot()))

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)
        time.sleep(0.01)

    async def answer(self) -> bytes:
        """What comes next."""
        return await asyncio.to_thread(self.connection.recv, 65_536)


@pytest.fixture
async def client(authority: CertificateAuthority) -> AsyncIterator[_Client]:
    """A connection on which nothing was asked yet."""
    files = authority.issue_server("turns")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    served = serving(_Answering(), LimitSettings(queue_seconds=_QUEUE_SECONDS), Metrics(CollectorRegistry()))
    server = http_server()
    listening = socket.create_server(("127.0.0.1", 0))
    listener = TlsListener(
        listening,
        context,
        lambda: GatewayProtocol(server, served, "test", None),
        handshake_seconds=5,
        farewell_seconds=0.5,
        most_handshakes=1,
        on_shed=lambda: None,
    )
    with contextlib.closing(listener):
        listener.open(1)
        trusting = ssl.create_default_context(cafile=str(authority.ca_file))
        plain = socket.create_connection(listening.getsockname(), timeout=5)
        with await asyncio.to_thread(trusting.wrap_socket, plain, server_hostname="localhost") as connection:
            while not served.table:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.001)
            yield _Client(connection, served)
            served.table.snapshot()[0].abort() if served.table else None
    await server.shutdown(1)


async def test_a_request_that_was_not_read_is_answered_before_its_connection_ends(client: _Client) -> None:
    client.send(_GET)
    client.gateway.finish()
    answer = await client.answer()
    assert answer.endswith(b"got 0")
    assert b"Connection: close" in answer
    assert await client.answer() == b""


async def test_a_connection_without_a_request_ends(client: _Client) -> None:
    client.gateway.finish()
    assert await client.answer() == b""


@pytest.mark.parametrize("first", [True, False], ids=["first", "second"])
async def test_a_request_that_was_not_read_is_not_idle(client: _Client, first: bool) -> None:
    """Neither the time for the first header section ends the connection, nor that between two requests."""
    if not first:
        client.send(_GET)
        assert (await client.answer()).endswith(b"got 0")
    client.send(_GET)
    client.gateway.sweep(asyncio.get_running_loop().time() + 1000)
    assert (await client.answer()).endswith(b"got 0")
    client.gateway.sweep(asyncio.get_running_loop().time() + 1000)
    assert await client.answer() == b""


async def test_a_request_that_waited_too_long_to_be_read_is_refused(client: _Client) -> None:
    client.send(_GET)
    time.sleep(_QUEUE_SECONDS + 0.1)  # noqa: ASYNC251 - the gateway is busy
    refused = await client.answer()
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"<Code>SlowDown</Code>" in refused
    client.send(_GET)
    assert (await client.answer()).endswith(b"got 0")


async def test_the_rest_of_a_request_does_not_wait_for_its_turn(client: _Client) -> None:
    """A head in two pieces, a body in two pieces, and then a request in one piece."""
    for piece in (b"PUT / HTTP/1.1\r\nHost: localhost\r\nContent-", b"Length: 20\r\n\r\n0123456789", b"0123456789"):
        client.send(piece)
        await asyncio.sleep(0.01)
    assert (await client.answer()).endswith(b"got 20")
    client.send(_GET)
    assert (await client.answer()).endswith(b"got 0")


async def test_what_comes_after_a_look_at_an_idle_connection_has_its_time(client: _Client) -> None:
    """The sweep leaves an idle connection alone for as long as it may be idle, unless something comes."""
    client.send(_GET)
    assert (await client.answer()).endswith(b"got 0")
    now = asyncio.get_running_loop().time()
    client.gateway.sweep(now)
    client.send(b"GET / HTTP/1.1\r\n")
    await asyncio.sleep(0.01)
    client.gateway.sweep(now + LimitSettings().header_seconds + 1)
    assert await client.answer() == b""
