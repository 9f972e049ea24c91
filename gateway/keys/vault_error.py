"""What can go wrong with a vault, as a closed set, and the S3 code that each fault becomes."""

from enum import StrEnum
from typing import Protocol

from gateway.errors import KeyUnavailable


class VaultResult(StrEnum):
    """How one request to a vault ended; the label of the metrics."""

    OK = "ok"
    DENIED = "denied"
    NOT_FOUND = "not_found"
    SEALED = "sealed"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    INVALID = "invalid"


class VaultObserver(Protocol):
    """Whoever counts what happens with vaults; every ``result`` is a value of :class:`VaultResult`."""

    def on_vault_request(self, result: str, seconds: float) -> None:
        """One HTTP request ended."""

    def on_vault_login(self, vault: str, method: str, result: str) -> None:
        """One login ended.

        Args:
            vault: the name of the vault in the configuration.
            method: ``approle``, ``kubernetes`` or ``jwt``.
            result: how it ended.
        """

    def on_vault_renewal(self, vault: str, result: str) -> None:
        """One renewal of a token ended."""


class SilentObserver:
    """Counts nothing."""

    def on_vault_request(self, result: str, seconds: float) -> None:
        """Do nothing."""

    def on_vault_login(self, vault: str, method: str, result: str) -> None:
        """Do nothing."""

    def on_vault_renewal(self, vault: str, result: str) -> None:
        """Do nothing."""


#: Codes of the faults that are no ServiceUnavailable, which passes by itself and which clients retry.
_CODES = {
    VaultResult.DENIED: "AccessDenied",
    VaultResult.NOT_FOUND: "KMS.NotFoundException",
    VaultResult.THROTTLED: "SlowDown",
}


class VaultError(KeyUnavailable):
    """A vault did not give what was asked for.

    Args:
        message: what failed in plain words, with the vault's name and the path asked for. It never quotes the vault's
            answer: a broken vault could repeat the token or the secret in it.
        result: the kind of fault.
        code: the S3 code where the kind alone does not decide it.
    """

    def __init__(self, message: str, result: VaultResult, *, code: str | None = None) -> None:
        super().__init__(message, code=code or _CODES.get(result, "ServiceUnavailable"))
        self.result = result

    @property
    def mended(self) -> bool:
        """Whether only the token was refused, and there is another one by now."""
        return self.result is VaultResult.DENIED and not self.permanent

    def again(self) -> "VaultError":
        """The same fault for another caller; one exception raised to many would collect all their tracebacks."""
        return VaultError(str(self), self.result, code=self.code)
