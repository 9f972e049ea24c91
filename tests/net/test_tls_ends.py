"""Handshakes: those that fail, those that take too long, those that are too many."""

import asyncio
import errno
import socket
import ssl

import pytest

from gateway.net.readiness import running_readiness
from gateway.net.tls_connect import connect_tls
from tests.net.conftest import Noted, descriptors, dial, listen


def _ends(port: int, sent: bytes) -> bytes:
    """What a plain TCP client gets for ``sent`` until the connection ends."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
        plain.sendall(sent)
        received = b""
        try:
            while piece := plain.recv(4096):
                received += piece
        except ConnectionResetError:
            pass
        return received


async def test_bytes_that_are_no_handshake_end_the_connection(accepting: ssl.SSLContext) -> None:
    listener, port = listen(accepting, Noted)
    received = await asyncio.to_thread(_ends, port, b"GET / HTTP/1.1\r\n\r\n")
    assert received[:1] in (b"", b"\x15")  # nothing, or a TLS alert
    listener.close()


async def test_a_silent_client_is_given_up(accepting: ssl.SSLContext) -> None:
    listener, port = listen(accepting, Noted, seconds=0.2)
    async with asyncio.timeout(3):
        assert await asyncio.to_thread(_ends, port, b"\x16\x03\x01") == b""
    listener.close()


async def test_handshakes_beyond_the_limit_are_turned_away(
    accepting: ssl.SSLContext, connecting: ssl.SSLContext
) -> None:
    listener, port = listen(accepting, Noted, handshakes=2, seconds=1)
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
    await asyncio.sleep(0.1)
    async with asyncio.timeout(0.8):
        assert await asyncio.to_thread(_ends, port, b"") == b""
    for connection in silent:
        connection.close()
    await asyncio.sleep(0.1)
    (await asyncio.to_thread(dial, port, connecting)).close()
    listener.close()


class _Full(socket.socket):
    """A listening socket of a process that has no descriptor left, the first time it is asked."""

    refused = False

    def accept(self) -> tuple[socket.socket, object]:
        if not self.refused:
            self.refused = True
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


async def test_no_room_for_another_connection_is_a_pause(accepting: ssl.SSLContext, connecting: ssl.SSLContext) -> None:
    full = _Full(fileno=socket.create_server(("127.0.0.1", 0)).detach())
    listener, port = listen(accepting, Noted, listening=full)
    (await asyncio.to_thread(dial, port, connecting)).close()
    assert full.refused
    listener.close()


async def _connect(port: int, context: ssl.SSLContext, name: str) -> Noted:
    plain = socket.create_connection(("127.0.0.1", port))
    plain.setblocking(False)
    _, protocol = await connect_tls(Noted, plain, context, name, 1)
    return protocol


@pytest.mark.parametrize("name", ["elsewhere.example", "127.0.0.2"])
async def test_a_certificate_for_somebody_else_is_refused(
    accepting: ssl.SSLContext, connecting: ssl.SSLContext, name: str
) -> None:
    listener, port = listen(accepting, Noted)
    with pytest.raises(ssl.SSLCertVerificationError):
        await _connect(port, connecting, name)
    listener.close()


async def test_an_unknown_authority_is_refused(accepting: ssl.SSLContext) -> None:
    listener, port = listen(accepting, Noted)
    with pytest.raises(ssl.SSLCertVerificationError):
        await _connect(port, ssl.create_default_context(), "localhost")
    listener.close()


async def test_a_cancelled_connect_leaves_nothing(connecting: ssl.SSLContext) -> None:
    running_readiness()  # has a descriptor of its own
    with socket.create_server(("127.0.0.1", 0)) as server:
        before = descriptors()
        task = asyncio.create_task(_connect(server.getsockname()[1], connecting, "localhost"))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert descriptors() == before
