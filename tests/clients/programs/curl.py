"""curl with its own SigV4, the plainest client there is: one request for each object, whatever its size."""

from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import defusedxml.ElementTree

from lab.binaries import require_binary
from lab.s3_server import REGION
from tests.clients.programs.client import Attributes, Service, run

_NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class Curl:
    """``curl --aws-sigv4``, one process for each request."""

    name: ClassVar[str] = "curl"
    program: ClassVar[str | None] = "curl"
    reads_ranges: ClassVar[bool] = True
    copies_attributes: ClassVar[bool] = True
    presigns: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, service: Service) -> None:
        self._service = service
        self._program = require_binary("curl")

    def upload(self, folder: Path, bucket: str, prefix: str, attributes: Attributes) -> None:
        headers = {f"x-amz-meta-{name}": value for name, value in attributes.metadata.items()}
        headers["Content-Type"] = attributes.content_type
        for file in sorted(folder.iterdir()):
            self._run(f"{bucket}/{quote(prefix + file.name)}", "--upload-file", file, headers=headers)

    def download(self, bucket: str, prefix: str, folder: Path) -> None:
        for key in self.sizes(bucket, prefix):
            self._run(f"{bucket}/{quote(key)}", "--output", folder / key.removeprefix(prefix))

    def read_tail(self, bucket: str, key: str, first: int) -> bytes:
        return self._run(f"{bucket}/{quote(key)}", "--range", f"{first}-")

    def sizes(self, bucket: str, prefix: str) -> dict[str, int]:
        answer = self._run(f"{bucket}?list-type=2&prefix={quote(prefix, safe='')}")
        listing = defusedxml.ElementTree.fromstring(answer.decode())
        return {
            entry.findtext(f"{_NAMESPACE}Key", ""): int(entry.findtext(f"{_NAMESPACE}Size", "-1"))
            for entry in listing.iter(f"{_NAMESPACE}Contents")
        }

    def copy(self, bucket: str, source: str, target: str) -> None:
        headers = {"x-amz-copy-source": f"/{bucket}/{quote(source)}"}
        self._run(f"{bucket}/{quote(target)}", "--request", "PUT", headers=headers)

    def delete(self, bucket: str, key: str) -> None:
        self._run(f"{bucket}/{quote(key)}", "--request", "DELETE")

    def presign(self, method: str, bucket: str, key: str) -> str:
        raise NotImplementedError

    def _run(self, target: str, *arguments: str | Path, headers: dict[str, str] | None = None) -> bytes:
        user = f"{self._service.credentials.access_key}:{self._service.credentials.secret_key}"
        options = [word for name, value in (headers or {}).items() for word in ("--header", f"{name}: {value}")]
        command: list[str | Path] = [
            *(self._program, "--config", "-", "--silent", "--show-error", "--fail-with-body"),
            *("--cacert", self._service.ca_file, "--aws-sigv4", f"aws:amz:{REGION}:s3"),
            # curl before 8.1 does not send it by itself, and S3 wants it.
            *("--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"),
            *options,
            *arguments,
            f"{self._service.endpoint}/{target}",
        ]
        return run(command, self._service, environment={}, text=f'user = "{user}"\n')
