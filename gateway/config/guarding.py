"""What stands around the providers of wrapping keys in service: retries, breakers, quotas, metrics, replicas."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from gateway.config.build import key_quota
from gateway.config.model import Config
from gateway.keys.assembled import KeyServiceObserver, guarded
from gateway.keys.metering import KeyCall
from gateway.keys.provider import KeyProvider
from gateway.keys.quota import QuotaKind
from gateway.keys.rate_bucket import RateBucket
from gateway.keys.replicas import Replicas

_QUOTAS = "quotas"


def guard_name(name: str, scope: str, place: int) -> str:
    """The name under which requests about a wrapping key are counted: a replica is a service of its own.

    Args:
        name: the configured name of the wrapping key.
        scope: the Region of this place.
        place: 0 for the key itself, from 1 for its replicas.
    """
    return name if place == 0 else f"{name} ({scope})"


class UnseenKeyServices:
    """Shows nothing."""

    def key_call(self, call: KeyCall) -> None:
        """Do nothing."""

    def key_quota_refused(self, provider: str, scope: str, kind: QuotaKind) -> None:
        """Do nothing."""

    def key_breaker(self, key: str, *, is_open: bool) -> None:
        """Do nothing."""


class Guards:
    """Puts the same things around every provider; those of one service and scope share one quota.

    Args:
        config: has the quotas.
        opened: takes what has to be closed.
        observer: told of every request; None for nobody.
        shared: directory of the files that make a quota one for all workers; None for a process that is alone.
    """

    def __init__(
        self, config: Config, opened: AsyncExitStack, observer: KeyServiceObserver | None, shared: Path | None
    ) -> None:
        self._config = config
        self._opened = opened
        self._observer: KeyServiceObserver = observer or UnseenKeyServices()
        self._directory = None if shared is None else shared / _QUOTAS
        self._buckets: dict[tuple[str, str], RateBucket | None] = {}

    def around(self, name: str, providers: Sequence[KeyProvider]) -> KeyProvider:
        """One provider of all the places where a wrapping key is.

        Args:
            name: the configured name of the wrapping key.
            providers: bare providers in the order in which they are asked; at least one.
        """
        guards = [
            guarded(provider, guard_name(name, provider.scope, place), self._observer, self._of(provider))
            for place, provider in enumerate(providers)
        ]
        return guards[0] if len(guards) == 1 else Replicas(guards)

    def _of(self, provider: KeyProvider) -> RateBucket | None:
        """The requests that are left of a provider's quota; None without a limit."""
        place = (provider.kind, provider.scope)
        if place not in self._buckets:
            self._buckets[place] = self._opened_bucket(*place)
        return self._buckets[place]

    def _opened_bucket(self, kind: str, scope: str) -> RateBucket | None:
        quota = key_quota(self._config, kind, scope)
        if quota is None or quota.own_limit is None:
            return None
        path = None
        if self._directory is not None:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            path = self._directory / f"{kind} {scope}"
        processes = 1 if path is None else self._config.workers
        bucket = RateBucket(max(1.0, quota.own_limit), path, processes=processes)
        self._opened.callback(bucket.close)
        return bucket
