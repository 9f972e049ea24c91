"""One process that serves requests: listeners, data path, and what watches over them."""

import asyncio
import contextlib
import gc
import resource
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import uvloop
from prometheus_client import CollectorRegistry, ProcessCollector

from gateway.admin.app import AdminServer, admin_app
from gateway.admin.readiness import ReadinessCheck
from gateway.admin.settings import AdminSettings
from gateway.event_log import get_logger
from gateway.observe.metrics import Metrics, exposition
from gateway.server.addresses import TcpAddress, bind, remove_socket_file
from gateway.server.drain import drain
from gateway.server.heap import heap_trimmer, keep_freed_memory
from gateway.server.limits import Periodic, sweeper
from gateway.server.listeners import Listeners
from gateway.server.runtime import Gateway, Runtime, ServerSettings
from gateway.server.serving import serving

_log = get_logger("gateway.server.worker")

#: How often the gauges of key services are brought up to date, so that they sink when nothing happens.
_USAGE_SECONDS: Final = 1.0
#: When garbage is collected. Python's own (700, 10, 10) are less than what sixteen requests hold at a time, and look at
#: every open connection again and again: with 3,500 of them, requests take 10 % more CPU time. A request leaves no
#: cycles; some of those that fail do.
_COLLECT_AFTER: Final = (10_000, 20, 100)


class Worker:
    """The listeners of one process and the connections that came through them.

    Args:
        settings: of the process.
        gateway: the data path, started.
        metrics: the counters.
        render_metrics: what the admin listener shows.
    """

    def __init__(
        self, settings: ServerSettings, gateway: Gateway, metrics: Metrics, render_metrics: Callable[[], bytes]
    ) -> None:
        admin = settings.admin or AdminSettings()
        self._settings = settings
        self._serving = serving(gateway.handler, settings.limits, metrics)
        self._readiness = ReadinessCheck(
            gateway.probes, probe_seconds=admin.probe_seconds, cache_seconds=admin.cache_seconds
        )
        self._admin = AdminServer(admin_app(self._readiness.ask, render_metrics))
        self._sweeper = sweeper(self._serving.table, settings.limits)
        self.listeners = Listeners(self._serving, settings.listeners)
        self._certificates = Periodic(settings.certificate_check_seconds, self.listeners.reload_changed_certificates)
        self._gateway = gateway
        self._policies = Periodic(settings.policy_check_seconds, gateway.reload_changed)
        self._usage = Periodic(_USAGE_SECONDS, metrics.refresh_usage)
        self._heap = heap_trimmer()

    async def start(self, sockets: Mapping[str, socket.socket], admin_socket: socket.socket | None) -> None:
        """Begin to serve.

        Args:
            sockets: a bound socket for each listener, by name.
            admin_socket: bound for the admin listener, or None for none.

        Raises:
            ConfigError: a certificate can not be used.
        """
        await self.listeners.open(sockets)
        self._sweeper.start()
        self._certificates.start()
        self._policies.start()
        self._usage.start()
        self._heap.start()
        if admin_socket is not None:
            await self._admin.start(admin_socket)

    def reload(self) -> None:
        """Read certificates and policies again, changed or not."""
        self.listeners.reload_certificates()
        self._gateway.reload()

    async def stop(self, at_once: asyncio.Event) -> None:
        """Drain. The admin listener stays to the end and says that the process is not ready.

        Args:
            at_once: when set, running requests are broken off.
        """
        self._readiness.drain()
        self._certificates.stop()
        self._policies.stop()
        await drain(self.listeners, self._serving, self._settings.drain_seconds, at_once)
        self._sweeper.stop()
        self._usage.stop()
        self._heap.stop()
        await self._admin.close()


class StopSignals:
    """SIGTERM and SIGINT: the first asks for an orderly end, the second for an end at once."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.at_once = asyncio.Event()

    def install(self) -> None:
        """Listen to the signals of this process."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.request)

    def request(self) -> None:
        """As if a signal had come."""
        if self.stop.is_set():
            self.at_once.set()
        self.stop.set()


async def serve_until_stopped(
    runtime: Runtime,
    metrics: Metrics,
    render_metrics: Callable[[], bytes],
    sockets: Mapping[str, socket.socket],
    admin_socket: socket.socket | None,
    signals: StopSignals,
) -> None:
    """Build the data path, serve until ``signals`` ask to stop, and drain.

    Args:
        runtime: settings, and how the data path is built.
        metrics: the counters.
        render_metrics: what the admin listener shows.
        sockets: a bound socket for each listener, by name.
        admin_socket: bound for the admin listener, or None for none.
        signals: installed here.

    Raises:
        GatewayError: the data path can not be built.
    """
    signals.install()
    gateway = runtime.build(metrics, runtime.shared_directory)
    try:
        if not await _finished(gateway.start(), signals.stop):
            return
        worker = Worker(runtime.settings, gateway, metrics, render_metrics)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, worker.reload)
        await worker.start(sockets, admin_socket)
        # What there is by now stays: modules, settings, metrics. Garbage collections that leave it out save 4 % of the
        # CPU time of small requests, and rarer ones 3 % more.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_COLLECT_AFTER)
        keep_freed_memory()
        _log.info("started")
        await signals.stop.wait()
        await worker.stop(signals.at_once)
        _log.info("stopped")
    finally:
        await gateway.close()


async def _finished(work: Awaitable[None], stop: asyncio.Event) -> bool:
    """Do ``work`` unless ``stop`` is set first; whether it was done."""
    working = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            await working
            return True
        return False
    finally:
        for task in (working, stopping):
            task.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)


def run_alone(runtime: Runtime) -> None:
    """Serve in this process, with the admin listener, until a signal ends it.

    Raises:
        GatewayError: the gateway can not start.
    """
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    settings = runtime.settings
    sockets: dict[str, socket.socket] = {}
    with contextlib.ExitStack() as stack:
        for listener in settings.listeners:
            sockets[listener.name] = stack.enter_context(bind(listener.name, listener.address))
            stack.callback(remove_socket_file, listener.address)
        admin_socket = None
        if settings.admin is not None:
            admin_socket = stack.enter_context(bind("admin", TcpAddress(settings.admin.host, settings.admin.port)))
        raise_file_limit()

        async def main() -> None:
            await serve_until_stopped(
                runtime, Metrics(registry), exposition(registry), sockets, admin_socket, StopSignals()
            )

        uvloop.run(main())


def raise_file_limit() -> None:
    """Use as many open files as the system allows this process; each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
