"""From the options of wrapping keys to their providers."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from gateway.config.guarding import Guards
from gateway.config.model import Config
from gateway.config.open_aws import AwsCallers
from gateway.config.open_vaults import open_vaults, vaults_of
from gateway.config.secrets import Secrets
from gateway.config.wrapping_keys import AwsKmsKey, LocalKey, VaultTransitKey, WrappingKey, region_of
from gateway.errors import ConfigError
from gateway.keys.aws_kms import AwsKmsProvider
from gateway.keys.local import LocalKeyProvider
from gateway.keys.provider import KeyProvider
from gateway.keys.secret_reference import SecretResolver
from gateway.keys.vault_client import VaultClient
from gateway.keys.vault_transit import VaultTransitProvider


class WrappingKeyOpener:
    """Opens wrapping keys one by one.

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

    async def bare(self, name: str, options: WrappingKey) -> tuple[KeyProvider, ...]:
        """The providers of one entry in the order in which they are asked; without retries, quotas and metrics.

        Faults are collected with the secrets'; there is no provider then.
        """
        path = f"wrapping_keys.{name}"
        try:
            providers = await self._providers(options, path)
        except ConfigError as error:
            self._secrets.add(error, path)
            return ()
        for provider in providers:
            self._opened.push_async_callback(provider.aclose)
        return providers

    async def _providers(self, options: WrappingKey, path: str) -> tuple[KeyProvider, ...]:
        if isinstance(options, LocalKey):
            return (LocalKeyProvider.open(Path(options.keyring), options.key_id),)
        if isinstance(options, VaultTransitKey):
            return (
                VaultTransitProvider(
                    self._vaults[options.vault],
                    options.mount,
                    options.key,
                    encryption_context=options.encryption_context,
                ),
            )
        return tuple([await self._kms_key(options, arn, path) for arn in options.arns])

    async def _kms_key(self, options: AwsKmsKey, arn: str, path: str) -> AwsKmsProvider:
        """One of the places of a KMS key, which may be a multi-Region key."""
        caller = await self._callers.caller("kms", region_of(arn), options, path)
        tokens = [
            await self._secrets.get(reference, f"{path}.grant_tokens[{index}]")
            for index, reference in enumerate(options.grant_tokens)
        ]
        return AwsKmsProvider(
            caller,
            arn,
            encryption_context=options.encryption_context,
            grant_tokens=tuple(tokens),
            related=frozenset(options.arns),
        )


async def open_wrapping_keys(config: Config, opener: WrappingKeyOpener, guards: Guards) -> dict[str, KeyProvider]:
    """A provider of each wrapping key, by name, with everything around it that it needs in service.

    Entries with faults, which are collected, are left out.
    """
    providers: dict[str, KeyProvider] = {}
    for name, options in config.wrapping_keys.items():
        bare = await opener.bare(name, options)
        if bare:
            providers[name] = guards.around(name, bare)
    return providers


@asynccontextmanager
async def wrapping_keys_alone(config: Config) -> AsyncIterator[dict[str, KeyProvider]]:
    """The wrapping keys and only what they need: no identity, no upstream, no other vault.

    Raises:
        ConfigError: with every secret, file or variable that is missing or unsuitable.
        KeyUnavailable: nothing is wrong here, but a vault does not give a secret.
    """
    async with AsyncExitStack() as opened:
        vaults = open_vaults(config, opened, names=vaults_of_wrapping_keys(config))
        secrets = Secrets(SecretResolver(vaults))
        opener = WrappingKeyOpener(vaults, secrets, opened)
        providers = await open_wrapping_keys(config, opener, Guards(config, opened, None, None))
        secrets.raise_faults()
        yield providers


def vaults_of_wrapping_keys(config: Config) -> Collection[str]:
    """The names of the vaults that wrapping keys are in or take secrets from."""
    return vaults_of(config.wrapping_keys.values())
