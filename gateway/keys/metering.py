"""Counts every request that a provider makes to its service: how it ended, and how long it took."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeVar

from gateway.errors import KeyUnavailable
from gateway.keys.provider import KeyProvider
from gateway.keys.wrapping import AroundCalls, KeyOperation

#: How a request ended; the label of metrics. After ``cancelled`` nobody knows whether the service saw the request.
KeyCallResult = Literal["ok", "throttled", "unavailable", "denied", "not_found", "disabled", "invalid", "cancelled"]

_RESULTS: Final[Mapping[str, KeyCallResult]] = {
    "SlowDown": "throttled",
    "ServiceUnavailable": "unavailable",
    "AccessDenied": "denied",
    "KMS.NotFoundException": "not_found",
    "KMS.DisabledException": "disabled",
    "KMS.KMSInvalidStateException": "disabled",
}

T = TypeVar("T")


class NotAsked(KeyUnavailable):
    """The request never left, so its service did not see it; it is not counted."""

    def again(self) -> "NotAsked":
        """See :class:`~gateway.errors.KeyUnavailable`."""
        return NotAsked(str(self), code=self.code)


@dataclass(frozen=True, slots=True)
class KeyCall:
    """One request to a key service.

    Attributes:
        provider: the kind of provider, such as ``aws-kms``.
        scope: its Region or vault.
        operation: what was asked for.
        key: the configured name of the wrapping key.
        result: how it ended.
        seconds: how long it took.
    """

    provider: str
    scope: str
    operation: KeyOperation
    key: str
    result: KeyCallResult
    seconds: float


class KeyCallObserver(Protocol):
    """Whoever counts requests to key services."""

    def key_call(self, call: KeyCall) -> None:
        """A request ended."""


class Metered(AroundCalls):
    """A provider whose requests are counted.

    Args:
        provider: the provider itself, so that what is counted is what its service sees.
        key: the configured name of the wrapping key.
        observer: told of every request.
    """

    def __init__(self, provider: KeyProvider, key: str, observer: KeyCallObserver) -> None:
        super().__init__(provider)
        self._key = key
        self._observer = observer

    async def _call(self, operation: KeyOperation, request: Callable[[], Awaitable[T]]) -> T:
        clock = asyncio.get_running_loop().time
        begun = clock()
        result: KeyCallResult | None = "cancelled"
        try:
            outcome = await request()
            result = "ok"
            return outcome
        except NotAsked:
            result = None
            raise
        except KeyUnavailable as error:
            result = _RESULTS.get(error.code, "invalid")
            raise
        finally:
            if result is not None:
                self._observer.key_call(KeyCall(self.kind, self.scope, operation, self._key, result, clock() - begun))
