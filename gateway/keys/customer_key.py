"""A key for SSE-C, and the rules for a text to be one."""

import base64
import binascii
from dataclasses import dataclass

from gateway.errors import KeyUnavailable
from gateway.redact import SecretBytes, SecretStr

#: SSE-C takes AES-256 keys only.
#: Source: Amazon S3 User Guide, "Using server-side encryption with customer-provided keys (SSE-C)".
CUSTOMER_KEY_BYTES = 32
#: A random key has about 30 different bytes, and fewer than 8 in less than one of 2^90 keys. What has fewer is not
#: random: zeros, one repeated byte, a short pattern.
MIN_DIFFERENT_BYTES = 8


@dataclass(frozen=True, slots=True)
class CustomerKey:
    """A key and the version of the secret that it comes from."""

    version: int
    key: SecretBytes


def parse_customer_key(text: SecretStr, version: int, where: str) -> CustomerKey:
    """The key in a secret's field: standard base64 of 32 random bytes.

    One newline at the end is accepted, because ``openssl rand -base64 32 | bao kv put secret/name key=-`` leaves one.

    Args:
        text: the field's value.
        version: the version it comes from.
        where: service, secret and field, for the message.

    Raises:
        KeyUnavailable: it is not a usable key; code ``InvalidArgument``.
    """
    encoded = text.reveal().removesuffix("\n")
    if not encoded.isascii():
        raise _unusable(where, version, "it is not standard base64")
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        key = b""
    # The comparison refuses what the decoder tolerates: stray bits in the last character.
    if base64.b64encode(key).decode("ascii") != encoded:
        raise _unusable(where, version, "it is not standard base64")
    return customer_key_of(key, version, where)


def customer_key_of(key: bytes, version: int, where: str) -> CustomerKey:
    """The key that these bytes are, if they can be 32 random bytes.

    Args:
        key: the bytes.
        version: the version they come from.
        where: service and secret, for the message.

    Raises:
        KeyUnavailable: they are not a usable key; code ``InvalidArgument``.
    """
    if len(key) != CUSTOMER_KEY_BYTES:
        raise _unusable(where, version, f"it has {len(key)} bytes instead of {CUSTOMER_KEY_BYTES}")
    if len(set(key)) < MIN_DIFFERENT_BYTES:
        raise _unusable(where, version, "its bytes are not random")
    return CustomerKey(version, SecretBytes(key))


def _unusable(where: str, version: int, why: str) -> KeyUnavailable:
    return KeyUnavailable(
        f"The secret key was invalid for the specified algorithm. ({where} version {version}: {why})",
        code="InvalidArgument",
    )
