"""Steps three and four of a request: may it happen, and which encryption does its object get.

Policies are evaluated on the request as it was received, before any default is applied; that is S3's own order. Source:
Amazon S3 User Guide, "Setting default server-side encryption behavior": bucket policies are evaluated before default
encryption.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from gateway.errors import S3Error
from gateway.policy.rules import EncryptionRule, ModeName, first_match
from gateway.s3.authenticate import VerifiedRequest
from gateway.s3.encryption_headers import RequestedEncryption, requested_encryption
from gateway.s3.hoist import hoist_query
from gateway.s3.operation import Operation
from gateway.s3.request import S3Request

#: The operations that create an object, so that its encryption is decided there.
#: A POST form is not among them: it becomes a PutObject once its fields are read.
CREATES_OBJECT = frozenset({Operation.PUT_OBJECT, Operation.COPY_OBJECT, Operation.CREATE_MULTIPART_UPLOAD})


class EncryptionSource(StrEnum):
    """Who chose the encryption of an object."""

    CLIENT = "client"
    INJECTED = "injected"
    OVERRIDDEN = "overridden"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class AuthorizedRequest:
    """A request that may go upstream. Made by :func:`authorize` only.

    Attributes:
        verified: the authenticated request.
        requested: the encryption that the client asked for itself.
        rule: the first rule about the object, or None for service and bucket operations.
        mode: the encryption that a created object gets; ``none`` for operations that create nothing.
        source: who chose it.
    """

    verified: VerifiedRequest
    requested: RequestedEncryption
    rule: EncryptionRule | None
    mode: ModeName
    source: EncryptionSource

    @property
    def request(self) -> S3Request:
        """The S3 request itself."""
        return self.verified.request


def authorize(
    verified: VerifiedRequest, rules: Sequence[EncryptionRule], refused: frozenset[Operation] = frozenset()
) -> AuthorizedRequest:
    """Decide on one request.

    Fields that a presigned URL carries in its query are read as the header fields that they stand for.

    Args:
        verified: the authenticated request.
        rules: the encryption rules in order.
        refused: operations that must not reach the upstream, because it takes them for something else.

    Raises:
        S3Error: the operation is refused, the request's own encryption headers contradict each other or its operation,
            a customer key came without TLS, an enforced encryption would be changed, or no rule is about the object
            that the request would create.
    """
    verified = replace(verified, request=hoist_query(verified.request))
    request = verified.request
    if request.operation in refused:
        raise S3Error("NotImplemented", f"The operation {request.operation.value} is switched off on this gateway.")
    requested = requested_encryption(request.operation, request.raw.headers)
    _refuse_key_in_clear(request, requested)
    rule = None
    if request.bucket is not None and request.object_key is not None:
        rule = first_match(rules, request.bucket, request.object_key)
    if request.operation is Operation.UPDATE_OBJECT_ENCRYPTION and rule is not None and rule.enforce:
        raise S3Error("AccessDenied", "The gateway's encryption rule for this object does not let clients change it.")
    if request.operation not in CREATES_OBJECT:
        return AuthorizedRequest(verified, requested, rule, ModeName.NONE, EncryptionSource.NONE)
    if rule is None:
        raise S3Error("AccessDenied", "No encryption rule of the gateway covers this object.")
    mode, source = _default_encryption(requested, rule)
    return AuthorizedRequest(verified, requested, rule, mode, source)


def _refuse_key_in_clear(request: S3Request, requested: RequestedEncryption) -> None:
    """Refuse a customer key that came without TLS, as S3 does, on listeners that are exempted from TLS too."""
    if request.raw.scheme != "https" and (requested.customer or requested.copy_source_customer):
        raise S3Error(
            "InvalidRequest",
            "Requests specifying Server Side Encryption with Customer provided keys must be made over a secure "
            "connection.",
        )


def _default_encryption(requested: RequestedEncryption, rule: EncryptionRule) -> tuple[ModeName, EncryptionSource]:
    if rule.mode is ModeName.CSE and not rule.enforce:
        # Sealing does not replace what the client asked S3 for: S3 encrypts the ciphertext once more.
        return rule.mode, EncryptionSource.INJECTED
    if requested.mode is None:
        injected = EncryptionSource.NONE if rule.mode is ModeName.NONE else EncryptionSource.INJECTED
        return rule.mode, injected
    if rule.enforce:
        return rule.mode, EncryptionSource.OVERRIDDEN
    return ModeName(requested.mode), EncryptionSource.CLIENT
