"""The encryption header fields of a request that creates an object."""

from gateway.modes.added_encryption import needs_customer_key, new_object_headers
from gateway.policy.default_encryption import EncryptionSource
from gateway.policy.rules import ModeName
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
    if authorized.rule is not None and authorized.source is EncryptionSource.OVERRIDDEN:
        metrics.encryption_overridden(authorized.requested.mode or ModeName.NONE, authorized.mode)
    elif authorized.rule is not None and authorized.source is EncryptionSource.INJECTED:
        metrics.encryption_injected(authorized.mode)
    object_key = None
    if authorized.rule is not None and needs_customer_key(authorized):
        object_key = await call.services.key_ring.for_new_object(authorized.rule, call.bucket, call.object_key)
    return new_object_headers(authorized, None if object_key is None else object_key.key), object_key
