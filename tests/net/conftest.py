"""Two ends of a TLS connection: a plain blocking one, and the gateway's with a protocol that notes everything."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
import uvloop

from gateway.net.tls_connect import connect_tls
from gateway.net.tls_listener import TlsListener
from gateway.net.tls_transport import TlsTransport
from lab.certificates import CertificateAuthority

_Result = TypeVar("_Result")


class Noted(asyncio.Protocol):
    """Notes what its transport tells it."""

    def __init__(self) -> None:
        self.transport: TlsTransport
        self.received = bytearray()
        self.pieces: list[int] = []
        self.events: list[str] = []
        self.made: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self.on_data: Callable[[bytes], None] = lambda _: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, TlsTransport)
        self.transport = transport
        self.made.set_result(None)

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.pieces.append(len(data))
        self.on_data(data)

    def eof_received(self) -> None:
        self.events.append("end")

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for something that the transport does."""
        await until(true)


async def until(true: Callable[[], bool]) -> None:
    """Wait for something that the loop brings about."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - there is no event for what is waited for
            await asyncio.sleep(0.001)


class Made(list[Noted]):
    """The protocols that a listener made, oldest first."""

    def make(self) -> Noted:
        """One more."""
        self.append(Noted())
        return self[-1]


class Peer:
    """The other end, blocking; every call runs in a thread."""

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self.connection = connection
        self._threads = ThreadPoolExecutor(1)

    async def do(self, work: Callable[[], _Result]) -> _Result:
        """Run ``work`` while the loop runs."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def send(self, data: bytes) -> None:
        await self.do(lambda: self.connection.sendall(data))

    async def receive(self, size: int) -> bytes:
        """Exactly ``size`` bytes, or what came before the end."""
        return await self.do(lambda: receive_all(self.connection, size))

    async def farewell(self) -> None:
        """Say TLS's farewell and wait for the other one."""
        await self.do(lambda: self.connection.unwrap().close())

    def reset(self) -> None:
        """End the TCP connection with a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def close(self) -> None:
        """End what is left."""
        self._threads.shutdown()
        self.connection.close()


def receive_all(connection: ssl.SSLSocket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size and (piece := connection.recv(65_536)):
        received += piece
    return bytes(received)


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop of the gateway, and the one whose behaviour is the reference."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def accepting(authority: CertificateAuthority) -> ssl.SSLContext:
    """A server's side of TLS."""
    files = authority.issue_server("net")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    return context


@pytest.fixture(scope="session")
def connecting(authority: CertificateAuthority) -> ssl.SSLContext:
    """A client's side of TLS."""
    return ssl.create_default_context(cafile=str(authority.ca_file))


Connect = Callable[[], Awaitable[tuple[Noted, Peer]]]


@pytest.fixture(params=["accepted", "connected"])
async def connect(
    request: pytest.FixtureRequest, accepting: ssl.SSLContext, connecting: ssl.SSLContext
) -> AsyncIterator[Connect]:
    """Makes a connection whose one end is the gateway's: the accepting or the connecting one."""
    peers: list[Peer] = []
    protocols = Made()
    cleanup = contextlib.ExitStack()

    async def accepted() -> tuple[Noted, Peer]:
        listener, port = listen(accepting, protocols.make)
        cleanup.callback(listener.close)
        connection = await asyncio.to_thread(dial, port, connecting)
        peers.append(Peer(connection))
        await until(lambda: bool(protocols))
        return protocols[-1], peers[-1]

    async def connected() -> tuple[Noted, Peer]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            waiting = asyncio.create_task(asyncio.to_thread(accept, server, accepting))
            plain = socket.create_connection(server.getsockname())
            plain.setblocking(False)
            _, protocol = await connect_tls(Noted, plain, connecting, "localhost", 0.5)
            peers.append(Peer(await waiting))
        protocols.append(protocol)
        return protocol, peers[-1]

    yield accepted if request.param == "accepted" else connected
    cleanup.close()
    for peer in peers:
        peer.close()
    for protocol in protocols:
        protocol.transport.abort()
        await protocol.lost


def descriptors() -> set[str]:
    """What this process has open."""
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


def listen(
    context: ssl.SSLContext,
    factory: Callable[[], asyncio.Protocol],
    *,
    listening: socket.socket | None = None,
    handshakes: int = 10,
    seconds: float = 5,
) -> tuple[TlsListener, int]:
    """A listener and its port."""
    listening = listening or socket.create_server(("127.0.0.1", 0))
    port: int = listening.getsockname()[1]
    listener = TlsListener(
        listening,
        context,
        factory,
        handshake_seconds=seconds,
        farewell_seconds=0.5,
        most_handshakes=handshakes,
        on_shed=lambda: None,
    )
    listener.open(16)
    return listener, port


def dial(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    return context.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False)


def accept(server: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
    connection, _ = server.accept()
    connection.settimeout(10)
    return context.wrap_socket(connection, server_side=True, suppress_ragged_eofs=False)
