"""Whether the vaults answer."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from gateway.cli.findings import Finding, failure, ok
from gateway.config.model import Config
from gateway.config.open_vaults import open_vaults
from gateway.errors import ConfigError


async def vault_findings(config: Config) -> AsyncIterator[Finding]:
    """Every vault's health."""
    async with AsyncExitStack() as opened:
        try:
            vaults = open_vaults(config, opened)
        except ConfigError as error:
            for fault in error.faults:
                yield failure("vaults", fault)
            return
        for name, vault in vaults.items():
            health = await vault.probe()
            finding = ok if health.usable else failure
            yield finding(f"vaults.{name}", health.explanation)
