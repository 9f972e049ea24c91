"""Mode ``sse-s3``: S3 encrypts with keys that S3 manages.

Source: Amazon S3 User Guide, "Using server-side encryption with Amazon S3 managed keys (SSE-S3)".
"""

from gateway.modes.mode import Subject
from gateway.policy.rules import EncryptionRule, ModeName
from gateway.s3.encryption_headers import SSE
from gateway.s3.headers import Headers

_ALGORITHM = "AES256"
_REQUESTED = Headers(((SSE, _ALGORITHM),))


class SseS3:
    """``x-amz-server-side-encryption: AES256``."""

    name = ModeName.SSE_S3

    def request_headers(self, rule: EncryptionRule, subject: Subject) -> Headers:  # noqa: ARG002 - the protocol's shape
        """The one header field of SSE-S3."""
        return _REQUESTED

    def proven_by(self, requested: Headers, answered: Headers) -> bool:  # noqa: ARG002 - the protocol's shape
        """Whether S3 names the algorithm in its answer."""
        return answered.get(SSE) == _ALGORITHM
