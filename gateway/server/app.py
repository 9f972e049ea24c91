"""The gateway put together from its configuration: vaults, identities, keys, upstream client, staging, pipeline."""

import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

from gateway.config.build import (
    auth_settings,
    encryption_rules,
    refused_operations,
    standings,
    upstream_settings,
)
from gateway.config.model import Config
from gateway.config.resolve import Resolved, resolve
from gateway.keys.customer_keys import CustomerKeySource
from gateway.keys.version_cache import VersionCache
from gateway.observe.access_log import AccessLog
from gateway.observe.metrics import Metrics
from gateway.policy.rules import EncryptionRule, ModeName
from gateway.server.configured import bucket_policy_settings
from gateway.server.copy_knowledge import CopyKnowledge
from gateway.server.key_ring import KeyRing
from gateway.server.pipeline import Pipeline
from gateway.server.policies.buckets import BucketPolicies
from gateway.server.policies.files import PolicyFiles
from gateway.server.policies.policies import Policies
from gateway.server.sealed.assembly import start_sealed_services
from gateway.server.services import Services
from gateway.server.upstream_probe import probe_upstream
from gateway.server.vault_probe import vault_probe
from gateway.server.watched_keys import login_methods, watched_s3, watched_services
from gateway.upstream.client import UpstreamClient
from gateway.upstream.credentials import CredentialSource


class SealgateApp:
    """One worker's data path.

    Args:
        config: the configuration.
        metrics: the counters.
        shared: directory that all workers of this machine have in common; None for a process that serves alone.
    """

    def __init__(self, config: Config, metrics: Metrics, shared: Path | None = None) -> None:
        self._config = config
        self._metrics = metrics
        self._shared = shared
        self._opened = AsyncExitStack()
        self._pipeline: Pipeline | None = None
        self._policies: Policies | None = None
        self._probes: dict[str, Callable[[], Awaitable[None]]] = {}

    @property
    def handler(self) -> Pipeline:
        """What answers requests; there after :meth:`start`."""
        if self._pipeline is None:
            raise AssertionError("internal error: the gateway was used before it was started")
        return self._pipeline

    @property
    def probes(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """The upstream and every vault; there after :meth:`start`.

        Not the key services of AWS: each question would count against a quota and cost money, and what is in memory
        is served without them.
        """
        return self._probes

    async def start(self) -> None:
        """Open the vaults, resolve every secret, open the upstream client and the staging store.

        Raises:
            ConfigError: a secret, file or variable is missing or unsuitable.
            KeyUnavailable: a vault does not give a secret that the configuration needs.
        """
        config = self._config
        self._metrics.watch_key_services(watched_services(config), watched_s3(config))
        self._metrics.watch_vaults(login_methods(config))
        resolved = await resolve(config, self._metrics, self._shared)
        self._opened.push_async_callback(resolved.aclose)
        upstream = UpstreamClient(upstream_settings(config), self._metrics)
        await upstream.start()
        self._opened.push_async_callback(upstream.close)
        rules = encryption_rules(config)
        self._metrics.policies.unencrypted_rules(sum(rule.mode is ModeName.NONE for rule in rules))
        sources = sources_by_rule(rules, resolved)
        policies = self._policies = open_policies(config, resolved.policy_credentials, upstream, self._metrics)
        self._opened.push_async_callback(policies.aclose)
        services = Services(
            domains=config.virtual_host_domains,
            identities=resolved.identities,
            authentication=auth_settings(config),
            rules=rules,
            key_ring=KeyRing(sources, rules, VersionCache()),
            upstream=upstream,
            upstream_credentials=resolved.upstream_credentials,
            policies=policies,
            refused_operations=refused_operations(config),
            copies=CopyKnowledge(always_stream=config.upstream.copies == "stream"),
            sealed=await start_sealed_services(config, resolved, upstream, self._metrics, self._opened),
            metrics=self._metrics,
            access_log=AccessLog(sys.stdout if config.log.access_log else None),
            now=utc_now,
        )
        self._pipeline = Pipeline(services)
        self._probes["upstream"] = lambda: probe_upstream(services)
        for name, vault in resolved.vaults.items():
            self._probes[f"vault:{name}"] = vault_probe(vault, self._sources_in(name, rules, sources))

    def reload(self) -> None:
        """Read the policies again, changed or not."""
        if self._policies is not None:
            self._policies.reload()

    def reload_changed(self) -> None:
        """Read the policies whose files changed."""
        if self._policies is not None:
            self._policies.files.reload_if_changed()

    async def close(self) -> None:
        """Close what :meth:`start` opened, and forget every key."""
        await self._opened.aclose()

    def _sources_in(
        self, vault: str, rules: tuple[EncryptionRule, ...], sources: Mapping[str, CustomerKeySource]
    ) -> list[CustomerKeySource]:
        """The key sources whose keys are in one vault."""
        vault_of = self._config.vault_of_customer_key
        return [
            sources[rule.name]
            for rule in rules
            if rule.name in sources and rule.customer_key is not None and vault_of(rule.customer_key) == vault
        ]


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


def open_policies(
    config: Config, credentials: CredentialSource | None, upstream: UpstreamClient, metrics: Metrics
) -> Policies:
    """What requests are judged by.

    Raises:
        ConfigError: a policy file can not be used; with every fault of every file.
    """
    buckets = None
    if credentials is not None:
        buckets = BucketPolicies(upstream, credentials, bucket_policy_settings(config), metrics.policies)
    return Policies(PolicyFiles(config.policies, metrics.policies, utc_now), buckets, standings(config), utc_now)


def sources_by_rule(rules: tuple[EncryptionRule, ...], resolved: Resolved) -> dict[str, CustomerKeySource]:
    """Each ``sse-c`` rule's keys; rules with the same customer key and derivation share one source."""
    return {
        rule.name: (resolved.derived_keys if rule.derive_per_object else resolved.customer_keys)[rule.customer_key]
        for rule in rules
        if rule.mode is ModeName.SSE_C and rule.customer_key is not None
    }
