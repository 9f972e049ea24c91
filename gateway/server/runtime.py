"""How a process of the gateway is put together: what `serve` starts, and what each worker builds for itself.

Settings and secrets never travel between processes. Each one is told the name of a function and its plain arguments,
such as the path of the configuration, and builds everything from there.
"""

import importlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gateway.admin.settings import AdminSettings
from gateway.errors import ConfigError
from gateway.observe.log import LogSettings
from gateway.observe.metrics import Metrics
from gateway.server.limits import LimitSettings
from gateway.server.listeners import Listener
from gateway.server.serving import RequestHandler


class Gateway(Protocol):
    """The data path with everything behind it: upstream client, vaults, identities."""

    @property
    def handler(self) -> RequestHandler:
        """What answers requests; there after :meth:`start`."""

    @property
    def probes(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """What has to work for this process to be ready, by name; a probe raises when it does not."""

    async def start(self) -> None:
        """Open what requests need. Called once, before the listeners open."""

    def reload(self) -> None:
        """Read again what may change while requests are served, after :meth:`start`. What can not be used is left."""

    def reload_changed(self) -> None:
        """The same for what changed since it was read."""

    async def close(self) -> None:
        """Release everything. Called once, after the last request ended, also when :meth:`start` failed."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Everything about the process itself.

    Attributes:
        listeners: where clients are awaited; names are unique.
        limits: what clients may use of each worker.
        admin: where health and metrics are shown, or None for nowhere.
        workers: processes that share the listeners' ports.
        drain_seconds: how long running requests may take after SIGTERM.
        log: the log of every process.
        certificate_check_seconds: interval of the look for changed certificate files.
        policy_check_seconds: interval of the look for changed policy files.
    """

    listeners: tuple[Listener, ...]
    limits: LimitSettings = field(default_factory=LimitSettings)
    admin: AdminSettings | None = None
    workers: int = 1
    drain_seconds: float = 30.0
    log: LogSettings = field(default_factory=LogSettings)
    certificate_check_seconds: float = 10.0
    policy_check_seconds: float = 10.0

    def __post_init__(self) -> None:
        names = [listener.name for listener in self.listeners]
        faults = [
            f"listener {name}: the name is used twice" for name in sorted({n for n in names if names.count(n) > 1})
        ]
        if self.workers < 1:
            faults.append("workers: at least 1 is needed")
        if faults:
            raise ConfigError(tuple(faults))


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a configuration becomes.

    Attributes:
        settings: of the process.
        build: makes the data path; called once in each worker process, with its counters and ``shared_directory``.
        shared_directory: what the workers of one supervisor have in common and nobody else can enter; None for a
            process that serves alone.
    """

    settings: ServerSettings
    build: Callable[[Metrics, Path | None], Gateway]
    shared_directory: Path | None = None


@dataclass(frozen=True, slots=True)
class RuntimeReference:
    """Names a function that returns a :class:`Runtime`, so that another process can call it.

    Attributes:
        target: ``module:function``.
        arguments: given to the function; they show in the process list, so they are never secrets.
    """

    target: str
    arguments: tuple[str, ...] = ()

    def load(self) -> Runtime:
        """Call the function.

        Raises:
            ConfigError: the configuration can not be used.
        """
        module, _, name = self.target.partition(":")
        runtime = getattr(importlib.import_module(module), name)(*self.arguments)
        if not isinstance(runtime, Runtime):
            raise TypeError(f"internal error: {self.target} did not return a Runtime")
        return runtime
