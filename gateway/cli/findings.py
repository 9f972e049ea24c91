"""What ``check-config`` and ``doctor`` found, and how bad it is."""

from dataclasses import asdict, dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    SKIPPED = "skipped"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: what was looked at, such as ``upstream`` or ``listeners.https[0].certificate``.
        severity: how it is.
        message: what was seen; never a secret.
        remedy: what to do about it, or empty.
    """

    subject: str
    severity: Severity
    message: str
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        """The finding as plain values."""
        return {name: str(value) for name, value in asdict(self).items()}


def ok(subject: str, message: str) -> Finding:
    """All is well."""
    return Finding(subject, Severity.OK, message)


def skipped(subject: str, message: str) -> Finding:
    """Nothing could be found out, and that is no failure."""
    return Finding(subject, Severity.SKIPPED, message)


def warning(subject: str, message: str, remedy: str = "") -> Finding:
    """It works now but deserves attention."""
    return Finding(subject, Severity.WARNING, message, remedy)


def failure(subject: str, message: str, remedy: str = "") -> Finding:
    """It does not work."""
    return Finding(subject, Severity.FAILURE, message, remedy)
