"""One of several worker processes: what its supervisor tells it, and its entry.

Started as ``python -m gateway.server.assigned ASSIGNMENT``; standard input is a pipe that ends with the supervisor.
"""

import asyncio
import contextlib
import json
import signal
import socket
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import uvloop
from prometheus_client import CollectorRegistry

from gateway.errors import ConfigError, GatewayError
from gateway.event_log import structlog
from gateway.observe.log import configure_logging
from gateway.observe.metrics import Metrics, exposition, share_values
from gateway.server.addresses import TcpAddress, UnixAddress, bind
from gateway.server.core_dumps import forbid_core_dumps
from gateway.server.listeners import Listener
from gateway.server.runtime import RuntimeReference
from gateway.server.worker import StopSignals, raise_file_limit, serve_until_stopped

#: Exit status of a process whose configuration can not be used (EX_CONFIG of sysexits.h); a restart would not help.
EXIT_CONFIG: Final = 78


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a supervisor tells a worker process.

    Attributes:
        target: of the :class:`RuntimeReference`.
        arguments: of the same.
        slot: the worker's number, from 0.
        directory: for metric files, admin sockets, and what the workers count together.
        ports: the port of each TCP listener; where the configuration says 0, the one that the system chose.
        descriptors: the inherited socket of each unix listener.
    """

    target: str
    arguments: tuple[str, ...]
    slot: int
    directory: str
    ports: dict[str, int]
    descriptors: dict[str, int]

    def render(self) -> str:
        """As one argument of a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> "Assignment":
        """The inverse of :meth:`render`."""
        fields = json.loads(text)
        return cls(**{**fields, "arguments": tuple(fields["arguments"])})


def admin_path(directory: Path, slot: int) -> Path:
    """The unix socket on which the supervisor asks the worker in ``slot``."""
    return directory / f"worker-{slot}.sock"


def run_assigned(assignment: Assignment) -> None:
    """Serve as one of several workers until the supervisor ends it, or is gone.

    Raises:
        GatewayError: the gateway can not start.
    """
    # The supervisor passes SIGHUP on once the admin socket exists. Until the certificates are read it has no meaning.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    directory = Path(assignment.directory)
    runtime = replace(RuntimeReference(assignment.target, assignment.arguments).load(), shared_directory=directory)
    configure_logging(sys.stderr, runtime.settings.log)
    structlog.contextvars.bind_contextvars(worker=assignment.slot)
    share_values(directory, assignment.slot)
    registry = CollectorRegistry()
    raise_file_limit()
    with contextlib.ExitStack() as stack:
        sockets = {
            listener.name: stack.enter_context(_socket_for(assignment, listener))
            for listener in runtime.settings.listeners
        }
        admin_socket = stack.enter_context(bind("admin", UnixAddress(admin_path(directory, assignment.slot), 0o600)))

        async def main() -> None:
            signals = StopSignals()
            asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _on_supervisor_gone, signals)
            await serve_until_stopped(runtime, Metrics(registry), exposition(registry), sockets, admin_socket, signals)

        uvloop.run(main())


def _socket_for(assignment: Assignment, listener: Listener) -> socket.socket:
    """The listener's socket: a unix socket is shared by all workers, a TCP port is bound by each."""
    address = listener.address
    if isinstance(address, UnixAddress):
        return socket.socket(fileno=assignment.descriptors[listener.name])
    return bind(listener.name, TcpAddress(address.host, assignment.ports[listener.name]), reuse_port=True)


def _on_supervisor_gone(signals: StopSignals) -> None:
    """Nobody writes to standard input; it ends when the supervisor does, however that happens."""
    asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
    signals.request()


def explain(error: GatewayError) -> int:
    """Tell a person, line by line, why the gateway can not start; the exit status."""
    faults = error.faults if isinstance(error, ConfigError) else (str(error),)
    for fault in faults:
        sys.stderr.write(f"sealgate: {fault}\n")
    return EXIT_CONFIG if isinstance(error, ConfigError) else 1


def main(arguments: list[str]) -> int:
    """The entry of a worker process."""
    forbid_core_dumps()
    try:
        run_assigned(Assignment.parse(arguments[0]))
    except GatewayError as error:
        return explain(error)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
