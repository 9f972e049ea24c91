"""TCP ports for servers that are told which one to listen on.

Between the choice of a port and the start of its server the port is free, for others too. So each program has a block
of ports for itself, which it claims by holding the first of them, and hands out the rest in turn: no other program of
the laboratory chooses a port that was just chosen here, nor that of a server that was killed and will be started again.
"""

import atexit
import itertools
import socket
from collections.abc import Iterator
from functools import cache

from lab.binaries import LabError

#: Below the range that Linux hands out to outgoing connections (32768 and up), or an outgoing connection could sit on
#: the port between the choice and the start of the server.
_PORTS = range(20_000, 32_000)
_BLOCK_PORTS = 200


def free_ports(count: int) -> list[int]:
    """``count`` different TCP ports on which nobody listens on 127.0.0.1, not chosen by any other program.

    Raises:
        LabError: there are no more.
    """
    _, candidates = _own_block()
    tried = itertools.islice(candidates, _BLOCK_PORTS - 1)
    ports = list(itertools.islice(filter(_is_free, tried), count))
    if len(ports) < count:
        raise LabError(f"{count} free ports are not there: {len(ports)} of {_BLOCK_PORTS - 1} are free")
    return ports


def free_port() -> int:
    """One TCP port on which nobody listens on 127.0.0.1, not chosen by any other program.

    Raises:
        LabError: there is none.
    """
    return free_ports(1)[0]


def accepts_connections(port: int) -> bool:
    """Whether somebody listens on this port of 127.0.0.1."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


@cache
def _own_block() -> tuple[socket.socket, Iterator[int]]:
    """The socket that holds this program's block until the program ends, and the block's other ports, round and round.

    Raises:
        LabError: every block is somebody's.
    """
    for first in _PORTS[::_BLOCK_PORTS]:
        holder = socket.socket()
        try:
            holder.bind(("127.0.0.1", first))
        except OSError:
            holder.close()
        else:
            atexit.register(holder.close)
            return holder, itertools.cycle(range(first + 1, first + _BLOCK_PORTS))
    raise LabError(f"all ports of {_PORTS} are used by others")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: connections that have ended do not keep a port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
