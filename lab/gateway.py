"""Sealgate itself as a process of the laboratory: configured for one store and one vault."""

import json
import secrets
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.certificates import CertificateAuthority
from lab.openbao import OpenBao
from lab.ports import accepts_connections, free_ports
from lab.process import ServerProcess
from lab.s3_server import REGION, Credentials, S3Client, S3Server, s3_client
from lab.sealing import sealing_options

_START_SECONDS = 60
_STORE_SECRET = "SEALGATE_LAB_STORE_SECRET"
_CLIENT_SECRET = "SEALGATE_LAB_CLIENT_SECRET"
_VAULT_TOKEN = "SEALGATE_LAB_VAULT_TOKEN"

Options = Mapping[str, Any]


class Gateway:
    """One gateway process tree on free ports.

    Attributes:
        endpoint: ``https://localhost:PORT``.
        http_endpoint: where plain HTTP is refused.
        admin_endpoint: health and metrics.
        credentials: what clients sign with.
        ca_file: the CA bundle that verifies ``endpoint``.
    """

    def __init__(
        self,
        directory: Path,
        authority: CertificateAuthority,
        store: S3Server,
        *,
        rules: Sequence[Options],
        vault: OpenBao | None = None,
        customer_keys: Mapping[str, str] | None = None,
        sealing: Path | None = None,
        options: Options | None = None,
        credentials: Credentials | None = None,
        name: str = "gateway",
    ) -> None:
        """Nothing runs yet; everything it writes is in ``directory``.

        Args:
            directory: configuration and log.
            authority: makes its certificate.
            store: the S3 server behind it.
            rules: the encryption rules as the configuration file has them.
            vault: a started vault, when a rule needs one.
            customer_keys: path in the vault's ``secret`` mount of each customer key.
            sealing: a directory with a keyring and a staging store, for rules of mode ``cse``; made when it is not
                there. Gateways with the same one open each other's objects.
            options: sections that are merged into the configuration.
            credentials: what clients sign with; made up when None.
            name: for the log.
        """
        self.directory = directory
        self.ca_file = authority.ca_file
        self.credentials = credentials or Credentials("SEALGATELABCLIENT001")
        https_port, http_port, admin_port = free_ports(3)
        self.endpoint = f"https://localhost:{https_port}"
        self.http_endpoint = f"http://127.0.0.1:{http_port}"
        self.admin_endpoint = f"http://127.0.0.1:{admin_port}"
        directory.mkdir(parents=True, exist_ok=True)
        certificate = authority.issue_server(name)
        environment = {
            _STORE_SECRET: store.credentials.secret_key,
            _CLIENT_SECRET: self.credentials.secret_key,
        }
        document: dict[str, Any] = {
            "listeners": {
                "https": [
                    {
                        "address": "127.0.0.1",
                        "port": https_port,
                        "certificate": str(certificate.certificate),
                        "private_key": str(certificate.key),
                    }
                ],
                "plain_http_refusal": [{"address": "127.0.0.1", "port": http_port}],
            },
            "virtual_host_domains": ["localhost"],
            "identities": [
                {
                    "name": "lab",
                    "access_key_id": self.credentials.access_key,
                    "secret_access_key": f"env:{_CLIENT_SECRET}",
                    "upstream_credentials": {
                        "kind": "static",
                        "access_key_id": store.credentials.access_key,
                        "secret_access_key": f"env:{_STORE_SECRET}",
                    },
                }
            ],
            "upstream": {
                "endpoint": store.endpoint,
                "region": REGION,
                "ca_bundle": str(store.ca_file),
                "payload": "trailer" if store.traits.trailing_checksums else "unsigned",
            },
            "rules": [dict(rule) for rule in rules],
            "admin": {"address": "127.0.0.1", "port": admin_port},
        }
        if vault is not None:
            document |= _vault_sections(vault, customer_keys or {})
            environment[_VAULT_TOKEN] = _vault_token(vault, customer_keys or {})
        if sealing is not None:
            document |= sealing_options(sealing)
        self.config_file = directory / f"{name}.yaml"
        # JSON is YAML, and quotes what needs quoting.
        self.config_file.write_text(json.dumps(_merged(document, options or {}), indent=2))
        self.process = ServerProcess(
            name,
            [sys.executable, "-m", "gateway", "serve", "--config", self.config_file],
            directory=directory,
            environment=environment,
        )

    @property
    def environment(self) -> dict[str, str]:
        """The secrets that its configuration refers to: the process has them, and commands need them too."""
        return self.process.environment

    @property
    def log_file(self) -> Path:
        """Access log and messages."""
        return self.process.log_file

    def start(self) -> None:
        """Start it, or start it again on the same ports, and wait until clients can connect."""
        self.process.start(self._takes_clients, seconds=_START_SECONDS)

    def stop(self) -> None:
        """SIGTERM: it drains and ends."""
        self.process.stop(seconds=40)

    def kill(self) -> None:
        """``kill -9``."""
        self.process.kill()

    def client(self, credentials: Credentials | None = None, **config: Any) -> S3Client:
        """A boto3 S3 client through the gateway, with default settings."""
        return s3_client(self.endpoint, self.ca_file, credentials or self.credentials, **config)

    def is_live(self) -> bool:
        """Whether ``/livez`` answers 200."""
        return self.admin_status("/livez") == 200

    def _takes_clients(self) -> bool:
        # With several workers the admin listener is there before the first of them listens.
        return self.is_live() and accepts_connections(int(self.endpoint.rpartition(":")[2]))

    def is_ready(self) -> bool:
        """Whether ``/readyz`` answers 200."""
        return self.admin_status("/readyz") == 200

    def admin_status(self, path: str) -> int:
        """The HTTP status of a page of the admin listener; 0 when nobody answers."""
        try:
            with urllib.request.urlopen(self.admin_endpoint + path, timeout=10) as answer:  # noqa: S310 - ours
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except OSError:
            return 0

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels; 0 when there is none."""
        with urllib.request.urlopen(f"{self.admin_endpoint}/metrics", timeout=10) as answer:  # noqa: S310 - ours
            text = answer.read().decode()
        wanted = {f'{label}="{value}"' for label, value in labels.items()}
        total = 0.0
        for line in text.splitlines():
            series, _, value = line.rpartition(" ")
            found, _, inside = series.partition("{")
            if found == name and wanted <= set(inside.removesuffix("}").split(",")):
                total += float(value)
        return total

    def access_log(self) -> list[dict[str, Any]]:
        """The access log so far."""
        lines = self.log_file.read_text(errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and '"operation"' in line]


def _vault_sections(vault: OpenBao, customer_keys: Mapping[str, str]) -> dict[str, Any]:
    return {
        "vaults": {"lab": {"address": vault.address, "token": f"env:{_VAULT_TOKEN}", "ca_bundle": str(vault.ca_file)}},
        "customer_keys": {
            name: {"vault": "lab", "mount": "secret", "path": path, "hold_seconds": 2, "refresh_seconds": 1}
            for name, path in customer_keys.items()
        },
    }


def _vault_token(vault: OpenBao, customer_keys: Mapping[str, str]) -> str:
    """A token that may read these keys and nothing else."""
    rules = {f"secret/{kind}/{path}": ["read"] for path in customer_keys.values() for kind in ("data", "metadata")}
    policy = f"sealgate-{secrets.token_hex(4)}"  # its own: several gateways may share the vault
    vault.write_policy(policy, rules)
    return vault.create_token([policy], ttl="24h")


def _merged(base: Mapping[str, Any], changes: Options) -> dict[str, Any]:
    """``base`` with ``changes``: mappings are merged, everything else is replaced."""
    merged = dict(base)
    for name, value in changes.items():
        old = merged.get(name)
        merged[name] = _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged
