"""Making a TLS connection to a server."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import TypeVar

from gateway.net.tls_handshake import TlsHandshake
from gateway.net.tls_transport import TlsTransport

_Protocol = TypeVar("_Protocol", bound=asyncio.BaseProtocol)


async def connect_tls(
    factory: Callable[[], _Protocol],
    connected: socket.socket,
    context: ssl.SSLContext,
    server_name: str,
    farewell_seconds: float,
) -> tuple[TlsTransport, _Protocol]:
    """Make the client's side of TLS on a TCP connection. Cancelling this, as a time-out does, leaves nothing behind.

    Args:
        factory: makes the protocol.
        connected: the connection, non-blocking. It belongs to the transport, or is closed when this fails.
        context: what is trusted; it verifies certificate and host name.
        server_name: the name or address that the certificate must be for.
        farewell_seconds: how long closing the connection may take.

    Raises:
        ssl.SSLCertVerificationError: the server's certificate is not trusted.
        ssl.SSLError: no TLS connection came about.
        OSError: the connection broke.
    """
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_handshake(_: ssl.SSLSocket, error: Exception | None) -> None:
        if ended.done():
            return  # cancelled; whoever waited is about to learn of it
        if error is None:
            ended.set_result(None)
        else:
            ended.set_exception(error)

    try:
        connection = context.wrap_socket(
            connected, server_hostname=server_name, do_handshake_on_connect=False, suppress_ragged_eofs=False
        )
    except BaseException:
        connected.close()
        raise
    handshake = TlsHandshake(connection, None, on_handshake)
    try:
        await ended
        protocol = factory()
        transport = TlsTransport(connection, protocol, farewell_seconds)
    except BaseException:
        handshake.stop()
        connection.close()
        raise
    transport.begin()
    return transport, protocol
