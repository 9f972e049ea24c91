"""Data keys wrapped by a keyring file: provider ``local``.

    wrapped = nonce (12 random bytes) || AES-256-GCM(wrapping key, nonce, data key, AAD = key id in ASCII) (48 bytes)

AES-256-GCM is NIST SP 800-38D; a random nonce is good for 2^32 data keys under one wrapping key (section 8.3), which at
one data key a second takes 136 years. The key id as associated data ties the wrapped key to the name it is stored with.
"""

import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import ConfigError, KeyUnavailable
from gateway.keys.key_quality import weakness_of
from gateway.keys.local_keyring import Keyring, read_keyring
from gateway.keys.provider import DATA_KEY_BYTES, DataKey, WrappedKey
from gateway.redact import SecretBytes

SCHEME: Final = "local:"
NONCE_BYTES = 12
TAG_BYTES = 16
WRAPPED_BYTES = NONCE_BYTES + DATA_KEY_BYTES + TAG_BYTES

#: Source: McGrew and Viega, "The Galois/Counter Mode of Operation (GCM)", appendix B, test case 16.
_KNOWN_KEY = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
_KNOWN_NONCE = bytes.fromhex("cafebabefacedbaddecaf888")
_KNOWN_AAD = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
_KNOWN_PLAINTEXT = bytes.fromhex(
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
)
_KNOWN_CIPHERTEXT = bytes.fromhex(
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
    "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
    "76fc6ece0f4e1768cddf8853bb2d551b"
)


class LocalKeyProvider:
    """Wraps data keys under the keys of one keyring.

    Args:
        keyring: the keys.
        key_id: the key for new data keys, if it is not the keyring's current one.

    Raises:
        ConfigError: the keyring has no such key, or AES-256-GCM does not work on this machine.
    """

    def __init__(self, keyring: Keyring, key_id: str | None = None) -> None:
        if key_id is not None and key_id not in keyring.keys:
            raise ConfigError((f"the keyring has no key {key_id!r}",))
        check_cipher()
        self._keys = dict(keyring.keys)
        self._current = key_id or keyring.current

    @classmethod
    def open(cls, path: Path, key_id: str | None = None) -> "LocalKeyProvider":
        """The provider for a keyring file.

        Raises:
            ConfigError: the file can not be used.
        """
        return cls(read_keyring(path), key_id)

    @property
    def kind(self) -> str:
        """``local``."""
        return SCHEME.removesuffix(":")

    @property
    def scope(self) -> str:
        """Empty: there is no service and no quota."""
        return ""

    @property
    def current(self) -> str:
        """``local:`` and the id of the key for new data keys."""
        return SCHEME + self._current

    def handles(self, wrapping_key: str) -> bool:
        """Whether the URI names a key of this keyring."""
        return wrapping_key.startswith(SCHEME) and wrapping_key.removeprefix(SCHEME) in self._keys

    async def generate(self) -> DataKey:
        """A new data key from the system's random source, wrapped under the current key."""
        data_key = secrets.token_bytes(DATA_KEY_BYTES)
        weakness = weakness_of(data_key)
        if weakness is not None:
            raise KeyUnavailable(f"the system's random source gave a key that is not random: {weakness}")
        return DataKey(SecretBytes(data_key), self.current, self._wrap(data_key))

    async def unwrap(self, wrapping_key: str, wrapped: bytes) -> SecretBytes:
        """The data key of a sealed object.

        Raises:
            KeyUnavailable: the keyring does not have the wrapping key, or that key did not wrap this.
        """
        if not self.handles(wrapping_key):
            raise KeyUnavailable(
                f"the keyring does not have the wrapping key {wrapping_key!r}", code="KMS.NotFoundException"
            )
        key_id = wrapping_key.removeprefix(SCHEME)
        if len(wrapped) != WRAPPED_BYTES:
            raise _not_wrapped_by(wrapping_key)
        nonce, sealed = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
        try:
            return SecretBytes(self._cipher(key_id).decrypt(nonce, sealed, key_id.encode("ascii")))
        except InvalidTag:
            raise _not_wrapped_by(wrapping_key) from None

    async def rewrap(self, wrapping_key: str, wrapped: bytes) -> WrappedKey:
        """The same data key, wrapped under the current key of the keyring.

        Raises:
            KeyUnavailable: as :meth:`unwrap`.
        """
        data_key = await self.unwrap(wrapping_key, wrapped)
        return WrappedKey(self.current, self._wrap(data_key.reveal()))

    def version_of(self, wrapping_key: str, wrapped: bytes) -> str:  # noqa: ARG002 - the protocol's shape
        """Empty: every key of a keyring has a URI of its own."""
        return ""

    async def aclose(self) -> None:
        """Forget the keys."""
        self._keys.clear()

    def _wrap(self, data_key: bytes | memoryview) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher(self._current).encrypt(nonce, data_key, self._current.encode("ascii"))

    def _cipher(self, key_id: str) -> AESGCM:
        key = self._keys.get(key_id)
        if key is None:
            raise KeyUnavailable("the keyring is closed")
        return AESGCM(key.key.reveal())


def check_cipher() -> None:
    """Known-answer test of AES-256-GCM, and that a damaged tag is refused.

    Raises:
        ConfigError: the cryptographic library of this machine can not be trusted.
    """
    cipher = AESGCM(_KNOWN_KEY)
    if cipher.encrypt(_KNOWN_NONCE, _KNOWN_PLAINTEXT, _KNOWN_AAD) != _KNOWN_CIPHERTEXT:
        raise ConfigError(("AES-256-GCM of this machine's cryptographic library gives wrong results",))
    try:
        cipher.decrypt(_KNOWN_NONCE, _KNOWN_CIPHERTEXT[:-1] + bytes((_KNOWN_CIPHERTEXT[-1] ^ 1,)), _KNOWN_AAD)
    except InvalidTag:
        return
    raise ConfigError(("AES-256-GCM of this machine's cryptographic library accepts damaged data",))


def _not_wrapped_by(wrapping_key: str) -> KeyUnavailable:
    return KeyUnavailable(f"the wrapped data key was not made by wrapping key {wrapping_key!r}", code="AccessDenied")
