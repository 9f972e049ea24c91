"""The addresses on which clients are awaited, and which protocol waits on each.

Four kinds of listener: HTTPS; plain HTTP that is only refused; plain HTTP served to the same machine, asked for by
name; and plain HTTP from balancers that end TLS.
"""

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Literal

from aiohttp import web

from gateway.errors import ConfigError
from gateway.event_log import get_logger
from gateway.net.tls_listener import TlsListener
from gateway.server.addresses import Address, TcpAddress, UnixAddress, bound_address
from gateway.server.balancer import Networks, ProxyProtocolFront, forwarded_connection
from gateway.server.http_server import http_server
from gateway.server.plain_http import PlainHttpRefusal
from gateway.server.protocol import GatewayProtocol
from gateway.server.serving import Serving
from gateway.server.tls import ServerTls, TlsSettings

_log = get_logger("gateway.server.listeners")

#: Connections that the kernel holds until they are accepted; it cuts this to net.core.somaxconn.
BACKLOG: Final = 1024


@dataclass(frozen=True, slots=True)
class HttpsListener:
    """HTTPS, the way in for clients."""

    name: str
    address: Address
    tls: TlsSettings


@dataclass(frozen=True, slots=True)
class RefusingListener:
    """Plain HTTP that answers every request with an error."""

    name: str
    address: Address


@dataclass(frozen=True, slots=True)
class LoopbackListener:
    """Plain HTTP that is served, for an application on the same machine.

    Raises:
        ConfigError: it was not asked for by name, or other machines could reach it.
    """

    name: str
    address: Address
    allow_plain_http_from_loopback: bool = False

    def __post_init__(self) -> None:
        if not self.allow_plain_http_from_loopback:
            raise ConfigError(
                (f"listener {self.name}: plain HTTP is served only with allow_plain_http_from_loopback: true",)
            )
        if isinstance(self.address, TcpAddress) and not _is_loopback(self.address.host):
            raise ConfigError(
                (f"listener {self.name}: plain HTTP is served only on a loopback IP address or a unix socket",)
            )


@dataclass(frozen=True, slots=True)
class BalancerListener:
    """Plain HTTP from balancers that end TLS and say so.

    Attributes:
        trusted_networks: the balancers; connections from elsewhere are refused as plain HTTP.
        scheme_from: what tells scheme and client address: the connection's header or each request's.
    """

    name: str
    address: TcpAddress
    trusted_networks: Networks
    scheme_from: Literal["proxy-protocol-v2", "x-forwarded-proto"]


Listener = HttpsListener | RefusingListener | LoopbackListener | BalancerListener


def _is_loopback(host: str) -> bool:
    """Whether ``host`` is a loopback IP address; a name could come to mean another machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class Listeners:
    """All open listeners of one process.

    Args:
        serving: the process's limits and counters.
        listeners: what to open.
    """

    def __init__(self, serving: Serving, listeners: Sequence[Listener]) -> None:
        self._serving = serving
        self._listeners = tuple(listeners)
        self._servers: list[asyncio.Server | TlsListener] = []
        self.tls: dict[str, ServerTls] = {}
        self.addresses: dict[str, Address] = {}

    async def open(self, sockets: Mapping[str, socket.socket]) -> None:
        """Begin to accept connections.

        Args:
            sockets: a bound socket for each listener, by name. They belong to this object from now on.

        Raises:
            ConfigError: a certificate can not be used.
        """
        server = http_server()
        for listener in self._listeners:
            if isinstance(listener, HttpsListener):
                self.tls[listener.name] = self._open_tls(listener)
        for listener in self._listeners:
            await self._open(listener, server, sockets[listener.name])

    async def _open(self, listener: Listener, server: web.Server, listening: socket.socket) -> None:
        factory = self._factory(listener, server)
        tls = self.tls.get(listener.name)
        if tls is not None:
            self._servers.append(self._accept_tls(listening, tls, factory))
        else:
            loop = asyncio.get_running_loop()
            create = loop.create_unix_server if isinstance(listener.address, UnixAddress) else loop.create_server
            self._servers.append(await create(factory, sock=listening, backlog=BACKLOG))
        self.addresses[listener.name] = bound_address(listening, listener.address)
        _log.info(
            "listening",
            listener=listener.name,
            kind=type(listener).__name__,
            address=str(self.addresses[listener.name]),
        )

    def _accept_tls(
        self, listening: socket.socket, tls: ServerTls, factory: Callable[[], asyncio.Protocol]
    ) -> TlsListener:
        limits, metrics = self._serving.limits, self._serving.metrics
        accepting = TlsListener(
            listening,
            tls.context,
            factory,
            handshake_seconds=limits.header_seconds,
            farewell_seconds=limits.idle_seconds,
            most_handshakes=limits.max_connections,
            on_shed=lambda: metrics.shed("connections"),
        )
        accepting.open(BACKLOG)
        return accepting

    def _open_tls(self, listener: HttpsListener) -> ServerTls:
        metrics, name = self._serving.metrics, listener.name

        def on_reload(worked: bool) -> None:  # noqa: FBT001  # the one fact about a reload
            metrics.certificate_reloaded(worked=worked)
            metrics.certificate_expires(name, tls.expires)

        tls = ServerTls(name, listener.tls, on_reload)
        metrics.certificate_expires(name, tls.expires)
        return tls

    def _factory(self, listener: Listener, server: web.Server) -> Callable[[], asyncio.Protocol]:
        serving, name = self._serving, listener.name
        if isinstance(listener, RefusingListener):
            return lambda: PlainHttpRefusal(serving, name)
        if isinstance(listener, HttpsListener | LoopbackListener):
            return lambda: GatewayProtocol(server, serving, name)
        networks = listener.trusted_networks
        if listener.scheme_from == "proxy-protocol-v2":
            return lambda: ProxyProtocolFront(server, serving, name, networks)
        return lambda: forwarded_connection(server, serving, name, networks)

    def reload_certificates(self) -> None:
        """Read every certificate again, changed or not."""
        for tls in self.tls.values():
            tls.reload()

    def reload_changed_certificates(self) -> None:
        """Read the certificates whose files changed."""
        for tls in self.tls.values():
            tls.reload_if_changed()

    def close(self) -> None:
        """Accept no further connections; open ones stay."""
        for server in self._servers:
            server.close()
        self._servers.clear()
