"""Provider ``vault-transit`` as the suite tests it: OpenBao, behind a proxy that counts and breaks things."""

import secrets
from contextlib import AbstractContextManager
from typing import ClassVar

from gateway.keys.provider import KeyProvider
from gateway.keys.vault_client import VaultClient
from gateway.keys.vault_settings import TokenAuth, VaultSettings
from gateway.keys.vault_transit import VaultTransitProvider
from gateway.redact import SecretStr
from lab.fault_proxy import Fault, FaultProxy
from lab.openbao import OpenBao
from tests.keys.conformance.subject import Key, Refusals, Subject


class TransitSubject(Subject):
    """Keys of a transit engine."""

    versions: ClassVar[bool] = True
    kind: ClassVar[str] = "vault-transit"
    scope: ClassVar[str] = "main"
    # A policy that allows one key and no other answers 403 for it, and the engine "no such key" to whoever may ask.
    refusals: ClassVar[Refusals] = Refusals(deleted="KMS.NotFoundException", missing="KMS.NotFoundException")
    derived: ClassVar[bool] = False

    def __init__(self, vault: OpenBao, proxy: FaultProxy) -> None:
        super().__init__()
        self._vault = vault
        self._proxy = proxy
        self._prefix = f"conformance-{secrets.token_hex(4)}"
        self._clients: list[VaultClient] = []
        for key in Key:
            if key is not Key.MISSING:
                vault.request("POST", f"transit/keys/{self._name(key)}", {"derived": self.derived})
        vault.request("POST", f"transit/keys/{self._name(Key.DELETED)}/config", {"deletion_allowed": True})
        paths = {
            f"transit/{operation}/{self._prefix}-*": ["update"]
            for operation in ("datakey/plaintext", "decrypt", "rewrap")
        }
        vault.write_policy(self._prefix, paths)
        self._token = vault.create_token([self._prefix], renewable=False)
        self.secrets = [self._token]

    async def open(self, key: Key = Key.MAIN, *, context: str = "", timeout_seconds: float = 20.0) -> KeyProvider:
        settings = VaultSettings(
            name="main",
            address=self._proxy.address,
            auth=TokenAuth(SecretStr(self._token)),
            ca_bundle=self._proxy.ca_file,
            timeout_seconds=timeout_seconds,
        )
        client = VaultClient(settings)
        self._clients.append(client)
        return VaultTransitProvider(client, "transit", self._name(key), encryption_context=self._context(context))

    def rotate(self) -> None:
        self._vault.request("POST", f"transit/keys/{self._name(Key.ROTATED)}/rotate")

    def disable(self) -> None:
        self._vault.request("DELETE", f"transit/keys/{self._name(Key.DISABLED)}/soft-delete")
        self._vault.request("DELETE", f"transit/keys/{self._name(Key.DELETED)}")

    async def close(self) -> None:
        while self._clients:
            await self._clients.pop().aclose()

    def during(self, fault: Fault) -> AbstractContextManager[None]:
        return self._proxy.during(fault)

    def calls(self) -> int:
        return self._proxy.count("v1/transit/")

    def _context(self, word: str) -> dict[str, str]:
        """Engines ignore the context of keys that are not derived, and refuse to do without it where they are."""
        return {"purpose": word or "conformance"} if self.derived else {}

    def _name(self, key: Key) -> str:
        return f"{self._prefix}-{key}"


class DerivedTransitSubject(TransitSubject):
    """Derived keys of a transit engine, each with a context."""

    contexts: ClassVar[bool] = True
    derived: ClassVar[bool] = True
