"""Whether the services of customer keys (SSE-C) give usable keys."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from gateway.cli.findings import Finding, failure, ok
from gateway.cli.key_policies import customer_key_policy
from gateway.config.customer_keys import AwsCustomerKey, CustomerKey
from gateway.config.model import Config
from gateway.config.open_customer_keys import CustomerKeyOpener
from gateway.config.open_vaults import open_vaults, vaults_of
from gateway.config.secrets import Secrets
from gateway.errors import ConfigError, KeyUnavailable
from gateway.keys.customer_keys import CustomerKeySource
from gateway.keys.secret_reference import SecretResolver


async def customer_key_findings(config: Config) -> AsyncIterator[Finding]:
    """Every version of every customer key, read from its service.

    Keys whose vault or secrets can not be used are left out: that is told with the vaults and the secrets.
    """
    async with AsyncExitStack() as opened:
        try:
            vaults = open_vaults(config, opened, names=vaults_of(config.customer_keys.values()))
        except ConfigError:
            return
        for name, options in config.customer_keys.items():
            secrets = Secrets(SecretResolver(vaults))
            source = await CustomerKeyOpener(vaults, secrets, opened).source(name, options)
            subject = f"customer_keys.{name}"
            try:
                secrets.raise_faults()
            except ConfigError:
                continue
            except KeyUnavailable as error:
                yield failure(subject, str(error))
                continue
            if source is not None:
                yield await _finding(subject, source, options)


async def _finding(subject: str, source: CustomerKeySource, options: CustomerKey) -> Finding:
    try:
        newest = await source.newest()
        usable = await source.versions()
    except KeyUnavailable as error:
        remedy = f"It has to allow at least:\n{customer_key_policy(options)}"
        if isinstance(options, AwsCustomerKey):
            remedy += "\nA secret that is encrypted with a KMS key of your own takes kms:Decrypt on that key as well."
        return failure(subject, str(error), remedy)
    return ok(subject, f"version {newest.version} encrypts new objects; {len(usable)} usable for reading")
