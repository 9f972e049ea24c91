"""Options of the encryption rules."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field

from gateway.config.values import KmsKeyArn, Name, Section
from gateway.policy.glob import MAXIMUM_GLOB_LENGTH
from gateway.policy.rules import CONTEXT_PLACEHOLDERS, KMS_MODES, Existing, ModeName

Pattern = Annotated[str, Field(min_length=1, max_length=MAXIMUM_GLOB_LENGTH)]
#: S3 gives an object up to 10 tags; a name has at most 128 characters.
TagName = Annotated[str, Field(min_length=1, max_length=128)]
KmsKeyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_./-]{1,256}$")]

_PLACEHOLDER = re.compile(r"\{(?:" + "|".join(CONTEXT_PLACEHOLDERS) + r")\}")
#: The modes in which each of these options means something.
_MODES_OF_OPTION = {
    "kms_key_arn": KMS_MODES,
    "kms_key_name": KMS_MODES,
    "encryption_context": KMS_MODES,
    "bucket_key": frozenset({ModeName.SSE_KMS}),
    "customer_key": frozenset({ModeName.SSE_C}),
    "derive_per_object": frozenset({ModeName.SSE_C}),
    "wrapping_key": frozenset({ModeName.CSE}),
    "existing": frozenset({ModeName.CSE}),
}
_REASONS = {("bucket_key", ModeName.DSSE_KMS): ": S3 has no bucket keys for dual-layer encryption"}


class Rule(Section):
    """One rule: which objects, and which encryption they get when a client names none."""

    name: Name = Field(description="Name in logs and faults; different for every rule.")
    buckets: Annotated[tuple[Pattern, ...], Field(min_length=1)] = Field(
        description="Globs (`*`, `?`) for the whole bucket name; one must fit."
    )
    prefixes: tuple[Pattern, ...] = Field(
        default=(),
        description="Globs for the beginning of the object key, so `logs/` and `logs/*` mean the same; one must fit. "
        "Empty: every key.",
    )
    identities: tuple[Name, ...] = Field(
        default=(), description="Names of identities; one of them writes the object. Empty: whoever does."
    )
    tags: Annotated[Mapping[TagName, Pattern], Field(max_length=10)] = Field(
        default={},
        description="Tags that the request gives to the new object, each with a glob for its value; all must fit.",
    )
    content_types: tuple[Pattern, ...] = Field(
        default=(),
        description="Globs for the media type that the request gives to the new object, such as `image/*`; one must "
        "fit. Empty: every type.",
    )
    mode: ModeName = Field(description="`none`, `sse-s3`, `sse-kms`, `dsse-kms`, `sse-c` or `cse`.")
    enforce: bool = Field(
        default=False, description="Whether the rule replaces an encryption that the client asked for itself."
    )
    refuse_other_encryption: bool = Field(
        default=False,
        description="Whether a request that names another encryption than the rule's is refused (403 AccessDenied) "
        "instead of kept, or overridden by `enforce`.",
    )
    allowed_kms_keys: tuple[KmsKeyArn, ...] = Field(
        default=(),
        description="Full ARNs of KMS keys that clients may name themselves, beside the rule's own; any other key is "
        "refused. With `refuse_other_encryption` these keys are the exceptions. Empty: whatever the other options say.",
    )
    allowed_kms_key_names: tuple[KmsKeyName, ...] = Field(
        default=(),
        description="The same for servers that have no ARNs. Refused when the upstream is AWS.",
    )
    kms_key_arn: KmsKeyArn | None = Field(
        default=None, description="Full ARN of the KMS key. Aliases and bare ids are refused."
    )
    kms_key_name: KmsKeyName | None = Field(
        default=None,
        description="The key's name on a server that has no ARNs (Ceph RGW, MinIO, SeaweedFS), instead of "
        "`kms_key_arn`. Refused when the upstream is AWS.",
    )
    bucket_key: bool | None = Field(
        default=None, description="Whether S3 uses a bucket key, which saves KMS requests; unset: as the bucket says."
    )
    encryption_context: Mapping[str, str] = Field(
        default={},
        description="KMS encryption context. Values may contain `{bucket}`, `{object_key}` and `{identity}`. "
        "It is not secret: CloudTrail shows it.",
    )
    customer_key: Name | None = Field(default=None, description="Name of an entry of `customer_keys`, for `sse-c`.")
    derive_per_object: bool = Field(
        default=False,
        description="Whether every object gets a key of its own, derived (HKDF-SHA256) from the customer key, "
        "the bucket and the object key.",
    )
    wrapping_key: Name | None = Field(default=None, description="Name of an entry of `wrapping_keys`, for `cse`.")
    existing: Existing = Field(
        default=Existing.NONE,
        description="Whether objects that are not sealed may be read under a `cse` rule: `none` refuses them, because "
        "the store could put them in place of sealed ones; `plaintext` allows them, while a bucket is migrated.",
    )

    @property
    def is_catch_all(self) -> bool:
        """Whether every object fits."""
        conditional = self.identities or self.tags or self.content_types
        return "*" in self.buckets and (not self.prefixes or "*" in self.prefixes) and not conditional

    def faults(self) -> Iterator[tuple[str, str]]:
        """Options that do not fit the mode."""
        for option, modes in _MODES_OF_OPTION.items():
            if option in self.model_fields_set and getattr(self, option) and self.mode not in modes:
                yield option, f"has no meaning for mode {self.mode}" + _REASONS.get((option, self.mode), "")
        if self.mode in KMS_MODES and (self.kms_key_arn is None) == (self.kms_key_name is None):
            yield "kms_key_arn", f"must be set for mode {self.mode} (or kms_key_name on servers without ARNs, not both)"
        if self.mode is ModeName.NONE and self.enforce:
            yield "enforce", "with mode none would remove the encryption that clients ask for"
        yield from self._faults_of_choices()
        if self.mode is ModeName.SSE_C and self.customer_key is None:
            yield "customer_key", f"must be set for mode {self.mode}"
        if self.mode is ModeName.CSE and self.wrapping_key is None:
            yield "wrapping_key", f"must be set for mode {self.mode}"
        yield from self._context_faults()

    def _faults_of_choices(self) -> Iterator[tuple[str, str]]:
        """Options about what clients choose themselves that contradict each other."""
        if self.mode is ModeName.NONE and self.refuse_other_encryption:
            yield "refuse_other_encryption", "with mode none would refuse the encryption that clients ask for"
        if self.enforce and self.refuse_other_encryption:
            yield "refuse_other_encryption", "contradicts enforce, which overrides what clients ask for"
        for option in ("allowed_kms_keys", "allowed_kms_key_names"):
            if self.enforce and getattr(self, option):
                yield option, "has no meaning with enforce, which overrides what clients ask for"

    def _context_faults(self) -> Iterator[tuple[str, str]]:
        for name, template in self.encryption_context.items():
            if not name or name.startswith("aws:"):
                yield (
                    f"encryption_context.{name}",
                    "names are not empty and do not begin with 'aws:', which S3 keeps for itself",
                )
            if "{" in _PLACEHOLDER.sub("", template) or "}" in _PLACEHOLDER.sub("", template):
                known = ", ".join(f"{{{placeholder}}}" for placeholder in CONTEXT_PLACEHOLDERS)
                yield f"encryption_context.{name}", f"braces are used for {known} only"
