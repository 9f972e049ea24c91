"""Options of key vaults."""

from collections.abc import Iterator

from pydantic import Field

from gateway.config.values import AbsolutePath, Seconds, SecretReference, Section, Url, VaultPath, VaultRole


class AppRole(Section):
    """Login with AppRole."""

    role_id: SecretReference = Field(description="Reference to the role id.")
    secret_id: SecretReference = Field(description="Reference to the secret id.")
    mount: VaultPath = Field(default="approle", description="Path at which the AppRole method is mounted.")


class Kubernetes(Section):
    """Login with the token of a Kubernetes service account."""

    role: VaultRole = Field(description="Name of the role of the Kubernetes method.")
    token_file: AbsolutePath = Field(
        default="/var/run/secrets/kubernetes.io/serviceaccount/token",
        description="File with the service account's token, read at every login.",
    )
    mount: VaultPath = Field(default="kubernetes", description="Path at which the Kubernetes method is mounted.")


class Jwt(Section):
    """Login with a JSON Web Token that something else keeps fresh in a file."""

    role: VaultRole = Field(description="Name of the role of the JWT method.")
    token_file: AbsolutePath = Field(description="File with the token, read at every login.")
    mount: VaultPath = Field(default="jwt", description="Path at which the JWT method is mounted.")


class Vault(Section):
    """One HashiCorp Vault or OpenBao server."""

    address: Url = Field(description="URL of the server, such as https://vault.example.com:8200.")
    token: SecretReference | None = Field(
        default=None,
        description="Reference to a token, `env:` or `file:`. Exactly one of `token`, `approle`, `kubernetes`, `jwt`.",
    )
    approle: AppRole | None = Field(default=None, description="Login with AppRole.")
    kubernetes: Kubernetes | None = Field(default=None, description="Login with a Kubernetes service account.")
    jwt: Jwt | None = Field(default=None, description="Login with a JSON Web Token.")
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
        if sum(login is not None for login in (self.token, self.approle, self.kubernetes, self.jwt)) != 1:
            yield "", "needs exactly one of token, approle, kubernetes and jwt"
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
