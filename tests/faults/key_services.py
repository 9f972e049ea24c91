"""Key services that a gateway asks, behind proxies that count every request and break what a test wants broken."""

import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

from lab.certificates import CertificateAuthority
from lab.fault_proxy import AWS_ANSWERS, VAULT_ANSWERS, Fault, FaultProxy
from lab.moto import ACCESS_KEY_ID, SECRET_ACCESS_KEY, MotoServer
from lab.openbao import OpenBao

_KEY_OPERATIONS = {
    "datakey": "generate",
    "decrypt": "unwrap",
    "rewrap": "rewrap",
    "GenerateDataKey": "generate",
    "Decrypt": "unwrap",
    "ReEncrypt": "rewrap",
}


class KeyService(ABC):
    """One service with one wrapping key in it.

    Attributes:
        kind: the provider's kind.
        wrapping_key: its name in the configuration.
    """

    kind: ClassVar[str]
    wrapping_key: ClassVar[str] = "remote"

    @abstractmethod
    def options(self, directory: Path, *, requests_per_second: float | None = None) -> dict[str, Any]:
        """Sections of the configuration.

        Args:
            directory: for the files with secrets.
            requests_per_second: the quota that the gateway must keep, for all of its workers together.
        """

    @abstractmethod
    def calls(self) -> list[tuple[float, str]]:
        """When the service saw requests about keys (monotonic clock), and whether to generate, unwrap or rewrap."""

    @abstractmethod
    def during(self, fault: str) -> AbstractContextManager[None]:
        """The service has this fault meanwhile; the names are those of :class:`lab.fault_proxy.Fault`."""

    @abstractmethod
    def stop(self) -> None:
        """Stop the proxy."""

    def count(self, operation: str | None = None) -> int:
        """How many requests the service saw."""
        return sum(operation in {None, asked} for _, asked in self.calls())


class TransitService(KeyService):
    """A transit engine; the gateway logs in with AppRole."""

    kind: ClassVar[str] = "vault-transit"

    def __init__(self, vault: OpenBao, authority: CertificateAuthority) -> None:
        self._vault = vault
        self.name = f"faults-{secrets.token_hex(4)}"
        self.proxy = FaultProxy(vault.address, VAULT_ANSWERS, authority, service_ca=vault.ca_file)
        vault.create_transit_key(self.name)
        allowed = [f"transit/{operation}/{self.name}" for operation in ("datakey/plaintext", "decrypt", "rewrap")]
        vault.write_policy(self.name, {path: ["update"] for path in allowed})
        # A mount of its own, so that its tokens can be revoked without anybody else's.
        vault.request("POST", f"sys/auth/{self.name}", {"type": "approle"})
        role = f"auth/{self.name}/role/gateway"
        vault.request("POST", role, {"token_policies": [self.name], "token_ttl": "1h"})
        self._role_id: str = vault.request("GET", f"{role}/role-id")["data"]["role_id"]
        self._secret_id: str = vault.request("POST", f"{role}/secret-id")["data"]["secret_id"]

    def options(self, directory: Path, *, requests_per_second: float | None = None) -> dict[str, Any]:
        directory.mkdir(parents=True, exist_ok=True)
        role_file, secret_file = directory / "role-id", directory / "secret-id"
        role_file.write_text(self._role_id)
        secret_file.write_text(self._secret_id)
        quota = {"provider": self.kind, "scope": "keys", "requests_per_second": requests_per_second, "share": 1}
        return {
            "vaults": {
                "keys": {
                    "address": self.proxy.address,
                    "ca_bundle": str(self.proxy.ca_file),
                    "timeout_seconds": 2,
                    "approle": {
                        "role_id": f"file:{role_file}",
                        "secret_id": f"file:{secret_file}",
                        "mount": self.name,
                    },
                }
            },
            "wrapping_keys": {self.wrapping_key: {"provider": self.kind, "vault": "keys", "key": self.name}},
            "key_quotas": [] if requests_per_second is None else [quota],
        }

    def calls(self) -> list[tuple[float, str]]:
        seen = [(call.seconds, call.path.split("/")) for call in list(self.proxy.calls)]
        return [(seconds, _KEY_OPERATIONS[path[2]]) for seconds, path in seen if path[1] == "transit"]

    def during(self, fault: str) -> AbstractContextManager[None]:
        return self.proxy.during(Fault(fault))

    def stop(self) -> None:
        self.proxy.stop()

    def logins(self) -> int:
        """How often somebody logged in."""
        return self.proxy.count(f"v1/auth/{self.name}/login")

    def revoke_tokens(self) -> None:
        """Revoke every token that came from a login."""
        self._vault.request("PUT", f"sys/leases/revoke-prefix/auth/{self.name}/login")


class KmsService(KeyService):
    """AWS KMS as moto's server has it."""

    kind: ClassVar[str] = "aws-kms"
    region: ClassVar[str] = "eu-central-1"

    def __init__(self, moto: MotoServer, authority: CertificateAuthority) -> None:
        self._arn = moto.create_key(self.region)
        self.proxy = FaultProxy(moto.endpoint, AWS_ANSWERS, authority)

    def options(self, directory: Path, *, requests_per_second: float | None = None) -> dict[str, Any]:
        directory.mkdir(parents=True, exist_ok=True)
        secret_file = directory / "aws-secret-access-key"
        secret_file.write_text(SECRET_ACCESS_KEY)
        quota = {"provider": self.kind, "scope": self.region, "requests_per_second": requests_per_second, "share": 1}
        return {
            "wrapping_keys": {
                self.wrapping_key: {
                    "provider": self.kind,
                    "key_arn": self._arn,
                    "encryption_context": {"purpose": "faults"},
                    "endpoint_url": self.proxy.address,
                    "ca_bundle": str(self.proxy.ca_file),
                    "timeout_seconds": 2,
                    "credentials": {
                        "kind": "static",
                        "access_key_id": ACCESS_KEY_ID,
                        "secret_access_key": f"file:{secret_file}",
                    },
                }
            },
            "key_quotas": [] if requests_per_second is None else [quota],
        }

    def calls(self) -> list[tuple[float, str]]:
        return [(call.seconds, _KEY_OPERATIONS[call.target.rpartition(".")[2]]) for call in list(self.proxy.calls)]

    def during(self, fault: str) -> AbstractContextManager[None]:
        return self.proxy.during(Fault(fault))

    def stop(self) -> None:
        self.proxy.stop()


def most_in_a_second(times: list[float]) -> int:
    """The most events in any period of one second."""
    times = sorted(times)
    most = first = 0
    for last, time in enumerate(times):
        while time - times[first] >= 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most


def merged(*sections: Mapping[str, Any]) -> dict[str, Any]:
    """Sections of the configuration together; no two have one in common."""
    together: dict[str, Any] = {}
    for section in sections:
        assert not together.keys() & section.keys()
        together |= section
    return together
