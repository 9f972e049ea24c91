"""Who is believed about TLS, by real sockets: the balancer in its networks, and nobody else."""

import struct
from ipaddress import IPv4Network, IPv6Network, ip_network

import pytest

from gateway.server.addresses import TcpAddress
from gateway.server.balancer import forwarded_client
from gateway.server.limits import LimitSettings
from gateway.server.listeners import BalancerListener
from gateway.server.proxy_protocol import SIGNATURE
from tests.server.conftest import Start

TRUSTED = (ip_network("127.0.0.0/8"),)
ELSEWHERE = (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))
Networks = tuple[IPv4Network | IPv6Network, ...]


def proxying(networks: Networks = TRUSTED) -> BalancerListener:
    return BalancerListener("balancer", TcpAddress("127.0.0.1", 0), networks, "proxy-protocol-v2")


def forwarding(networks: Networks = TRUSTED) -> BalancerListener:
    return BalancerListener("balancer", TcpAddress("127.0.0.1", 0), networks, "x-forwarded-proto")


def proxy_header(*, tls: bool, command: int = 0x21) -> bytes:
    addresses = bytes([192, 0, 2, 7, 10, 0, 0, 1]) + struct.pack("!HH", 51000, 443)
    details = struct.pack("!BI", int(tls), 0) + b"\x21\x00\x07TLSv1.3"
    payload = addresses + struct.pack("!BH", 0x20, len(details)) + details
    return SIGNATURE + struct.pack("!BBH", command, 0x11, len(payload)) + payload


GET = b"GET /read HTTP/1.1\r\nHost: h\r\n\r\n"


def test_the_proxy_header_tells_scheme_address_and_version(start: Start) -> None:
    running = start(proxying())
    client = running.connect("balancer")
    client.send(proxy_header(tls=True) + GET)
    assert client.answer().status == 200
    assert client.request("/read").status == 200
    for connection in running.backend.connections:
        assert (connection.scheme, connection.client_address) == ("https", "192.0.2.7")
        assert (connection.tls_version, connection.listener) == ("TLSv1.3", "balancer")


def test_the_proxy_header_in_pieces(start: Start) -> None:
    client = start(proxying()).connect("balancer")
    for byte in proxy_header(tls=True) + GET:
        client.send(bytes([byte]))
    assert client.answer().status == 200


@pytest.mark.parametrize(
    "data",
    [proxy_header(tls=False) + GET, proxy_header(tls=True, command=0x20) + GET],
    ids=["client without tls", "the balancer's own connection"],
)
def test_plain_http_behind_the_balancer_is_refused(start: Start, data: bytes) -> None:
    running = start(proxying())
    client = running.connect("balancer")
    client.send(data)
    answer = client.answer()
    assert (answer.status, answer.headers["connection"]) == (403, "close")
    assert b"<Code>AccessDenied</Code>" in answer.body
    assert client.is_closed()
    assert running.backend.connections == []
    assert running.sample("plaintext_http_refused_total", reason="anonymous") == 1


@pytest.mark.parametrize(
    "data", [GET, b"PROXY TCP4 192.0.2.7 10.0.0.1 51000 443\r\n" + GET, b"\x16\x03\x01\x02\x00\x01"]
)
def test_a_trusted_balancer_without_the_header_is_closed(start: Start, data: bytes) -> None:
    running = start(proxying())
    client = running.connect("balancer")
    client.send(data)
    assert client.is_closed()
    assert running.backend.connections == []
    assert running.sample("bad_requests_total", reason="proxy_protocol") == 1


def test_somebody_else_is_refused_as_plain_http(start: Start) -> None:
    running = start(proxying(ELSEWHERE))
    client = running.connect("balancer")
    client.send(GET)
    assert client.answer().status == 403
    assert client.is_closed()


def test_a_forged_proxy_header_reaches_nothing(start: Start) -> None:
    running = start(proxying(ELSEWHERE))
    client = running.connect("balancer")
    client.send(proxy_header(tls=True) + GET)
    assert client.is_closed()
    assert running.backend.connections == []


