"""Counts requests to key services, the gateway's own and those of S3, and shows what they use of quotas and cost."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Gauge

from gateway.observe.families import VAULT_RESULTS
from gateway.observe.key_families import (
    KEY_OPERATIONS,
    KEY_RESULTS,
    QUOTA_KINDS,
    SOURCES,
    KeyServiceFamilies,
    KeyUsageFamilies,
)
from gateway.observe.request_rate import RequestRate
from gateway.s3.headers import Headers
from gateway.s3.kms_requests import kms_requests_of
from gateway.s3.operation import Operation

#: How much of a request to KMS an object with a bucket key counts as. S3 asks KMS once for a bucket key and derives the
#: keys of many objects from it for a limited time. How many share one is not visible; AWS says that requests drop "by
#: up to 99 percent". Source: Amazon S3 User Guide, "Reducing the cost of SSE-KMS with Amazon S3 Bucket Keys".
BUCKET_KEY_PART: Final = 0.01
_OWN, _S3 = SOURCES
_HOUR_SECONDS: Final = 3600


class KeyCall(Protocol):
    """What is counted of a request to a key service."""

    @property
    def provider(self) -> str:
        """The kind of provider, such as ``aws-kms``."""

    @property
    def scope(self) -> str:
        """Its Region or vault."""

    @property
    def operation(self) -> str:
        """``generate``, ``unwrap`` or ``rewrap``."""

    @property
    def key(self) -> str:
        """The configured name of the wrapping key."""

    @property
    def result(self) -> str:
        """How it ended, in a word out of a closed set."""

    @property
    def seconds(self) -> float:
        """How long it took."""


@dataclass(frozen=True, slots=True)
class WatchedService:
    """A key service whose use is shown.

    Attributes:
        provider: the kind of provider.
        scope: its Region or vault; empty for a provider without a service.
        keys: the names under which requests are counted.
        requests_per_second: the quota that it gives to everybody; None when it limits nothing.
        price_per_request: what a request costs.
    """

    provider: str
    scope: str
    keys: tuple[str, ...]
    requests_per_second: float | None
    price_per_request: float


@dataclass(frozen=True, slots=True)
class _Usage:
    """What one source uses of one service; without a quota there is no gauge of it."""

    rate: RequestRate
    service: WatchedService
    ratio: Gauge | None

    def refresh(self) -> float:
        """Show the use of the quota; the cost per hour."""
        per_second = self.rate.per_second
        if self.ratio is not None and self.service.requests_per_second is not None:
            self.ratio.set(per_second / self.service.requests_per_second)
        return per_second * _HOUR_SECONDS * self.service.price_per_request


class KeyServiceMetrics:
    """Counts what key services and vaults are asked for.

    Args:
        registry: where the families are registered.
        clock: the time in seconds; never goes back.
    """

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], float] = time.monotonic) -> None:
        self._services = KeyServiceFamilies(registry)
        self._usage = KeyUsageFamilies(registry)
        self._clock = clock
        self._own: dict[tuple[str, str], _Usage] = {}
        self._s3: _Usage | None = None

    def watch_key_services(self, services: Iterable[WatchedService], s3: WatchedService) -> None:
        """Show these services from now on, with zeros for what did not happen yet.

        Args:
            services: those that the gateway asks; no two have provider and scope in common.
            s3: the one that S3 asks.
        """
        for service in services:
            self._own[service.provider, service.scope] = self._usage_of(service, _OWN)
            self._begin_with_zeros(service)
        self._s3 = self._usage_of(s3, _S3)

    def watch_vaults(self, methods: Mapping[str, str | None]) -> None:
        """Show these vaults from now on.

        Args:
            methods: the method of logins by the vault's name; None for a vault with a token.
        """
        for vault, method in methods.items():
            for result in VAULT_RESULTS:
                self._services.renewals.labels(vault, result)
                if method is not None:
                    self._services.logins.labels(vault, method, result)

    def refresh_usage(self) -> None:
        """Bring the gauges of quotas and cost up to date; called at short intervals, also when nothing happens."""
        self._usage.cost_per_hour.labels(_OWN).set(sum(usage.refresh() for usage in self._own.values()))
        if self._s3 is not None:
            self._usage.cost_per_hour.labels(_S3).set(self._s3.refresh())

    def key_call(self, call: KeyCall) -> None:
        """A request to a key service ended."""
        self._services.requests.labels(call.provider, call.operation, call.key, call.result).inc()
        self._services.seconds.labels(call.provider, call.operation).observe(call.seconds)
        if call.result == "throttled":
            self._services.throttled.labels(call.provider, call.scope).inc()
        usage = self._own.get((call.provider, call.scope))
        if usage is not None:
            usage.rate.add()

    def key_quota_refused(self, provider: str, scope: str, kind: str) -> None:
        """A request was not made because the quota is used up."""
        self._services.quota_refused.labels(provider, scope, kind).inc()

    def key_breaker(self, key: str, *, is_open: bool) -> None:
        """A key service is left alone, or asked again."""
        self._services.breaker_open.labels(key).set(int(is_open))

    def on_success(self, operation: Operation, requested: Headers, answered: Headers) -> None:
        """S3 did what it was asked for, and may have asked KMS for it."""
        found = kms_requests_of(operation, requested, answered)
        if found is None:
            return
        part = BUCKET_KEY_PART if found.bucket_key else 1.0
        for asked in found.operations:
            self._usage.estimated.labels(asked, found.mode, "yes" if found.bucket_key else "no").inc(part)
            if self._s3 is not None:
                self._s3.rate.add(part)

    def on_vault_login(self, vault: str, method: str, result: str) -> None:
        """A login to a vault ended."""
        self._services.logins.labels(vault, method, result).inc()

    def on_vault_renewal(self, vault: str, result: str) -> None:
        """A renewal of a vault's token ended."""
        self._services.renewals.labels(vault, result).inc()

    def _usage_of(self, service: WatchedService, source: str) -> _Usage:
        ratio = None
        if service.requests_per_second is not None:
            ratio = self._usage.quota_ratio.labels(service.provider, service.scope, source)
        return _Usage(RequestRate(self._clock), service, ratio)

    def _begin_with_zeros(self, service: WatchedService) -> None:
        families = self._services
        for operation in KEY_OPERATIONS:
            families.seconds.labels(service.provider, operation)
            for key in service.keys:
                for result in KEY_RESULTS:
                    families.requests.labels(service.provider, operation, key, result)
        for key in service.keys:
            families.breaker_open.labels(key)
        if service.scope:
            families.throttled.labels(service.provider, service.scope)
        if service.requests_per_second is not None:
            for kind in QUOTA_KINDS:
                families.quota_refused.labels(service.provider, service.scope, kind)
