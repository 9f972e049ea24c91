"""The encryption that a client asked for when it began a multipart upload.

The parts of an upload carry no encryption header field: S3 refuses one there, a part has its upload's. Bucket policies
look at the field nevertheless, for parts as for whole objects, so what was asked for goes with the upload; see
:mod:`gateway.modes.upload_id`.

Customer keys are left out, because their header fields do go with every part. Source: Amazon S3 API Reference,
CreateMultipartUpload and UploadPart.
"""

from dataclasses import dataclass

from gateway.s3.encryption_headers import RequestedEncryption
from gateway.s3.operation import Operation

#: The requests that go on with an upload, whose encryption was decided when it began.
CONTINUES_UPLOAD: frozenset[Operation] = frozenset(
    {Operation.UPLOAD_PART, Operation.UPLOAD_PART_COPY, Operation.COMPLETE_MULTIPART_UPLOAD}
)


@dataclass(frozen=True, slots=True)
class AskedEncryption:
    """What the client asked for itself, before any default.

    Attributes:
        sse: the method, such as ``aws:kms``, or None.
        kms_key_id: key id, alias or ARN as sent, or None.
    """

    sse: str | None = None
    kms_key_id: str | None = None


NOTHING_ASKED = AskedEncryption()


def asked_encryption(requested: RequestedEncryption) -> AskedEncryption:
    """What of a CreateMultipartUpload request counts for the parts that follow."""
    return NOTHING_ASKED if requested.sse is None else AskedEncryption(requested.sse, requested.kms_key_id)
