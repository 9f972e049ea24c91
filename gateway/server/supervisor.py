"""Several worker processes on the same ports, and the one process that keeps them running.

Each worker binds the ports itself with SO_REUSEPORT, so the kernel spreads connections over them. The supervisor holds
the ports without listening, restarts workers that died, passes signals on, and shows health and merged metrics.
"""

import asyncio
import contextlib
import json
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import PIPE, Process, create_subprocess_exec
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import uvloop
from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector

from gateway.admin.app import AdminServer, admin_app
from gateway.admin.readiness import Readiness
from gateway.admin.settings import AdminSettings
from gateway.errors import GatewayError
from gateway.event_log import get_logger
from gateway.observe.log import configure_logging
from gateway.observe.metrics import forget_worker, merged_exposition
from gateway.server.addresses import TcpAddress, UnixAddress, bind, remove_socket_file
from gateway.server.assigned import EXIT_CONFIG, Assignment, admin_path, explain
from gateway.server.runtime import RuntimeReference, ServerSettings
from gateway.server.worker import StopSignals, raise_file_limit, run_alone

_log = get_logger("gateway.server.supervisor")

_FIRST_DELAY_SECONDS: Final = 0.25
_LONGEST_DELAY_SECONDS: Final = 30.0
#: A worker that lived this long did not die of the reason for which its predecessor died.
_STABLE_SECONDS: Final = 60.0
#: How long workers may take beyond their own drain time before they are killed.
_GRACE_SECONDS: Final = 10.0
_MAX_ANSWER_BYTES: Final = 65_536


