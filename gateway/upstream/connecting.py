"""Making a connection: addresses, TCP and TLS."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from aiohappyeyeballs import AddrInfoType, start_connection
from aiohttp.abc import AbstractResolver

from gateway.errors import ConfigError
from gateway.net.tls_connect import connect_tls
from gateway.upstream.faults import CertificateRefused, HandshakeFailed, Unreachable
from gateway.upstream.settings import UpstreamSettings, is_ip_address

#: How long the first address has the field to itself before the next one is tried beside it.
#: Source: RFC 8305, section 5 ("Connection Attempt Delay").
_NEXT_ADDRESS_SECONDS = 0.25

#: How long an unused connection may take to close.
_FAREWELL_SECONDS = 5.0

_Made = TypeVar("_Made", bound=asyncio.Protocol)


class Origin(NamedTuple):
    """What connections are kept apart by.

    Attributes:
        host: a name, whose certificate is asked for, or an IP address without brackets.
        port: the TCP port.
        uses_tls: whether the scheme is ``https``.
    """

    host: str
    port: int
    uses_tls: bool


def tls_context(settings: UpstreamSettings) -> ssl.SSLContext:
    """Verified TLS 1.2 or newer to the authorities that the settings name.

    Raises:
        ConfigError: the CA bundle can not be read.
    """
    try:
        context = ssl.create_default_context(cafile=settings.ca_bundle)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError((f"ca_bundle: {settings.ca_bundle} can not be loaded: {error}",)) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # the transport writes without looking for anything to read
    context.set_alpn_protocols(["http/1.1"])
    return context


async def open_connection(
    make_protocol: Callable[[], _Made], origin: Origin, context: ssl.SSLContext, resolver: AbstractResolver
) -> _Made:
    """A protocol whose connection is made, TLS included. Cancelling this leaves nothing behind.

    Raises:
        Unreachable: the name has no address, or nothing answers there.
        CertificateRefused: the server is not the one that was asked for.
        HandshakeFailed: TLS did not come about for another reason.
    """
    try:
        connected = await start_connection(
            await _addresses(origin, resolver), happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS, interleave=1
        )
        return await _start_protocol(make_protocol, origin, context, connected)
    except ssl.SSLCertVerificationError as error:
        raise CertificateRefused from error
    except ssl.SSLError as error:
        raise HandshakeFailed from error
    except OSError as error:
        raise Unreachable(error.strerror or type(error).__name__) from error


async def _start_protocol(
    make_protocol: Callable[[], _Made], origin: Origin, context: ssl.SSLContext, connected: socket.socket
) -> _Made:
    """Put a transport between ``connected`` and a protocol; the only place where one is made."""
    # Otherwise a request whose head and body leave in two writes waits 40 ms for a delayed acknowledgement.
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if origin.uses_tls:
        server_name = origin.host.removesuffix(".")
        _, protocol = await connect_tls(make_protocol, connected, context, server_name, _FAREWELL_SECONDS)
        return protocol
    try:
        _, protocol = await asyncio.get_running_loop().create_connection(make_protocol, sock=connected)
    except BaseException:
        connected.close()
        raise
    return protocol


async def _addresses(origin: Origin, resolver: AbstractResolver) -> list[AddrInfoType]:
    """Where ``origin`` may be, in the order to try."""
    if is_ip_address(origin.host):
        family = socket.AF_INET6 if ":" in origin.host else socket.AF_INET
        return [_address(origin.host, origin.port, family)]
    found = await resolver.resolve(origin.host, origin.port, socket.AF_UNSPEC)
    return [_address(result["host"], result["port"], result["family"]) for result in found]


def _address(host: str, port: int, family: int) -> AddrInfoType:
    address = (host, port, 0, 0) if family == socket.AF_INET6 else (host, port)
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address)
