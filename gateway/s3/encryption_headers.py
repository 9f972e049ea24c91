"""The encryption that a request asks for itself, checked as S3 checks it.

Messages, argument names and the order of checks are S3's. Sources: Amazon S3 API Reference, PutObject, CopyObject,
UploadPart and GetObject; Amazon S3 User Guide, "Specifying server-side encryption with customer-provided keys (SSE-C)".
Raw customer keys are held in :class:`SecretBytes` and never become part of a message.
"""

import binascii
import hashlib
import hmac
import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Literal

from gateway.errors import S3Error
from gateway.redact import SecretBytes
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation

SSE = "x-amz-server-side-encryption"
SSE_KMS_KEY_ID = "x-amz-server-side-encryption-aws-kms-key-id"
SSE_CONTEXT = "x-amz-server-side-encryption-context"
SSE_BUCKET_KEY = "x-amz-server-side-encryption-bucket-key-enabled"
SSE_C_ALGORITHM = "x-amz-server-side-encryption-customer-algorithm"
SSE_C_KEY = "x-amz-server-side-encryption-customer-key"
SSE_C_KEY_MD5 = "x-amz-server-side-encryption-customer-key-md5"
COPY_SSE_C_ALGORITHM = "x-amz-copy-source-server-side-encryption-customer-algorithm"
COPY_SSE_C_KEY = "x-amz-copy-source-server-side-encryption-customer-key"
COPY_SSE_C_KEY_MD5 = "x-amz-copy-source-server-side-encryption-customer-key-md5"

_CUSTOMER_TRIO = (SSE_C_ALGORITHM, SSE_C_KEY, SSE_C_KEY_MD5)
_COPY_SOURCE_CUSTOMER_TRIO = (COPY_SSE_C_ALGORITHM, COPY_SSE_C_KEY, COPY_SSE_C_KEY_MD5)
_METHOD_HEADERS = (SSE, SSE_KMS_KEY_ID, SSE_CONTEXT, SSE_BUCKET_KEY)

#: The customer key of the object itself.
CUSTOMER_HEADERS: frozenset[str] = frozenset(_CUSTOMER_TRIO)
#: The customer key of the object that a copy reads.
COPY_SOURCE_CUSTOMER_HEADERS: frozenset[str] = frozenset(_COPY_SOURCE_CUSTOMER_TRIO)
#: Every request header field about encryption, lower case.
ENCRYPTION_HEADERS: frozenset[str] = frozenset(_METHOD_HEADERS) | CUSTOMER_HEADERS | COPY_SOURCE_CUSTOMER_HEADERS

CUSTOMER_ALGORITHM = "AES256"
CUSTOMER_KEY_BYTES = 32

RequestedMode = Literal["sse-s3", "sse-kms", "dsse-kms", "sse-c"]

_MODE_BY_METHOD: dict[str, RequestedMode] = {"AES256": "sse-s3", "aws:kms": "sse-kms", "aws:kms:dsse": "dsse-kms"}
_KMS_METHODS = frozenset({"aws:kms", "aws:kms:dsse"})

#: S3 refuses the encryption method on these: it cannot change when an object is read, and a part has its upload's.
#: Other operations that have no use for it do not look at it.
_METHOD_REFUSED = frozenset(
    {
        Operation.GET_OBJECT,
        Operation.GET_OBJECT_ATTRIBUTES,
        Operation.HEAD_OBJECT,
        Operation.UPLOAD_PART,
        Operation.UPLOAD_PART_COPY,
    }
)

_BY_CUSTOMER_KEY = "Requests specifying Server Side Encryption with Customer provided keys must provide"


