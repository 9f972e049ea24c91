"""s5cmd, made for many and large objects: it reads large ones in concurrent ranges."""

import json
from pathlib import Path
from typing import ClassVar

from lab.binaries import require_binary
from lab.s3_server import REGION
from tests.clients.programs.client import Attributes, Service, run


class S5cmd:
    """``s5cmd``, one process for each command."""

    name: ClassVar[str] = "s5cmd"
    program: ClassVar[str | None] = "s5cmd"
    #: Only within the download of a large object.
    reads_ranges: ClassVar[bool] = False
    #: It asks to replace them, with nothing.
    copies_attributes: ClassVar[bool] = False
    presigns: ClassVar[frozenset[str]] = frozenset({"GET"})

    def __init__(self, service: Service) -> None:
        self._service = service
        self._program = require_binary("s5cmd")

    def upload(self, folder: Path, bucket: str, prefix: str, attributes: Attributes) -> None:
        metadata = [word for item in attributes.metadata.items() for word in ("--metadata", "=".join(item))]
        options = ["--content-type", attributes.content_type, *metadata]
        self._run("cp", *options, f"{folder}/*", f"s3://{bucket}/{prefix}")

    def download(self, bucket: str, prefix: str, folder: Path) -> None:
        self._run("cp", f"s3://{bucket}/{prefix}*", f"{folder}/")

    def read_tail(self, bucket: str, key: str, first: int) -> bytes:
        raise NotImplementedError

    def sizes(self, bucket: str, prefix: str) -> dict[str, int]:
        lines = self._run("--json", "ls", f"s3://{bucket}/{prefix}*").decode().splitlines()
        return {entry["key"].removeprefix(f"s3://{bucket}/"): entry.get("size", 0) for entry in map(json.loads, lines)}

    def copy(self, bucket: str, source: str, target: str) -> None:
        self._run("cp", f"s3://{bucket}/{source}", f"s3://{bucket}/{target}")

    def delete(self, bucket: str, key: str) -> None:
        self._run("rm", f"s3://{bucket}/{key}")

    def presign(self, method: str, bucket: str, key: str) -> str:
        return self._run("presign", "--expire", "10m", f"s3://{bucket}/{key}").decode().strip()

    def _run(self, *arguments: str | Path) -> bytes:
        return run(
            [self._program, "--endpoint-url", self._service.endpoint, *arguments],
            self._service,
            environment={"AWS_REGION": REGION},
        )
