"""A server between the gateway and its store: it counts what goes through, and may change the answers.

It runs in threads, with TLS on both sides. The gateway's signatures stay valid, because Host is passed on as it came.
"""

import http.client
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from lab.certificates import CertificateAuthority
from lab.s3_server import S3Server

_BLOCK = 256 * 1024
_SECONDS = 120
#: What belongs to one connection, or follows from the body.
_NOT_PASSED_ON = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})


@dataclass(slots=True)
class Passed:
    """One request that went through.

    Attributes:
        method: HTTP method.
        target: path and query.
        headers: the request's header fields, names in lower case.
        status: the answer's status.
        received_bytes: size of the answer's body, without the body of HEAD.
    """

    method: str
    target: str
    headers: dict[str, str] = field(repr=False)
    status: int = 0
    received_bytes: int = 0


@dataclass(slots=True)
class Answer:
    """An answer of the store that may be changed before it is passed on."""

    status: int
    headers: dict[str, str]
    body: bytes


#: Gets a request and its answer, and returns what the gateway sees instead.
Change = Callable[[Passed, Answer], Answer]


class Between(S3Server):
    """The server; to the gateway it is the store.

    Attributes:
        passed: what went through so far.
        change: changes answers; None streams them through as they are.
    """

    def __init__(self, store: S3Server, authority: CertificateAuthority) -> None:
        self.name = store.name  # type: ignore[misc] # the one behind
        self.traits = store.traits  # type: ignore[misc] # the one behind
        self.ca_file = store.ca_file
        self.credentials = store.credentials
        self.other_credentials = store.other_credentials
        self.kms_key_id = store.kms_key_id
        self.passed: list[Passed] = []
        self.change: Change | None = None
        self._store = store
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.between = self
        files = authority.issue_server("between")
        self._server.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._server.tls.load_cert_chain(files.certificate, files.key)
        self._to_store = ssl.create_default_context(cafile=str(store.ca_file))
        self.endpoint = f"https://localhost:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def pid(self) -> int:
        return self._store.pid

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def kill(self) -> None:
        self.stop()

    @contextmanager
    def counting(self) -> Iterator[list[Passed]]:
        """What goes through meanwhile."""
        first = len(self.passed)
        seen: list[Passed] = []
        yield seen
        seen += self.passed[first:]

    @contextmanager
    def changing(self, change: Change) -> Iterator[None]:
        """Answers are changed meanwhile."""
        self.change = change
        try:
            yield
        finally:
            self.change = None

    def connection(self) -> http.client.HTTPSConnection:
        """A connection to the store."""
        return http.client.HTTPSConnection(
            urlsplit(self._store.endpoint).netloc, timeout=_SECONDS, context=self._to_store
        )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    between: Between
    tls: ssl.SSLContext

    def finish_request(self, request: Any, client_address: Any) -> None:
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
        self._onward = self.server.between.connection()

    def finish(self) -> None:
        self._onward.close()
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Nothing is printed."""

    def _pass(self) -> None:
        between = self.server.between
        headers = {name.lower(): value for name, value in self.headers.items()}
        passed = Passed(self.command, self.path, headers)
        between.passed.append(passed)
        answer = self._ask()
        passed.status = answer.status
        fields = {name: value for name, value in answer.getheaders() if name.lower() not in _NOT_PASSED_ON}
        length = answer.headers.get("Content-Length")
        change = between.change
        if change is not None or length is None or self.command == "HEAD":
            body = answer.read()
            passed.received_bytes = len(body)
            seen = Answer(answer.status, fields, body)
            seen = seen if change is None else change(passed, seen)
            self._head(seen.status, seen.headers, length if self.command == "HEAD" else str(len(seen.body)))
            if self.command != "HEAD":
                self.wfile.write(seen.body)
        else:
            self._head(answer.status, fields, length)
            while block := answer.read(_BLOCK):
                passed.received_bytes += len(block)
                self.wfile.write(block)

    def _ask(self) -> http.client.HTTPResponse:
        """The store's answer to this request."""
        onward = self._onward
        onward.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in {"connection", "expect"}:
                onward.putheader(name, value.encode("latin-1"))
        onward.endheaders()
        missing = int(self.headers.get("Content-Length") or 0)
        while missing:
            block = self.rfile.read(min(_BLOCK, missing))
            if not block:
                raise ConnectionError("the gateway broke off")
            onward.send(block)
            missing -= len(block)
        return onward.getresponse()

    def _head(self, status: int, headers: dict[str, str], length: str | None) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is not None and status not in {204, 304}:
            self.send_header("Content-Length", length)
        self.end_headers()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass  # noqa: N815 - the base's names
