"""Steps three and four of a request: may it happen, and which encryption does its object get.

Policies are evaluated on the request as it was received, before any default is applied; that is S3's own order. Source:
Amazon S3 User Guide, "Setting default server-side encryption behavior": bucket policies are evaluated before default
encryption.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from gateway.errors import S3Error
from gateway.policy.choice import agreed_rule, any_conditional, narrowed, possible_rules, standing_for, written_rule
from gateway.policy.default_encryption import EncryptionSource, chosen_encryption
from gateway.policy.gated import binding_rule, gated_accesses
from gateway.policy.iam.actions import accesses_of
from gateway.policy.iam.decision import Access
from gateway.policy.permission import ALLOWED_BY_DEFAULT, Judge, Permission, denied_by_rule
from gateway.policy.rules import EncryptionRule, ModeName, ObjectTraits
from gateway.policy.traits import identity_of, new_object_traits
from gateway.s3.authenticate import VerifiedRequest
from gateway.s3.encryption_headers import RequestedEncryption, requested_encryption
from gateway.s3.hoist import hoist_query
from gateway.s3.operation import Operation
from gateway.s3.request import S3Request

#: The operations that create an object, so that its encryption is decided there.
#: A POST form is not among them: it becomes a PutObject once its fields are read.
CREATES_OBJECT = frozenset({Operation.PUT_OBJECT, Operation.COPY_OBJECT, Operation.CREATE_MULTIPART_UPLOAD})


class DependsOnSource(S3Error):
    """Which rule is about a copy depends on tags or a content type that it takes from its source."""

    def __init__(self) -> None:
        super().__init__(
            "InvalidRequest",
            "Which encryption rule of the gateway covers this copy depends on the tags or content type that it takes "
            "from its source, which can not be read. State them in the request, with REPLACE as "
            "x-amz-tagging-directive or x-amz-metadata-directive.",
        )


@dataclass(frozen=True, slots=True)
class AuthorizedRequest:
    """A request that may go upstream. Made by :func:`authorize` only.

    Attributes:
        verified: the authenticated request.
        requested: the encryption that the client asked for itself.
        rule: the rule about the object; of a stored object, what stands for every rule that may have written it. None
            for service and bucket operations.
        possible: the rules that may be about the object, the identity being known.
        permission: what let the request happen.
        judge: the policies; a handler asks it about what stands in the body. None without policies.
        mode: the encryption that a created object gets; ``none`` for operations that create nothing.
        source: who chose it.
    """

    verified: VerifiedRequest
    requested: RequestedEncryption
    rule: EncryptionRule | None
    mode: ModeName
    source: EncryptionSource
    possible: tuple[EncryptionRule, ...] = ()
    permission: Permission = ALLOWED_BY_DEFAULT
    judge: Judge | None = field(default=None, repr=False)

    @property
    def request(self) -> S3Request:
        """The S3 request itself."""
        return self.verified.request


def authorize(
    verified: VerifiedRequest,
    rules: Sequence[EncryptionRule],
    refused: frozenset[Operation] = frozenset(),
    judge: Judge | None = None,
    inherited: ObjectTraits | None = None,
) -> AuthorizedRequest:
    """Decide on one request.

    Fields that a presigned URL carries in its query are read as the header fields that they stand for.

    Args:
        verified: the authenticated request.
        rules: the encryption rules in order.
        refused: operations that must not reach the upstream, because it takes them for something else.
        judge: what the policies say about this request; None when there are none.
        inherited: what a copy takes from its source; None when nobody looked.

    Raises:
        DependsOnSource: which rule is about a copy depends on what it takes from its source.
        PolicyDenied: a policy does not let the request happen, or it would weaken what a rule limits.
        S3Error: the operation is refused, the request's own encryption headers contradict each other or its operation,
            a customer key came without TLS, or no rule is about the object that the request would create.
    """
    request = hoist_query(verified.request)
    if request is not verified.request:
        verified = replace(verified, request=request)
    if request.operation in refused:
        raise S3Error("NotImplemented", f"The operation {request.operation.value} is switched off on this gateway.")
    requested = requested_encryption(request.operation, request.raw.headers)
    _refuse_key_in_clear(request, requested)
    permission = ALLOWED_BY_DEFAULT if judge is None else judge.permit()
    _refuse_ungated(request, rules, judge)
    decided = _encrypted(verified, requested, rules, inherited)
    return decided if judge is None else replace(decided, permission=permission, judge=judge)


def require_explicit(authorized: AuthorizedRequest, rules: Sequence[EncryptionRule]) -> None:
    """Refuse a request whose body shows that it gets around a rule that limits clients, unless a policy allows it.

    Raises:
        PolicyDenied: no policy file allows it by a statement of its own.
    """
    request = authorized.request
    rule = None if request.bucket is None else binding_rule(rules, request.bucket, request.object_key)
    _require_explicit(accesses_of(request)[:1], rule, authorized.judge)


def _encrypted(
    verified: VerifiedRequest,
    requested: RequestedEncryption,
    rules: Sequence[EncryptionRule],
    inherited: ObjectTraits | None,
) -> AuthorizedRequest:
    """The rule about a request, and the encryption of what it creates."""
    request = verified.request
    if request.bucket is None or request.object_key is None:
        return AuthorizedRequest(verified, requested, None, ModeName.NONE, EncryptionSource.NONE)
    possible = possible_rules(rules, request.bucket, request.object_key)
    if request.operation in CREATES_OBJECT:
        rule, narrow = _rule_of_new_object(verified, possible, inherited)
        subject = (request.bucket, request.object_key, identity_of(verified))
        mode, source = chosen_encryption(requested, rule, subject)
        return AuthorizedRequest(verified, requested, written_rule(rule, possible), mode, source, narrow)
    stored = standing_for(possible)
    possible = narrowed(possible, ObjectTraits(identity=identity_of(verified)))
    return AuthorizedRequest(verified, requested, stored, ModeName.NONE, EncryptionSource.NONE, possible)


def _refuse_key_in_clear(request: S3Request, requested: RequestedEncryption) -> None:
    """Refuse a customer key that came without TLS, as S3 does, on listeners that are exempted from TLS too."""
    if request.raw.scheme != "https" and (requested.customer or requested.copy_source_customer):
        raise S3Error(
            "InvalidRequest",
            "Requests specifying Server Side Encryption with Customer provided keys must be made over a secure "
            "connection.",
        )


def _refuse_ungated(request: S3Request, rules: Sequence[EncryptionRule], judge: Judge | None) -> None:
    """Refuse what would get around a rule that limits clients, unless a policy allows it by a statement of its own."""
    gated = gated_accesses(request)
    if gated and request.bucket is not None:
        _require_explicit(gated, binding_rule(rules, request.bucket, request.object_key), judge)


def _require_explicit(gated: Sequence[Access], rule: EncryptionRule | None, judge: Judge | None) -> None:
    for access in gated:
        if rule is not None and (judge is None or not judge.explicitly_allows(access)):
            raise denied_by_rule(
                rule.name, f"limits what clients choose, and {access.action} gets around that: a policy has to allow it"
            )


def _rule_of_new_object(
    verified: VerifiedRequest, at_place: tuple[EncryptionRule, ...], inherited: ObjectTraits | None
) -> tuple[EncryptionRule, tuple[EncryptionRule, ...]]:
    """The rule about the object that a request creates, and all that may be about it, which do the same.

    Raises:
        DependsOnSource: there are several, and they differ.
        S3Error: AccessDenied, when there is none.
    """
    possible = at_place
    if any_conditional(at_place):
        possible = narrowed(at_place, new_object_traits(verified, at_place, inherited))
    rule = agreed_rule(possible)
    if rule is not None:
        return rule, possible
    if possible:
        raise DependsOnSource
    raise S3Error("AccessDenied", "No encryption rule of the gateway covers this object.")
