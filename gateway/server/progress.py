"""Whether a client still takes what it is sent, and whether it has got everything."""

import asyncio
import fcntl
import socket
import struct
import sys
import termios

#: Offset of ``tcpi_bytes_acked`` in Linux's ``struct tcp_info`` (include/uapi/linux/tcp.h), there since Linux 4.1.
_BYTES_ACKED_OFFSET = 120
_BYTES_ACKED = struct.Struct("=Q")
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


def _bytes_acknowledged(transport: asyncio.Transport) -> int:
    """Bytes that the peer's kernel has confirmed; 0 where the system does not tell (then only whole buffers show)."""
    connection = transport.get_extra_info("socket")
    if sys.platform != "linux" or connection is None or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return 0
    try:
        info: bytes = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    except OSError:
        return 0
    if len(info) < _BYTES_ACKED_OFFSET + _BYTES_ACKED.size:
        return 0
    acknowledged: int = _BYTES_ACKED.unpack_from(info, _BYTES_ACKED_OFFSET)[0]
    return acknowledged
