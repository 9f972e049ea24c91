"""Who may speak to the gateway: access keys and the names they belong to."""

from dataclasses import dataclass

from gateway.redact import SecretStr


@dataclass(frozen=True, slots=True)
class Credential:
    """One AWS-style key pair; ``session_token`` is set for temporary ones."""

    access_key_id: str
    secret_access_key: SecretStr
    session_token: SecretStr | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """A client of the gateway: its name in rules, logs and audit, and the key pair that it signs with."""

    name: str
    credential: Credential
