"""Which listeners may exist, and what the exempted ones say about their connections."""

import socket
import ssl
import stat
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.server.addresses import TcpAddress, UnixAddress, bind
from gateway.server.listeners import BalancerListener, HttpsListener, LoopbackListener, RefusingListener
from gateway.server.protocol import GatewayProtocol
from gateway.server.runtime import ServerSettings
from tests.server.conftest import Start


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1"])
def test_plain_http_may_be_served_on_loopback(host: str) -> None:
    LoopbackListener("plain", TcpAddress(host, 0), allow_plain_http_from_loopback=True)


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "192.0.2.7", "localhost", "", "::ffff:192.0.2.7", "example.com"],  # noqa: S104  # refused
)
def test_plain_http_is_served_nowhere_else(host: str) -> None:
    with pytest.raises(ConfigError, match="only on a loopback IP address or a unix socket"):
        LoopbackListener("plain", TcpAddress(host, 0), allow_plain_http_from_loopback=True)


def test_plain_http_must_be_asked_for_by_name(tmp_path: Path) -> None:
    for address in (TcpAddress("127.0.0.1", 0), UnixAddress(tmp_path / "s3.sock")):
        with pytest.raises(ConfigError, match="allow_plain_http_from_loopback"):
            LoopbackListener("plain", address)


def test_the_exempted_listener_says_http(start: Start) -> None:
    running = start()
    running.connect().request("/read", "X-Forwarded-Proto: https", "X-Forwarded-For: 192.0.2.7")
    (connection,) = running.backend.connections
    assert (connection.scheme, connection.client_address) == ("http", "127.0.0.1")
    assert (connection.tls_version, connection.listener) == (None, "plain")


def test_the_exempted_unix_socket(start: Start, tmp_path: Path) -> None:
    address = UnixAddress(tmp_path / "s3.sock", mode=0o600)
    running = start(LoopbackListener("plain", address, allow_plain_http_from_loopback=True))
    assert running.connect().request("/read", method="PUT", body=b"x" * 300_000).body == b"300000"
    connection = running.backend.connections[0]
    assert (connection.scheme, connection.client_address) == ("http", "unix")
    assert stat.S_IMODE(address.path.stat().st_mode) == 0o600


def test_a_dead_unix_socket_is_replaced_and_a_living_one_is_not(start: Start, tmp_path: Path) -> None:
    address = UnixAddress(tmp_path / "s3.sock")
    bind("dead", address).close()
    running = start(LoopbackListener("plain", address, allow_plain_http_from_loopback=True))
    with pytest.raises(ConfigError, match="can not bind unix:"):
        bind("second", address)
    assert running.connect().request("/read").status == 200


def test_a_file_in_the_place_of_a_unix_socket_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_text("precious")
    with pytest.raises(ConfigError):
        bind("plain", UnixAddress(path))
    assert path.read_text() == "precious"


def test_names_of_hosts_are_not_resolved() -> None:
    with pytest.raises(ConfigError, match="can not bind localhost:0"):
        bind("plain", TcpAddress("localhost", 0))


def test_several_listeners_at_a_time(start: Start, https: HttpsListener, trusting: ssl.SSLContext) -> None:
    plain = LoopbackListener("plain", TcpAddress("127.0.0.1", 0), allow_plain_http_from_loopback=True)
    refusing = RefusingListener("refusing", TcpAddress("::1", 0))
    balancer = BalancerListener(
        "balancer", TcpAddress("127.0.0.1", 0), (ip_network("127.0.0.1/32"),), "x-forwarded-proto"
    )
    running = start(plain, refusing, balancer, https)
    assert running.connect("plain").request("/read").status == 200
    assert running.connect("refusing").request("/read").status == 403
    assert running.connect("balancer").request("/read", "X-Forwarded-Proto: https").status == 200
    assert running.connect("https", trusting).request("/read").status == 200
    assert [item.listener for item in running.backend.connections] == ["plain", "balancer", "https"]


def test_listeners_have_names_of_their_own(https: HttpsListener) -> None:
    with pytest.raises(ConfigError, match="listener https: the name is used twice"):
        ServerSettings(listeners=(https, replace(https)))
    with pytest.raises(ConfigError, match="workers: at least 1 is needed"):
        ServerSettings(listeners=(https,), workers=0)


def test_tcp_nodelay_is_set(start: Start) -> None:
    """Small answers must not wait for an acknowledgement of the previous one."""
    running = start()
    client = running.connect()
    client.send(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n")
    assert running.backend.entered.acquire(timeout=10)

    def nodelay() -> int:
        (connection,) = running.worker._serving.table.snapshot()
        assert isinstance(connection, GatewayProtocol)
        assert connection.transport is not None
        option: int = connection.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        return option

    assert running.call(nodelay) == 1
