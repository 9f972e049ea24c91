"""An S3 server that misbehaves on purpose: what it does is in the object key."""

import contextlib
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from lab.certificates import CertificateAuthority

#: The length that every body of this server announces, bytes.
BODY_BYTES = 1_000_000
_BLOCK = b"x" * 50_000
_PROOF = "x-amz-server-side-encryption: AES256\r\n"
_LENGTH = f"HTTP/1.1 200 OK\r\n{_PROOF}Content-Length: {BODY_BYTES}\r\n\r\n".encode()
_CHUNKED = f"HTTP/1.1 200 OK\r\n{_PROOF}Transfer-Encoding: chunked\r\n\r\n".encode()
_STORED = f'HTTP/1.1 200 OK\r\n{_PROOF}ETag: "1"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'.encode()
_UNPROVEN = b'HTTP/1.1 200 OK\r\nETag: "1"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'
_REDIRECT = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: %b\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


@dataclass
class Seen:
    """What one connection was asked and how it ended.

    Attributes:
        target: request target.
        ended: the gateway closed it, or what it was sent could not be delivered.
    """

    target: str
    ended: threading.Event = field(default_factory=threading.Event)


class HostileServer:
    """Listens with a certificate that the gateway trusts; use as a context manager."""

    def __init__(self, authority: CertificateAuthority) -> None:
        files = authority.issue_server("hostile")
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(files.certificate, files.key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"https://localhost:{self._listener.getsockname()[1]}"
        self.seen: list[Seen] = []
        self._closing = threading.Event()
        # Bytes of the body that are still to come, by the thread that serves the connection.
        self._missing: dict[int, int] = {}
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def last(self, key: str) -> Seen:
        """The newest request for a key."""
        return next(seen for seen in reversed(self.seen) if seen.target.endswith(f"/{key}"))

    def has_seen(self, key: str) -> bool:
        return any(seen.target.endswith(f"/{key}") for seen in self.seen)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while not self._closing.is_set():
                plain, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(plain,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, plain: socket.socket) -> None:
        plain.settimeout(20)
        with contextlib.suppress(OSError), self._tls.wrap_socket(plain, server_side=True) as connection:
            head = b""
            while b"\r\n\r\n" not in head:
                piece = connection.recv(65_536)
                if not piece:
                    return
                head += piece
            head, _, body = head.partition(b"\r\n\r\n")
            length = re.search(rb"(?im)^content-length: *(\d+)", head)
            self._missing[threading.get_ident()] = int(length[1]) - len(body) if length else 0
            target = head.split(b" ", 2)[1].decode()
            seen = Seen(target)
            self.seen.append(seen)
            try:
                _BEHAVIOUR[target.rpartition("/")[2]](self, connection)
            except OSError:
                seen.ended.set()
                raise
            if not _stays_open(connection):
                seen.ended.set()

    # ------------------------------------------------------------------------------------------------------ behaviours

    def half_then_farewell(self, connection: ssl.SSLSocket) -> None:
        """Half of the body, then an orderly end of TLS."""
        connection.sendall(_LENGTH + _BLOCK * 10)
        connection.unwrap()

    def half_then_reset(self, connection: ssl.SSLSocket) -> None:
        connection.sendall(_LENGTH + _BLOCK * 10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    def nothing_then_farewell(self, connection: ssl.SSLSocket) -> None:
        connection.sendall(_LENGTH)
        connection.unwrap()

    def all_but_one(self, connection: ssl.SSLSocket) -> None:
        connection.sendall(_LENGTH + bytes(BODY_BYTES - 1))
        connection.unwrap()

    def chunks_without_end(self, connection: ssl.SSLSocket) -> None:
        connection.sendall(_CHUNKED + b"%x\r\n%b\r\n" % (len(_BLOCK), _BLOCK))
        connection.unwrap()

    def half_a_chunk(self, connection: ssl.SSLSocket) -> None:
        connection.sendall(_CHUNKED + b"%x\r\n%b" % (2 * len(_BLOCK), _BLOCK))
        connection.unwrap()

    def broken_chunk(self, connection: ssl.SSLSocket) -> None:
        connection.sendall(_CHUNKED + b"%x\r\n%b\r\nZZ\r\n" % (len(_BLOCK), _BLOCK))

    def half_then_silence(self, connection: ssl.SSLSocket) -> None:
        connection.sendall(_LENGTH + _BLOCK * 10)
        self._wait_for_end(connection)

    def endless(self, connection: ssl.SSLSocket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
        while not self._closing.is_set():
            connection.sendall(_BLOCK)
            time.sleep(0.001)

    def silence(self, connection: ssl.SSLSocket) -> None:
        self._wait_for_end(connection)

    def farewell(self, connection: ssl.SSLSocket) -> None:
        connection.unwrap()

    def no_http(self, connection: ssl.SSLSocket) -> None:
        connection.sendall(b"220 mail.example.com ESMTP\r\n")

    def too_early(self, connection: ssl.SSLSocket) -> None:
        connection.sendall(_STORED)
        self._wait_for_end(connection)

    def unproven(self, connection: ssl.SSLSocket) -> None:
        self._take_body(connection)
        connection.sendall(_UNPROVEN)

    def redirect(self, connection: ssl.SSLSocket) -> None:
        connection.sendall(_REDIRECT % f"{self.endpoint}/hostile/elsewhere".encode())

    def _take_body(self, connection: ssl.SSLSocket) -> None:
        """Read the whole body."""
        missing = self._missing[threading.get_ident()]
        while missing > 0:
            missing -= len(connection.recv(65_536))

    def _wait_for_end(self, connection: ssl.SSLSocket) -> None:
        """Read, and throw away, until the gateway ends the connection."""
        connection.settimeout(0.2)
        while not self._closing.is_set():
            with contextlib.suppress(TimeoutError):
                if not connection.recv(65_536):
                    raise ConnectionError("ended")


def _stays_open(connection: ssl.SSLSocket) -> bool:
    connection.settimeout(0.2)
    try:
        return bool(connection.recv(1))
    except TimeoutError:
        return True
    except (OSError, ValueError):
        return False


_BEHAVIOUR: Mapping[str, Callable[[HostileServer, ssl.SSLSocket], None]] = {
    name.replace("_", "-"): method
    for name, method in vars(HostileServer).items()
    if not name.startswith("_") and callable(method)
}
