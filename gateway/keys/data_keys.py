"""Data keys for sealing and opening, held for a bounded time, so that most requests cost no request to a provider.

One data key seals many objects: the sealed format derives a key of its own for each message from a random salt. How
many messages, how many bytes and for how long is limited here, exactly, also under concurrency. Opened data keys are
held by what an object carries, the wrapping key's URI and the wrapped data key, so that nothing but the provider
decides which key opens an object.

Keys leave memory when their time is over, whether or not somebody asks for them again: a key that is dropped here is
overwritten as soon as no request uses it any more (:mod:`gateway.redact`).
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, Protocol

from gateway.errors import KeyUnavailable
from gateway.keys.expiring import ExpiringMap
from gateway.keys.provider import DATA_KEY_BYTES, DataKey, KeyProvider
from gateway.keys.quota import QuotaExceeded
from gateway.keys.single_flight import SingleFlight
from gateway.redact import SecretBytes

DEFAULT_MAX_AGE_SECONDS: Final = 300.0
DEFAULT_MAX_MESSAGES: Final = 10_000
DEFAULT_MAX_BYTES: Final = 1 << 40
#: Opened data keys held at a time; about 1 KiB each.
DEFAULT_MAX_ENTRIES: Final = 10_000
#: How long "no" is remembered: objects of a lost key must not send every request to a provider, but a provider that
#: works again must be seen at once.
REFUSAL_SECONDS: Final = 1.0
#: Refusals remembered at a time. What is refused comes from the storage, so it could be different every time.
MAX_REFUSALS: Final = 1_000

EvictionReason = Literal["age", "messages", "bytes", "capacity"]


class DataKeyObserver(Protocol):
    """Whoever counts what becomes of data keys."""

    def data_key_lookup(self, operation: Literal["seal", "open"], *, hit: bool) -> None:
        """A data key was asked for; ``hit`` without a request to its provider."""

    def data_key_evicted(self, reason: EvictionReason) -> None:
        """A data key left memory because it reached a limit."""


@dataclass(frozen=True, slots=True)
class DataKeyLimits:
    """How much one data key seals, and how long any is held.

    Attributes:
        max_age_seconds: longest time a data key is used after its provider was asked for it.
        max_messages: most messages (objects, parts, closings) sealed with one.
        max_bytes: most plaintext bytes sealed with one. A longer message gets a data key of its own.
        max_entries: most opened data keys held.

    Raises:
        ValueError: a limit is not positive.
    """

    max_age_seconds: float = DEFAULT_MAX_AGE_SECONDS
    max_messages: int = DEFAULT_MAX_MESSAGES
    max_bytes: int = DEFAULT_MAX_BYTES
    max_entries: int = DEFAULT_MAX_ENTRIES

    def __post_init__(self) -> None:
        if min(self.max_age_seconds, self.max_messages, self.max_bytes, self.max_entries) <= 0:
            raise ValueError("every limit of data keys must be greater than 0")


@dataclass(slots=True)
class _Sealing:
    """A data key in use and what is left of its limits."""

    data_key: DataKey
    messages_left: int
    bytes_left: int


class DataKeys:
    """The data keys of one worker. Belongs to one event loop; close it with :meth:`aclose`.

    Args:
        providers: the providers by their configured name. They stay open.
        limits: how much and how long.
        observer: told of look-ups and evictions.
    """

    def __init__(
        self, providers: Mapping[str, KeyProvider], limits: DataKeyLimits, observer: DataKeyObserver | None = None
    ) -> None:
        self._providers = dict(providers)
        self._limits = limits
        self._observer = observer
        self._sealing: ExpiringMap[str, _Sealing] = ExpiringMap(max(1, len(self._providers)), self._evicted)
        self._opened: ExpiringMap[tuple[str, bytes], SecretBytes] = ExpiringMap(limits.max_entries, self._evicted)
        self._refused: ExpiringMap[str | tuple[str, bytes], KeyUnavailable] = ExpiringMap(MAX_REFUSALS)
        self._generating: SingleFlight[str, None] = SingleFlight()
        self._unwrapping: SingleFlight[tuple[str, bytes], SecretBytes] = SingleFlight()

    @property
    def names(self) -> frozenset[str]:
        """The configured names of the wrapping keys."""
        return frozenset(self._providers)

    def is_current(self, name: str, wrapping_key: str) -> bool:
        """Whether new objects under the wrapping key ``name`` are sealed with this URI.

        Raises:
            KeyUnavailable: no such name is configured.
        """
        return self._provider(name).current == wrapping_key

    async def for_sealing(self, name: str, plaintext_bytes: int) -> DataKey:
        """A data key for one message of this size; the message counts whether or not it is sealed in the end.

        Args:
            name: the configured name of the wrapping key.
            plaintext_bytes: the exact size of the message.

        Raises:
            KeyUnavailable: the provider gives no data key.
        """
        provider = self._provider(name)
        data_key = self._take(name, provider, plaintext_bytes)
        self._looked_up("seal", hit=data_key is not None)
        while data_key is None:
            self._raise_refusal(name)
            if self._limits.max_messages == 1 or plaintext_bytes > self._limits.max_bytes:
                return await self._generate(name, provider)
            await self._generating.run(name, partial(self._replace, name, provider))
            # Whoever waited takes its message in turn; who finds none left asks again.
            data_key = self._take(name, provider, plaintext_bytes)
        return data_key

    async def for_opening(self, wrapping_key: str, wrapped: bytes) -> SecretBytes:
        """The data key that a stored object names.

        Args:
            wrapping_key: the URI in its envelope.
            wrapped: the wrapped data key in its envelope. Neither is believed: the storage may have changed both.

        Raises:
            KeyUnavailable: no configured provider opens it.
        """
        entry = (wrapping_key, wrapped)
        opened = self._opened.get(entry)
        self._looked_up("open", hit=opened is not None)
        if opened is not None:
            return opened
        self._raise_refusal(entry)
        return await self._unwrapping.run(entry, partial(self._unwrap, entry))

    async def aclose(self) -> None:
        """Stop requests under way and forget every data key."""
        await self._generating.aclose()
        await self._unwrapping.aclose()
        self._sealing.keep_only(frozenset())
        self._opened.keep_only(frozenset())
        self._refused.keep_only(frozenset())

    def _take(self, name: str, provider: KeyProvider, plaintext_bytes: int) -> DataKey | None:
        """The key in use, charged with one message; None when there is none that has room for it."""
        sealing = self._sealing.get(name)
        if sealing is None or sealing.data_key.wrapping_key != provider.current:
            return None
        if plaintext_bytes > sealing.bytes_left:
            if plaintext_bytes <= self._limits.max_bytes:
                self._exhausted(name, "bytes")
            return None
        sealing.messages_left -= 1
        sealing.bytes_left -= plaintext_bytes
        if not sealing.messages_left:
            self._exhausted(name, "messages")
        elif not sealing.bytes_left:
            self._exhausted(name, "bytes")
        return sealing.data_key

    async def _replace(self, name: str, provider: KeyProvider) -> None:
        """Put a new key into use."""
        began = asyncio.get_running_loop().time()
        data_key = await self._generate(name, provider)
        left = self._limits.max_age_seconds - (asyncio.get_running_loop().time() - began)
        if left <= 0:
            raise KeyUnavailable(f"wrapping key {name!r}: the data key came later than it may be used")
        self._sealing.put(name, _Sealing(data_key, self._limits.max_messages, self._limits.max_bytes), left)

    async def _generate(self, name: str, provider: KeyProvider) -> DataKey:
        try:
            data_key = await provider.generate()
        except KeyUnavailable as error:
            self._remember(name, error)
            raise
        # What was just written is read next.
        entry = (data_key.wrapping_key, data_key.wrapped)
        self._opened.put(entry, data_key.key, self._limits.max_age_seconds)
        return data_key

    async def _unwrap(self, entry: tuple[str, bytes]) -> SecretBytes:
        wrapping_key, wrapped = entry
        fault = KeyUnavailable(f"no configured wrapping key is {wrapping_key!r}", code="KMS.NotFoundException")
        for provider in self._providers.values():
            if not provider.handles(wrapping_key):
                continue
            try:
                data_key = _checked(wrapping_key, await provider.unwrap(wrapping_key, wrapped))
            except KeyUnavailable as error:
                # Two keyrings may use one id for different keys; the tag tells which of them it was.
                fault = error
                continue
            self._opened.put(entry, data_key, self._limits.max_age_seconds)
            return data_key
        self._remember(entry, fault)
        raise fault

    def _remember(self, entry: str | tuple[str, bytes], fault: KeyUnavailable) -> None:
        # A quota has room again a moment later, and whoever limits requests is asked without one.
        if not isinstance(fault, QuotaExceeded):
            self._refused.put(entry, fault.again(), REFUSAL_SECONDS)

    def _provider(self, name: str) -> KeyProvider:
        provider = self._providers.get(name)
        if provider is None:
            raise KeyUnavailable(f"there is no wrapping key named {name!r}", code="KMS.NotFoundException")
        return provider

    def _raise_refusal(self, entry: str | tuple[str, bytes]) -> None:
        refusal = self._refused.get(entry)
        if refusal is not None:
            raise refusal.again()

    def _exhausted(self, name: str, reason: EvictionReason) -> None:
        self._sealing.drop(name)
        self._evicted(reason)

    def _evicted(self, reason: EvictionReason) -> None:
        if self._observer is not None:
            self._observer.data_key_evicted(reason)

    def _looked_up(self, operation: Literal["seal", "open"], *, hit: bool) -> None:
        if self._observer is not None:
            self._observer.data_key_lookup(operation, hit=hit)


def _checked(wrapping_key: str, data_key: SecretBytes) -> SecretBytes:
    if len(data_key) != DATA_KEY_BYTES:
        raise KeyUnavailable(
            f"wrapping key {wrapping_key!r} gave a data key of {len(data_key)} bytes instead of {DATA_KEY_BYTES}",
            code="AccessDenied",
        )
    return data_key
