"""Which object a message belongs to: its location, its id, and the proof that a server-side copy may live elsewhere.

The location in an envelope binds the bytes to one bucket and object key, so that a store can not serve one object as
another. A copy that the store makes of the stored bytes keeps the envelope of its source; the gateway, which knows the
data key, adds a proof that this object id may also be read at the new location.
"""

import hashlib
import hmac

from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from gateway.crypto.sealed.envelope import OBJECT_ID_BYTES
from gateway.redact import SecretBytes

ALIAS_PROOF_BYTES = 32
_UPLOAD_LABEL = b"sealgate upload"
#: Begins otherwise than the label of chunked-encryption, so the keys derived for the two purposes are independent.
_ALIAS_LABEL = b"sealgate/v1 alias"


def location_of(bucket: str, object_key: str) -> bytes:
    """The 32 bytes that stand for one bucket and object key.

    Args:
        bucket: the bucket's name.
        object_key: the object key, decoded (UTF-8 with ``surrogateescape``).
    """
    return hashlib.sha256(_prefixed(bucket) + _prefixed(object_key)).digest()


def upload_object_id(upload_id: str) -> bytes:
    """The 16-byte object id of everything that belongs to one multipart upload.

    Any replica of the gateway finds it from the server's upload id alone.
    """
    return hashlib.sha256(_UPLOAD_LABEL + upload_id.encode("utf-8", "surrogateescape")).digest()[:OBJECT_ID_BYTES]


def alias_proof(data_key: SecretBytes, object_id: bytes, location: bytes) -> bytes:
    """The 32 bytes that prove that a holder of the data key allowed the object to live at ``location`` too."""
    key = HKDFExpand(SHA512(), ALIAS_PROOF_BYTES, _ALIAS_LABEL + object_id).derive(data_key.reveal())
    return hmac.digest(key, location + object_id, "sha256")


def alias_fits(proof: bytes, data_key: SecretBytes, object_id: bytes, location: bytes) -> bool:
    """Whether ``proof`` is the alias proof of this object for this location."""
    return hmac.compare_digest(proof, alias_proof(data_key, object_id, location))


def _prefixed(name: str) -> bytes:
    data = name.encode("utf-8", "surrogateescape")
    return len(data).to_bytes(2, "big") + data
