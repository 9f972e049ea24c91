"""One wrapping key in several places: where the first does not answer, the next is asked.

Source: AWS KMS Developer Guide, "Multi-Region keys": replicas have the same key material, so each one decrypts what any
of them encrypted.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from gateway.errors import KeyUnavailable
from gateway.keys.provider import DataKey, KeyProvider, WrappedKey
from gateway.keys.wrapping import Around
from gateway.redact import SecretBytes

#: How long a place that failed is asked last.
AVOID_SECONDS: Final = 5.0

T = TypeVar("T")


class Replicas(Around):
    """Providers of the same wrapping key.

    Args:
        providers: in the order in which they are asked; at least one. The first one's URI is written into new objects.
    """

    def __init__(self, providers: Sequence[KeyProvider]) -> None:
        super().__init__(providers[0])
        self._providers = tuple(providers)
        self._failed_at = dict.fromkeys(range(len(self._providers)), -AVOID_SECONDS)

    async def generate(self) -> DataKey:
        """A data key from the first place that answers.

        Raises:
            KeyUnavailable: none of them gives one.
        """
        data_key = await self._first(lambda provider: provider.generate())
        return DataKey(data_key.key, self.current, data_key.wrapped)

    async def unwrap(self, wrapping_key: str, wrapped: bytes) -> SecretBytes:
        """See :class:`~gateway.keys.provider.KeyProvider`."""
        return await self._first(lambda provider: provider.unwrap(wrapping_key, wrapped))

    async def rewrap(self, wrapping_key: str, wrapped: bytes) -> WrappedKey:
        """See :class:`~gateway.keys.provider.KeyProvider`."""
        rewrapped = await self._first(lambda provider: provider.rewrap(wrapping_key, wrapped))
        return WrappedKey(self.current, rewrapped.wrapped)

    def handles(self, wrapping_key: str) -> bool:
        """Whether any of them does."""
        return any(provider.handles(wrapping_key) for provider in self._providers)

    async def aclose(self) -> None:
        """Close all of them."""
        for provider in self._providers:
            await provider.aclose()

    async def _first(self, ask: Callable[[KeyProvider], Awaitable[T]]) -> T:
        fault: KeyUnavailable | None = None
        for number in self._order():
            try:
                return await ask(self._providers[number])
            except KeyUnavailable as error:
                if error.permanent:
                    raise
                self._failed_at[number] = asyncio.get_running_loop().time()
                fault = fault or error
        if fault is None:
            raise AssertionError("internal error: a wrapping key without providers")
        raise fault

    def _order(self) -> list[int]:
        """As configured, but those that failed a moment ago come last."""
        now = asyncio.get_running_loop().time()
        return sorted(self._failed_at, key=lambda number: now - self._failed_at[number] < AVOID_SECONDS)
