"""s3cmd, which signs the payload of what it uploads and compares ETags."""

from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from lab.binaries import require_binary
from lab.s3_server import REGION
from tests.clients.programs.client import Attributes, Service, run


class S3cmd:
    """``s3cmd``, one process for each command."""

    name: ClassVar[str] = "s3cmd"
    program: ClassVar[str | None] = "s3cmd"
    reads_ranges: ClassVar[bool] = True
    copies_attributes: ClassVar[bool] = True
    presigns: ClassVar[frozenset[str]] = frozenset({"GET"})

    def __init__(self, service: Service) -> None:
        self._service = service
        self._program = require_binary("s3cmd")
        host = urlsplit(service.endpoint).netloc
        self._configuration = service.home / "s3cfg"
        # The host of a bucket without %(bucket)s means path-style.
        self._configuration.write_text(
            f"[default]\n"
            f"access_key = {service.credentials.access_key}\n"
            f"secret_key = {service.credentials.secret_key}\n"
            f"bucket_location = {REGION}\n"
            f"host_base = {host}\n"
            f"host_bucket = {host}\n"
            f"ca_certs_file = {service.ca_file}\n"
            f"signurl_use_https = True\n"
        )

    def upload(self, folder: Path, bucket: str, prefix: str, attributes: Attributes) -> None:
        metadata = [f"--add-header=x-amz-meta-{name}:{value}" for name, value in attributes.metadata.items()]
        options = ["--recursive", f"--mime-type={attributes.content_type}", *metadata]
        self._run("put", *options, f"{folder}/", f"s3://{bucket}/{prefix}")

    def download(self, bucket: str, prefix: str, folder: Path) -> None:
        self._run("get", "--recursive", f"s3://{bucket}/{prefix}", f"{folder}/")

    def read_tail(self, bucket: str, key: str, first: int) -> bytes:
        """It reads ranges to go on with a broken-off download."""
        target = self._service.home / "tail"
        target.write_bytes(bytes(first))
        self._run("get", "--continue", f"s3://{bucket}/{key}", target)
        return target.read_bytes()[first:]

    def sizes(self, bucket: str, prefix: str) -> dict[str, int]:
        found = {}
        for line in self._run("ls", "--recursive", f"s3://{bucket}/{prefix}").decode().splitlines():
            _day, _time, size, uri = line.split(maxsplit=3)
            found[uri.removeprefix(f"s3://{bucket}/")] = int(size)
        return found

    def copy(self, bucket: str, source: str, target: str) -> None:
        self._run("cp", f"s3://{bucket}/{source}", f"s3://{bucket}/{target}")

    def delete(self, bucket: str, key: str) -> None:
        self._run("del", f"s3://{bucket}/{key}")

    def presign(self, method: str, bucket: str, key: str) -> str:
        return self._run("signurl", f"s3://{bucket}/{key}", "+600").decode().strip()

    def _run(self, *arguments: str | Path) -> bytes:
        command = [self._program, f"--config={self._configuration}", "--no-progress", *arguments]
        return run(command, self._service, environment={})
