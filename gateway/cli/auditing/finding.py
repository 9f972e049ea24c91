"""One object that does not have the encryption of its rule, or about which nobody knows."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from gateway.cli.rotation.listed import Listed
from gateway.cli.rotation.outcome import Looked, Result
from gateway.cli.rotation.protection import Guard
from gateway.cli.rotation.targets import Difference, difference


class Status(StrEnum):
    """How it is with an object in the end."""

    #: It does not have the encryption of its rule.
    FOUND = "found"
    #: It did not, and has it now.
    FIXED = "fixed"
    #: It did not, and a client wrote it as it shall be, or deleted it, meanwhile.
    CHANGED = "changed_meanwhile"
    #: It does not, and could not be written anew.
    NOT_FIXED = "not_fixed"
    #: The store or a key service did not say.
    NOT_KNOWN = "not_known"


#: Those that leave something to be done.
OPEN: Final = frozenset({Status.FOUND, Status.NOT_FIXED, Status.NOT_KNOWN})

_OUTCOMES: Final = {
    Result.PLANNED: Status.FOUND,
    Result.FOREIGN: Status.FOUND,
    Result.REENCRYPTED: Status.FIXED,
    Result.CHANGED: Status.CHANGED,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        status: how it is.
        listed: the object.
        rule: the name of its rule; empty when nobody looked that far.
        difference: in what it differs; None when nobody knows.
        found: what protected it, one for each key version.
        wanted: what its rule asks for; None when nobody knows.
        stored_bytes: its stored size; None when nobody knows.
        message: why it is not fixed or not known, or can not be fixed; empty otherwise.
    """

    status: Status
    listed: Listed
    rule: str = ""
    difference: Difference | None = None
    found: tuple[Guard, ...] = ()
    wanted: Guard | None = None
    stored_bytes: int | None = None
    message: str = ""

    @property
    def modified(self) -> str:
        """When it was written, as ISO 8601 in UTC; empty when the store did not say."""
        seconds = self.listed.modified
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else ""

    @property
    def change(self) -> tuple[str, str]:
        """What protects it and what shall, in words."""
        found = ", ".join(map(str, self.found))
        return found or "not known", str(self.wanted) if self.wanted is not None else "not known"


def finding_of(looked: Looked, *, fixing: bool) -> Finding | None:
    """What is to be reported about an object; None when it is as it shall be.

    Args:
        looked: the object.
        fixing: whether it was to be written anew.
    """
    found, target = looked.found, looked.target
    if found is None or target is None:
        return Finding(Status.NOT_KNOWN, looked.listed, message=looked.message) if looked.message else None
    return Finding(
        status=_OUTCOMES.get(looked.result, Status.NOT_FIXED if fixing else Status.FOUND),
        listed=looked.listed,
        rule=target.rule.name,
        difference=difference(found, target),
        found=tuple(sorted(found.guards)),
        wanted=target.guard,
        stored_bytes=None if found.foreign else found.stored_bytes,
        message=looked.message,
    )


@dataclass(slots=True)
class Summary:
    """What was found so far.

    Attributes:
        objects: how many objects, or versions of objects, were looked at.
        statuses: how many findings have each status.
        changes: how many findings there are of each kind: status, difference, what protects them, what shall.
        stored_bytes: their stored size.
    """

    objects: int = 0
    statuses: Counter[Status] = field(default_factory=Counter)
    changes: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    stored_bytes: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)

    @property
    def is_clean(self) -> bool:
        """Whether every object has the encryption of its rule by now."""
        return not any(self.statuses[status] for status in OPEN)

    def add(self, finding: Finding | None) -> None:
        """Count one object."""
        self.objects += 1
        if finding is None:
            return
        self.statuses[finding.status] += 1
        kind = (finding.status.value, (finding.difference or Difference.NOT_KNOWN).value, *finding.change)
        self.changes[kind] += 1
        self.stored_bytes[kind] += finding.stored_bytes or 0

    def rows(self) -> list[dict[str, object]]:
        """Plain values, one row for each kind of finding."""
        names = ("status", "difference", "found", "wanted")
        return [
            {**dict(zip(names, kind, strict=True)), "objects": objects, "stored_bytes": self.stored_bytes[kind]}
            for kind, objects in sorted(self.changes.items())
        ]

    def as_dict(self) -> dict[str, object]:
        """Plain values."""
        counts = {status.value: self.statuses[status] for status in Status}
        return {"objects": self.objects, **counts, "kinds": self.rows()}

    def __str__(self) -> str:
        counts = ", ".join(f"{self.statuses[status]:,} {status.value.replace('_', ' ')}" for status in Status)
        return f"{self.objects:,} objects; {counts}"