@dataclass(frozen=True, slots=True)
class CustomerKeyHeaders:
    """A customer-provided key as S3 takes it.

    Attributes:
        key: the raw key.
        key_md5: base64 of the raw key's MD5.
    """

    key: SecretBytes
    key_md5: str

    @classmethod
    def of(cls, key: SecretBytes) -> "CustomerKeyHeaders":
        """The header fields' content for a raw key of 32 bytes."""
        return cls(key, _md5(key))

    def render(self) -> tuple[tuple[str, str], ...]:
        """The three header fields for the object itself."""
        return self._render(_CUSTOMER_TRIO)

    def render_copy_source(self) -> tuple[tuple[str, str], ...]:
        """The three header fields for the object that a copy reads."""
        return self._render(_COPY_SOURCE_CUSTOMER_TRIO)

    def _render(self, names: tuple[str, str, str]) -> tuple[tuple[str, str], ...]:
        algorithm, key, key_md5 = names
        encoded = b64encode(self.key.reveal()).decode("ascii")
        return (algorithm, CUSTOMER_ALGORITHM), (key, encoded), (key_md5, self.key_md5)


@dataclass(frozen=True, slots=True)
class RequestedEncryption:
    """The encryption that a request asks for. Made by :func:`requested_encryption` only.

    Attributes:
        sse: the method, such as ``aws:kms``, or None.
        kms_key_id: key id, alias or ARN as sent, or None.
        context: the KMS encryption context, base64 as sent, or None.
        bucket_key: whether a bucket key shall be used, or None when the request does not say.
        customer: the customer key of the object, or None.
        copy_source_customer: the customer key of the object that a copy reads, or None.
    """

    sse: str | None = None
    kms_key_id: str | None = None
    context: str | None = None
    bucket_key: bool | None = None
    customer: CustomerKeyHeaders | None = None
    copy_source_customer: CustomerKeyHeaders | None = None

    @property
    def mode(self) -> RequestedMode | None:
        """The encryption mode's name, or None when the request does not choose one."""
        if self.customer is not None:
            return "sse-c"
        return None if self.sse is None else _MODE_BY_METHOD[self.sse]


_NOTHING_REQUESTED = RequestedEncryption()


def requested_encryption(operation: Operation, headers: Headers) -> RequestedEncryption:
    """The encryption that the header fields ask for.

    Fields that the operation has no use for are not looked at, with the exceptions that S3 makes. What depends on the
    stored object or on KMS is left to S3.

    Raises:
        S3Error: InvalidArgument, InvalidEncryptionAlgorithmError or InvalidRequest, as S3 words it.
    """
    fields = _encryption_fields(headers)
    if not fields:
        return _NOTHING_REQUESTED
    accepted = operation.info.sse
    if operation in _METHOD_REFUSED:
        if SSE in fields:
            raise _invalid(f"{SSE} header is not supported for this operation.", SSE, fields[SSE])
        _require_kms_method(fields)
    takes_method = "S" in accepted
    if takes_method and SSE in fields and not CUSTOMER_HEADERS.isdisjoint(fields):
        raise _invalid(
            "Server Side Encryption with Customer provided key is incompatible with the encryption method specified",
            SSE,
            fields[SSE],
        )
    customer = _customer_key(fields, _CUSTOMER_TRIO) if "3" in accepted else None
    copy_source_customer = _customer_key(fields, _COPY_SOURCE_CUSTOMER_TRIO) if "Z" in accepted else None
    if not takes_method:
        return RequestedEncryption(customer=customer, copy_source_customer=copy_source_customer)
    return RequestedEncryption(
        sse=_method(fields),
        kms_key_id=fields.get(SSE_KMS_KEY_ID),
        context=_context(fields),
        bucket_key=_bucket_key(fields),
        customer=customer,
        copy_source_customer=copy_source_customer,
    )


def _encryption_fields(headers: Headers) -> dict[str, str]:
    """The encryption header fields by name; one that comes twice could mean two things to two servers."""
    fields: dict[str, str] = {}
    for name, value in headers:
        if name in ENCRYPTION_HEADERS:
            if name in fields:
                raise S3Error("InvalidRequest", f"The header {name} must not be repeated.")
            fields[name] = value
    return fields


