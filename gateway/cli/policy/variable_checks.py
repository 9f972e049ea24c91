"""What is odd about the policy variables of one statement."""

import re
from collections.abc import Iterator

from gateway.cli.findings import Finding, failure, warning
from gateway.cli.policy.place import PolicyInFile
from gateway.policy.iam.condition_keys import is_supplied
from gateway.policy.iam.decision import Effect
from gateway.policy.iam.document import VERSION_WITH_VARIABLES
from gateway.policy.iam.statements import Statement

_VARIABLE = re.compile(r"\$\{(?P<key>[A-Za-z0-9_-]+:[^\s,'*?$}]+)\s*(?P<default>,[^}]*)?\}")


def variable_findings(source: PolicyInFile, statement: Statement) -> Iterator[Finding]:
    """Variables that nothing is filled in for, and texts that look like variables and are none."""
    for line, text in _texts(statement):
        where = source.at(statement, line)
        for found in _VARIABLE.finditer(text):
            key = found["key"].lower()
            if not source.policy.variables:
                yield failure(
                    where,
                    f"{found[0]} is no variable in this version of the language: it stands for these very characters",
                    f'write "Version": "{VERSION_WITH_VARIABLES}" at the beginning of the policy',
                )
            elif found["default"] is None and not is_supplied(key):
                # A Deny that fits nothing lets through what it was written to stop.
                tell = failure if statement.effect is Effect.DENY else warning
                yield tell(where, f"no request has {key}, so {text!r} fits nothing", "name a key that requests have")


def _texts(statement: Statement) -> Iterator[tuple[int | None, str]]:
    """Every text in which variables may stand, with its line where it has one of its own."""
    for text in statement.resources.values:
        yield None, text
    for condition in statement.conditions:
        for value in condition.values:
            yield condition.line, value
