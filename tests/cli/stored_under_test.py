"""Stored objects for the commands that work without a gateway: from the vectors, and fresh ones at a real store."""

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from typer.testing import CliRunner, Result

from gateway.cli.app import app
from gateway.crypto.sealed.closing import PartTable, seal_closing
from gateway.crypto.sealed.envelope import Envelope, Kind
from gateway.crypto.sealed.identity import alias_proof, location_of
from gateway.crypto.sealed.message import seal_message
from gateway.keys.local import LocalKeyProvider
from gateway.keys.local_keyring import Keyring, WrappingKey, render_keyring
from gateway.redact import SecretBytes
from tests.crypto.vector import WRAPPING_KEYS


def sealgate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def write_keyring(path: Path, uris: Sequence[str] = tuple(WRAPPING_KEYS)) -> Path:
    """A keyring file with wrapping keys of the vectors."""
    keys = {}
    for uri in uris:
        key_id = uri.removeprefix("local:")
        keys[key_id] = WrappingKey(key_id, datetime(2026, 1, 1, tzinfo=UTC), SecretBytes(WRAPPING_KEYS[uri]))
    path.write_bytes(render_keyring(Keyring(keys, next(iter(keys)))))
    path.chmod(0o600)
    return path


class Sealing:
    """Seals objects as the gateway does, under a keyring.

    Args:
        keyring: the keyring file.
    """

    def __init__(self, keyring: Path) -> None:
        self._data_key = asyncio.run(LocalKeyProvider.open(keyring).generate())
        self._object_id = os.urandom(16)

    def whole(self, bucket: str, key: str, plaintext: bytes) -> bytes:
        return self._message(Kind.WHOLE, 0, bucket, key, plaintext)

    def multipart(self, bucket: str, key: str, parts: Sequence[bytes]) -> bytes:
        return b"".join(self.part(bucket, key, *part) for part in enumerate(parts, 1)) + self.closing(
            bucket, key, [len(part) for part in parts]
        )

    def part(self, bucket: str, key: str, number: int, plaintext: bytes) -> bytes:
        return self._message(Kind.PART, number, bucket, key, plaintext)

    def closing(self, bucket: str, key: str, sizes: Sequence[int]) -> bytes:
        made = self._data_key
        table = PartTable.of(enumerate(sizes, 1))
        place = location_of(bucket, key)
        return seal_closing(made.key, self._object_id, place, made.wrapping_key, made.wrapped, table)

    def alias(self, bucket: str, key: str) -> bytes:
        """The alias proof for another place."""
        return alias_proof(self._data_key.key, self._object_id, location_of(bucket, key))

    def _message(self, kind: Kind, number: int, bucket: str, key: str, plaintext: bytes) -> bytes:
        made, place = self._data_key, location_of(bucket, key)
        envelope = Envelope(kind, number, len(plaintext), self._object_id, place, made.wrapping_key, made.wrapped)
        return seal_message(made.key, envelope, plaintext)