def run(reference: RuntimeReference) -> int:
    """Serve until a signal ends it.

    Args:
        reference: names the function that builds everything, in this process and in each worker.

    Returns:
        The exit status: 0 after an orderly end.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is a certificate to renew
    try:
        runtime = reference.load()
        configure_logging(sys.stderr, runtime.settings.log)
        if runtime.settings.workers > 1:
            return _supervise(reference, runtime.settings)
        run_alone(runtime)
    except GatewayError as error:
        return explain(error)
    return 0


def _supervise(reference: RuntimeReference, settings: ServerSettings) -> int:
    raise_file_limit()
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sealgate-")))
        held: dict[str, socket.socket] = {}
        for listener in settings.listeners:
            held[listener.name] = stack.enter_context(bind(listener.name, listener.address, reuse_port=True))
            stack.callback(remove_socket_file, listener.address)
        admin_socket = None
        if settings.admin is not None:
            admin_socket = stack.enter_context(bind("admin", TcpAddress(settings.admin.host, settings.admin.port)))
        return uvloop.run(Supervisor(reference, settings, directory, held).run(admin_socket))


class Supervisor:
    """Keeps the workers running.

    Args:
        reference: what the workers build themselves from.
        settings: of all processes.
        directory: for metric files, the workers' admin sockets and what they count together; nobody else can enter it.
        held: the bound sockets of all listeners, by name.
    """

    def __init__(
        self,
        reference: RuntimeReference,
        settings: ServerSettings,
        directory: Path,
        held: Mapping[str, socket.socket],
    ) -> None:
        self._reference = reference
        self._settings = settings
        self._directory = directory
        self._held = held
        self._processes: dict[int, Process] = {}
        self._signals = StopSignals()
        self._exit_status = 0
        self._registry = CollectorRegistry()
        ProcessCollector(namespace="sealgate_supervisor", registry=self._registry)
        self._restarts = Counter("sealgate_worker_restarts", "Workers that died.", registry=self._registry)
        self._running = Gauge("sealgate_workers", "Worker processes.", registry=self._registry)

    async def run(self, admin_socket: socket.socket | None) -> int:
        """Run the workers until a signal comes; the exit status.

        Args:
            admin_socket: bound for the admin listener, or None for none.
        """
        self._signals.install()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reload)
        admin = AdminServer(admin_app(self.ask, merged_exposition(self._directory, self._registry)))
        if admin_socket is not None:
            await admin.start(admin_socket)
        async with asyncio.TaskGroup() as group:
            for slot in range(self._settings.workers):
                group.create_task(self._keep_running(slot))
            await self._signals.stop.wait()
            await self._end_workers()
        await admin.close()
        return self._exit_status

    async def ask(self) -> Readiness:
        """Ready when there are workers and each one that is up is ready; a worker being replaced does not count."""
        if self._signals.stop.is_set():
            return Readiness(ready=False, checks={"process": "draining"})
        answers = await self._answers()
        checks = {
            f"worker {slot}: {name}": result
            for slot, answer in answers.items()
            for name, result in answer.checks.items()
        }
        if not answers:
            checks["workers"] = "none is up"
        return Readiness(ready=bool(answers) and all(answer.ready for answer in answers.values()), checks=checks)

    async def _answers(self) -> dict[int, Readiness]:
        """What each worker that is up says about itself."""
        slots = sorted(self._processes)
        answers = await asyncio.gather(*(self._ask_worker(slot) for slot in slots))
        return {slot: answer for slot, answer in zip(slots, answers, strict=True) if answer is not None}

    async def _ask_worker(self, slot: int) -> Readiness | None:
        """What a worker says; None while it does not listen yet."""
        admin = self._settings.admin or AdminSettings()
        try:
            async with asyncio.timeout(admin.probe_seconds + 1):
                return await _read_readiness(admin_path(self._directory, slot))
        except (ConnectionRefusedError, FileNotFoundError):
            return None
        except (OSError, ValueError, TimeoutError) as error:
            return Readiness(ready=False, checks={"process": f"no answer: {type(error).__name__}"})

    async def _keep_running(self, slot: int) -> None:
        """Start the worker in ``slot``, and another one whenever it dies."""
        loop, stop = asyncio.get_running_loop(), self._signals.stop
        delay = _FIRST_DELAY_SECONDS
        while not stop.is_set():
            started = loop.time()
            status = await self._run_once(slot)
            if stop.is_set():
                return
            if status == EXIT_CONFIG and not await self._answers():
                # While a worker serves, a configuration or a certificate that is wrong ends nothing: it may be half
                # written right now.
                self._exit_status = EXIT_CONFIG
                self._signals.request()
                return
            self._restarts.inc()
            delay = _FIRST_DELAY_SECONDS if loop.time() - started > _STABLE_SECONDS else delay
            _log.error("worker_died", worker=slot, exit_status=status, restart_in_seconds=delay)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await stop.wait()
            delay = min(delay * 2, _LONGEST_DELAY_SECONDS)

    async def _run_once(self, slot: int) -> int:
        """Run one worker process to its end; the exit status, negative for a signal."""
        admin_path(self._directory, slot).unlink(missing_ok=True)
        assignment = self._assignment(slot)
        process = await create_subprocess_exec(
            sys.executable,
            "-m",
            "gateway.server.assigned",
            assignment.render(),
            stdin=PIPE,
            # A terminal's Ctrl-C is for the supervisor, which then ends the workers in order.
            start_new_session=True,
            pass_fds=tuple(assignment.descriptors.values()),
        )
        self._processes[slot] = process
        self._running.inc()
        try:
            return await process.wait()
        finally:
            self._running.dec()
            del self._processes[slot]
            admin_path(self._directory, slot).unlink(missing_ok=True)
            forget_worker(self._directory, slot)

    def _assignment(self, slot: int) -> Assignment:
        ports: dict[str, int] = {}
        descriptors: dict[str, int] = {}
        for listener in self._settings.listeners:
            held = self._held[listener.name]
            if isinstance(listener.address, UnixAddress):
                descriptors[listener.name] = held.fileno()
            else:
                ports[listener.name] = held.getsockname()[1]
        return Assignment(
            target=self._reference.target,
            arguments=self._reference.arguments,
            slot=slot,
            directory=str(self._directory),
            ports=ports,
            descriptors=descriptors,
        )

    def _reload(self) -> None:
        """Pass SIGHUP on to the workers that are up; one that is just starting reads the new files anyway."""
        for slot, process in self._processes.items():
            if admin_path(self._directory, slot).exists():
                process.send_signal(signal.SIGHUP)

    async def _end_workers(self) -> None:
        """Ask the workers to drain, and kill those that take too long."""
        self._signal_workers(signal.SIGTERM)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.drain_seconds + _GRACE_SECONDS
        while self._processes and loop.time() < deadline:
            if self._signals.at_once.is_set():
                self._signal_workers(signal.SIGTERM)
                deadline = min(deadline, loop.time() + _GRACE_SECONDS)
                self._signals.at_once.clear()
            await asyncio.sleep(0.05)
        self._signal_workers(signal.SIGKILL)

    def _signal_workers(self, number: signal.Signals) -> None:
        for process in tuple(self._processes.values()):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)


async def _read_readiness(path: Path) -> Readiness:
    """Ask a worker's admin listener.

    Raises:
        OSError: there is no worker.
        ValueError: what answered is no worker.
    """
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        writer.write(b"GET /readyz HTTP/1.0\r\n\r\n")
        answer = await _read_all(reader)
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    checks = json.loads(body)["checks"]
    return Readiness(ready=b" 200 " in head.split(b"\r\n", 1)[0], checks={str(k): str(v) for k, v in checks.items()})


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    answer = bytearray()
    while chunk := await reader.read(_MAX_ANSWER_BYTES):
        answer += chunk
        if len(answer) > _MAX_ANSWER_BYTES:
            raise ValueError("a worker's answer is too long")
    return bytes(answer)
