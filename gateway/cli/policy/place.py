"""Where in a policy's file something stands, as findings name it."""

from dataclasses import dataclass
from pathlib import Path

from gateway.policy.iam.document import Policy
from gateway.policy.iam.statements import Statement


@dataclass(frozen=True, slots=True)
class PolicyInFile:
    """One policy and where it comes from.

    Attributes:
        policy: the policy.
        file: its file.
    """

    policy: Policy
    file: Path

    def at(self, statement: Statement, line: int | None = None) -> str:
        """File, line and statement.

        Args:
            statement: the statement.
            line: a line inside of it; None for where it begins.
        """
        name = statement.number if statement.sid is None else statement.sid
        return f"{self.file}:{statement.line if line is None else line} {self.policy.name}/{name}"
