"""Keeps a key service below its quota, which S3 and every other service of the account share.

A write that finds no request left is refused at once: its client repeats it. A read waits for its turn for a while.
Nobody holds a place for a request under way while waiting for the quota.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Literal, TypeVar

from gateway.errors import KeyUnavailable
from gateway.keys.metering import NotAsked
from gateway.keys.provider import KeyProvider
from gateway.keys.rate_bucket import RateBucket
from gateway.keys.wrapping import AroundCalls, KeyOperation

#: Longest wait for a place, and of a read for its turn.
WAIT_SECONDS: Final = 2.0
#: Requests that wait in one process for one provider; more are refused at once: each holds the connection of a client.
MAX_WAITING: Final = 1_000

QuotaKind = Literal["read", "write"]

T = TypeVar("T")


class QuotaExceeded(KeyUnavailable):
    """The service was not asked, because its quota is used up for the moment."""

    def again(self) -> "QuotaExceeded":
        """See :class:`~gateway.errors.KeyUnavailable`."""
        return QuotaExceeded(str(self), code=self.code)


class QuotaGuard(AroundCalls):
    """A provider that is asked no more often than its bucket allows.

    Only so many requests are under way. Those beyond it wait before they count, not after: what is counted leaves at
    once. Otherwise the requests of several seconds would leave together when a service that was slow recovers.

    Args:
        provider: the provider.
        bucket: shared by everything that asks the same service.
        refused: told of every refusal.
    """

    def __init__(
        self, provider: KeyProvider, bucket: RateBucket, refused: Callable[[QuotaKind], None] | None = None
    ) -> None:
        super().__init__(provider)
        self._bucket = bucket
        self._refused = refused
        # At most one read and one write wait for a place, so that a crowd of writes is not in the way of reads.
        self._read_turn = asyncio.Lock()
        self._write_turn = asyncio.Lock()
        self._places = bucket.places
        self._waiting = 0
        self._answered_at: float | None = None

    async def _call(self, operation: KeyOperation, request: Callable[[], Awaitable[T]]) -> T:
        if self._answered_at is None:
            self._answered_at = asyncio.get_running_loop().time()
        await (self._begin_read() if operation == "unwrap" else self._begin_write())
        try:
            outcome = await request()
        except KeyUnavailable as error:
            if error.throttled:
                self._bucket.throttled()
            if error.throttled or error.permanent:
                self._answered_at = asyncio.get_running_loop().time()
            raise
        else:
            self._answered_at = asyncio.get_running_loop().time()
            return outcome
        finally:
            self._places.release()

    async def _begin_write(self) -> None:
        """Take a place and a request; the caller releases the place.

        Raises:
            QuotaExceeded: no request is left, or a place takes too long.
            NotAsked: the service answers nobody.
        """
        if self._waiting >= MAX_WAITING or self._bucket.write_wait() > 0:
            raise self._refusal("write")
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT_SECONDS), self._write_turn:
                await self._places.acquire()
        except TimeoutError:
            raise self._without_place("write") from None
        finally:
            self._waiting -= 1
        if self._bucket.take_write() > 0:
            self._places.release()
            raise self._refusal("write")

    async def _begin_read(self) -> None:
        """Take a place and a request, first come, first served; the caller releases the place.

        Raises:
            QuotaExceeded: that takes too long.
            NotAsked: the service answers nobody.
        """
        if self._waiting >= MAX_WAITING:
            raise self._refusal("read")
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT_SECONDS), self._read_turn:
                await self._take_read()
        except TimeoutError:
            raise self._without_place("read") from None
        finally:
            self._waiting -= 1

    async def _take_read(self) -> None:
        while True:
            while (seconds := self._bucket.read_wait()) > 0:  # noqa: ASYNC110 - other processes take from it too
                await asyncio.sleep(seconds)
            await self._places.acquire()
            if self._bucket.take_read() <= 0:
                return
            # Somebody else took it while there was no place.
            self._places.release()

    def _without_place(self, kind: QuotaKind) -> KeyUnavailable:
        """Why somebody waited in vain: more is wanted than there is, or the service answers nobody."""
        silent_seconds = asyncio.get_running_loop().time() - (self._answered_at or 0.0)
        if self._places.locked() and silent_seconds >= WAIT_SECONDS:
            return NotAsked(f"the key service behind {self.current!r} is too slow: too many requests are under way")
        return self._refusal(kind)

    def _refusal(self, kind: QuotaKind) -> QuotaExceeded:
        if self._refused is not None:
            self._refused(kind)
        return QuotaExceeded(
            f"the quota of requests to the key service behind {self.current!r} is used up for the moment",
            code="SlowDown",
        )
