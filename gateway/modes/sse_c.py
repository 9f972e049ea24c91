"""Mode ``sse-c``: S3 encrypts with a key that comes with every request and that S3 does not keep.

Source: Amazon S3 User Guide, "Using server-side encryption with customer-provided keys (SSE-C)".
"""

from gateway.modes.mode import Subject
from gateway.policy.rules import EncryptionRule, ModeName
from gateway.s3.encryption_headers import SSE_C_ALGORITHM, SSE_C_KEY_MD5, CustomerKeyHeaders
from gateway.s3.headers import Headers


class SseC:
    """The three customer-key header fields."""

    name = ModeName.SSE_C

    def request_headers(self, rule: EncryptionRule, subject: Subject) -> Headers:  # noqa: ARG002 - the protocol's shape
        """Algorithm, key and the key's MD5."""
        if subject.customer_key is None:
            raise AssertionError("internal error: sse-c was planned without a key")
        return Headers(CustomerKeyHeaders.of(subject.customer_key).render())

    def proven_by(self, requested: Headers, answered: Headers) -> bool:
        """Whether S3 echoes the algorithm and the MD5 of the very key that was sent.

        Some servers send the MD5 twice; every one has to be right.
        """
        key_md5 = requested.get(SSE_C_KEY_MD5)
        echoed = set(answered.all(SSE_C_KEY_MD5))
        return answered.get(SSE_C_ALGORITHM) == "AES256" and key_md5 is not None and echoed == {key_md5}
