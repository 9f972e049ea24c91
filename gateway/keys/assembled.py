"""A provider with everything around it that it needs in service."""

from typing import Protocol

from gateway.keys.breaker import CircuitBreaker
from gateway.keys.metering import KeyCallObserver, Metered
from gateway.keys.provider import KeyProvider
from gateway.keys.quota import QuotaGuard, QuotaKind
from gateway.keys.rate_bucket import RateBucket
from gateway.keys.retrying import Retrying


class KeyServiceObserver(KeyCallObserver, Protocol):
    """Whoever shows what goes on between the gateway and its key services."""

    def key_quota_refused(self, provider: str, scope: str, kind: QuotaKind) -> None:
        """A request was not made because the quota is used up."""

    def key_breaker(self, key: str, *, is_open: bool) -> None:
        """A service is left alone, or asked again."""


def guarded(
    provider: KeyProvider, key: str, observer: KeyServiceObserver, bucket: RateBucket | None = None
) -> KeyProvider:
    """The provider, counted, limited, left alone when it fails, and asked again where that helps.

    From the inside: what is counted is what the service sees. The quota limits every attempt, also repeated ones. The
    breaker judges by what became of attempts; the quota's refusals say nothing about the service. Asking
    again is outermost, because each attempt has to pass the others.

    Args:
        provider: the bare provider.
        key: the configured name of the wrapping key.
        observer: told of everything.
        bucket: of the service's quota; None without one.
    """
    whole: KeyProvider = Metered(provider, key, observer)
    if bucket is not None:
        kind, scope = provider.kind, provider.scope
        whole = QuotaGuard(whole, bucket, lambda refused: observer.key_quota_refused(kind, scope, refused))
    whole = CircuitBreaker(whole, lambda is_open: observer.key_breaker(key, is_open=is_open))
    return Retrying(whole)
