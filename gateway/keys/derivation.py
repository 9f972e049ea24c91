"""One customer key per object, derived from the vault's key.

HKDF-SHA256 (RFC 5869) with the vault's key as input keying material, no salt, 32 bytes of output, and

    info = "sealgate/sse-c/v1" || uint16(len(bucket)) || bucket || uint16(len(object key)) || object key

with lengths in bytes, big-endian, and both names in UTF-8. The lengths make ``info`` unambiguous: bucket ``a`` with key
``bc`` and bucket ``ab`` with key ``c`` never share a key. No salt is needed, because the input is a uniformly random
key (RFC 5869, section 3.1).

Whoever holds one derived key can read that one object and no other.
"""

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.keys.customer_key import CUSTOMER_KEY_BYTES, CustomerKey
from gateway.redact import SecretBytes

#: Changed only together with the derivation; stored objects depend on it for ever.
LABEL = b"sealgate/sse-c/v1"
#: S3 allows 63 bytes for a bucket's name (older ones 255) and 1,024 for an object key; a length takes two bytes.
_MAX_NAME_BYTES = 0xFFFF


def derive(customer_key: CustomerKey, bucket: str, object_key: str) -> CustomerKey:
    """The key of one object. It carries the version of the key that it comes from.

    Args:
        customer_key: the vault's key.
        bucket: the bucket's name.
        object_key: the object key, decoded (UTF-8 with ``surrogateescape``).
    """
    derived = HKDF(SHA256(), CUSTOMER_KEY_BYTES, salt=None, info=derivation_info(bucket, object_key))
    return CustomerKey(customer_key.version, SecretBytes(derived.derive(customer_key.key.reveal())))


def derivation_info(bucket: str, object_key: str) -> bytes:
    """The ``info`` input of HKDF.

    Raises:
        ValueError: a name is longer than S3 allows.
    """
    return LABEL + _prefixed(bucket) + _prefixed(object_key)


def _prefixed(name: str) -> bytes:
    data = name.encode("utf-8", "surrogateescape")
    if len(data) > _MAX_NAME_BYTES:
        raise ValueError("the name of a bucket or object is too long")
    return len(data).to_bytes(2, "big") + data
