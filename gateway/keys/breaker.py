"""Stops asking a key service that does not answer, so that requests fail at once instead of after a time-out.

Three states, as usual: closed (every request goes through), open (none does), and half open (one does, and decides).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from gateway.errors import KeyUnavailable
from gateway.keys.provider import KeyProvider
from gateway.keys.quota import QuotaExceeded
from gateway.keys.wrapping import AroundCalls, KeyOperation

#: Failures in a row that open the breaker.
FAILURES: Final = 5
#: How long it stays open before the service is tried again. A service that works again is seen within this time.
OPEN_SECONDS: Final = 2.0

T = TypeVar("T")


class BreakerOpen(KeyUnavailable):
    """The service was not asked, because it did not answer a moment ago."""

    def again(self) -> "BreakerOpen":
        """See :class:`~gateway.errors.KeyUnavailable`."""
        return BreakerOpen(str(self), code=self.code)


class CircuitBreaker(AroundCalls):
    """A provider that is left alone for a while after it failed several times in a row.

    Only faults that pass by themselves count: a key that is disabled is no reason not to ask for others, a service that
    throttles is limited elsewhere, and one that refused a token which has been replaced meanwhile is well.

    Args:
        provider: the provider.
        changed: told whether it is open, whenever that changes.
    """

    def __init__(self, provider: KeyProvider, changed: Callable[[bool], None] | None = None) -> None:
        super().__init__(provider)
        self._changed = changed
        self._failures = 0
        self._try_at: float | None = None
        self._trying = False

    async def _call(
        self,
        operation: KeyOperation,  # noqa: ARG002 - the shape of all wrappers
        request: Callable[[], Awaitable[T]],
    ) -> T:
        trial = self._begin()
        try:
            outcome = await request()
        except QuotaExceeded:
            raise  # the service was not asked
        except KeyUnavailable as error:
            if error.permanent or error.throttled or error.mended:
                self._answered()
            else:
                self._failed(trial=trial)
            raise
        else:
            self._answered()
            return outcome
        finally:
            # Also after a cancellation, of which nobody knows what would have come: the next request is the trial then.
            if trial:
                self._trying = False

    def _begin(self) -> bool:
        """Whether the request that begins is the one that decides; raises when none may."""
        if self._try_at is None:
            return False
        if self._trying or asyncio.get_running_loop().time() < self._try_at:
            raise BreakerOpen(f"the key service behind {self.current!r} does not answer; it is asked again shortly")
        self._trying = True
        return True

    def _answered(self) -> None:
        self._failures = 0
        if self._try_at is not None:
            self._try_at = None
            self._tell(is_open=False)

    def _failed(self, *, trial: bool) -> None:
        self._failures += 1
        was_open = self._try_at is not None
        # What was asked before it opened and fails only now does not put off the next trial.
        if self._failures < FAILURES or (was_open and not trial):
            return
        # Workers of one machine should not all try at the same moment.
        self._try_at = asyncio.get_running_loop().time() + OPEN_SECONDS * random.uniform(0.5, 1.0)
        if not was_open:
            self._tell(is_open=True)

    def _tell(self, *, is_open: bool) -> None:
        if self._changed is not None:
            self._changed(is_open)
