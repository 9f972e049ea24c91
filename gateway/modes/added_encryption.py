"""Step five of a request that creates an object: the encryption header fields that go upstream."""

from gateway.modes.mode import Subject
from gateway.modes.registry import MODES
from gateway.policy.authorize import AuthorizedRequest
from gateway.policy.default_encryption import EncryptionSource
from gateway.policy.rules import ModeName
from gateway.redact import SecretBytes
from gateway.s3.encryption_headers import COPY_SOURCE_CUSTOMER_HEADERS
from gateway.s3.forwarding import encryption_headers_of
from gateway.s3.headers import Headers


def keeps_requested(authorized: AuthorizedRequest) -> bool:
    """Whether the client's own encryption header fields go upstream as they are."""
    if authorized.source in (EncryptionSource.CLIENT, EncryptionSource.NONE) or authorized.rule is None:
        return True
    # Sealing does not replace what the client asked S3 for.
    return authorized.mode is ModeName.CSE and authorized.source is not EncryptionSource.OVERRIDDEN


def needs_customer_key(authorized: AuthorizedRequest) -> bool:
    """Whether the gateway adds a customer key."""
    return authorized.mode is ModeName.SSE_C and not keeps_requested(authorized)


def new_object_headers(authorized: AuthorizedRequest, customer_key: SecretBytes | None) -> Headers:
    """The header fields that ask S3 for the object's encryption.

    Args:
        authorized: a request that creates an object.
        customer_key: the object's key, when :func:`needs_customer_key` says so.
    """
    request = authorized.request
    if authorized.rule is None or keeps_requested(authorized):
        return encryption_headers_of(request.raw.headers).without(COPY_SOURCE_CUSTOMER_HEADERS)
    identity = authorized.verified.identity
    subject = Subject(
        bucket=request.bucket or "",
        object_key=request.object_key or "",
        identity="" if identity is None else identity.name,
        customer_key=customer_key,
    )
    return MODES[authorized.mode].request_headers(authorized.rule, subject)
