"""The HTTP server object that all connections of the data path belong to."""

import asyncio

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from gateway.server.protocol import GatewayProtocol


class GatewayRequest(web.BaseRequest):
    """A request whose connection may have to end after it."""

    @property
    def keep_alive(self) -> bool:
        """Whether the connection stays open after the answer; asked when the answer's headers are written."""
        protocol = self.protocol
        return super().keep_alive and isinstance(protocol, GatewayProtocol) and protocol.may_keep_alive(self)


def http_server() -> web.Server:
    """The low-level server for the data path; each protocol given to it serves its own requests."""

    async def serve(_: web.BaseRequest) -> web.StreamResponse:
        raise TypeError("internal error: a request on a foreign connection")

    loop = asyncio.get_running_loop()

    def make_request(
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> GatewayRequest:
        return GatewayRequest(message, payload, protocol, writer, task, loop)

    return web.Server(serve, request_factory=make_request, handler_cancellation=True)
