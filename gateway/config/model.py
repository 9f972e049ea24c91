"""The whole configuration. Made by :mod:`gateway.config.load` only, which also checks what spans several options."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from gateway.config.customer_keys import CustomerKey, VaultCustomerKey
from gateway.config.identities import Authentication, Identity
from gateway.config.key_quotas import KeyQuota
from gateway.config.listeners import Listeners
from gateway.config.operations import Admin, Limits, Log
from gateway.config.policies import Authorization, PolicyFile
from gateway.config.rules import Rule
from gateway.config.sealing import DataKeys, Staging
from gateway.config.upstream import Upstream
from gateway.config.values import Domain, Name, Section
from gateway.config.vaults import Vault
from gateway.config.wrapping_keys import WrappingKey
from gateway.errors import ConfigError


class Config(Section):
    """Every option of the gateway."""

    listeners: Listeners = Field(description="Where clients come in.")
    virtual_host_domains: tuple[Domain, ...] = Field(
        default=(),
        description="Domains below which a host name begins with the bucket's name (`bucket.s3.example.com`). "
        "Empty: path style only.",
    )
    identities: Annotated[tuple[Identity, ...], Field(min_length=1)] = Field(description="The clients.")
    authentication: Authentication = Field(default=Authentication(), description="How signatures are checked.")
    upstream: Upstream = Field(default=Upstream(), description="The S3 server behind the gateway.")
    vaults: Mapping[Name, Vault] = Field(default={}, description="Key vaults by name.")
    customer_keys: Mapping[Name, CustomerKey] = Field(default={}, description="SSE-C keys by name.")
    wrapping_keys: Mapping[Name, Annotated[WrappingKey, Field(discriminator="provider")]] = Field(
        default={}, description="Wrapping keys of mode `cse` by name."
    )
    key_quotas: tuple[KeyQuota, ...] = Field(
        default=(), description="Quotas of key services that differ from the defaults."
    )
    data_keys: DataKeys = Field(default=DataKeys(), description="Use of data keys in mode `cse`.")
    staging: Staging = Field(default=Staging(), description="The staging store of mode `cse`.")
    rules: Annotated[tuple[Rule, ...], Field(min_length=1)] = Field(
        description="Encryption rules; the first that fits decides. The last one must fit every object."
    )
    policies: tuple[PolicyFile, ...] = Field(
        default=(), description="Bucket policies that are evaluated at the gateway, before the rules."
    )
    authorization: Authorization = Field(default=Authorization(), description="How policies are evaluated.")
    admin: Admin = Field(default=Admin(), description="Health and metrics.")
    limits: Limits = Field(default=Limits(), description="What one worker gives at most.")
    workers: Annotated[int, Field(ge=1, le=256)] = Field(
        default=1, description="Worker processes that share the ports; one per core is a good number."
    )
    log: Log = Field(default=Log(), description="The log.")

    def vault_of_customer_key(self, name: str) -> str | None:
        """The name of the vault that a customer key is in; None when it is elsewhere."""
        options = self.customer_keys[name]
        return options.vault if isinstance(options, VaultCustomerKey) else None

    def identity_named(self, name: str | None) -> Identity:
        """The identity with a name, or the first.

        Raises:
            ConfigError: there is none with it.
        """
        for identity in self.identities:
            if name in {None, identity.name}:
                return identity
        raise ConfigError((f"identities: there is none with the name {name!r}",))