def test_a_balancer_that_says_nothing_is_ended(start: Start) -> None:
    running = start(proxying(), limits=LimitSettings(header_seconds=0.3))
    client = running.connect("balancer")
    client.send(SIGNATURE)
    assert client.is_closed()
    assert running.sample("connections_timed_out_total", waited_for="header") == 1


@pytest.mark.parametrize("name", ["X-Forwarded-Proto", "x-forwarded-proto"])
@pytest.mark.parametrize("value", ["https", "HTTPS", " https "])
def test_forwarded_https_is_served(start: Start, name: str, value: str) -> None:
    running = start(forwarding())
    client = running.connect("balancer")
    assert client.request("/read", f"{name}: {value}", "X-Forwarded-For: 192.0.2.7").status == 200
    (connection,) = running.backend.connections
    assert (connection.scheme, connection.client_address) == ("https", "192.0.2.7")


@pytest.mark.parametrize(
    "fields",
    [
        (),
        ("X-Forwarded-Proto: http",),
        ("X-Forwarded-Proto: https, http",),
        ("X-Forwarded-Proto: http, https",),
        ("X-Forwarded-Proto: https", "X-Forwarded-Proto: http"),
        ("X-Forwarded-Proto: https", "X-Forwarded-Proto: https"),
        ("Forwarded: proto=https",),
        ("X-Forwarded-Protocol: https",),
    ],
)
def test_anything_else_forwarded_is_refused(start: Start, fields: tuple[str, ...]) -> None:
    running = start(forwarding())
    client = running.connect("balancer")
    answer = client.request("/read", *fields)
    assert (answer.status, answer.headers["connection"]) == (403, "close")
    assert client.is_closed()
    assert running.backend.connections == []
    assert running.sample("plaintext_http_refused_total", reason="anonymous") == 1


def test_the_scheme_is_asked_of_each_request(start: Start) -> None:
    running = start(forwarding())
    client = running.connect("balancer")
    assert client.request("/read", "X-Forwarded-Proto: https").status == 200
    assert client.request("/read", "X-Forwarded-Proto: http").status == 403
    assert client.is_closed()


def test_a_customer_key_that_came_over_plain_http_is_counted_as_such(start: Start) -> None:
    running = start(forwarding())
    answer = running.connect("balancer").request(
        "/read", "X-Forwarded-Proto: http", "x-amz-server-side-encryption-customer-key: SECRET", method="PUT", body=b"x"
    )
    assert answer.status == 400
    assert b"must be made over a secure connection" in answer.body
    assert running.sample("plaintext_http_refused_total", reason="sse_c_key") == 1


def test_a_forwarded_scheme_from_somebody_else_is_not_believed(start: Start) -> None:
    running = start(forwarding(ELSEWHERE))
    client = running.connect("balancer")
    assert client.request("/read", "X-Forwarded-Proto: https").status == 403
    assert client.is_closed()
    assert running.backend.connections == []


@pytest.mark.parametrize(
    ("fields", "client"),
    [
        ([], "127.0.0.1"),
        (["192.0.2.7"], "192.0.2.7"),
        (["203.0.113.9, 192.0.2.7"], "192.0.2.7"),  # the left one was written by the client
        (["203.0.113.9", "192.0.2.7"], "192.0.2.7"),
        (["192.0.2.7, 127.0.0.9"], "192.0.2.7"),  # a second trusted hop
        (["127.0.0.8, 127.0.0.9"], "127.0.0.8"),
        (["192.0.2.7, unknown"], "127.0.0.1"),
        (["2001:db8::7"], "2001:db8::7"),
        (["::ffff:192.0.2.7"], "192.0.2.7"),
    ],
)
def test_the_client_is_the_last_address_that_is_no_balancer(fields: list[str], client: str) -> None:
    assert forwarded_client(fields, "127.0.0.1", TRUSTED) == client


def test_ipv4_networks_match_clients_of_an_ipv6_socket(start: Start) -> None:
    listener = BalancerListener("balancer", TcpAddress("::", 0), TRUSTED, "x-forwarded-proto")
    running = start(listener)
    client = running.connect_to("127.0.0.1", running.port("balancer"))
    assert client.request("/read", "X-Forwarded-Proto: https").status == 200
