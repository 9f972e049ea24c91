"""The addresses that listeners are bound to."""

import socket
import stat
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import ConfigError


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A TCP address; ``host`` is an IP address, port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A unix socket; ``mode`` says who may connect."""

    path: Path
    mode: int = 0o660

    def __str__(self) -> str:
        return f"unix:{self.path}"


Address = TcpAddress | UnixAddress


def bind(name: str, address: Address, *, reuse_port: bool = False) -> socket.socket:
    """A socket bound to ``address``, not listening yet.

    Args:
        name: the listener's name, for the error.
        address: where to bind; a unix socket that nobody listens on any more is replaced.
        reuse_port: whether other processes of this gateway bind the same port.

    Raises:
        ConfigError: the address can not be used.
    """
    try:
        if isinstance(address, UnixAddress):
            return _bind_unix(address)
        return _bind_tcp(address, reuse_port=reuse_port)
    except OSError as error:
        raise ConfigError((f"listener {name}: can not bind {address}: {error.strerror or error}",)) from error


def bound_address(listening: socket.socket, address: Address) -> Address:
    """``address`` with the port that the system chose."""
    if isinstance(address, UnixAddress):
        return address
    return TcpAddress(address.host, listening.getsockname()[1])


def remove_socket_file(address: Address) -> None:
    """Remove the file that a unix socket leaves behind."""
    if isinstance(address, UnixAddress):
        address.path.unlink(missing_ok=True)


def _bind_tcp(address: TcpAddress, *, reuse_port: bool) -> socket.socket:
    flags = socket.AI_PASSIVE | socket.AI_NUMERICHOST
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=flags)
    family, kind, protocol, _, target = found[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # "::" takes IPv4 as well, whatever the system's default is.
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind(target)
    except BaseException:
        listening.close()
        raise
    return listening


def _bind_unix(address: UnixAddress) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if address.path.exists() and stat.S_ISSOCK(address.path.stat().st_mode):
            _remove_if_dead(address.path)
        listening.bind(str(address.path))
        address.path.chmod(address.mode)
    except BaseException:
        listening.close()
        raise
    return listening


def _remove_if_dead(path: Path) -> None:
    """Remove the socket of a process that ended without doing so."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
