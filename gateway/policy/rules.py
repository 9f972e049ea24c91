"""Encryption rules: which encryption an object gets when its request names none.

Rules are tried in the order written; the first whose bucket glob and key prefix fit decides. Nothing here does any I/O.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.policy.glob import Glob

#: The names that an encryption-context template may use, each between braces.
CONTEXT_PLACEHOLDERS = ("bucket", "object_key", "identity")

_PLACEHOLDER = re.compile(r"\{(" + "|".join(CONTEXT_PLACEHOLDERS) + r")\}")


class ModeName(StrEnum):
    """How the objects of a rule are encrypted."""

    NONE = "none"
    SSE_S3 = "sse-s3"
    SSE_KMS = "sse-kms"
    DSSE_KMS = "dsse-kms"
    SSE_C = "sse-c"
    CSE = "cse"


class Existing(StrEnum):
    """What a ``cse`` rule lets exist beside sealed objects."""

    NONE = "none"
    PLAINTEXT = "plaintext"


@dataclass(frozen=True, slots=True)
class EncryptionRule:
    """One rule.

    Attributes:
        name: the rule's name in logs, metrics and faults.
        buckets: globs (``*``, ``?``) that describe a whole bucket name; one of them must fit.
        prefixes: globs that describe the beginning of an object key, so ``logs/`` and ``logs/*`` are the same; one of
            them must fit. Empty: every key.
        mode: the encryption.
        enforce: whether the rule's encryption replaces one that the client asked for itself.
        kms_key_arn: the full ARN of the KMS key, for ``sse-kms`` and ``dsse-kms``.
        bucket_key: whether S3 uses a bucket key with ``sse-kms``; None leaves it to the bucket.
        encryption_context: names and value templates of the KMS encryption context.
        customer_key: the name of a configured customer key, for ``sse-c``.
        derive_per_object: whether every object gets a key of its own, derived from the customer key.
        wrapping_key: the name of a configured wrapping key, for ``cse``.
        existing: whether objects that are not sealed may be read, for ``cse``.

    Raises:
        ValueError: a glob is too long.
    """

    name: str
    buckets: tuple[str, ...]
    prefixes: tuple[str, ...]
    mode: ModeName
    enforce: bool = False
    kms_key_arn: str | None = None
    bucket_key: bool | None = None
    encryption_context: tuple[tuple[str, str], ...] = ()
    customer_key: str | None = None
    derive_per_object: bool = False
    wrapping_key: str | None = None
    existing: Existing = Existing.NONE
    _bucket_globs: tuple[Glob, ...] = field(init=False, repr=False, compare=False)
    _prefix_globs: tuple[Glob, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_bucket_globs", tuple(Glob(pattern) for pattern in self.buckets))
        object.__setattr__(self, "_prefix_globs", tuple(Glob(pattern) for pattern in self.prefixes))

    def matches(self, bucket: str, object_key: str) -> bool:
        """Whether the rule is about this object."""
        return self.matches_bucket(bucket) and (
            not self._prefix_globs or any(glob.matches_start(object_key) for glob in self._prefix_globs)
        )

    def matches_bucket(self, bucket: str) -> bool:
        """Whether the rule is about objects of this bucket."""
        return any(glob.matches(bucket) for glob in self._bucket_globs)

    def context_for(self, bucket: str, object_key: str, identity: str) -> tuple[tuple[str, str], ...]:
        """The encryption context of one object: every ``{bucket}``, ``{object_key}`` and ``{identity}`` filled in.

        All are filled in one pass, so a key that contains ``{identity}`` stays as it is.
        """
        values = {"bucket": bucket, "object_key": object_key, "identity": identity}
        return tuple(
            (name, _PLACEHOLDER.sub(lambda found: values[found[1]], template))
            for name, template in self.encryption_context
        )


def first_match(rules: Sequence[EncryptionRule], bucket: str, object_key: str) -> EncryptionRule | None:
    """The first rule about this object, or None when there is none."""
    for rule in rules:
        if rule.matches(bucket, object_key):
            return rule
    return None
