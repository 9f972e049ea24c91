"""Connections from balancers that end TLS themselves: who says that the client used HTTPS, and who is believed.

Only configured networks are believed. Everybody else, and whoever the balancer says came without TLS, is refused
exactly like a client of plain HTTP.
"""

import asyncio
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from aiohttp import web

from gateway.event_log import get_logger
from gateway.server.connection import ConnectionInfo, peer_address, plain_address, stream_transport
from gateway.server.early_answer import new_request_id
from gateway.server.plain_http import PlainHttpRefusal, refuse, report_refusal
from gateway.server.protocol import GatewayProtocol
from gateway.server.proxy_protocol import ProxyHeader, ProxyProtocolError, parse_proxy_header
from gateway.server.serving import Serving

_log = get_logger("gateway.server.balancer")

Networks = tuple[IPv4Network | IPv6Network, ...]


def is_trusted(address: IPv4Address | IPv6Address | None, networks: Networks) -> bool:
    """Whether ``address`` is in one of ``networks``."""
    return address is not None and any(address in network for network in networks)


class ProxyProtocolFront(asyncio.Protocol):
    """Reads the PROXY protocol header of a connection, then hands the connection to whoever serves or refuses it.

    Args:
        server: aiohttp's server object of the data path.
        serving: the process's limits and counters.
        listener: the listener's name.
        networks: the balancers.
    """

    def __init__(self, server: web.Server, serving: Serving, listener: str, networks: Networks) -> None:
        self._server = server
        self._serving = serving
        self._listener = listener
        self._networks = networks
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Look at the peer; one that is not trusted may say what it likes."""
        transport = stream_transport(transport)
        self._since = asyncio.get_running_loop().time()
        self._transport = transport
        if not self._serving.table.add(self):
            self._serving.metrics.shed("connections")
            transport.abort()
        elif not is_trusted(peer_address(transport), self._networks):
            self._hand_over(PlainHttpRefusal(self._serving, self._listener), b"")

    def connection_lost(self, exc: Exception | None) -> None:
        """The balancer went away before it said anything useful."""
        del exc
        self._transport = None
        self._serving.table.discard(self)

    def data_received(self, data: bytes) -> None:
        """Read the header; what follows it belongs to the next protocol."""
        self._received += data
        try:
            parsed = parse_proxy_header(self._received)
        except ProxyProtocolError as error:
            self._serving.metrics.bad_request("proxy_protocol")
            peer = peer_address(self._transport) if self._transport is not None else None
            _log.warning("proxy_protocol_refused", listener=self._listener, balancer=str(peer), reason=str(error))
            self.abort()
            return
        if parsed is not None:
            header, size = parsed
            self._hand_over(self._protocol_for(header), self._received[size:])

    def sweep(self, now: float) -> None:
        """The header has the same time as a request's header section."""
        if now - self._since > self._serving.limits.header_seconds:
            self._serving.metrics.connection_timed_out("header")
            self.abort()

    def finish(self) -> None:
        """No request has begun."""
        self.abort()

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _protocol_for(self, header: ProxyHeader) -> asyncio.Protocol:
        if header.source is None:
            return PlainHttpRefusal(self._serving, self._listener)
        client_address = str(plain_address(header.source))
        if not header.tls:
            return PlainHttpRefusal(self._serving, self._listener, client_address)
        connection = ConnectionInfo(
            listener=self._listener, scheme="https", client_address=client_address, tls_version=header.tls_version
        )
        return GatewayProtocol(self._server, self._serving, self._listener, connection)

    def _hand_over(self, protocol: asyncio.Protocol, rest: bytes) -> None:
        """Make ``protocol`` the connection's own. It takes this one's place among the open connections."""
        transport, self._transport = self._transport, None
        self._serving.table.discard(self)
        if transport is None:
            return
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if rest and not transport.is_closing():
            protocol.data_received(rest)


class ForwardedProtocol(GatewayProtocol):
    """A connection from a trusted balancer that states scheme and client in each request's header section.

    Args:
        server: aiohttp's server object of the data path.
        serving: the process's limits and counters.
        listener: the listener's name.
        networks: the balancers; their addresses are skipped when the client's is looked for.
    """

    __slots__ = ("_networks",)

    def __init__(self, server: web.Server, serving: Serving, listener: str, networks: Networks) -> None:
        super().__init__(server, serving, listener)
        self._networks = networks

    def connection_of(self, request: web.BaseRequest) -> ConnectionInfo:
        """The connection as the balancer describes it for this request.

        Raises:
            S3Error: the client did not use HTTPS, or the balancer does not say so once and clearly.
        """
        connection = super().connection_of(request)
        client_address = forwarded_client(
            request.headers.getall("X-Forwarded-For", ()), connection.client_address, self._networks
        )
        schemes = request.headers.getall("X-Forwarded-Proto", ())
        if len(schemes) == 1 and schemes[0].strip().lower() == "https":
            return replace(connection, scheme="https", client_address=client_address)
        refusal = refuse(request.raw_path, request.headers.items())
        report_refusal(refusal, self._serving, self._listener, client_address, new_request_id())
        raise refusal.error


def forwarded_client(fields: list[str] | tuple[str, ...], peer: str, networks: Networks) -> str:
    """The client's address from ``X-Forwarded-For``: the last one that is not a trusted balancer's.

    Each hop appends the address it saw, so only the right end, written by trusted hops, can be believed.

    Args:
        fields: the values of the header field, in order.
        peer: the address of the connection itself.
        networks: the trusted balancers.
    """
    client = peer
    for text in reversed([part.strip() for field in fields for part in field.split(",")]):
        try:
            address = plain_address(ip_address(text))
        except ValueError:
            break
        client = str(address)
        if not is_trusted(address, networks):
            break
    return client


def forwarded_connection(server: web.Server, serving: Serving, listener: str, networks: Networks) -> asyncio.Protocol:
    """The first protocol of a connection whose requests name their scheme."""
    return _PeerCheck(server, serving, listener, networks)


class _PeerCheck(asyncio.Protocol):
    """Gives a new connection to the data path or to the refusal, by who is at the other end."""

    def __init__(self, server: web.Server, serving: Serving, listener: str, networks: Networks) -> None:
        self._server = server
        self._serving = serving
        self._listener = listener
        self._networks = networks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = stream_transport(transport)
        protocol: asyncio.Protocol
        if is_trusted(peer_address(transport), self._networks):
            protocol = ForwardedProtocol(self._server, self._serving, self._listener, self._networks)
        else:
            protocol = PlainHttpRefusal(self._serving, self._listener)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
