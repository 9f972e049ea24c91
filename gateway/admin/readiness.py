"""Whether this process can serve requests now, asked of everything that requests need."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from time import monotonic

from gateway.errors import GatewayError
from gateway.event_log import get_logger

Probe = Callable[[], Awaitable[None]]

_log = get_logger("gateway.admin.readiness")


@dataclass(frozen=True, slots=True)
class Readiness:
    """The result of all probes.

    Attributes:
        ready: whether every probe passed and the process is not ending.
        checks: ``ok`` or the reason, by the probe's name.
    """

    ready: bool
    checks: Mapping[str, str]


class ReadinessCheck:
    """Runs probes, at most once per cache time however many ask.

    Args:
        probes: by name; each raises when what it probes does not work.
        probe_seconds: longest time for one probe.
        cache_seconds: how long a result is given again.
    """

    def __init__(self, probes: Mapping[str, Probe], *, probe_seconds: float, cache_seconds: float) -> None:
        self._probes = dict(probes)
        self._probe_seconds = probe_seconds
        self._cache_seconds = cache_seconds
        self._lock = asyncio.Lock()
        self._latest: Mapping[str, str] = {}
        self._expires = float("-inf")
        self._draining = False

    def drain(self) -> None:
        """Never be ready again: the process is ending."""
        self._draining = True

    async def ask(self) -> Readiness:
        """The result of the probes, now or a moment ago."""
        if self._draining:
            return Readiness(ready=False, checks={"process": "draining"})
        async with self._lock:
            if monotonic() >= self._expires:
                names = tuple(self._probes)
                results = await asyncio.gather(*(self._ask_one(name) for name in names))
                self._latest = dict(zip(names, results, strict=True))
                self._expires = monotonic() + self._cache_seconds
        return Readiness(ready=all(result == "ok" for result in self._latest.values()), checks=self._latest)

    async def _ask_one(self, name: str) -> str:
        try:
            async with asyncio.timeout(self._probe_seconds):
                await self._probes[name]()
        except TimeoutError:
            return f"no answer within {self._probe_seconds:g} s"
        except GatewayError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001  # a probe that breaks must not take the answer about the others with it
            _log.warning("probe_failed", probe=name, exc_info=error)
            return f"failed: {type(error).__name__}"
        return "ok"
