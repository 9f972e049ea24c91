"""A proxy in front of a key service: it counts the requests, and answers in its place when a test wants a fault.

It runs in threads, with TLS for its clients; whoever uses it takes its ``address`` for the service's.
"""

import http.client
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lab.certificates import CertificateAuthority

_SECONDS = 30


class Fault(StrEnum):
    """What the proxy does instead of passing a request on."""

    THROTTLED = "throttled"
    FAILING = "failing"
    GARBAGE = "garbage"
    SENSELESS = "senseless"
    HALF = "half"
    SLOW = "slow"
    HANGING = "hanging"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class FaultAnswers:
    """How a kind of service says what; status and body of each.

    Attributes:
        throttled: too many requests.
        failing: an error of its own.
        senseless: JSON of the right shape with values that make no sense.
    """

    throttled: tuple[int, bytes]
    failing: tuple[int, bytes]
    senseless: tuple[int, bytes]

    def of(self, fault: Fault | None) -> tuple[int, bytes] | None:
        """The answer of a fault that is an answer."""
        return {
            Fault.THROTTLED: self.throttled,
            Fault.FAILING: self.failing,
            Fault.SENSELESS: self.senseless,
            Fault.GARBAGE: (200, b"\x89PNG <html>no service has ever said this"),
        }.get(fault or Fault.SLOW)


VAULT_ANSWERS = FaultAnswers(
    throttled=(429, json.dumps({"errors": ['request path "transit/": rate limit quota exceeded']}).encode()),
    failing=(500, json.dumps({"errors": ["1 error occurred: internal error"]}).encode()),
    senseless=(200, json.dumps({"data": {"plaintext": 7, "ciphertext": ["x"], "data": 1, "versions": "x"}}).encode()),
)
AWS_ANSWERS = FaultAnswers(
    throttled=(400, json.dumps({"__type": "ThrottlingException", "message": "Rate exceeded"}).encode()),
    failing=(500, json.dumps({"__type": "KMSInternalException", "message": "internal"}).encode()),
    senseless=(200, json.dumps({"KeyId": 7, "Plaintext": "!", "CiphertextBlob": ["x"], "SecretString": 1}).encode()),
)


@dataclass(frozen=True, slots=True)
class ProxiedCall:
    """One request that reached the proxy.

    Attributes:
        seconds: when, on the monotonic clock.
        method: HTTP method.
        path: path without the slash before it.
        target: what services of AWS have instead of a path, such as ``TrentService.Decrypt``; else empty.
    """

    seconds: float
    method: str
    path: str
    target: str


class FaultProxy:
    """One proxy.

    Attributes:
        address: ``https://localhost:PORT``.
        ca_file: the CA bundle that verifies it.
        fault: what it does instead of passing requests on; None: it passes them on.
        slow_seconds: how much later the answers come that are ``SLOW``.
        calls: the requests so far, except those on connections that ``DOWN`` broke.
        instead: answers, status and body, to requests whose body contains a text.
        over: set when no fault lasts; ends what hangs.
    """

    def __init__(
        self, service: str, answers: FaultAnswers, authority: CertificateAuthority, *, service_ca: Path | None = None
    ) -> None:
        """It listens from now on.

        Args:
            service: URL of the service.
            answers: how the service says what.
            authority: makes the proxy's certificate.
            service_ca: the CA bundle that verifies the service, if that has TLS.
        """
        self.ca_file = authority.ca_file
        self.fault: Fault | None = None
        self.slow_seconds = 0.3
        self.calls: list[ProxiedCall] = []
        self.instead: dict[bytes, tuple[int, bytes]] = {}
        self.over = threading.Event()
        self.answers = answers
        self._service = urlsplit(service).netloc
        self._to_service = None if service_ca is None else ssl.create_default_context(cafile=str(service_ca))
        files = authority.issue_server("fault-proxy")
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self._server.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._server.tls.load_cert_chain(files.certificate, files.key)
        self.address = f"https://localhost:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def stop(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @contextmanager
    def during(self, fault: Fault) -> Iterator[None]:
        """The fault lasts meanwhile."""
        self.over.clear()
        self.fault = fault
        try:
            yield
        finally:
            self.fault = None
            self.over.set()

    def count(self, prefix: str = "") -> int:
        """How many requests came so far for paths that begin so."""
        return sum(call.path.startswith(prefix) for call in list(self.calls))

    def connection(self) -> http.client.HTTPConnection:
        """A connection to the service."""
        if self._to_service is None:
            return http.client.HTTPConnection(self._service, timeout=_SECONDS)
        return http.client.HTTPSConnection(self._service, timeout=_SECONDS, context=self._to_service)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512
    proxy: FaultProxy
    tls: ssl.SSLContext

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.proxy.fault is Fault.DOWN:
            return
        # In the connection's own thread, so that a slow handshake keeps nobody waiting.
        with suppress(OSError), self.tls.wrap_socket(request, server_side=True) as connection:
            super().finish_request(connection, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks is nothing to print."""


class _Handler(BaseHTTPRequestHandler):
    """The requests of one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self._onward = self.server.proxy.connection()

    def finish(self) -> None:
        self._onward.close()
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Nothing is printed."""

    def _pass(self) -> None:
        proxy = self.server.proxy
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if proxy.fault is Fault.DOWN:
            self.close_connection = True
            return
        # Before it is answered: whoever has the answer finds it counted.
        target = self.headers.get("X-Amz-Target", "")
        proxy.calls.append(ProxiedCall(time.monotonic(), self.command, self.path.removeprefix("/"), target))
        self._answer(proxy, body)

    do_GET = do_PUT = do_POST = do_DELETE = do_LIST = _pass  # noqa: N815 - the base's names

    def _answer(self, proxy: FaultProxy, body: bytes) -> None:
        fault = proxy.fault
        if fault is Fault.HANGING:
            proxy.over.wait(_SECONDS)
            self.close_connection = True
            return
        if fault is Fault.SLOW:
            time.sleep(proxy.slow_seconds)
        instead = next((answer for text, answer in proxy.instead.items() if text in body), proxy.answers.of(fault))
        if instead is not None:
            self._send(*instead)
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        self._onward.request(self.command, self.path, body, headers)
        answer = self._onward.getresponse()
        found = answer.read()
        if fault is Fault.HALF:
            self.close_connection = True
            self._send(answer.status, found[: len(found) // 2], announced=len(found))
            return
        self._send(answer.status, found)

    def _send(self, status: int, body: bytes, *, announced: int | None = None, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if announced is None else announced))
        self.end_headers()
        self.wfile.write(body)
