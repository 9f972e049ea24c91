"""The encryption header fields of a request that creates an object."""

from gateway.modes.mode import Subject
from gateway.modes.registry import MODES
from gateway.policy.authorize import EncryptionSource
from gateway.policy.rules import ModeName
from gateway.s3.encryption_headers import COPY_SOURCE_CUSTOMER_HEADERS
from gateway.s3.forwarding import encryption_headers_of
from gateway.s3.headers import Headers
from gateway.server.handlers.call import Call
from gateway.server.key_ring import ObjectKey


async def new_object_encryption(call: Call) -> tuple[Headers, ObjectKey | None]:
    """What to send so that the object gets its encryption, and the vault's key when one is used.

    Raises:
        KeyUnavailable: the vault did not give the key; nothing was sent upstream.
    """
    authorized = call.authorized
    metrics = call.services.metrics
    if authorized.source in (EncryptionSource.CLIENT, EncryptionSource.NONE) or authorized.rule is None:
        return encryption_headers_of(call.request.raw.headers).without(COPY_SOURCE_CUSTOMER_HEADERS), None
    if authorized.source is EncryptionSource.OVERRIDDEN:
        metrics.encryption_overridden(authorized.requested.mode or ModeName.NONE, authorized.mode)
    else:
        metrics.encryption_injected(authorized.mode)
    if authorized.mode is ModeName.CSE and authorized.source is not EncryptionSource.OVERRIDDEN:
        return encryption_headers_of(call.request.raw.headers).without(COPY_SOURCE_CUSTOMER_HEADERS), None
    object_key = None
    if authorized.mode is ModeName.SSE_C:
        object_key = await call.services.key_ring.for_new_object(authorized.rule, call.bucket, call.object_key)
    identity = authorized.verified.identity
    subject = Subject(
        bucket=call.bucket,
        object_key=call.object_key,
        identity="" if identity is None else identity.name,
        customer_key=None if object_key is None else object_key.key,
    )
    return MODES[authorized.mode].request_headers(authorized.rule, subject), object_key
