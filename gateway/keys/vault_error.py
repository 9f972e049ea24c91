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
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    INVALID = "invalid"


class VaultObserver(Protocol):
    """Whoever counts the requests to vaults."""

    def on_vault_request(self, result: str, seconds: float) -> None:
        """One HTTP request ended; ``result`` is a value of :class:`VaultResult`."""


class SilentObserver:
    """Counts nothing."""

    def on_vault_request(self, result: str, seconds: float) -> None:
        """Do nothing."""


#: Codes of permanent faults. Anything else passes by itself and is a ServiceUnavailable, which clients retry.
_PERMANENT_CODES = {VaultResult.DENIED: "AccessDenied", VaultResult.NOT_FOUND: "KMS.NotFoundException"}


class VaultError(KeyUnavailable):
    """A vault did not give what was asked for.

    Args:
        message: what failed in plain words, with the vault's name and the path asked for. It never quotes the vault's
            answer: a broken vault could repeat the token or the secret in it.
        result: the kind of fault.
        code: the S3 code where the kind alone does not decide it.
    """

    def __init__(self, message: str, result: VaultResult, *, code: str | None = None) -> None:
        super().__init__(message, code=code or _PERMANENT_CODES.get(result, "ServiceUnavailable"))
        self.result = result

    def again(self) -> "VaultError":
        """The same fault for another caller; one exception raised to many would collect all their tracebacks."""
        return VaultError(str(self), self.result, code=self.code)
