"""From the options of vaults to their clients."""

from collections.abc import Collection, Iterable
from contextlib import AsyncExitStack
from pathlib import Path

from gateway.config.build import path_or_none
from gateway.config.customer_keys import VaultCustomerKey
from gateway.config.model import Config
from gateway.config.secrets import local_secret
from gateway.config.understood import references_in, sections_of
from gateway.config.values import Section
from gateway.config.vaults import Vault
from gateway.config.wrapping_keys import VaultTransitKey
from gateway.errors import ConfigError
from gateway.keys.secret_reference import VaultReference
from gateway.keys.vault_client import VaultClient
from gateway.keys.vault_error import VaultObserver
from gateway.keys.vault_settings import AppRoleAuth, JwtAuth, KubernetesAuth, TokenAuth, VaultAuth, VaultSettings


def vault_settings(config: Config, names: Collection[str] | None = None) -> dict[str, VaultSettings]:
    """How to reach each vault, by name, with its token or AppRole ids from the environment or files.

    Args:
        config: the configuration.
        names: the vaults that are wanted; None for all.

    Raises:
        ConfigError: with every one of them that is missing or unsuitable.
    """
    faults: list[str] = []
    settings: dict[str, VaultSettings] = {}
    for name, vault in config.vaults.items():
        if names is not None and name not in names:
            continue
        try:
            settings[name] = _vault_settings(name, vault)
        except ConfigError as error:
            faults.extend(f"vaults.{name}: {fault}" for fault in error.faults)
    if faults:
        raise ConfigError(tuple(faults))
    return settings


def open_vaults(
    config: Config,
    opened: AsyncExitStack,
    observer: VaultObserver | None = None,
    names: Collection[str] | None = None,
) -> dict[str, VaultClient]:
    """A client of each vault, by name. Nothing is asked yet.

    Args:
        config: the configuration.
        opened: takes the clients, to close them.
        observer: told of every request.
        names: the vaults that are wanted; None for all.

    Raises:
        ConfigError: as :func:`vault_settings`.
    """
    vaults = {name: VaultClient(settings, observer) for name, settings in vault_settings(config, names).items()}
    for vault in vaults.values():
        opened.push_async_callback(vault.aclose)
    return vaults


def vaults_of(entries: Iterable[Section]) -> Collection[str]:
    """The names of the vaults that keys are in or take secrets from."""
    names: set[str] = set()
    for options in entries:
        if isinstance(options, VaultTransitKey | VaultCustomerKey):
            names.add(options.vault)
        for _, section in sections_of(options):
            references = (reference for _, reference in references_in(section))
            names.update(reference.vault_name for reference in references if isinstance(reference, VaultReference))
    return names


def _vault_settings(name: str, vault: Vault) -> VaultSettings:
    return VaultSettings(
        name=name,
        address=vault.address,
        auth=_auth(vault),
        namespace=vault.namespace,
        ca_bundle=path_or_none(vault.ca_bundle),
        timeout_seconds=vault.timeout_seconds,
        allow_plain_http=vault.allow_plain_http_vault,
    )


def _auth(vault: Vault) -> VaultAuth:
    if vault.approle is not None:
        return AppRoleAuth(
            role_id=local_secret(vault.approle.role_id).reveal(),
            secret_id=local_secret(vault.approle.secret_id),
            mount=vault.approle.mount,
        )
    if vault.token is not None:
        return TokenAuth(local_secret(vault.token))
    if vault.kubernetes is not None:
        return KubernetesAuth(vault.kubernetes.role, Path(vault.kubernetes.token_file), vault.kubernetes.mount)
    if vault.jwt is not None:
        return JwtAuth(vault.jwt.role, Path(vault.jwt.token_file), vault.jwt.mount)
    raise AssertionError("internal error: a vault without any login was loaded")
