"""Provider ``local`` as the suite tests it: there is no service, so nothing of it fails."""

import secrets
from datetime import UTC, datetime
from typing import ClassVar

from gateway.keys.local import LocalKeyProvider
from gateway.keys.local_keyring import Keyring, WrappingKey
from gateway.keys.provider import KeyProvider
from gateway.redact import SecretBytes
from tests.keys.conformance.subject import Key, Subject


class LocalSubject(Subject):
    """Keyrings in memory."""

    remote: ClassVar[bool] = False
    kind: ClassVar[str] = "local"

    def __init__(self) -> None:
        super().__init__()
        self._rings = {key: [_new_key(f"{key}-1")] for key in Key}
        self.secrets = [ring[0].key.reveal().hex() for ring in self._rings.values()]

    async def open(self, key: Key = Key.MAIN, *, context: str = "", timeout_seconds: float = 20.0) -> KeyProvider:
        ring = self._rings[key]
        return LocalKeyProvider(Keyring({one.key_id: one for one in ring}, ring[-1].key_id))

    def rotate(self) -> None:
        ring = self._rings[Key.ROTATED]
        ring.append(_new_key(f"{Key.ROTATED}-{len(ring) + 1}"))

    def disable(self) -> None:
        """Nothing: a keyring does not change while it is open."""

    async def close(self) -> None:
        """Nothing is open beside the providers."""


def _new_key(key_id: str) -> WrappingKey:
    return WrappingKey(key_id, datetime(2026, 1, 1, tzinfo=UTC), SecretBytes(secrets.token_bytes(32)))
