"""Provider ``vault-kv`` as the suite tests it: OpenBao, behind a proxy that counts and breaks things."""

import secrets
from typing import Any, ClassVar

from gateway.keys.customer_keys import CustomerKeySettings, CustomerKeySource
from gateway.keys.vault_client import VaultClient
from gateway.keys.vault_kv import KvKeys
from gateway.keys.vault_settings import TokenAuth, VaultSettings
from gateway.redact import SecretStr
from lab.fault_proxy import FaultProxy
from lab.openbao import OpenBao
from tests.keys.conformance.customer.secret_subject import SecretSubject


class KvSubject(SecretSubject):
    """Secrets of a KV version 2 engine."""

    kind: ClassVar[str] = "vault-kv"

    def __init__(self, vault: OpenBao, proxy: FaultProxy) -> None:
        super().__init__(proxy)
        self._vault = vault
        self._policy = f"conformance-{secrets.token_hex(4)}"
        self._rules: dict[str, list[str]] = {"secret/*": ["read"]}
        vault.write_policy(self._policy, self._rules)
        self._token = vault.create_token([self._policy], renewable=False)
        self._clients: list[VaultClient] = []
        self.secrets = [self._token]

    async def open(self, name: str, *, timeout_seconds: float = 20.0, **settings: Any) -> CustomerKeySource:
        access = VaultSettings(
            name="main",
            address=self.proxy.address,
            auth=TokenAuth(SecretStr(self._token)),
            ca_bundle=self.proxy.ca_file,
            timeout_seconds=timeout_seconds,
        )
        client = VaultClient(access)
        self._clients.append(client)
        return CustomerKeySource(KvKeys(client, "secret", name), CustomerKeySettings(**settings))

    async def close(self) -> None:
        while self._clients:
            await self._clients.pop().aclose()

    def put(self, name: str, text: str) -> None:
        self._vault.put_secret(name, {"key": text})

    def delete(self, name: str) -> None:
        versions = self._vault.request("GET", f"secret/metadata/{name}")["data"]["versions"]
        self._vault.request("POST", f"secret/delete/{name}", {"versions": [int(number) for number in versions]})

    def deny(self, name: str) -> None:
        for part in ("data", "metadata"):
            self._rules[f"secret/{part}/{name}"] = ["deny"]
        self._vault.write_policy(self._policy, self._rules)

    def missing(self) -> str:
        return self.new_name()

    def calls(self) -> int:
        return self.proxy.count("v1/secret/")
