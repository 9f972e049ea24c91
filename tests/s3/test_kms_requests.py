"""What S3 probably asks KMS for, by its answers."""

import pytest

from gateway.s3.headers import Headers
from gateway.s3.kms_requests import kms_requests_of
from gateway.s3.operation import Operation

SSE = "x-amz-server-side-encryption"
KMS = ((SSE, "aws:kms"),)
CUSTOMER_SOURCE = (("x-amz-copy-source-server-side-encryption-customer-key", "key"),)
CHECKSUM = (("x-amz-checksum-mode", "ENABLED"),)
NEW, OLD = "GenerateDataKey", "Decrypt"


@pytest.mark.parametrize(
    ("operation", "requested", "expected"),
    [
        (Operation.PUT_OBJECT, (), [NEW]),
        (Operation.CREATE_MULTIPART_UPLOAD, (), [NEW]),
        (Operation.UPLOAD_PART, (), [OLD]),
        (Operation.COMPLETE_MULTIPART_UPLOAD, (), [OLD]),
        (Operation.COPY_OBJECT, (), [NEW, OLD]),
        (Operation.COPY_OBJECT, CUSTOMER_SOURCE, [NEW]),
        (Operation.UPLOAD_PART_COPY, (), [OLD, OLD]),
        (Operation.UPLOAD_PART_COPY, CUSTOMER_SOURCE, [OLD]),
        (Operation.GET_OBJECT, (), [OLD]),
        (Operation.HEAD_OBJECT, CHECKSUM, [OLD]),
        (Operation.HEAD_OBJECT, (), []),
        (Operation.GET_OBJECT_TAGGING, (), []),
        (Operation.DELETE_OBJECT, (), []),
    ],
)
def test_operations(operation: Operation, requested: tuple[tuple[str, str], ...], expected: list[str]) -> None:
    found = kms_requests_of(operation, Headers(requested), Headers(KMS))
    assert ([] if found is None else list(found.operations)) == expected


@pytest.mark.parametrize(
    ("answered", "expected"),
    [
        (KMS, ("sse-kms", False)),
        ((*KMS, ("x-amz-server-side-encryption-bucket-key-enabled", "true")), ("sse-kms", True)),
        ((*KMS, ("x-amz-server-side-encryption-bucket-key-enabled", "false")), ("sse-kms", False)),
        (((SSE, "aws:kms:dsse"),), ("dsse-kms", False)),
        (((SSE, "AES256"),), None),
        (((SSE, ""),), None),
        ((), None),
    ],
)
def test_answers(answered: tuple[tuple[str, str], ...], expected: tuple[str, bool] | None) -> None:
    """Only what the answer states counts, whatever was asked for."""
    found = kms_requests_of(Operation.PUT_OBJECT, Headers(KMS), Headers(answered))
    assert (None if found is None else (found.mode, found.bucket_key)) == expected
