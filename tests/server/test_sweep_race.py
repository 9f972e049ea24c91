"""The sweep over all connections may come at any moment, also between a request's arrival and its service."""

import asyncio

from aiohttp import web
from prometheus_client import CollectorRegistry

from gateway.observe.metrics import Metrics
from gateway.server.connection import ConnectionInfo
from gateway.server.http_server import http_server
from gateway.server.limits import LimitSettings
from gateway.server.protocol import GatewayProtocol
from gateway.server.serving import serving


class _Answering:
    """A data path that answers everything."""

    async def handle(self, request: web.BaseRequest, connection: ConnectionInfo) -> web.StreamResponse:
        del request, connection
        return web.Response(text="served")


class _SweptEarly(GatewayProtocol):
    """Looked at by the sweep in the worst moment: aiohttp has taken the request, and does not serve it yet."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        """Sweep with the message already out of the queue, as it is while aiohttp makes the request of it."""
        super().data_received(data)
        loop = asyncio.get_running_loop()

        self._messages, queued = type(self._messages)(), self._messages
        self.sweep(loop.time())
        self._messages = queued


async def test_a_request_that_just_arrived_is_not_idle() -> None:
    """The first request of a connection is served though a sweep comes before its handler runs."""
    services = serving(_Answering(), LimitSettings(idle_seconds=0.5), Metrics(CollectorRegistry()))
    server = http_server()
    listener = await asyncio.get_running_loop().create_server(
        lambda: _SweptEarly(server, services, "test", None), "127.0.0.1", 0
    )
    try:
        reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname()[:2])
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert (await asyncio.wait_for(reader.read(), 5)).endswith(b"served")
        writer.close()
        await writer.wait_closed()
    finally:
        listener.close()
        await server.shutdown(1)
