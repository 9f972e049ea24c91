"""Data keys wrapped by the transit engine of HashiCorp Vault or OpenBao: provider ``vault-transit``.

    wrapping key = vault-transit:<mount>/<key>
    wrapped      = vault:v<version of the key>:<base64>, as the engine gives it

A context protects only under a key that was created with ``derived=true``, where the engine derives another key from
each context; it ignores the context otherwise. The engine's associated data would protect too, but it does not rewrap
what was wrapped with them.

Source: OpenBao API documentation, "Transit secrets engine", "Generate data key", "Decrypt data" and "Rewrap data".
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Final

from gateway.errors import ConfigError, KeyUnavailable
from gateway.keys.key_quality import weakness_of
from gateway.keys.provider import DATA_KEY_BYTES, MAX_WRAPPING_BYTES, DataKey, WrappedKey
from gateway.keys.vault_client import VaultClient
from gateway.keys.vault_error import VaultError, VaultResult
from gateway.keys.vault_http import VaultAnswer
from gateway.keys.vault_settings import is_path
from gateway.redact import SecretBytes

SCHEME: Final = "vault-transit:"

_WRAPPED = re.compile(rb"vault:v([1-9][0-9]{0,8}):([A-Za-z0-9+/]+={0,2})")
_VISIBLE = re.compile(r"[\x21-\x7e]+")

#: What the engine says with status 400, the code that becomes of it, and our words. The first match counts.
_REFUSALS: Final = (
    ("key not found", "KMS.NotFoundException", "does not exist"),
    ("soft-deleted", "KMS.DisabledException", "is deleted and could be restored"),
    ("too old", "AccessDenied", "no longer opens this version of it, because of min_decryption_version"),
    ("too new", "AccessDenied", "does not have the version that is asked for"),
    ("message authentication failed", "AccessDenied", "did not wrap this data key, or did so with another context"),
    ("invalid ciphertext", "AccessDenied", "did not wrap this data key, or did so with another context"),
    ("missing 'context'", "InvalidArgument", "is derived: it needs an encryption context"),
    ("not supported", "InvalidArgument", "is of a type that does not encrypt"),
)


class VaultTransitProvider:
    """Wraps data keys under one key of a transit engine. Each call makes one request.

    Args:
        client: the vault. It stays open when the provider is closed.
        mount: where the engine is mounted, without slashes around.
        key: the name of the key.
        encryption_context: sent as the context of a derived key, when it is not empty.

    Raises:
        ConfigError: mount and key can not be part of a URI.
    """

    def __init__(
        self, client: VaultClient, mount: str, key: str, *, encryption_context: Mapping[str, str] | None = None
    ) -> None:
        path = f"{mount}/{key}"
        if not is_path(path) or "/" in key or not _VISIBLE.fullmatch(path):
            raise ConfigError((f"{path!r} is not the mount and the name of a transit key, such as transit/objects",))
        self._client = client
        self._mount = mount
        self._key = key
        self._context = _encoded_context(encryption_context or {})

    @property
    def kind(self) -> str:
        """``vault-transit``."""
        return SCHEME.removesuffix(":")

    @property
    def scope(self) -> str:
        """The name of the vault."""
        return self._client.name

    @property
    def current(self) -> str:
        """``vault-transit:``, the mount and the name of the key."""
        return f"{SCHEME}{self._mount}/{self._key}"

    def handles(self, wrapping_key: str) -> bool:
        """Whether the URI names this key."""
        return wrapping_key == self.current

    def version_of(self, wrapping_key: str, wrapped: bytes) -> str:
        """The version of the key, as the wrapped data key says it; empty where it says none."""
        match = _WRAPPED.fullmatch(wrapped) if self.handles(wrapping_key) else None
        return match[1].decode("ascii") if match else ""

    async def generate(self) -> DataKey:
        """A new data key from the vault, wrapped under the newest version of the key.

        Raises:
            KeyUnavailable: the vault gives none.
        """
        data = await self._ask("datakey/plaintext", {"bits": DATA_KEY_BYTES * 8})
        data_key = self._plaintext(data)
        weakness = weakness_of(data_key)
        if weakness is not None:
            raise self._senseless(f"a data key that is not random: {weakness}")
        return DataKey(SecretBytes(data_key), self.current, self._ciphertext(data))

    async def unwrap(self, wrapping_key: str, wrapped: bytes) -> SecretBytes:
        """The data key of a sealed object.

        Raises:
            KeyUnavailable: the vault gives none, or the key did not wrap this. What can not be a wrapped data key is
                refused without a request.
        """
        data = await self._ask("decrypt", {"ciphertext": self._checked(wrapping_key, wrapped)})
        return SecretBytes(self._plaintext(data))

    async def rewrap(self, wrapping_key: str, wrapped: bytes) -> WrappedKey:
        """The same data key, wrapped under the newest version of the key inside the vault.

        Raises:
            KeyUnavailable: as :meth:`unwrap`.
        """
        data = await self._ask("rewrap", {"ciphertext": self._checked(wrapping_key, wrapped)})
        return WrappedKey(self.current, self._ciphertext(data))

    async def aclose(self) -> None:
        """Nothing: no key is kept, and the connections belong to the client."""

    async def _ask(self, operation: str, body: Mapping[str, object]) -> Mapping[str, object]:
        """One request to the engine; the ``data`` of its answer."""
        context = {} if self._context is None else {"context": self._context}
        answer = await self._client.write(f"{self._mount}/{operation}/{self._key}", {**body, **context})
        if answer.result is VaultResult.OK:
            return answer.section("data")
        raise self._refused(answer)

    def _refused(self, answer: VaultAnswer) -> VaultError:
        if answer.result is VaultResult.NOT_FOUND:
            return VaultError(
                f"{self._where} does not exist: no transit engine is mounted at {self._mount}, or the namespace is "
                "wrong",
                VaultResult.NOT_FOUND,
            )
        for text, code, words in _REFUSALS:
            if answer.says(text):
                return VaultError(f"{self._where} {words}", VaultResult.INVALID, code=code)
        return VaultError(
            f"{self._where} was refused by its engine (HTTP {answer.status})",
            VaultResult.INVALID,
            code="InvalidArgument",
        )

    def _checked(self, wrapping_key: str, wrapped: bytes) -> str:
        """The wrapped data key as text, after what can be checked without the vault."""
        if not self.handles(wrapping_key):
            raise KeyUnavailable(f"wrapping key {wrapping_key!r} is not {self._where}", code="KMS.NotFoundException")
        if not self._is_wrapped(wrapped):
            raise KeyUnavailable(
                f"the wrapped data key was not made by {self._where}: it does not look like vault:v1:...",
                code="AccessDenied",
            )
        return wrapped.decode("ascii")

    def _is_wrapped(self, wrapped: bytes) -> bool:
        match = _WRAPPED.fullmatch(wrapped)
        if match is None or len(self.current) + len(wrapped) > MAX_WRAPPING_BYTES:
            return False
        return _decoded(match[2]) is not None

    def _plaintext(self, data: Mapping[str, object]) -> bytes:
        text = data.get("plaintext")
        data_key = _decoded(text.encode("utf-8", "replace")) if isinstance(text, str) else None
        if data_key is None or len(data_key) != DATA_KEY_BYTES:
            raise self._senseless(f"no data key of {DATA_KEY_BYTES} bytes")
        return data_key

    def _ciphertext(self, data: Mapping[str, object]) -> bytes:
        text = data.get("ciphertext")
        wrapped = text.encode("utf-8", "replace") if isinstance(text, str) else b""
        if not self._is_wrapped(wrapped):
            raise self._senseless("no wrapped data key that an envelope has room for")
        return wrapped

    def _senseless(self, what: str) -> VaultError:
        return VaultError(f"{self._where} gave {what}", VaultResult.INVALID)

    @property
    def _where(self) -> str:
        """The key for messages: ``transit key transit/objects of vault 'main'``."""
        return f"transit key {self._mount}/{self._key} of vault {self._client.name!r}"


def _encoded_context(context: Mapping[str, str]) -> str | None:
    """The context in base64 of JSON that is the same for the same pairs; None when there are none."""
    if not context:
        return None
    text = json.dumps(dict(context), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return base64.b64encode(text.encode("ascii")).decode("ascii")


def _decoded(text: bytes) -> bytes | None:
    """Standard base64, padded and with nothing else in it; None for anything else."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
