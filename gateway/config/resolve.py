"""From references to secrets: opens the vaults and keyrings, makes the identities, their credentials and key sources.

What is made here belongs to one event loop and is closed with :meth:`Resolved.aclose`.
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from gateway.config.build import customer_key_settings, path_or_none
from gateway.config.credentials import CredentialMaker
from gateway.config.identities import Identity as IdentityOptions
from gateway.config.model import Config
from gateway.config.sealing import WrappingKey
from gateway.config.secrets import Secrets, local_secret
from gateway.config.vaults import Vault
from gateway.errors import ConfigError
from gateway.keys.customer_keys import CustomerKeySource
from gateway.keys.local import LocalKeyProvider
from gateway.keys.provider import KeyProvider
from gateway.keys.secret_reference import SecretResolver
from gateway.keys.vault_client import VaultClient
from gateway.keys.vault_error import VaultObserver
from gateway.keys.vault_settings import AppRoleAuth, TokenAuth, VaultSettings
from gateway.s3.credentials import Credential, Identity
from gateway.upstream.credentials import CredentialSource


@dataclass(frozen=True, slots=True)
class Resolved:
    """The parts of a configuration that needed secrets.

    Attributes:
        identities: the clients by access key id.
        upstream_credentials: what each identity's requests are signed with upstream, by identity name.
        vaults: the open vaults by name.
        customer_keys: the key sources by name.
        wrapping_keys: the key providers of mode ``cse`` by name.
        staging_credentials: what requests to an ``s3://`` staging store are signed with; None without one.
        opened: whatever has to be closed.
    """

    identities: Mapping[str, Identity]
    upstream_credentials: Mapping[str, CredentialSource]
    vaults: Mapping[str, VaultClient]
    customer_keys: Mapping[str, CustomerKeySource]
    wrapping_keys: Mapping[str, KeyProvider]
    staging_credentials: CredentialSource | None
    opened: AsyncExitStack

    async def aclose(self) -> None:
        """Forget every key, stop background work and close the vaults."""
        await self.opened.aclose()


async def resolve(config: Config, observer: VaultObserver | None = None) -> Resolved:
    """Open the vaults and resolve every secret.

    Args:
        config: the configuration.
        observer: told of every request to a vault.

    Raises:
        ConfigError: with every secret, file or variable that is missing or unsuitable.
        KeyUnavailable: nothing is wrong here, but a vault does not give a secret.
    """
    async with AsyncExitStack() as opened:
        vaults = {name: VaultClient(settings, observer) for name, settings in vault_settings(config).items()}
        for vault in vaults.values():
            opened.push_async_callback(vault.aclose)
        secrets = Secrets(SecretResolver(vaults))
        credentials = CredentialMaker(config.upstream.region, secrets, opened)
        identities: dict[str, Identity] = {}
        upstream_credentials: dict[str, CredentialSource] = {}
        for index, options in enumerate(config.identities):
            path = f"identities[{index}]"
            identities[options.access_key_id] = await _identity(options, path, secrets)
            upstream_credentials[options.name] = await credentials.source(
                options.upstream_credentials, f"{path}.upstream_credentials"
            )
        staging = config.staging.upstream_credentials
        staging_credentials = (
            None if staging is None else await credentials.source(staging, "staging.upstream_credentials")
        )
        wrapping_keys = _wrapping_keys(config, secrets, opened)
        secrets.raise_faults()
        sources = {
            name: CustomerKeySource(vaults[config.customer_keys[name].vault], settings)
            for name, settings in customer_key_settings(config).items()
        }
        for source in sources.values():
            opened.push_async_callback(source.aclose)
        return Resolved(
            identities=identities,
            upstream_credentials=upstream_credentials,
            vaults=vaults,
            customer_keys=sources,
            wrapping_keys=wrapping_keys,
            staging_credentials=staging_credentials,
            opened=opened.pop_all(),
        )


def open_wrapping_key(options: WrappingKey) -> KeyProvider:
    """The provider that an entry of ``wrapping_keys`` describes.

    Raises:
        ConfigError: its keyring can not be used.
    """
    return LocalKeyProvider.open(Path(options.keyring), options.key_id)


def vault_settings(config: Config) -> dict[str, VaultSettings]:
    """How to reach each vault, by name, with its token or AppRole ids from the environment or files.

    Raises:
        ConfigError: with every one of them that is missing or unsuitable.
    """
    faults: list[str] = []
    settings: dict[str, VaultSettings] = {}
    for name, vault in config.vaults.items():
        try:
            settings[name] = _vault_settings(name, vault)
        except ConfigError as error:
            faults.extend(f"vaults.{name}: {fault}" for fault in error.faults)
    if faults:
        raise ConfigError(tuple(faults))
    return settings


def _vault_settings(name: str, vault: Vault) -> VaultSettings:
    auth: TokenAuth | AppRoleAuth
    if vault.approle is not None:
        auth = AppRoleAuth(
            role_id=local_secret(vault.approle.role_id).reveal(),
            secret_id=local_secret(vault.approle.secret_id),
            mount=vault.approle.mount,
        )
    elif vault.token is not None:
        auth = TokenAuth(local_secret(vault.token))
    else:
        raise AssertionError("internal error: a vault without token and AppRole was loaded")
    return VaultSettings(
        name=name,
        address=vault.address,
        auth=auth,
        namespace=vault.namespace,
        ca_bundle=path_or_none(vault.ca_bundle),
        timeout_seconds=vault.timeout_seconds,
        allow_plain_http=vault.allow_plain_http_vault,
    )


def _wrapping_keys(config: Config, secrets: Secrets, opened: AsyncExitStack) -> dict[str, KeyProvider]:
    providers = {}
    for name, options in config.wrapping_keys.items():
        try:
            providers[name] = open_wrapping_key(options)
        except ConfigError as error:
            secrets.add(error, f"wrapping_keys.{name}")
        else:
            opened.push_async_callback(providers[name].aclose)
    return providers


async def _identity(options: IdentityOptions, path: str, secrets: Secrets) -> Identity:
    secret = await secrets.get(options.secret_access_key, f"{path}.secret_access_key")
    token = await secrets.get_optional(options.session_token, f"{path}.session_token")
    return Identity(options.name, Credential(options.access_key_id, secret, token))
