"""What the gateway knows about the connection that a request came on."""

import asyncio
import ssl
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal, cast

from cryptography import x509

Scheme = Literal["https", "http"]

#: The client address of whoever connects to a unix socket.
UNIX_CLIENT = "unix"


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """One client connection.

    A connection that reaches the data path is allowed to carry requests. ``scheme`` is ``http`` only on a listener that
    was exempted by name, which is reachable from the same machine alone.

    Attributes:
        listener: the name of the listener.
        scheme: the scheme on the client's hop, after a trusted balancer was asked.
        client_address: the client's IP address, or ``unix``.
        tls_version: such as ``TLSv1.3``, or None without TLS or where the balancer did not say.
        client_certificate: the subject of the verified client certificate (RFC 4514), or None.
    """

    listener: str
    scheme: Scheme
    client_address: str
    tls_version: str | None = None
    client_certificate: str | None = None


def stream_transport(transport: asyncio.BaseTransport) -> asyncio.Transport:
    """``transport`` as what it is; uvloop's TLS transport behaves like one and does not inherit from it."""
    return cast(asyncio.Transport, transport)


def peer_address(transport: asyncio.BaseTransport) -> IPv4Address | IPv6Address | None:
    """The peer's IP address, None on a unix socket; IPv4 peers of an IPv6 socket appear as IPv4."""
    peer = transport.get_extra_info("peername")
    if not isinstance(peer, tuple) or not peer:
        return None
    return plain_address(ip_address(str(peer[0]).partition("%")[0]))


def plain_address(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """``address`` as IPv4 where it is an IPv4 address inside IPv6 (RFC 4291, section 2.5.5.2)."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def describe_connection(transport: asyncio.BaseTransport, listener: str) -> ConnectionInfo:
    """What the transport itself says: TLS or not, and who is at the other end."""
    address = peer_address(transport)
    client_address = str(address) if address is not None else UNIX_CLIENT
    tls = transport.get_extra_info("ssl_object")
    if not isinstance(tls, ssl.SSLSocket):
        return ConnectionInfo(listener=listener, scheme="http", client_address=client_address)
    return ConnectionInfo(
        listener=listener,
        scheme="https",
        client_address=client_address,
        tls_version=tls.version(),
        client_certificate=_certificate_subject(tls),
    )


def _certificate_subject(tls: ssl.SSLSocket) -> str | None:
    """The subject of the peer's certificate, which the TLS library verified when there is one."""
    der = tls.getpeercert(binary_form=True)
    return x509.load_der_x509_certificate(der).subject.rfc4514_string() if der else None
