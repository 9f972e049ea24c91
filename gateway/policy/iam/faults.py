"""What is wrong with a policy, collected so that its author sees everything at once."""

from dataclasses import dataclass, field

from gateway.policy.iam.decision import PolicyError

#: Faults after this many are only counted: a file of the wrong kind has one on every line.
MAXIMUM_FAULTS = 100
#: Characters of a value that a fault repeats.
_SHOWN = 60


@dataclass(slots=True)
class Faults:
    """The faults of one policy.

    Attributes:
        policy: the name of the policy.
        found: each fault as text: the policy, the line, the field, what is wrong.
        more: how many were not kept.
    """

    policy: str
    found: list[str] = field(default_factory=list)
    more: int = 0

    def add(self, line: int, path: str, message: str) -> None:
        """One more fault.

        Args:
            line: the line in the text, from 1.
            path: the field, such as ``Statement[2].Condition.StringEquals``; empty for the policy as a whole.
            message: what is wrong.
        """
        if len(self.found) == MAXIMUM_FAULTS:
            self.more += 1
            return
        self.found.append(f"{self.policy}, line {line}: {path + ': ' if path else ''}{message}")

    def error(self) -> PolicyError:
        """The error that reports them all."""
        more = (f"{self.policy}: {self.more} more faults",) if self.more else ()
        return PolicyError((*self.found, *more))


def shown(value: str) -> str:
    """A value of the policy for a message: quoted, in ASCII, cut."""
    return ascii(value if len(value) <= _SHOWN else value[:_SHOWN] + "...")
