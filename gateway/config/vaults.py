"""Options of key vaults and of the customer keys (SSE-C) that they hold."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from gateway.config.values import AbsolutePath, Name, Seconds, SecretReference, Section, Url, VaultPath


class AppRole(Section):
    """Login with AppRole."""

    role_id: SecretReference = Field(description="Reference to the role id.")
    secret_id: SecretReference = Field(description="Reference to the secret id.")
    mount: VaultPath = Field(default="approle", description="Path at which the AppRole method is mounted.")


class Vault(Section):
    """One HashiCorp Vault or OpenBao server."""

    address: Url = Field(description="URL of the server, such as https://vault.example.com:8200.")
    token: SecretReference | None = Field(
        default=None, description="Reference to a token; exclusive with `approle`. `env:` and `file:` only."
    )
    approle: AppRole | None = Field(default=None, description="AppRole login; exclusive with `token`.")
    namespace: VaultPath | None = Field(default=None, description="Namespace (Vault Enterprise, OpenBao).")
    ca_bundle: AbsolutePath | None = Field(
        default=None, description="PEM file of the authorities its certificate may come from; unset: the system's."
    )
    timeout_seconds: Seconds = Field(default=5.0, description="Longest wait for one answer.")
    allow_plain_http_vault: bool = Field(
        default=False,
        description="Whether an `http://` address is used: keys and tokens then cross the network in clear.",
    )

    def faults(self) -> Iterator[tuple[str, str]]:
        """Options that do not fit together."""
        if (self.token is None) == (self.approle is None):
            yield "", "needs either token or approle"
        own = {"token": self.token}
        if self.approle is not None:
            own |= {"approle.role_id": self.approle.role_id, "approle.secret_id": self.approle.secret_id}
        for option, reference in own.items():
            if reference is not None and reference.startswith("vault:"):
                yield option, "opens a vault, so it can not come from one; use env: or file:"
        if self.address.startswith("http://") and not self.allow_plain_http_vault:
            yield (
                "address",
                "is plain HTTP: keys would cross the network in clear; use https:// or allow_plain_http_vault: true",
            )


class CustomerKey(Section):
    """One secret whose KV versions are 32-byte SSE-C keys."""

    vault: Name = Field(description="Name of an entry of `vaults`.")
    mount: VaultPath = Field(default="secret", description="Path at which the KV version 2 engine is mounted.")
    path: VaultPath = Field(description="Path of the secret inside the engine.")
    field: Annotated[str, Field(min_length=1, max_length=128)] = Field(
        default="key", description="Field of the secret that holds the key: 32 bytes in base64."
    )
    hold_seconds: Seconds = Field(
        default=300.0, description="Longest time a key stays in memory after it was read. Never used beyond it."
    )
    refresh_seconds: Seconds = Field(
        default=30.0, description="How often the vault is asked for a newer version, so how late a rotation is seen."
    )
    maximum_versions: Annotated[int, Field(ge=1, le=100)] = Field(
        default=10, description="Most key versions tried when an object is read, newest first."
    )

    def faults(self) -> Iterator[tuple[str, str]]:
        """Options that do not fit together."""
        if self.refresh_seconds > self.hold_seconds:
            yield "refresh_seconds", "must not be longer than hold_seconds"
