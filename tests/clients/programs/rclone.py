"""rclone, configured by its environment as a generic S3 provider."""

import json
from pathlib import Path
from typing import ClassVar

from lab.binaries import require_binary
from lab.s3_server import REGION
from tests.clients.programs.client import Attributes, Service, run


class Rclone:
    """``rclone``, one process for each command."""

    name: ClassVar[str] = "rclone"
    program: ClassVar[str | None] = "rclone"
    reads_ranges: ClassVar[bool] = True
    copies_attributes: ClassVar[bool] = True
    presigns: ClassVar[frozenset[str]] = frozenset({"GET"})

    def __init__(self, service: Service) -> None:
        self._service = service
        self._program = require_binary("rclone")

    def upload(self, folder: Path, bucket: str, prefix: str, attributes: Attributes) -> None:
        headers = [f"x-amz-meta-{name}: {value}" for name, value in attributes.metadata.items()]
        headers.append(f"Content-Type: {attributes.content_type}")
        options = [word for header in headers for word in ("--header-upload", header)]
        self._run("copy", folder, f"gate:{bucket}/{prefix}", *options)

    def download(self, bucket: str, prefix: str, folder: Path) -> None:
        self._run("copy", f"gate:{bucket}/{prefix}", folder)

    def read_tail(self, bucket: str, key: str, first: int) -> bytes:
        return self._run("cat", f"gate:{bucket}/{key}", "--offset", str(first))

    def sizes(self, bucket: str, prefix: str) -> dict[str, int]:
        entries = json.loads(self._run("lsjson", "--files-only", "--recursive", f"gate:{bucket}/{prefix}"))
        return {prefix + entry["Path"]: entry["Size"] for entry in entries}

    def copy(self, bucket: str, source: str, target: str) -> None:
        self._run("copyto", f"gate:{bucket}/{source}", f"gate:{bucket}/{target}")

    def delete(self, bucket: str, key: str) -> None:
        self._run("deletefile", f"gate:{bucket}/{key}")

    def presign(self, method: str, bucket: str, key: str) -> str:
        return self._run("link", f"gate:{bucket}/{key}", "--expire", "10m").decode().strip()

    def _run(self, *arguments: str | Path) -> bytes:
        return run(
            [self._program, "--ca-cert", self._service.ca_file, *arguments],
            self._service,
            environment={
                "RCLONE_CONFIG": str(self._service.home / "rclone.conf"),
                "RCLONE_CONFIG_GATE_TYPE": "s3",
                "RCLONE_CONFIG_GATE_PROVIDER": "Other",
                "RCLONE_CONFIG_GATE_ENV_AUTH": "true",
                "RCLONE_CONFIG_GATE_REGION": REGION,
                "RCLONE_CONFIG_GATE_ENDPOINT": self._service.endpoint,
            },
        )
