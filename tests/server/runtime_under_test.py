"""The runtime that the processes of the supervisor's tests build."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from aiohttp import web

from gateway.admin.settings import AdminSettings
from gateway.errors import ConfigError, KeyUnavailable
from gateway.observe.metrics import Metrics
from gateway.server.addresses import TcpAddress, UnixAddress
from gateway.server.connection import ConnectionInfo
from gateway.server.listeners import HttpsListener, Listener, LoopbackListener
from gateway.server.runtime import Runtime, ServerSettings
from gateway.server.tls import TlsSettings


class TinyGateway:
    """Answers with its process id, and does what its control directory says.

    Attributes:
        handler: itself.
    """

    def __init__(self, metrics: Metrics, control: Path) -> None:
        self._metrics = metrics
        self._control = control
        self.handler = self

    @property
    def probes(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        return {"vault": self._probe}

    async def start(self) -> None:
        if (self._control / "vault_down_at_start").exists():
            raise KeyUnavailable("the vault is down")

    def reload(self) -> None:
        (self._control / f"reloaded-{os.getpid()}").touch()

    def reload_changed(self) -> None:
        (self._control / f"looked-{os.getpid()}").touch()

    async def close(self) -> None:
        (self._control / f"closed-{os.getpid()}").touch()

    async def _probe(self) -> None:
        if (self._control / "vault_down").exists():
            raise KeyUnavailable("the vault is sealed")

    async def handle(self, request: web.BaseRequest, connection: ConnectionInfo) -> web.StreamResponse:
        self._metrics.request_begun()
        try:
            self._metrics.object_read("none")
            while request.path == "/wait" and not (self._control / "release").exists():  # noqa: ASYNC110  # a file of another process
                await asyncio.sleep(0.01)
            return web.Response(text=json.dumps([os.getpid(), connection.scheme]))
        finally:
            self._metrics.request_ended()


def build(options: str) -> Runtime:
    """The runtime for ``options``, a JSON object."""
    given = json.loads(options)
    control = Path(given["control"])
    if (control / "unusable").exists():
        raise ConfigError(("rules[0].mode: unknown mode 'x'", "upstream.endpoint: is missing"))
    listeners: list[Listener] = [
        LoopbackListener("plain", TcpAddress("127.0.0.1", given["port"]), allow_plain_http_from_loopback=True)
    ]
    if given.get("unix"):
        address = UnixAddress(Path(given["unix"]))
        listeners.append(LoopbackListener("unix", address, allow_plain_http_from_loopback=True))
    if given.get("certificate"):
        tls = TlsSettings(Path(given["certificate"]), Path(given["key"]))
        listeners.append(HttpsListener("https", TcpAddress("127.0.0.1", given["https_port"]), tls))
    settings = ServerSettings(
        listeners=tuple(listeners),
        admin=AdminSettings(port=given["admin_port"], cache_seconds=0.1),
        workers=given["workers"],
        drain_seconds=given.get("drain_seconds", 5.0),
        certificate_check_seconds=60,
    )
    return Runtime(settings, lambda metrics, _: TinyGateway(metrics, control))
