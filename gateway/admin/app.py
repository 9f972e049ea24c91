"""The admin listener: ``/livez``, ``/readyz`` and ``/metrics``, away from the S3 namespace."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from gateway.admin.readiness import Readiness
from gateway.observe.metrics import CONTENT_TYPE

_NO_STORE: Final = {"Cache-Control": "no-store"}
_SHUTDOWN_SECONDS: Final = 1.0


def admin_app(ask: Callable[[], Awaitable[Readiness]], render_metrics: Callable[[], bytes]) -> web.Application:
    """The admin application.

    Args:
        ask: whether the process can serve requests now.
        render_metrics: the metrics in Prometheus's text format. It reads files where there are several workers, so it
            runs in a thread.
    """

    async def livez(_: web.Request) -> web.Response:
        return web.json_response({"status": "alive"}, headers=_NO_STORE)

    async def readyz(_: web.Request) -> web.Response:
        readiness = await ask()
        status = "ready" if readiness.ready else "not ready"
        body = {"status": status, "checks": dict(readiness.checks)}
        return web.json_response(body, status=200 if readiness.ready else 503, headers=_NO_STORE)

    async def metrics(_: web.Request) -> web.Response:
        body = await asyncio.to_thread(render_metrics)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE, **_NO_STORE})

    app = web.Application()
    app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    return app


class AdminServer:
    """The admin application on its socket.

    Args:
        app: from :func:`admin_app`.
    """

    def __init__(self, app: web.Application) -> None:
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)

    async def start(self, listening: socket.socket) -> None:
        """Begin to answer on a bound socket."""
        await self._runner.setup()
        await web.SockSite(self._runner, listening).start()

    async def close(self) -> None:
        """Stop answering."""
        await self._runner.cleanup()
