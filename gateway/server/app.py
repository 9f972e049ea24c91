"""The gateway put together from its configuration: vaults, identities, keys, upstream client, staging, pipeline."""

import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime

from gateway.config.build import (
    auth_settings,
    customer_key_settings,
    encryption_rules,
    refused_operations,
    upstream_settings,
)
from gateway.config.model import Config
from gateway.config.resolve import Resolved, resolve
from gateway.keys.customer_keys import CustomerKeySource, Derivation
from gateway.keys.version_cache import VersionCache
from gateway.observe.access_log import AccessLog
from gateway.observe.metrics import Metrics
from gateway.policy.rules import EncryptionRule, ModeName
from gateway.server.copy_knowledge import CopyKnowledge
from gateway.server.key_ring import KeyRing
from gateway.server.pipeline import Pipeline
from gateway.server.sealed.assembly import start_sealed_services
from gateway.server.services import Services
from gateway.server.upstream_probe import probe_upstream
from gateway.server.vault_probe import vault_probe
from gateway.upstream.client import UpstreamClient


class SealgateApp:
    """One worker's data path.

    Args:
        config: the configuration.
        metrics: the counters.
    """

    def __init__(self, config: Config, metrics: Metrics) -> None:
        self._config = config
        self._metrics = metrics
        self._opened = AsyncExitStack()
        self._pipeline: Pipeline | None = None
        self._probes: dict[str, Callable[[], Awaitable[None]]] = {}

    @property
    def handler(self) -> Pipeline:
        """What answers requests; there after :meth:`start`."""
        if self._pipeline is None:
            raise AssertionError("internal error: the gateway was used before it was started")
        return self._pipeline

    @property
    def probes(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """The upstream and every vault; there after :meth:`start`."""
        return self._probes

    async def start(self) -> None:
        """Open the vaults, resolve every secret, open the upstream client and the staging store.

        Raises:
            ConfigError: a secret, file or variable is missing or unsuitable.
            KeyUnavailable: a vault does not give a secret that the configuration needs.
        """
        config = self._config
        resolved = await resolve(config, self._metrics)
        self._opened.push_async_callback(resolved.aclose)
        upstream = UpstreamClient(upstream_settings(config), self._metrics)
        await upstream.start()
        self._opened.push_async_callback(upstream.close)
        rules = encryption_rules(config)
        sources = self._sources_by_rule(rules, resolved)
        services = Services(
            domains=config.virtual_host_domains,
            identities=resolved.identities,
            authentication=auth_settings(config),
            rules=rules,
            key_ring=KeyRing(sources, rules, VersionCache()),
            upstream=upstream,
            upstream_credentials=resolved.upstream_credentials,
            refused_operations=refused_operations(config),
            copies=CopyKnowledge(always_stream=config.upstream.copies == "stream"),
            sealed=await start_sealed_services(config, resolved, upstream, self._metrics, self._opened),
            metrics=self._metrics,
            access_log=AccessLog(sys.stdout if config.log.access_log else None),
            now=lambda: datetime.now(UTC),
        )
        self._pipeline = Pipeline(services)
        self._probes["upstream"] = lambda: probe_upstream(services)
        for name, vault in resolved.vaults.items():
            self._probes[f"vault:{name}"] = vault_probe(vault, self._sources_in(name, rules, sources))

    async def close(self) -> None:
        """Close what :meth:`start` opened, and forget every key."""
        await self._opened.aclose()

    def _sources_in(
        self, vault: str, rules: tuple[EncryptionRule, ...], sources: Mapping[str, CustomerKeySource]
    ) -> list[CustomerKeySource]:
        """The key sources whose keys are in one vault."""
        keys = self._config.customer_keys
        return [
            sources[rule.name]
            for rule in rules
            if rule.name in sources and rule.customer_key is not None and keys[rule.customer_key].vault == vault
        ]

    def _sources_by_rule(self, rules: tuple[EncryptionRule, ...], resolved: Resolved) -> dict[str, CustomerKeySource]:
        """Each ``sse-c`` rule's keys; rules with the same customer key and derivation share one source."""
        settings = customer_key_settings(self._config)
        made: dict[tuple[str, bool], CustomerKeySource] = {
            (name, False): source for name, source in resolved.customer_keys.items()
        }
        by_rule = {}
        for rule in rules:
            if rule.mode is not ModeName.SSE_C or rule.customer_key is None:
                continue
            wanted = (rule.customer_key, rule.derive_per_object)
            if wanted not in made:
                vault = resolved.vaults[self._config.customer_keys[rule.customer_key].vault]
                derived = replace(settings[rule.customer_key], derivation=Derivation.HKDF_SHA256)
                made[wanted] = CustomerKeySource(vault, derived)
                self._opened.push_async_callback(made[wanted].aclose)
            by_rule[rule.name] = made[wanted]
        return by_rule
