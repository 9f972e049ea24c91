"""Asks a key service again where that can help.

Source: AWS Architecture Blog, "Exponential Backoff And Jitter": full jitter, so that callers who failed together do not
come back together.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from gateway.errors import KeyUnavailable
from gateway.keys.breaker import BreakerOpen
from gateway.keys.quota import QuotaExceeded
from gateway.keys.wrapping import AroundCalls, KeyOperation

ATTEMPTS: Final = 3
#: Longest pause before the second attempt; it doubles with each one.
FIRST_PAUSE_SECONDS: Final = 0.1
#: No attempt begins later than this after the first one: clients have time-outs too.
MAX_SECONDS: Final = 5.0

T = TypeVar("T")


class Retrying(AroundCalls):
    """A provider that is asked again after faults that pass by themselves."""

    async def _call(
        self,
        operation: KeyOperation,  # noqa: ARG002 - the shape of all wrappers
        request: Callable[[], Awaitable[T]],
    ) -> T:
        clock = asyncio.get_running_loop().time
        begun = clock()
        for attempt in range(1, ATTEMPTS):
            try:
                return await request()
            except (BreakerOpen, QuotaExceeded):
                # Asking again at once is what these two are there to prevent.
                raise
            except KeyUnavailable as error:
                pause = 0.0 if error.mended else random.uniform(0, FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
                if error.permanent or clock() - begun + pause > MAX_SECONDS:
                    raise
            await asyncio.sleep(pause)
        return await request()
