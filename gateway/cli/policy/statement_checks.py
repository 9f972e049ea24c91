"""What is odd about one statement: it never applies, applies to more than it says, or means something else.

A finding is a failure when the statement does not do what it says: it refuses nothing, or allows everything, or names
something that does not exist. It is a warning when the statement may be meant as it is.
"""

from collections.abc import Iterator, Mapping

from gateway.cli.findings import Finding, failure, warning
from gateway.cli.policy.condition_checks import condition_findings
from gateway.cli.policy.known import ACTIONS_ELSEWHERE, SENDER_KEYS
from gateway.cli.policy.place import PolicyInFile
from gateway.cli.policy.variable_checks import variable_findings
from gateway.policy.glob import Glob
from gateway.policy.iam.actions import ASKED_ACTIONS, OBJECT_ACTIONS
from gateway.policy.iam.decision import Effect
from gateway.policy.iam.principals import EVERYBODY
from gateway.policy.iam.statements import EVERYTHING, Statement

_S3_ARN = ("arn", "aws", "s3", "", "")


def statement_findings(source: PolicyInFile, identities: Mapping[str, str]) -> Iterator[Finding]:
    """Everything odd about the statements of a policy.

    Args:
        source: the policy.
        identities: the ARN of each identity by name; empty when none is known.
    """
    for statement in source.policy.statements:
        yield from _action_findings(source, statement)
        yield from _resource_findings(source, statement)
        yield from _principal_findings(source, statement, identities)
        yield from condition_findings(source, statement)
        yield from variable_findings(source, statement)


def asked_actions(statement: Statement) -> frozenset[str]:
    """The actions that a statement is about and that some request asks for."""
    globs = [Glob(pattern.lower()) for pattern in statement.actions.values]
    named = {action for action in ASKED_ACTIONS if any(glob.matches(action.lower()) for glob in globs)}
    return ASKED_ACTIONS - named if statement.actions.negated else frozenset(named)


def _action_findings(source: PolicyInFile, statement: Statement) -> Iterator[Finding]:
    for pattern in statement.actions.values:
        glob = Glob(pattern.lower())
        if any(glob.matches(action.lower()) for action in ASKED_ACTIONS):
            continue
        where = source.at(statement)
        if any(glob.matches(action) for action in ACTIONS_ELSEWHERE) or not pattern.lower().startswith("s3:"):
            yield warning(where, f"no request through the gateway asks for {pattern}", "leave it to the upstream")
        else:
            yield failure(
                where,
                f"{pattern} is no action of S3, so this part of the statement never applies",
                "look the name up in the Service Authorization Reference; HeadObject, for one, asks for s3:GetObject",
            )


def _resource_findings(source: PolicyInFile, statement: Statement) -> Iterator[Finding]:
    """Resources that no request is about, and actions that have no resource of their kind."""
    if statement.resources.negated:
        return
    where = source.at(statement)
    for text in statement.resources.values:
        if text != EVERYTHING and not _is_s3(text):
            yield failure(where, f"no resource of S3 is {text}", "write arn:aws:s3:::BUCKET or arn:aws:s3:::BUCKET/*")
    asked = asked_actions(statement)
    objects, others = asked & OBJECT_ACTIONS, asked - OBJECT_ACTIONS
    if objects and not others and not any(map(_can_be_object, statement.resources.values)):
        yield failure(
            where,
            f"{min(objects)} is about objects and the resources are buckets, so the statement never applies",
            "add /* to the bucket's ARN",
        )
    if others and not objects and not any(map(_can_be_bucket, statement.resources.values)):
        yield failure(
            where,
            f"{min(others)} is about a bucket and the resources are objects, so the statement never applies",
            "name the bucket itself: its ARN without /*",
        )


def _is_s3(text: str) -> bool:
    parts = text.split(":", 5)[:5]
    return all("$" in part or Glob(part).matches(wanted) for part, wanted in zip(parts, _S3_ARN, strict=False))


def _can_be_object(text: str) -> bool:
    return "*" in text or "/" in text


def _can_be_bucket(text: str) -> bool:
    return "/" not in text


def _principal_findings(source: PolicyInFile, statement: Statement, identities: Mapping[str, str]) -> Iterator[Finding]:
    where = source.at(statement)
    principals = statement.principals
    everybody = principals.negated or ("AWS", EVERYBODY) in principals.values
    restricted = any(condition.key in SENDER_KEYS for condition in statement.conditions)
    if statement.effect is Effect.ALLOW and everybody and not restricted:
        yield warning(
            where,
            "allows everybody who has an access key of the gateway" + (" but the named" if principals.negated else ""),
            "name the principals, or add a condition on aws:PrincipalArn, aws:username or aws:SourceIp",
        )
    if identities and not any(principals.match(arn) for arn in identities.values()):
        yield warning(
            where,
            "is about none of the gateway's identities, so it never applies",
            f"their ARNs are such as {next(iter(identities.values()))}; an option of the identity changes it",
        )
