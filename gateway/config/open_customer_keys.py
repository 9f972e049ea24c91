"""From the options of customer keys (SSE-C) to their sources."""

from collections.abc import Mapping
from contextlib import AsyncExitStack

from gateway.config.build import customer_key_settings
from gateway.config.customer_keys import CustomerKey, VaultCustomerKey
from gateway.config.model import Config
from gateway.config.open_aws import AwsCallers
from gateway.config.secrets import Secrets
from gateway.errors import ConfigError
from gateway.keys.aws_secrets_manager import AwsSecret
from gateway.keys.customer_keys import CustomerKeySource, Derivation
from gateway.keys.vault_client import VaultClient
from gateway.keys.vault_kv import KvKeys
from gateway.keys.versioned_secret import VersionedSecret

CustomerKeys = Mapping[tuple[str, Derivation], CustomerKeySource]


class CustomerKeyOpener:
    """Opens sources of customer keys one by one. Nothing is asked yet.

    Args:
        vaults: the open vaults by name.
        secrets: resolves references and collects faults.
        opened: takes what has to be closed.
    """

    def __init__(self, vaults: Mapping[str, VaultClient], secrets: Secrets, opened: AsyncExitStack) -> None:
        self._vaults = vaults
        self._secrets = secrets
        self._opened = opened
        self._callers = AwsCallers(secrets, opened)

    async def source(
        self, name: str, options: CustomerKey, derivation: Derivation = Derivation.NONE
    ) -> CustomerKeySource | None:
        """The source of one entry. Faults are collected with the secrets'; there is no source then."""
        path = f"customer_keys.{name}"
        try:
            secret = await self._secret(name, options, path)
            source = CustomerKeySource(secret, customer_key_settings(options, derivation))
        except ConfigError as error:
            self._secrets.add(error, path)
            return None
        self._opened.push_async_callback(source.aclose)
        return source

    async def _secret(self, name: str, options: CustomerKey, path: str) -> VersionedSecret:
        if isinstance(options, VaultCustomerKey):
            return KvKeys(self._vaults[options.vault], options.mount, options.path, options.field)
        caller = await self._callers.caller("secretsmanager", options.region, options, path)
        return AwsSecret(caller, name, options.secret_id, options.field)


async def open_customer_keys(config: Config, opener: CustomerKeyOpener) -> CustomerKeys:
    """The sources of customer keys by name and derivation: each one plain, and derived where a rule says so.

    Entries with faults, which are collected, are left out.
    """
    wanted = dict.fromkeys((name, Derivation.NONE) for name in config.customer_keys)
    for rule in config.rules:
        if rule.customer_key is not None and rule.derive_per_object:
            wanted[rule.customer_key, Derivation.HKDF_SHA256] = None
    sources: dict[tuple[str, Derivation], CustomerKeySource] = {}
    for name, derivation in wanted:
        source = await opener.source(name, config.customer_keys[name], derivation)
        if source is not None:
            sources[name, derivation] = source
    return sources
