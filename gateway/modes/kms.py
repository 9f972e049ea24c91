"""Modes ``sse-kms`` and ``dsse-kms``: S3 encrypts with a key that AWS KMS holds.

The full key ARN is always sent: with ``aws:kms`` and no key id S3 takes the account's ``aws/s3`` key, not the
bucket's own default key. Source: Amazon S3 User Guide, "Specifying server-side encryption with AWS KMS (SSE-KMS)" and
"Using dual-layer server-side encryption with AWS KMS keys (DSSE-KMS)".
"""

import json
from base64 import b64encode

from gateway.modes.mode import Subject
from gateway.policy.rules import EncryptionRule, ModeName
from gateway.s3.encryption_headers import SSE, SSE_BUCKET_KEY, SSE_CONTEXT, SSE_KMS_KEY_ID
from gateway.s3.headers import Headers
from gateway.s3.kms_key_id import bare_key_id


def render_encryption_context(pairs: tuple[tuple[str, str], ...]) -> str:
    """The value of ``x-amz-server-side-encryption-context``: base64 of a JSON object of texts."""
    document = json.dumps(dict(pairs), ensure_ascii=False, separators=(",", ":"))
    return b64encode(document.encode("utf-8", "surrogateescape")).decode("ascii")


class Kms:
    """Encryption with a KMS key in one layer (``aws:kms``) or two (``aws:kms:dsse``).

    Args:
        name: the mode's name.
        algorithm: its value of ``x-amz-server-side-encryption``.
        takes_bucket_key: whether S3 bucket keys exist for it; DSSE has none.
    """

    def __init__(self, name: ModeName, algorithm: str, *, takes_bucket_key: bool) -> None:
        self.name = name
        self._algorithm = algorithm
        self._takes_bucket_key = takes_bucket_key

    def request_headers(self, rule: EncryptionRule, subject: Subject) -> Headers:
        """Algorithm, full key ARN, encryption context and the bucket-key flag of the rule."""
        if rule.kms_key_arn is None:
            raise AssertionError("internal error: a KMS rule without a key was loaded")
        fields = [(SSE, self._algorithm), (SSE_KMS_KEY_ID, rule.kms_key_arn)]
        context = rule.context_for(subject.bucket, subject.object_key, subject.identity)
        if context:
            fields.append((SSE_CONTEXT, render_encryption_context(context)))
        if self._takes_bucket_key and rule.bucket_key is not None:
            fields.append((SSE_BUCKET_KEY, "true" if rule.bucket_key else "false"))
        return Headers(fields)

    def proven_by(self, requested: Headers, answered: Headers) -> bool:
        """Whether S3 names the algorithm and the key in its answer.

        S3 answers with the full ARN of the key. A client's own request may have named an alias or nothing, where no
        comparison is possible; other servers shorten or lengthen the id that they were given.
        """
        if answered.get(SSE) != self._algorithm:
            return False
        wanted = requested.get(SSE_KMS_KEY_ID)
        if wanted is None or "alias/" in wanted:
            return True
        return bare_key_id(answered.get(SSE_KMS_KEY_ID) or "") == bare_key_id(wanted)
