"""MinIO, built from its Go module with ``go install`` once and kept in a cache directory."""

import base64
import os
import secrets
import shutil
import subprocess
from pathlib import Path

from lab.binaries import LabError, find_binary
from lab.certificates import CertificateAuthority
from lab.ports import free_ports
from lab.process import ServerProcess
from lab.s3_server import REGION, Credentials, S3Server, Traits

#: The module is built at exactly this version; Go's checksum database vouches for its content.
MODULE = "github.com/minio/minio"
VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c"
_BUILD_SECONDS = 1_500
_START_SECONDS = 60
_KMS_KEY = "sealgate-lab"


def cached_binary() -> Path:
    """Where the built program is kept: ``$XDG_CACHE_HOME/sealgate-lab/minio-VERSION/minio``."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "sealgate-lab" / f"minio-{VERSION}" / "minio"


def find_minio() -> Path | None:
    """MinIO when it is there already, from the cache or beside the other programs; nothing is built."""
    cached = cached_binary()
    return cached if cached.exists() else find_binary("minio")


def is_available() -> bool:
    """Whether MinIO is there, or can be built because Go is on the machine."""
    return find_minio() is not None or shutil.which("go") is not None


def build_minio() -> Path:
    """MinIO, built now (some minutes, once) when it is not there yet.

    Raises:
        LabError: there is no Go, or the build failed.
    """
    found = find_minio()
    if found is not None:
        return found
    go = shutil.which("go")
    if go is None:
        raise LabError("MinIO is built with Go, and there is no go on PATH")
    target = cached_binary().parent
    target.mkdir(parents=True, exist_ok=True)
    build = subprocess.run(
        [go, "install", f"{MODULE}@{VERSION}"],
        env=os.environ | {"GOBIN": str(target), "CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        timeout=_BUILD_SECONDS,
        check=False,
    )
    if build.returncode != 0:
        raise LabError(f"go install of MinIO failed:\n{build.stderr[-2000:]}")
    return cached_binary()


class Minio(S3Server):
    """One MinIO server with TLS only, SSE-C, and SSE-S3 and SSE-KMS under one static key."""

    name = "minio"
    traits = Traits(
        trailing_checksums=True,
        sse_s3=True,
        dsse_kms=False,
        copies_encrypted=True,
        copy_encrypts=True,
        bucket_encryption=True,
    )

    def __init__(self, directory: Path, authority: CertificateAuthority) -> None:
        """Nothing runs yet; MinIO is built when it has to be. Everything it writes is in ``directory``.

        Raises:
            LabError: MinIO cannot be built.
        """
        port, console_port = free_ports(2)
        self.directory = directory
        self.ca_file = authority.ca_file
        self.endpoint = f"https://localhost:{port}"
        self.credentials = Credentials("miniomainuser0000000")
        # There is one user: others are made through an admin API with a protocol of its own.
        self.other_credentials = self.credentials
        # MinIO's own ARN form: it answers with this whatever form was sent.
        self.kms_key_id = f"arn:aws:kms:{_KMS_KEY}"
        self._process = ServerProcess(
            "minio",
            [
                build_minio(),
                "server",
                "--certs-dir",
                _certificate_directory(directory, authority),
                "--address",
                f"127.0.0.1:{port}",
                "--console-address",
                f"127.0.0.1:{console_port}",
                directory / "data",
            ],
            directory=directory,
            environment={
                "MINIO_ROOT_USER": self.credentials.access_key,
                "MINIO_ROOT_PASSWORD": self.credentials.secret_key,
                "MINIO_KMS_SECRET_KEY": f"{_KMS_KEY}:{base64.b64encode(secrets.token_bytes(32)).decode()}",
                "MINIO_BROWSER": "off",
                "MINIO_UPDATE": "off",
                "MINIO_REGION": REGION,
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

    def stop(self) -> None:
        self._process.stop()

    def kill(self) -> None:
        self._process.kill()


def _certificate_directory(directory: Path, authority: CertificateAuthority) -> Path:
    """MinIO looks for fixed names in one directory, CAs it trusts in a directory below."""
    certificates = directory / "certs"
    (certificates / "CAs").mkdir(parents=True, exist_ok=True)
    issued = authority.issue_server("minio")
    shutil.copy(issued.certificate, certificates / "public.crt")
    shutil.copy(issued.key, certificates / "private.key")
    shutil.copy(authority.ca_file, certificates / "CAs" / "ca.pem")
    return certificates
