"""The AWS SDK for JavaScript v3, driven by ``javascript/client.mjs``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from lab.binaries import require_binary
from lab.prepare import JAVASCRIPT, install_javascript
from lab.s3_server import REGION
from tests.clients.programs.client import Attributes, Service, run


class JavaScript:
    """``@aws-sdk/client-s3`` with lib-storage, one Node.js process for each command."""

    name: ClassVar[str] = "javascript"
    program: ClassVar[str | None] = "npm"
    reads_ranges: ClassVar[bool] = True
    copies_attributes: ClassVar[bool] = True
    presigns: ClassVar[frozenset[str]] = frozenset({"GET", "PUT"})

    def __init__(self, service: Service) -> None:
        install_javascript()
        self._service = service
        self._program = require_binary("node")

    def upload(self, folder: Path, bucket: str, prefix: str, attributes: Attributes) -> None:
        stored = {"ContentType": attributes.content_type, "Metadata": dict(attributes.metadata)}
        self._run({"action": "upload", "folder": str(folder), "prefix": prefix, "object": {"Bucket": bucket, **stored}})

    def download(self, bucket: str, prefix: str, folder: Path) -> None:
        self._run({"action": "download", "folder": str(folder), "object": {"Bucket": bucket, "Prefix": prefix}})

    def read_tail(self, bucket: str, key: str, first: int) -> bytes:
        target = self._service.home / "tail"
        part = {"Bucket": bucket, "Key": key, "Range": f"bytes={first}-"}
        self._run({"action": "get", "file": str(target), "object": part})
        return target.read_bytes()

    def sizes(self, bucket: str, prefix: str) -> dict[str, int]:
        found = json.loads(self._run({"action": "list", "object": {"Bucket": bucket, "Prefix": prefix}}))
        return {entry["Key"]: entry["Size"] for entry in found}

    def copy(self, bucket: str, source: str, target: str) -> None:
        self._run({"action": "copy", "source": [bucket, source], "object": {"Bucket": bucket, "Key": target}})

    def delete(self, bucket: str, key: str) -> None:
        self._run({"action": "delete", "object": {"Bucket": bucket, "Key": key}})

    def presign(self, method: str, bucket: str, key: str) -> str:
        request = {"action": "presign", "method": method, "object": {"Bucket": bucket, "Key": key}}
        return self._run(request).decode().strip()

    def _run(self, request: Mapping[str, object]) -> bytes:
        return run(
            [self._program, JAVASCRIPT / "client.mjs"],
            self._service,
            environment={
                "AWS_REGION": REGION,
                "AWS_ENDPOINT_URL_S3": self._service.endpoint,
                "NODE_EXTRA_CA_CERTS": str(self._service.ca_file),
            },
            text=json.dumps(request),
        )
