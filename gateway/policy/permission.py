"""Whether a request may happen: what all policies together say, and who said it.

The policies of files are about every bucket that they name; one that the upstream keeps with a bucket is asked about
that bucket only, whatever it names. An explicit deny of either wins. Source: AWS IAM User Guide, "Policy evaluation
logic".
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.errors import S3Error
from gateway.policy.iam.compiled import CompiledPolicies
from gateway.policy.iam.decision import Access, Decision, Effect, Facts

#: What metrics call every statement of a bucket's own policy: whoever may change that policy would choose the name.
BUCKET_POLICY = "bucket policy"
#: What metrics and logs call a request that no statement was about.
DEFAULT = "default"

_BUCKET_PREFIX = "arn:aws:s3:::"


@dataclass(frozen=True, slots=True)
class Permission:
    """What was decided, and by what.

    Attributes:
        effect: allow or deny.
        rule: the statement or rule, for the log: policy and Sid, ``encryption rule`` and its name, or ``default``.
        counted_as: the same for metrics, out of a set that the configuration limits.
    """

    effect: Effect
    rule: str = DEFAULT
    counted_as: str = DEFAULT


ALLOWED_BY_DEFAULT = Permission(Effect.ALLOW)


class PolicyDenied(S3Error):
    """A policy or an encryption rule does not let a request happen.

    Args:
        message: what the client reads.
        permission: what was decided.
    """

    def __init__(self, message: str, permission: Permission) -> None:
        super().__init__("AccessDenied", message)
        self.permission = permission


def denied_by_rule(name: str, reason: str) -> PolicyDenied:
    """The refusal of an encryption rule.

    Args:
        name: the rule's.
        reason: what follows its name in the message.
    """
    label = f"encryption rule {name}"
    return PolicyDenied(f"The gateway's encryption rule '{name}' {reason}.", Permission(Effect.DENY, label, label))


@dataclass(frozen=True, slots=True)
class Standing:
    """How policies see an identity.

    Attributes:
        principal: its ARN.
        default: what happens to its requests that no statement is about: allow or deny.
    """

    principal: str
    default: Effect


@dataclass(frozen=True, slots=True)
class Judge:
    """Everything that one request is judged by.

    Attributes:
        facts: the request as it was received.
        accesses: what it wants to do.
        policies: those of files.
        bucket_policies: those of the upstream's buckets, by bucket; None for a bucket that has none.
        default: what happens when no statement is about the request: allow or deny.
        deletion: what it takes to remove an object, by its key and version: the accesses of a DeleteObjects request are
            in its body.
    """

    facts: Facts = field(repr=False)
    accesses: Sequence[Access]
    policies: CompiledPolicies
    bucket_policies: Mapping[str, CompiledPolicies | None]
    default: Effect
    deletion: Callable[[str, str | None], Sequence[Access]]

    def permit(self) -> Permission:
        """Decide on the whole request.

        Returns:
            What allows the first thing that the request wants.

        Raises:
            PolicyDenied: one of the accesses is not allowed.
            S3Error: a field that a policy looks at can not be understood.
        """
        return self._permit(self.accesses)

    def permit_deletion(self, object_key: str, version_id: str | None) -> Permission:
        """Decide on one of the objects that a DeleteObjects document names.

        Raises:
            PolicyDenied: it may not be removed.
            S3Error: as :meth:`permit`.
        """
        return self._permit(self.deletion(object_key, version_id))

    def explicitly_allows(self, access: Access) -> bool:
        """Whether a statement of a file allows an access.

        The default does not count, nor does the bucket's own policy: one that lets the gateway's role do everything is
        usual, and was not written about clients.

        Raises:
            S3Error: as :meth:`permit`.
        """
        return self.policies.decide(self.facts, access).effect is Effect.ALLOW

    def _permit(self, accesses: Sequence[Access]) -> Permission:
        permissions = [self._of(access) for access in accesses]
        return permissions[0] if permissions else ALLOWED_BY_DEFAULT

    def _of(self, access: Access) -> Permission:
        decision, counted_as = self._decided(access)
        if decision.effect is Effect.NEUTRAL:
            if self.default is Effect.DENY:
                raise PolicyDenied(f"No policy allows {access.action} here.", Permission(Effect.DENY))
            return ALLOWED_BY_DEFAULT
        permission = Permission(decision.effect, decision.rule, counted_as)
        if decision.effect is Effect.DENY:
            raise PolicyDenied(_explanation(access, decision), permission)
        return permission

    def _decided(self, access: Access) -> tuple[Decision, str]:
        decision = self.policies.decide(self.facts, access)
        own = self.bucket_policies.get(bucket_of(access)) if self.bucket_policies else None
        if own is None or decision.effect is Effect.DENY:
            return decision, decision.rule
        its_own = own.decide(self.facts, access)
        if its_own.effect is Effect.DENY or decision.effect is Effect.NEUTRAL:
            return its_own, DEFAULT if its_own.effect is Effect.NEUTRAL else BUCKET_POLICY
        return decision, decision.rule


def bucket_of(access: Access) -> str:
    """The bucket that an access is about; empty for the service itself."""
    return access.resource.removeprefix(_BUCKET_PREFIX).partition("/")[0] if access.resource != "*" else ""


def _explanation(access: Access, decision: Decision) -> str:
    statement = f"'{decision.sid}'" if decision.sid is not None else f"number {decision.statement}"
    return f"{access.action} is denied by statement {statement} of policy '{decision.policy}'."