def _method(fields: dict[str, str]) -> str | None:
    method = fields.get(SSE)
    if method is not None and method not in _MODE_BY_METHOD:
        raise _invalid("The encryption method specified is not supported", SSE, method)
    _require_kms_method(fields)
    return method


def _require_kms_method(fields: dict[str, str]) -> None:
    """Refuse a KMS key or context without the method that uses it."""
    if fields.get(SSE) not in _KMS_METHODS and (SSE_KMS_KEY_ID in fields or SSE_CONTEXT in fields):
        raise _invalid(
            f"Server Side Encryption with AWS KMS managed key requires HTTP header {SSE} : aws:kms",
            SSE,
            fields.get(SSE, "null"),
        )


def _context(fields: dict[str, str]) -> str | None:
    """The encryption context as sent, when it is base64 of a JSON object from texts to texts."""
    value = fields.get(SSE_CONTEXT)
    if value is None:
        return None
    try:
        document = json.loads(b64decode(value, validate=True).decode("utf-8"))
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or not all(isinstance(text, str) for text in document.values()):
        raise _invalid(
            f"The header '{SSE_CONTEXT}' shall be Base64-encoded UTF-8 string holding JSON which represents a "
            "string-string map",
            SSE_CONTEXT,
            value,
        )
    return value


def _bucket_key(fields: dict[str, str]) -> bool | None:
    value = fields.get(SSE_BUCKET_KEY)
    if value is None:
        return None
    if value.lower() not in {"true", "false"}:
        raise _invalid(f"The header '{SSE_BUCKET_KEY}' shall be true or false", SSE_BUCKET_KEY, value)
    return value.lower() == "true"


def _customer_key(fields: dict[str, str], names: tuple[str, str, str]) -> CustomerKeyHeaders | None:
    """The customer key in three fields. S3 names ``x-amz-server-side-encryption`` as the argument of every fault."""
    algorithm, encoded_key, key_md5 = (fields.get(name) for name in names)
    if algorithm is None and encoded_key is None and key_md5 is None:
        return None
    if algorithm is None:
        raise _invalid(f"{_BY_CUSTOMER_KEY} a valid encryption algorithm.", SSE, "null")
    if encoded_key is None:
        raise _invalid(f"{_BY_CUSTOMER_KEY} an appropriate secret key.", SSE, "null")
    if algorithm != CUSTOMER_ALGORITHM:
        raise S3Error(
            "InvalidEncryptionAlgorithmError",
            "The Encryption request you specified is not valid. Supported value: AES256.",
            details=(("ArgumentName", SSE), ("ArgumentValue", algorithm)),
        )
    if key_md5 is None:
        raise _invalid(f"{_BY_CUSTOMER_KEY} the client calculated MD5 of the secret key.", SSE, "null")
    key = _decode_key(encoded_key)
    if not hmac.compare_digest(_md5(key).encode("ascii"), key_md5.encode("utf-8", "surrogateescape")):
        raise _invalid("The calculated MD5 hash of the key did not match the hash that was provided.", SSE, "null")
    if len(key) != CUSTOMER_KEY_BYTES:
        raise _invalid("The secret key was invalid for the specified algorithm.", SSE, "null")
    return CustomerKeyHeaders(key, key_md5)


def _decode_key(encoded: str) -> SecretBytes:
    try:
        return SecretBytes(b64decode(encoded, validate=True))
    except (binascii.Error, ValueError):
        # Without the cause: its text may quote the key.
        raise _invalid("The secret key was invalid for the specified algorithm.", SSE, "null") from None


def _md5(key: SecretBytes) -> str:
    return b64encode(hashlib.md5(key.reveal(), usedforsecurity=False).digest()).decode("ascii")


def _invalid(message: str, name: str, value: str) -> S3Error:
    return S3Error("InvalidArgument", message, details=(("ArgumentName", name), ("ArgumentValue", value)))
