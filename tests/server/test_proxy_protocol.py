"""The PROXY protocol's binary header: valid ones, every way to be wrong, every way to be cut."""

import contextlib
import struct
from ipaddress import IPv4Address, IPv6Address

import pytest
from awscrt.checksums import crc32c
from hypothesis import given
from hypothesis import strategies as st

from gateway.server.proxy_protocol import (
    MAX_PAYLOAD_BYTES,
    SIGNATURE,
    ProxyHeader,
    ProxyProtocolError,
    parse_proxy_header,
)

V4 = bytes([192, 0, 2, 7, 10, 0, 0, 1]) + struct.pack("!HH", 51000, 443)
V6 = IPv6Address("2001:db8::7").packed + IPv6Address("2001:db8::1").packed + struct.pack("!HH", 51000, 443)


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def ssl(flags: int = 1, version: bytes = b"TLSv1.3") -> bytes:
    return tlv(0x20, struct.pack("!BI", flags, 0) + tlv(0x21, version) + tlv(0x22, b"client"))


def header(command: int = 0x21, family: int = 0x11, payload: bytes = V4 + ssl()) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(payload)) + payload


def with_checksum(payload: bytes) -> bytes:
    blank = header(payload=payload + tlv(0x03, bytes(4)))
    return blank[:-4] + struct.pack("!I", crc32c(blank))


CLIENT_V4 = IPv4Address("192.0.2.7")
VALID = {
    "tls over ipv4": (header(), ProxyHeader(CLIENT_V4, True, "TLSv1.3")),
    "tls over ipv6": (
        header(family=0x21, payload=V6 + ssl(version=b"TLSv1.2")),
        ProxyHeader(IPv6Address("2001:db8::7"), True, "TLSv1.2"),
    ),
    "no tls field": (header(payload=V4), ProxyHeader(CLIENT_V4, False, None)),
    "tls field without the flag": (header(payload=V4 + ssl(flags=0)), ProxyHeader(CLIENT_V4, False, "TLSv1.3")),
    "flag of the certificate only": (header(payload=V4 + ssl(flags=6)), ProxyHeader(CLIENT_V4, False, "TLSv1.3")),
    "other fields": (
        header(payload=V4 + tlv(0x01, b"h2") + tlv(0xEA, b"\x01vpce-1") + ssl() + tlv(0x04, bytes(9))),
        ProxyHeader(CLIENT_V4, True, "TLSv1.3"),
    ),
    "checksum": (with_checksum(V4 + ssl()), ProxyHeader(CLIENT_V4, True, "TLSv1.3")),
    "local": (header(command=0x20, family=0, payload=b""), ProxyHeader(None, False, None)),
    "local that claims tls": (header(command=0x20), ProxyHeader(None, False, None)),
}
WRONG = {
    "version 1": b"PROXY TCP4 192.0.2.7 10.0.0.1 51000 443\r\n",
    "http": b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00",
    "signature": b"\r\n\r\n\x00\r\nQUIX\n" + header()[12:],
    "version 3": header(command=0x31),
    "unknown command": header(command=0x22),
    "unspecified family": header(family=0x00),
    "udp": header(family=0x12),
    "unix": header(family=0x31, payload=bytes(216)),
    "too short for ipv4": header(payload=V4[:-1]),
    "too short for ipv6": header(family=0x21, payload=V6[:-1]),
    "cut field head": header(payload=V4 + b"\x20\x00"),
    "field longer than the header": header(payload=V4 + b"\x20\x00\xff\x01"),
    "short tls field": header(payload=V4 + tlv(0x20, b"\x01\x00")),
    "cut field inside the tls field": header(payload=V4 + tlv(0x20, struct.pack("!BI", 1, 0) + b"\x21\x00\x09T")),
    "tls twice": header(payload=V4 + ssl() + ssl(flags=0)),
    "version that is not text": header(payload=V4 + ssl(version=b"TLS\n")),
    "wrong checksum": with_checksum(V4 + ssl())[:-1] + b"\x00",
    "checksum of another length": header(payload=V4 + tlv(0x03, bytes(3))),
    "too long": SIGNATURE + struct.pack("!BBH", 0x21, 0x11, MAX_PAYLOAD_BYTES + 1),
}


@pytest.mark.parametrize("name", VALID)
def test_valid_whole_in_pieces_and_followed_by_data(name: str) -> None:
    data, expected = VALID[name]
    for size in range(len(data)):
        assert parse_proxy_header(data[:size]) is None
    assert parse_proxy_header(data) == (expected, len(data))
    assert parse_proxy_header(data + b"GET / HTTP/1.1\r\n") == (expected, len(data))


@pytest.mark.parametrize("name", WRONG)
def test_wrong(name: str) -> None:
    with pytest.raises(ProxyProtocolError):
        parse_proxy_header(WRONG[name])


@given(st.binary(max_size=400), st.booleans())
def test_garbage_raises_nothing_else(data: bytes, signed: bool) -> None:
    with contextlib.suppress(ProxyProtocolError):
        parse_proxy_header(SIGNATURE + data if signed else data)


@given(st.binary(max_size=300))
def test_garbage_fields_raise_nothing_else(data: bytes) -> None:
    with contextlib.suppress(ProxyProtocolError):
        parse_proxy_header(header(payload=V4 + data))
