"""Data keys wrapped by AWS KMS: provider ``aws-kms``.

The envelope keeps the key's ARN and the CiphertextBlob as KMS gave it. The encryption context is the same for all data
keys of a wrapping key; CloudTrail shows it, so it holds no secrets, and without it nothing is decrypted any more.

Source: AWS KMS API Reference, "GenerateDataKey", "Decrypt", "ReEncrypt"; AWS KMS Developer Guide, "Multi-Region keys".
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from gateway.errors import ConfigError, KeyUnavailable
from gateway.keys.aws_access import AwsCaller
from gateway.keys.provider import DATA_KEY_BYTES, DataKey, WrappedKey
from gateway.redact import SecretBytes, SecretStr

SCHEME: Final = "aws-kms:"
#: Largest CiphertextBlob that Decrypt takes.
MAX_WRAPPED_BYTES: Final = 6144

_KEY_ARN: Final = re.compile(
    r"arn:aws(?:-[a-z]+)*:kms:([a-z0-9-]{1,32}):([0-9]{12}):key/([A-Za-z0-9-]{1,64})", re.ASCII
)


class AwsKmsProvider:
    """One symmetric key of AWS KMS in one Region.

    Args:
        caller: calls KMS in the key's Region. It stays open.
        key_arn: the full ARN of the key; aliases may be pointed elsewhere, so they are not taken.
        encryption_context: sent with every request.
        grant_tokens: of grants that are too new to be known everywhere; at most 10.
        related: ARNs of all replicas of a multi-Region key. What any of them wrapped is unwrapped here.

    Raises:
        ConfigError: the ARN is not one of a key.
    """

    def __init__(
        self,
        caller: AwsCaller,
        key_arn: str,
        *,
        encryption_context: Mapping[str, str] | None = None,
        grant_tokens: tuple[SecretStr, ...] = (),
        related: frozenset[str] = frozenset(),
    ) -> None:
        found = _KEY_ARN.fullmatch(key_arn)
        if found is None:
            raise ConfigError((f"{key_arn!r} is not the full ARN of a KMS key",))
        self._caller = caller
        self._key_arn = key_arn
        self._key_id = found[3]
        self._context = dict(encryption_context or {})
        self._grant_tokens = grant_tokens
        self._handled = {SCHEME + arn for arn in (key_arn, *related)}

    @property
    def kind(self) -> str:
        """``aws-kms``."""
        return SCHEME.removesuffix(":")

    @property
    def scope(self) -> str:
        """The Region, whose quota all requests share."""
        return self._caller.region

    @property
    def current(self) -> str:
        """``aws-kms:`` and the ARN."""
        return SCHEME + self._key_arn

    async def generate(self) -> DataKey:
        """A new data key (GenerateDataKey).

        Raises:
            KeyUnavailable: KMS gives none.
        """
        answer = await self._call("generate_data_key", KeyId=self._key_arn, KeySpec="AES_256")
        return DataKey(self._plaintext(answer), self.current, self._blob(answer))

    async def unwrap(self, wrapping_key: str, wrapped: bytes) -> SecretBytes:
        """The data key of a sealed object (Decrypt). The key is named, so that no other one is tried.

        Raises:
            KeyUnavailable: KMS does not give it.
        """
        self._check(wrapping_key, wrapped)
        answer = await self._call("decrypt", KeyId=self._key_arn, CiphertextBlob=wrapped)
        return self._plaintext(answer)

    async def rewrap(self, wrapping_key: str, wrapped: bytes) -> WrappedKey:
        """The same data key under the newest material of the key (ReEncrypt); it does not leave KMS.

        Raises:
            KeyUnavailable: as :meth:`unwrap`.
        """
        self._check(wrapping_key, wrapped)
        answer = await self._call(
            "re_encrypt",
            context=("SourceEncryptionContext", "DestinationEncryptionContext"),
            CiphertextBlob=wrapped,
            SourceKeyId=self._key_arn,
            DestinationKeyId=self._key_arn,
        )
        source = answer.get("SourceKeyId")
        if not isinstance(source, str) or not self._is_this_key(source):
            # KMS says IncorrectKeyException; not everything that speaks its language does.
            raise self._not_wrapped_by(wrapping_key)
        return WrappedKey(self.current, self._blob(answer))

    def handles(self, wrapping_key: str) -> bool:
        """Whether the URI names this key or one of its replicas."""
        return wrapping_key in self._handled

    def version_of(self, wrapping_key: str, wrapped: bytes) -> str:  # noqa: ARG002 - the protocol's shape
        """Empty: KMS rotates the material of a key by itself, and a wrapped key does not show which it was."""
        return ""

    async def aclose(self) -> None:
        """Nothing: the caller belongs to whoever made it."""

    async def _call(
        self, operation: str, *, context: tuple[str, ...] = ("EncryptionContext",), **parameters: object
    ) -> Mapping[str, Any]:
        if self._context:
            parameters |= dict.fromkeys(context, self._context)
        if self._grant_tokens:
            parameters["GrantTokens"] = [token.reveal() for token in self._grant_tokens]
        answer = await self._caller.call(operation, parameters)
        key_id = answer.get("KeyId")
        if not isinstance(key_id, str) or not self._is_this_key(key_id):
            raise self._garbage("names another key")
        return answer

    def _is_this_key(self, key_arn: str) -> bool:
        """Whether an answer is about this key. Replicas of a multi-Region key share its id."""
        found = _KEY_ARN.fullmatch(key_arn)
        return key_arn == self._key_arn or (
            found is not None and found[3] == self._key_id and self._key_id.startswith("mrk-")
        )

    def _check(self, wrapping_key: str, wrapped: bytes) -> None:
        if not self.handles(wrapping_key):
            raise KeyUnavailable(f"{wrapping_key!r} is not the wrapping key here", code="KMS.NotFoundException")
        if not 1 <= len(wrapped) <= MAX_WRAPPED_BYTES:
            raise self._not_wrapped_by(wrapping_key)

    def _plaintext(self, answer: Mapping[str, Any]) -> SecretBytes:
        plaintext = answer.get("Plaintext")
        if not isinstance(plaintext, bytes) or len(plaintext) != DATA_KEY_BYTES:
            raise self._garbage(f"has no data key of {DATA_KEY_BYTES} bytes")
        return SecretBytes(plaintext)

    def _blob(self, answer: Mapping[str, Any]) -> bytes:
        blob = answer.get("CiphertextBlob")
        if not isinstance(blob, bytes) or not blob:
            raise self._garbage("has no wrapped data key")
        return blob

    def _not_wrapped_by(self, wrapping_key: str) -> KeyUnavailable:
        return KeyUnavailable(
            f"the wrapped data key was not made by wrapping key {wrapping_key!r}", code="AccessDenied"
        )

    def _garbage(self, what: str) -> KeyUnavailable:
        return KeyUnavailable(f"AWS KMS in {self.scope} sent an answer that {what}")
