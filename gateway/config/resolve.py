"""From references to secrets: opens the vaults and keyrings, makes the identities, their credentials and key sources.

What is made here belongs to one event loop and is closed with :meth:`Resolved.aclose`.
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gateway.config.credentials import CredentialMaker
from gateway.config.guarding import Guards
from gateway.config.identities import Identity as IdentityOptions
from gateway.config.model import Config
from gateway.config.open_customer_keys import CustomerKeyOpener, open_customer_keys
from gateway.config.open_vaults import open_vaults
from gateway.config.open_wrapping_keys import WrappingKeyOpener, open_wrapping_keys
from gateway.config.secrets import Secrets
from gateway.keys.assembled import KeyServiceObserver
from gateway.keys.customer_keys import CustomerKeySource, Derivation
from gateway.keys.provider import KeyProvider
from gateway.keys.secret_reference import SecretResolver
from gateway.keys.vault_client import VaultClient
from gateway.keys.vault_error import VaultObserver
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
        derived_keys: those that give each object a key of its own, by name, as far as rules use them.
        wrapping_keys: the key providers of mode ``cse`` by name.
        staging_credentials: what requests to an ``s3://`` staging store are signed with; None without one.
        policy_credentials: what the policies of buckets are read with; None where they are not.
        opened: whatever has to be closed.
    """

    identities: Mapping[str, Identity]
    upstream_credentials: Mapping[str, CredentialSource]
    vaults: Mapping[str, VaultClient]
    customer_keys: Mapping[str, CustomerKeySource]
    derived_keys: Mapping[str, CustomerKeySource]
    wrapping_keys: Mapping[str, KeyProvider]
    staging_credentials: CredentialSource | None
    policy_credentials: CredentialSource | None
    opened: AsyncExitStack

    async def aclose(self) -> None:
        """Forget every key, stop background work and close the vaults."""
        await self.opened.aclose()


class KeyObserver(VaultObserver, KeyServiceObserver, Protocol):
    """Whoever shows requests to vaults and to key services."""


async def resolve(config: Config, observer: KeyObserver | None = None, shared: Path | None = None) -> Resolved:
    """Open the vaults and resolve every secret.

    Args:
        config: the configuration.
        observer: told of every request to vaults and key services.
        shared: directory for what the workers of this machine count together; None for a process that is alone.

    Raises:
        ConfigError: with every secret, file or variable that is missing or unsuitable.
        KeyUnavailable: nothing is wrong here, but a vault does not give a secret.
    """
    async with AsyncExitStack() as opened:
        vaults = open_vaults(config, opened, observer)
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
        reading = config.authorization.bucket_policies.upstream_credentials
        place = "authorization.bucket_policies.upstream_credentials"
        policy_credentials = None if reading is None else await credentials.source(reading, place)
        wrapping_keys = await open_wrapping_keys(
            config, WrappingKeyOpener(vaults, secrets, opened), Guards(config, opened, observer, shared)
        )
        sources = await open_customer_keys(config, CustomerKeyOpener(vaults, secrets, opened))
        secrets.raise_faults()
        return Resolved(
            identities=identities,
            upstream_credentials=upstream_credentials,
            vaults=vaults,
            customer_keys={name: source for (name, kind), source in sources.items() if kind is Derivation.NONE},
            derived_keys={name: source for (name, kind), source in sources.items() if kind is not Derivation.NONE},
            wrapping_keys=wrapping_keys,
            staging_credentials=staging_credentials,
            policy_credentials=policy_credentials,
            opened=opened.pop_all(),
        )


async def _identity(options: IdentityOptions, path: str, secrets: Secrets) -> Identity:
    secret = await secrets.get(options.secret_access_key, f"{path}.secret_access_key")
    token = await secrets.get_optional(options.session_token, f"{path}.session_token")
    return Identity(options.name, Credential(options.access_key_id, secret, token))
