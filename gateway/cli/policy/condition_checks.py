"""What is odd about the conditions of one statement."""

from collections.abc import Iterator

from gateway.cli.findings import Finding, failure, warning
from gateway.cli.policy.known import (
    COPY_SOURCE_KEY,
    KMS_KEY_ID_KEY,
    VALUES_OF_KEY,
    exists_elsewhere,
)
from gateway.cli.policy.place import PolicyInFile
from gateway.policy.glob import Glob
from gateway.policy.iam.condition_keys import is_supplied
from gateway.policy.iam.conditions import Condition
from gateway.policy.iam.decision import Effect
from gateway.policy.iam.operators import NULL, Quantifier
from gateway.policy.iam.statements import Statement

_TEXT_COMPARISONS = frozenset({"StringEquals", "StringEqualsIgnoreCase", "StringLike"})
_ALIAS = "alias/"


def condition_findings(source: PolicyInFile, statement: Statement) -> Iterator[Finding]:
    """Everything odd about the conditions of a statement."""
    yield from _impossible(source, statement)
    for condition in statement.conditions:
        where = source.at(statement, condition.line)
        yield from _key_findings(where, statement, condition)
        yield from _value_findings(where, condition)
        if condition.key == KMS_KEY_ID_KEY:
            yield from _key_id_findings(where, condition)
        yield from _absence_findings(where, statement, condition)


def _absence_findings(where: str, statement: Statement, condition: Condition) -> Iterator[Finding]:
    """Operators that hold where the key is absent, though they do not look like it."""
    key, operator = condition.key, condition.operator
    if _demands_presence(statement, key):
        return
    if statement.effect is Effect.ALLOW and operator.quantifier is Quantifier.ALL and is_supplied(key):
        yield warning(
            where,
            f"{operator.name} under Allow holds for requests without {key} too: all of no values fit",
            f'add "Null": {{"{key}": "false"}}, or write ForAnyValue',
        )
    if statement.effect is Effect.DENY and operator.negated and operator.if_exists:
        yield warning(
            where,
            f"{operator.name} under Deny refuses requests without {key} as well: it means the same as {operator.base}",
            f'to let them through, write {operator.base} and "Null": {{"{key}": "false"}} beside it; to refuse them, '
            f"write {operator.base}",
        )


def _impossible(source: PolicyInFile, statement: Statement) -> Iterator[Finding]:
    """Conditions on one key of which never all hold: it has to be absent, and it has to be there."""
    for condition in statement.conditions:
        if condition.operator.comparison != NULL or not _demands_absence(condition):
            continue
        others = [other for other in statement.conditions if other.key == condition.key and other is not condition]
        if any(not holds_when_absent(other) for other in others):
            yield failure(
                source.at(statement, condition.line),
                f"{condition.key} has to be absent and has to have a value, so the statement never applies",
                "make two statements of it: conditions of one statement have to hold together",
            )


def _demands_absence(condition: Condition) -> bool:
    return {value.lower() for value in condition.values} == {"true"}


def holds_when_absent(condition: Condition) -> bool:
    """Whether a condition holds in a request that does not have its key."""
    if condition.operator.comparison == NULL:
        return any(value.lower() == "true" for value in condition.values)
    return condition.operator.when_absent


def _key_findings(where: str, statement: Statement, condition: Condition) -> Iterator[Finding]:
    """A key that no request has: the condition is decided by its absence."""
    if is_supplied(condition.key):
        return
    always = holds_when_absent(condition)
    denies = statement.effect is Effect.DENY
    elsewhere = exists_elsewhere(condition.key)
    what = "no request through the gateway has" if elsewhere else "S3 has no condition key"
    then = "always holds" if always else "never holds, so the statement never applies"
    message = f"{what} {condition.key}: the condition {then}"
    remedy = "evaluate this statement at the upstream" if elsewhere else "correct the key's name"
    # A Deny that never applies and an Allow that asks for nothing let through what they were written to stop.
    if not elsewhere or denies != always:
        yield failure(where, message, remedy)
    else:
        yield warning(where, message, remedy)


def _value_findings(where: str, condition: Condition) -> Iterator[Finding]:
    """Values that no request can have."""
    if condition.operator.comparison not in _TEXT_COMPARISONS:
        return
    possible = VALUES_OF_KEY.get(condition.key)
    for value in condition.values:
        if possible is not None and "${" not in value and not _fits_any(condition, value, possible):
            yield failure(
                where,
                f"{condition.key} is never {value!r}",
                f"the values are {', '.join(possible)}; case counts",
            )
        if condition.key == COPY_SOURCE_KEY and value.startswith("/"):
            yield failure(
                where,
                f"{condition.key} has no slash before the bucket, so {value!r} never fits",
                f"write {value.lstrip('/')!r}",
            )


def _fits_any(condition: Condition, value: str, possible: tuple[str, ...]) -> bool:
    comparison = condition.operator.comparison
    if comparison == "StringLike":
        return any(Glob(value).matches(each) for each in possible)
    if comparison == "StringEqualsIgnoreCase":
        return value.lower() in {each.lower() for each in possible}
    return value in possible


def _key_id_findings(where: str, condition: Condition) -> Iterator[Finding]:
    """Values for the KMS key that are no ARN of a key."""
    if condition.operator.comparison == NULL:
        return
    for value in condition.values:
        if value.startswith("arn:") and ":key/" in value:
            continue
        kind = "an alias" if _ALIAS in value else "no ARN of a key"
        if not value.strip("*"):
            continue
        yield warning(
            where,
            f"{value!r} is {kind}: only requests that spell the key exactly like this fit, and the gateway sends full "
            "ARNs",
            "write the ARN, arn:aws:kms:REGION:ACCOUNT:key/ID",
        )


def _demands_presence(statement: Statement, key: str) -> bool:
    """Whether a ``Null`` beside a condition says that the key has to be there."""
    return any(
        other.key == key and other.operator.comparison == NULL and not holds_when_absent(other)
        for other in statement.conditions
    )
