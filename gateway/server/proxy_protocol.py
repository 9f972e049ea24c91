"""The PROXY protocol, version 2: what a balancer says about the connection it forwards.

Source: the HAProxy project, "The PROXY protocol", versions 1 & 2, sections 2.2 to 2.2.7. Only the binary version 2 is
understood, and a header is required: version 1 says nothing about TLS, and a guess could be forged by a client.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from gateway.errors import GatewayError
from gateway.s3.checksums import Algorithm, new_digest

SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
#: Longest header accepted after the fixed part. The specification asks for at least 536 in all; client certificates in
#: sub-fields take more.
MAX_PAYLOAD_BYTES: Final = 4096

_FIXED = struct.Struct("!12sBBH")
_TLV = struct.Struct("!BH")
_SSL = struct.Struct("!BI")
_LOCAL, _PROXY = 0x20, 0x21
_TCP_OVER_IPV4, _TCP_OVER_IPV6 = 0x11, 0x21
_TYPE_CRC32C, _TYPE_SSL, _SUBTYPE_SSL_VERSION = 0x03, 0x20, 0x21
_CLIENT_SSL = 0x01


class ProxyProtocolError(GatewayError):
    """The header is missing or wrong; the connection can not be used."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """What the balancer said.

    Attributes:
        source: the client's address, or None for the balancer's own connection (LOCAL), such as a health check.
        tls: whether the client came over TLS.
        tls_version: such as ``TLSv1.3``, or None.
    """

    source: IPv4Address | IPv6Address | None
    tls: bool
    tls_version: str | None


def parse_proxy_header(data: bytes) -> tuple[ProxyHeader, int] | None:
    """The header at the start of ``data`` and its length in bytes, or None when more bytes are needed.

    Raises:
        ProxyProtocolError: ``data`` does not begin with a valid header.
    """
    if data[: len(SIGNATURE)] != SIGNATURE[: len(data)]:
        raise ProxyProtocolError("the connection does not begin with a PROXY protocol version 2 header")
    if len(data) < _FIXED.size:
        return None
    _, command, family, size = _FIXED.unpack_from(data)
    if command not in (_LOCAL, _PROXY):
        raise ProxyProtocolError("unknown version or command in a PROXY protocol header")
    if size > MAX_PAYLOAD_BYTES:
        raise ProxyProtocolError("a PROXY protocol header is too long")
    end = _FIXED.size + size
    if len(data) < end:
        return None
    if command == _LOCAL:
        # Section 2.2: whatever follows is to be skipped, and the real end points count.
        return ProxyHeader(source=None, tls=False, tls_version=None), end
    source, offset = _source(family, data, end)
    tls, tls_version = _tls(data[:end], offset)
    return ProxyHeader(source=source, tls=tls, tls_version=tls_version), end


def _source(family: int, data: bytes, end: int) -> tuple[IPv4Address | IPv6Address, int]:
    """The source address, and where the additional fields begin."""
    if family not in (_TCP_OVER_IPV4, _TCP_OVER_IPV6):
        raise ProxyProtocolError("a PROXY protocol header is not about TCP over IPv4 or IPv6")
    address_size = 4 if family == _TCP_OVER_IPV4 else 16
    offset = _FIXED.size + 2 * address_size + 4  # source and destination address, two ports of two bytes
    if offset > end:
        raise ProxyProtocolError("a PROXY protocol header is too short for its addresses")
    packed = data[_FIXED.size : _FIXED.size + address_size]
    return (IPv4Address(packed) if address_size == 4 else IPv6Address(packed)), offset


def _tls(header: bytes, offset: int) -> tuple[bool, str | None]:
    """Whether the fields from ``offset`` say that the client used TLS, and which version."""
    found: tuple[bool, str | None] | None = None
    for kind, start, value in _fields(header, offset):
        if kind == _TYPE_CRC32C:
            _verify_checksum(header, start, value)
        elif kind == _TYPE_SSL:
            if found is not None:
                raise ProxyProtocolError("a PROXY protocol header describes TLS twice")
            found = _parse_ssl(value)
    return found or (False, None)


def _fields(data: bytes, offset: int) -> Iterator[tuple[int, int, bytes]]:
    """Type, start of the value, and value of each field up to the end of ``data``."""
    while offset < len(data):
        if offset + _TLV.size > len(data):
            raise ProxyProtocolError("a field of a PROXY protocol header is cut off")
        kind, size = _TLV.unpack_from(data, offset)
        start = offset + _TLV.size
        offset = start + size
        if offset > len(data):
            raise ProxyProtocolError("a field of a PROXY protocol header is longer than the header")
        yield kind, start, data[start:offset]


def _verify_checksum(header: bytes, start: int, value: bytes) -> None:
    """Section 2.2.3: the checksum covers the whole header with the checksum's own bytes as zero."""
    if len(value) != 4:
        raise ProxyProtocolError("the checksum of a PROXY protocol header has the wrong length")
    blank = header[:start] + bytes(4) + header[start + 4 :]
    checksum = new_digest(Algorithm.CRC32C)
    checksum.update(blank)
    if checksum.digest() != value:
        raise ProxyProtocolError("the checksum of a PROXY protocol header is wrong")


def _parse_ssl(value: bytes) -> tuple[bool, str | None]:
    if len(value) < _SSL.size:
        raise ProxyProtocolError("the TLS field of a PROXY protocol header is too short")
    client, _ = _SSL.unpack_from(value)
    version: str | None = None
    for kind, _, text in _fields(value, _SSL.size):
        if kind == _SUBTYPE_SSL_VERSION:
            if not text.isascii() or not text.decode("ascii").isprintable():
                raise ProxyProtocolError("the TLS version of a PROXY protocol header is not text")
            version = text.decode("ascii")
    return bool(client & _CLIENT_SSL), version
