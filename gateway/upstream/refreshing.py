"""Credentials that end: obtained by a blocking call in a thread, and obtained again before they end.

A request waits for that call only when there are no valid credentials at all. Otherwise the call runs beside the
requests, and when it fails the credentials at hand are used until they end.
"""

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from gateway.errors import UpstreamUnavailable
from gateway.event_log import get_logger
from gateway.s3.credentials import Credential

#: After a failure nothing is asked for during this time, jitter of as much again added.
FAILURE_PAUSE = timedelta(seconds=5)

_log = get_logger("gateway.upstream.credentials")


class CredentialSource(Protocol):
    """Where the credentials of a request come from."""

    async def current(self) -> Credential:
        """The credentials to sign with now.

        Raises:
            UpstreamUnavailable: there are none at the moment.
        """


@dataclass(frozen=True, slots=True)
class Lease:
    """Credentials for a time.

    Attributes:
        credential: the credentials.
        refresh_at: when to obtain new ones; None for never.
        expires: when they end; None for never.
    """

    credential: Credential
    refresh_at: datetime | None
    expires: datetime | None

    def valid(self, now: datetime) -> bool:
        """Whether the credentials can still be used."""
        return self.expires is None or now < self.expires

    def fresh(self, now: datetime) -> bool:
        """Whether there is no need to obtain new ones yet."""
        return self.refresh_at is None or now < self.refresh_at


class RefreshingCredentials:
    """A credential source around a blocking call.

    Args:
        fetch: obtains a lease; it is called in a thread, one call at a time, with what ``base`` gives.
        base: credentials that ``fetch`` needs, if any.
        clock: the current time, aware.
        chance: random numbers from 0 to 1.
    """

    def __init__(
        self,
        fetch: Callable[[Credential | None], Lease],
        *,
        base: CredentialSource | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._fetch = fetch
        self._base = base
        self._clock = clock
        self._chance = chance
        self._lease: Lease | None = None
        self._pending: asyncio.Future[Lease] | None = None
        self._quiet_until: datetime | None = None
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="credentials")

    async def current(self) -> Credential:
        """The credentials to sign with now.

        Raises:
            UpstreamUnavailable: there are no valid ones and none could be obtained.
        """
        now = self._clock()
        lease = self._lease
        if lease is not None and lease.fresh(now):
            return lease.credential
        await self._start(now)
        if lease is not None and lease.valid(now):
            return lease.credential
        if self._pending is not None:
            await asyncio.wait((self._pending,))
        lease = self._lease
        if lease is None or not lease.valid(self._clock()):
            raise UpstreamUnavailable("the gateway has no valid credentials for the upstream server at the moment")
        return lease.credential

    def close(self) -> None:
        """Let the thread end. A call that is running is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _start(self, now: datetime) -> None:
        """Start the call, unless it is running or failed a moment ago."""
        if self._pending is not None or (self._quiet_until is not None and now < self._quiet_until):
            return
        base = None if self._base is None else await self._base.current()
        if self._pending is None:  # another request may have started it while this one waited for the base
            self._pending = asyncio.get_running_loop().run_in_executor(self._threads, self._fetch, base)
            self._pending.add_done_callback(self._fetched)

    def _fetched(self, done: asyncio.Future[Lease]) -> None:
        self._pending = None
        if done.cancelled():
            return
        error = done.exception()
        if error is None:
            self._lease = done.result()
            self._quiet_until = None
            return
        self._quiet_until = self._clock() + FAILURE_PAUSE * (1 + self._chance())
        # Only the kind of error: texts of AWS errors name accounts and roles, which belong into AWS's own logs.
        _log.warning("upstream_credentials_not_refreshed", error=type(error).__name__, reason=_reason(error))


def _reason(error: BaseException) -> str:
    """AWS's code of the error, if it is one of AWS's."""
    response = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    return code if isinstance(code, str) else ""
