"""What became of objects, one by one and together."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.cli.rotation.listed import Listed
from gateway.cli.rotation.protection import Protected
from gateway.cli.rotation.targets import Target


class Result(StrEnum):
    """What became of an object."""

    #: It has its encryption now, and was read back.
    REENCRYPTED = "reencrypted"
    #: It had its encryption before.
    SKIPPED = "skipped"
    #: The same, by the state file: it was not looked at.
    KNOWN = "known"
    #: A client wrote or deleted it meanwhile; what it is now is right.
    CHANGED = "changed_meanwhile"
    #: Only a client has the key that it is encrypted with.
    FOREIGN = "clients_own_key"
    #: It would be rewritten.
    PLANNED = "planned"
    #: It does not have its encryption.
    FAILED = "failed"


@dataclass(slots=True)
class Looked:
    """One object, and what became of it.

    Attributes:
        listed: the object.
        result: what became of it.
        found: what protected it when that was not what its rule asks for; None when it never was so, or nobody knows.
        target: what its rule asked for then.
        message: why it failed; empty when it did not.
    """

    listed: Listed
    result: Result = Result.FAILED
    found: Protected | None = None
    target: Target | None = None
    message: str = ""


@dataclass(slots=True)
class Tally:
    """What was done so far.

    Attributes:
        results: how many objects had each result.
        reencrypted_bytes: stored bytes of the objects that were written anew, as they were before.
        changes: how many objects went from what to what.
    """

    results: Counter[Result] = field(default_factory=Counter)
    reencrypted_bytes: int = 0
    changes: Counter[str] = field(default_factory=Counter)

    def add(self, looked: Looked) -> None:
        """Count one object."""
        self.results[looked.result] += 1
        found, target = looked.found, looked.target
        if looked.result in {Result.REENCRYPTED, Result.PLANNED} and found is not None and target is not None:
            self.changes[f"{found.protection} -> {target.guard}"] += 1
            self.reencrypted_bytes += found.stored_bytes

    def as_dict(self) -> dict[str, object]:
        """Plain values."""
        counts = {result.value: self.results[result] for result in Result}
        return {**counts, "reencrypted_bytes": self.reencrypted_bytes, "changes": dict(sorted(self.changes.items()))}
