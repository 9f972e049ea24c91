"""What every wrapper around a key provider shares: it is the provider, but for one thing."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

from gateway.keys.provider import DataKey, KeyProvider, WrappedKey
from gateway.redact import SecretBytes

#: The requests that a provider makes to its service.
KeyOperation = Literal["generate", "unwrap", "rewrap"]

T = TypeVar("T")


class Around:
    """A provider that passes everything on to another one. Wrappers override what they are about.

    Args:
        provider: the other one. It is closed with this one.
    """

    def __init__(self, provider: KeyProvider) -> None:
        self._provider = provider

    @property
    def kind(self) -> str:
        """See :class:`~gateway.keys.provider.KeyProvider`."""
        return self._provider.kind

    @property
    def scope(self) -> str:
        """See :class:`~gateway.keys.provider.KeyProvider`."""
        return self._provider.scope

    @property
    def current(self) -> str:
        """See :class:`~gateway.keys.provider.KeyProvider`."""
        return self._provider.current

    async def generate(self) -> DataKey:
        """See :class:`~gateway.keys.provider.KeyProvider`."""
        return await self._provider.generate()

    async def unwrap(self, wrapping_key: str, wrapped: bytes) -> SecretBytes:
        """See :class:`~gateway.keys.provider.KeyProvider`."""
        return await self._provider.unwrap(wrapping_key, wrapped)

    async def rewrap(self, wrapping_key: str, wrapped: bytes) -> WrappedKey:
        """See :class:`~gateway.keys.provider.KeyProvider`."""
        return await self._provider.rewrap(wrapping_key, wrapped)

    def handles(self, wrapping_key: str) -> bool:
        """See :class:`~gateway.keys.provider.KeyProvider`."""
        return self._provider.handles(wrapping_key)

    def version_of(self, wrapping_key: str, wrapped: bytes) -> str:
        """See :class:`~gateway.keys.provider.KeyProvider`."""
        return self._provider.version_of(wrapping_key, wrapped)

    async def aclose(self) -> None:
        """See :class:`~gateway.keys.provider.KeyProvider`."""
        await self._provider.aclose()


class AroundCalls(Around, ABC):
    """A wrapper that treats all three requests to a service alike: :meth:`_call` runs them."""

    async def generate(self) -> DataKey:
        """See :class:`~gateway.keys.provider.KeyProvider`."""
        return await self._call("generate", self._provider.generate)

    async def unwrap(self, wrapping_key: str, wrapped: bytes) -> SecretBytes:
        """See :class:`~gateway.keys.provider.KeyProvider`."""
        return await self._call("unwrap", lambda: self._provider.unwrap(wrapping_key, wrapped))

    async def rewrap(self, wrapping_key: str, wrapped: bytes) -> WrappedKey:
        """See :class:`~gateway.keys.provider.KeyProvider`."""
        return await self._call("rewrap", lambda: self._provider.rewrap(wrapping_key, wrapped))

    @abstractmethod
    async def _call(self, operation: KeyOperation, request: Callable[[], Awaitable[T]]) -> T:
        """Make one request to the service, or several, or none."""
