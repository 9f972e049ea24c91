"""How far a connection is: whether its client takes what it is sent, and what it sent that was not read yet."""

import asyncio
import fcntl
import socket
import struct
import sys
import termios

#: In Linux's ``struct tcp_info`` (include/uapi/linux/tcp.h): milliseconds since data last came, and
#: ``tcpi_bytes_acked``, which is there since Linux 4.1.
_LAST_DATA_RECEIVED_OFFSET = 52
_LAST_DATA_RECEIVED = struct.Struct("=I")
_BYTES_ACKED_OFFSET = 120
_BYTES_ACKED = struct.Struct("=Q")
_INFO_BYTES = 256
_INT = struct.Struct("=i")


class WriteProgress:
    """Watches one connection that has more to send than its client takes."""

    __slots__ = ("_mark", "_since")

    def __init__(self) -> None:
        self._mark: tuple[int, int] | None = None
        self._since = 0.0

    def reset(self) -> None:
        """The client took everything."""
        self._mark = None

    def seconds_stalled(self, transport: asyncio.Transport, now: float) -> float:
        """Seconds since the client took a byte, as exact as the calls are frequent."""
        mark = (transport.get_write_buffer_size(), _bytes_acknowledged(transport))
        if mark != self._mark:
            self._mark = mark
            self._since = now
        return now - self._since


def is_delivered(transport: asyncio.Transport) -> bool:
    """Whether the peer's kernel has confirmed everything that was written; False where the system does not tell."""
    connection = transport.get_extra_info("socket")
    if transport.get_write_buffer_size() or connection is None or connection.fileno() < 0:
        return False
    try:
        # SIOCOUTQ, tcp(7): bytes that are unsent or not acknowledged. It is the same number as TIOCOUTQ.
        queued: int = _INT.unpack(fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(_INT.size)))[0]
    except OSError:
        return False
    return queued == 0


def has_unread(transport: asyncio.Transport) -> bool:
    """Whether the client sent something that waits in the kernel; False where the system does not tell."""
    connection = transport.get_extra_info("socket")
    if connection is None or connection.fileno() < 0:
        return False
    try:
        # SIOCINQ, tcp(7), is the same number as FIONREAD.
        unread: int = _INT.unpack(fcntl.ioctl(connection.fileno(), termios.FIONREAD, bytes(_INT.size)))[0]
    except OSError:
        return False
    return unread > 0


def seconds_since_received(transport: asyncio.Transport) -> float:
    """Seconds since the kernel got the newest bytes of the client, read or not; 0 where the system does not tell."""
    info = _tcp_info(transport)
    return _unpacked(_LAST_DATA_RECEIVED, info, _LAST_DATA_RECEIVED_OFFSET) / 1000


def _bytes_acknowledged(transport: asyncio.Transport) -> int:
    """Bytes that the peer's kernel has confirmed; 0 where the system does not tell (then only whole buffers show)."""
    return _unpacked(_BYTES_ACKED, _tcp_info(transport), _BYTES_ACKED_OFFSET)


def _unpacked(number: struct.Struct, info: bytes, offset: int) -> int:
    if len(info) < offset + number.size:
        return 0
    found: int = number.unpack_from(info, offset)[0]
    return found


def _tcp_info(transport: asyncio.Transport) -> bytes:
    """What the system tells about a TCP connection; nothing when it does not, or when there is none."""
    connection = transport.get_extra_info("socket")
    if sys.platform != "linux" or connection is None or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return b""
    try:
        info: bytes = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
    except OSError:
        return b""
    return info
