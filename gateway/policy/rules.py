"""Encryption rules: which encryption an object gets, and what its clients may choose themselves.

Which of several rules decides is the business of :mod:`gateway.policy.choice`. Nothing here does any I/O.
"""

import re
from collections.abc import Mapping
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


#: The modes in which S3 asks AWS KMS.
KMS_MODES = frozenset({ModeName.SSE_KMS, ModeName.DSSE_KMS})


class Existing(StrEnum):
    """What a ``cse`` rule lets exist beside sealed objects."""

    NONE = "none"
    PLAINTEXT = "plaintext"


@dataclass(frozen=True, slots=True)
class ObjectTraits:
    """What is known of a new object beside its place; None stands for what the request does not tell.

    Attributes:
        identity: the name of the identity that writes it.
        tags: its tags.
        content_type: its media type in lower case, without parameters.
    """

    identity: str | None = None
    tags: Mapping[str, str] | None = None
    content_type: str | None = None


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
        identities: names of identities; one of them must write the object. Empty: whoever.
        tags: names of tags and globs for their values; the new object must have all of them.
        content_types: globs for the media type of the new object; one of them must fit. Empty: every type.
        refuse_others: whether a request that names another encryption is refused.
        allowed_kms_keys: the KMS keys that clients may name themselves. Empty: any, within the other options.
        is_conditional: whether more than the place of an object says if the rule is about it.

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
    identities: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    content_types: tuple[str, ...] = ()
    refuse_others: bool = False
    allowed_kms_keys: tuple[str, ...] = ()
    is_conditional: bool = field(init=False, repr=False, compare=False)
    _bucket_globs: tuple[Glob, ...] = field(init=False, repr=False, compare=False)
    _prefix_globs: tuple[Glob, ...] = field(init=False, repr=False, compare=False)
    _tag_globs: tuple[tuple[str, Glob], ...] = field(init=False, repr=False, compare=False)
    _type_globs: tuple[Glob, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_bucket_globs", tuple(Glob(pattern) for pattern in self.buckets))
        object.__setattr__(self, "_prefix_globs", tuple(Glob(pattern) for pattern in self.prefixes))
        object.__setattr__(self, "_tag_globs", tuple((name, Glob(pattern)) for name, pattern in self.tags))
        object.__setattr__(self, "_type_globs", tuple(Glob(pattern.lower()) for pattern in self.content_types))
        object.__setattr__(self, "is_conditional", bool(self.identities or self.tags or self.content_types))

    @property
    def binds_clients(self) -> bool:
        """Whether the rule limits what clients choose themselves."""
        return self.enforce or self.refuse_others or bool(self.allowed_kms_keys)

    @property
    def outcome(self) -> tuple[object, ...]:
        """Everything that the rule does to an object; rules that differ elsewhere only are one to it."""
        return (
            self.mode,
            self.kms_key_arn,
            self.bucket_key,
            self.encryption_context,
            self.customer_key,
            self.derive_per_object,
            self.wrapping_key,
            self.existing,
            self.enforce,
            self.refuse_others,
            self.allowed_kms_keys,
        )

    def matches(self, bucket: str, object_key: str) -> bool:
        """Whether the rule may be about an object at this place: whatever else it asks for is not looked at."""
        return self.matches_bucket(bucket) and (
            not self._prefix_globs or any(glob.matches_start(object_key) for glob in self._prefix_globs)
        )

    def matches_bucket(self, bucket: str) -> bool:
        """Whether the rule may be about objects of this bucket."""
        return "*" in self.buckets or any(glob.matches(bucket) for glob in self._bucket_globs)

    def accepts(self, traits: ObjectTraits) -> bool | None:
        """Whether an object at a fitting place is the rule's; None when too little is known of it."""
        if self.identities and traits.identity is not None and traits.identity not in self.identities:
            return False
        if self._tag_globs and traits.tags is not None and not self._has_tags(traits.tags):
            return False
        if self._type_globs and traits.content_type is not None:
            media_type = traits.content_type
            if not any(glob.matches(media_type) for glob in self._type_globs):
                return False
        unknown = (
            (self.identities and traits.identity is None)
            or (self._tag_globs and traits.tags is None)
            or (self._type_globs and traits.content_type is None)
        )
        return None if unknown else True

    def context_for(self, bucket: str, object_key: str, identity: str) -> tuple[tuple[str, str], ...]:
        """The encryption context of one object: every ``{bucket}``, ``{object_key}`` and ``{identity}`` filled in.

        All are filled in one pass, so a key that contains ``{identity}`` stays as it is.
        """
        values = {"bucket": bucket, "object_key": object_key, "identity": identity}
        return tuple(
            (name, _PLACEHOLDER.sub(lambda found: values[found[1]], template))
            for name, template in self.encryption_context
        )

    def _has_tags(self, tags: Mapping[str, str]) -> bool:
        return all(name in tags and glob.matches(tags[name]) for name, glob in self._tag_globs)
