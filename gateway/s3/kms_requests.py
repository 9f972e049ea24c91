"""The requests that S3 itself makes to AWS KMS because an object is encrypted with a KMS key: an estimate.

Nobody but AWS sees them. What is known is which requests of S3 need which of them, and what an answer of S3 says about
the encryption of its object:

* an object or upload that begins needs GenerateDataKey: PutObject, CopyObject, CreateMultipartUpload;
* each part, and the end of an upload, needs Decrypt. How many of these S3 saves is not documented, so each counts;
* a read needs Decrypt, and HeadObject too when it asks for the object's checksum, but not otherwise;
* a copy reads its source as well. No answer shows how that is encrypted: it is taken to be encrypted as the copy is,
  unless it is read with a customer key.

Not counted are ListParts and GetObjectAttributes, whose answers do not show the encryption, and what S3 does by itself,
such as replication and inventory. Objects in two layers (``dsse-kms``) count like others.

Source: Amazon S3 User Guide, "Using server-side encryption with AWS KMS keys (SSE-KMS)", permissions; "Uploading and
copying objects using multipart upload", permissions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from gateway.s3.encryption_headers import COPY_SSE_C_KEY, SSE, SSE_BUCKET_KEY
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation

KmsOperation = Literal["GenerateDataKey", "Decrypt"]
KmsMode = Literal["sse-kms", "dsse-kms"]

_CHECKSUM_MODE: Final = "x-amz-checksum-mode"
_MODES: Final[Mapping[str, KmsMode]] = {"aws:kms": "sse-kms", "aws:kms:dsse": "dsse-kms"}
_OWN: Final[Mapping[Operation, KmsOperation]] = {
    Operation.PUT_OBJECT: "GenerateDataKey",
    Operation.COPY_OBJECT: "GenerateDataKey",
    Operation.CREATE_MULTIPART_UPLOAD: "GenerateDataKey",
    Operation.UPLOAD_PART: "Decrypt",
    Operation.UPLOAD_PART_COPY: "Decrypt",
    Operation.COMPLETE_MULTIPART_UPLOAD: "Decrypt",
    Operation.GET_OBJECT: "Decrypt",
}
_COPIES: Final = frozenset({Operation.COPY_OBJECT, Operation.UPLOAD_PART_COPY})


@dataclass(frozen=True, slots=True)
class KmsRequests:
    """What one answer of S3 probably cost.

    Attributes:
        operations: the requests to KMS.
        mode: the encryption that S3 states.
        bucket_key: whether S3 states a bucket key, which many objects share, so that few of the requests are made.
    """

    operations: tuple[KmsOperation, ...]
    mode: KmsMode
    bucket_key: bool


def kms_requests_of(operation: Operation, requested: Headers, answered: Headers) -> KmsRequests | None:
    """The requests to KMS behind a successful answer; None for none.

    Args:
        operation: what S3 was asked for.
        requested: the header fields that it was asked with.
        answered: the header fields of its answer.
    """
    mode = _MODES.get(answered.get(SSE) or "")
    if mode is None:
        return None
    operations: list[KmsOperation] = []
    own = _OWN.get(operation)
    if own is not None:
        operations.append(own)
    elif operation is Operation.HEAD_OBJECT and (requested.get(_CHECKSUM_MODE) or "").upper() == "ENABLED":
        operations.append("Decrypt")
    if operation in _COPIES and COPY_SSE_C_KEY not in requested:
        operations.append("Decrypt")
    if not operations:
        return None
    return KmsRequests(tuple(operations), mode, (answered.get(SSE_BUCKET_KEY) or "").lower() == "true")
