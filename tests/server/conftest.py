"""Real listeners in a thread, on uvloop as in production; the tests are their clients, with plain blocking sockets."""

import asyncio
import contextlib
import hashlib
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvloop
from aiohttp import web
from aiohttp.streams import StreamReader
from prometheus_client import CollectorRegistry

from gateway.admin.settings import AdminSettings
from gateway.errors import S3Error
from gateway.observe.metrics import Metrics, exposition
from gateway.server.addresses import Address, TcpAddress, bind
from gateway.server.connection import ConnectionInfo
from gateway.server.limits import LimitSettings
from gateway.server.listeners import HttpsListener, Listener, LoopbackListener
from gateway.server.runtime import ServerSettings
from gateway.server.tls import TlsSettings
from gateway.server.worker import Worker
from lab.certificates import CertificateAuthority

Work = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
PLAIN = LoopbackListener("plain", TcpAddress("127.0.0.1", 0), allow_plain_http_from_loopback=True)


class Backend:
    """A data path whose every path does one thing."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.entered = threading.Semaphore(0)
        self.connections: list[ConnectionInfo] = []
        self.errors: list[BaseException] = []
        self.body: StreamReader | None = None
        self.closed = False
        self.reloads = 0
        self.looks = 0

    async def handle(self, request: web.BaseRequest, connection: ConnectionInfo) -> web.StreamResponse:
        self.connections.append(connection)
        self.entered.release()
        try:
            work: Work = getattr(self, request.path.strip("/").partition("/")[0])
            return await work(request)
        except BaseException as error:
            self.errors.append(error)
            if isinstance(error, S3Error):
                return web.Response(status=error.status, text=error.code)
            raise

    async def read(self, request: web.BaseRequest) -> web.Response:
        """Reads the body as the data path does: 100-continue first, then piece by piece."""
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        size = 0
        async for piece in request.content.iter_any():
            size += len(piece)
        return web.Response(text=str(size))

    async def digest(self, request: web.BaseRequest) -> web.Response:
        """Reads the body in pieces of its own size, once the test lets it."""
        self.body = request.content
        while not self.release.is_set():  # noqa: ASYNC110  # the event is another thread's
            await asyncio.sleep(0.005)
        digest = hashlib.sha256()
        while piece := await request.content.read(50_000):
            digest.update(piece)
        return web.Response(text=digest.hexdigest())

    async def refuse(self, _: web.BaseRequest) -> web.Response:
        return web.Response(status=403, text="refused")

    async def wait(self, _: web.BaseRequest) -> web.Response:
        while not self.release.is_set():  # noqa: ASYNC110  # the event is another thread's
            await asyncio.sleep(0.005)
        return web.Response(text="waited")

    async def stream(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(64 * 1024 * 1024)})
        await response.prepare(request)
        for _ in range(64):
            await response.write(bytes(1024 * 1024))
        return response

    async def crash(self, _: web.BaseRequest) -> web.Response:
        raise ValueError("secret detail")

    async def break_off(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"begun")
        raise ValueError("in the middle")


@dataclass
class FakeGateway:
    """The data path of :class:`Backend`."""

    handler: Backend
    probes: Mapping[str, Callable[[], Awaitable[None]]]

    async def start(self) -> None:
        """Nothing to open."""

    def reload(self) -> None:
        self.handler.reloads += 1

    def reload_changed(self) -> None:
        self.handler.looks += 1

    async def close(self) -> None:
        self.handler.closed = True


class Running:
    """A worker in a thread."""

    def __init__(self, settings: ServerSettings, probes: Mapping[str, Callable[[], Awaitable[None]]]) -> None:
        self.backend = Backend()
        self.registry = CollectorRegistry()
        self._settings = settings
        self._probes = probes
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self.stopped = threading.Event()
        self._clients: list[Client] = []

    def start(self) -> "Running":
        self._thread.start()
        assert self._ready.wait(10)
        if self._failure is not None:
            raise self._failure
        return self

    def _run(self) -> None:
        try:
            uvloop.run(self._main())
        except BaseException as error:  # noqa: BLE001  # told to the test's thread
            self._failure = error
        finally:
            self._ready.set()
            self.stopped.set()

    async def _main(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.stop_event, self.at_once = asyncio.Event(), asyncio.Event()
        metrics = Metrics(self.registry)
        gateway = FakeGateway(self.backend, self._probes)
        self.worker = Worker(self._settings, gateway, metrics, exposition(self.registry))
        sockets = {item.name: bind(item.name, item.address) for item in self._settings.listeners}
        admin_socket = bind("admin", TcpAddress("127.0.0.1", 0))
        self.admin_port = admin_socket.getsockname()[1]
        await self.worker.start(sockets, admin_socket)
        self._ready.set()
        await self.stop_event.wait()
        await self.worker.stop(self.at_once)

    def _stop_at_once(self) -> None:
        self.stop_event.set()
        self.at_once.set()

    def begin_stop(self) -> None:
        self.loop.call_soon_threadsafe(self.stop_event.set)

    def stop(self) -> None:
        self.backend.release.set()
        for client in self._clients:
            client.close()
        with contextlib.suppress(RuntimeError):  # the loop may have ended by itself
            self.loop.call_soon_threadsafe(self._stop_at_once)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def call(self, function: Callable[[], Any]) -> Any:
        """Call ``function`` in the worker's event loop."""

        async def run() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(5)

    def port(self, name: str) -> int:
        address: Address = self.worker.listeners.addresses[name]
        assert isinstance(address, TcpAddress)
        return address.port

    def connect(self, name: str = "plain", tls: ssl.SSLContext | None = None) -> "Client":
        address = self.worker.listeners.addresses[name]
        if isinstance(address, TcpAddress):
            return self.connect_to(address.host, address.port, tls)
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(address.path))
        return self.adopt(connection, tls)

    def connect_to(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> "Client":
        return self.adopt(socket.create_connection((host, port), timeout=10), tls)

    def adopt(self, connection: socket.socket, tls: ssl.SSLContext | None) -> "Client":
        if tls is not None:
            try:
                connection = tls.wrap_socket(connection, server_hostname="localhost")
            except BaseException:
                connection.close()
                raise
        client = Client(connection)
        self._clients.append(client)
        return client

    def sample(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"sealgate_{name}", labels)

    def admin(self, path: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=10)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, json.loads(body) if path != "/metrics" else body.decode()


@dataclass
class Answer:
    """One HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Client:
    """A blocking connection that sends bytes and reads answers."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.socket.settimeout(10)
        self._buffer = bytearray()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def request(self, target: str, *fields: str, method: str = "GET", body: bytes = b"") -> Answer:
        length = (f"Content-Length: {len(body)}",) if body else ()
        head = "\r\n".join((f"{method} {target} HTTP/1.1", "Host: s3.localhost", *fields, *length, "", ""))
        self.send(head.encode("latin-1") + body)
        return self.answer(head=method == "HEAD")

    def _receive(self) -> bytes:
        data = self.socket.recv(65536)
        self._buffer += data
        return data

    def answer(self, *, head: bool = False) -> Answer:
        while b"\r\n\r\n" not in self._buffer:
            if not self._receive():
                raise ConnectionError(f"closed after {self._buffer!r}")
        raw, _, _ = bytes(self._buffer).partition(b"\r\n\r\n")
        del self._buffer[: len(raw) + 4]
        first, *lines = raw.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = 0 if head else int(headers.get("content-length", 0))
        while len(self._buffer) < length:
            if not self._receive():
                raise ConnectionError("closed inside a body")
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        return Answer(int(first.split()[1]), headers, body)

    def is_closed(self, within: float = 10.0) -> bool:
        """Whether the other side ends the connection without a further byte."""
        self.socket.settimeout(within)
        try:
            return not self._buffer and self.socket.recv(1) == b""
        except TimeoutError:
            return False
        except (ConnectionError, ssl.SSLError):
            return True

    def close(self) -> None:
        self.socket.close()


Start = Callable[..., Running]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts workers that end with the test."""
    started: list[Running] = []

    def start_one(
        *listeners: Listener,
        limits: LimitSettings | None = None,
        probes: Mapping[str, Callable[[], Awaitable[None]]] | None = None,
        drain_seconds: float = 5.0,
        certificate_check_seconds: float = 0.05,
        policy_check_seconds: float = 60.0,
    ) -> Running:
        settings = ServerSettings(
            listeners=listeners or (PLAIN,),
            limits=limits or LimitSettings(linger_seconds=0.5),
            admin=AdminSettings(cache_seconds=0.2, probe_seconds=0.5),
            drain_seconds=drain_seconds,
            certificate_check_seconds=certificate_check_seconds,
            policy_check_seconds=policy_check_seconds,
        )
        running = Running(settings, probes or {})
        started.append(running)
        return running.start()

    yield start_one
    for running in started:
        running.stop()


@pytest.fixture
def tls_authority(tmp_path: Path) -> CertificateAuthority:
    """An authority of the test's own, so that its files can be replaced."""
    return CertificateAuthority(tmp_path / "tls")


@pytest.fixture
def https(tls_authority: CertificateAuthority) -> HttpsListener:
    """An HTTPS listener with a certificate for localhost."""
    files = tls_authority.issue_server("server")
    return HttpsListener("https", TcpAddress("127.0.0.1", 0), TlsSettings(files.certificate, files.key))


@pytest.fixture
def trusting(tls_authority: CertificateAuthority) -> ssl.SSLContext:
    """A client that trusts the authority."""
    return ssl.create_default_context(cafile=str(tls_authority.ca_file))


def eventually(condition: Callable[[], object], within: float = 10.0) -> None:
    """Wait until ``condition`` holds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)
