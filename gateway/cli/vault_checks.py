"""Whether the vaults answer and give usable keys."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from gateway.cli.findings import Finding, failure, ok
from gateway.config.build import customer_key_settings
from gateway.config.model import Config
from gateway.config.resolve import vault_settings
from gateway.errors import ConfigError, KeyUnavailable
from gateway.keys.customer_keys import CustomerKeySource
from gateway.keys.vault_client import VaultClient


async def vault_findings(config: Config) -> AsyncIterator[Finding]:
    """Every vault's health, and every customer key's newest version."""
    async with AsyncExitStack() as opened:
        try:
            vaults = {name: VaultClient(settings) for name, settings in vault_settings(config).items()}
        except ConfigError as error:
            for fault in error.faults:
                yield failure("vaults", fault)
            return
        for name, vault in vaults.items():
            opened.push_async_callback(vault.aclose)
            health = await vault.probe()
            finding = ok if health.usable else failure
            yield finding(f"vaults.{name}", health.explanation)
        for name, settings in customer_key_settings(config).items():
            source = CustomerKeySource(vaults[config.customer_keys[name].vault], settings)
            opened.push_async_callback(source.aclose)
            yield await _key_finding(f"customer_keys.{name}", source)


async def _key_finding(subject: str, source: CustomerKeySource) -> Finding:
    try:
        newest = await source.newest()
        usable = await source.versions()
    except KeyUnavailable as error:
        return failure(subject, str(error))
    return ok(subject, f"version {newest.version} encrypts new objects; {len(usable)} usable for reading")
