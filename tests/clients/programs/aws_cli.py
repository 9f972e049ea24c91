"""The AWS command line: ``aws s3`` for transfers, ``aws s3api`` where that shows more."""

import json
from pathlib import Path
from typing import ClassVar

from lab.binaries import require_binary
from lab.s3_server import REGION
from tests.clients.programs.client import Attributes, Service, run


class AwsCli:
    """``aws``, one process for each command."""

    name: ClassVar[str] = "aws"
    program: ClassVar[str | None] = "aws"
    reads_ranges: ClassVar[bool] = True
    #: Not when it copies in parts.
    copies_attributes: ClassVar[bool] = False
    presigns: ClassVar[frozenset[str]] = frozenset({"GET"})

    def __init__(self, service: Service) -> None:
        self._service = service
        self._program = require_binary("aws")

    def upload(self, folder: Path, bucket: str, prefix: str, attributes: Attributes) -> None:
        options = ["--content-type", attributes.content_type, "--metadata", json.dumps(dict(attributes.metadata))]
        self._s3("cp", "--recursive", folder, f"s3://{bucket}/{prefix}", *options)

    def download(self, bucket: str, prefix: str, folder: Path) -> None:
        self._s3("cp", "--recursive", f"s3://{bucket}/{prefix}", folder)

    def read_tail(self, bucket: str, key: str, first: int) -> bytes:
        target = self._service.home / "tail"
        self._run("s3api", "get-object", "--bucket", bucket, "--key", key, "--range", f"bytes={first}-", target)
        return target.read_bytes()

    def sizes(self, bucket: str, prefix: str) -> dict[str, int]:
        answer = json.loads(self._run("s3api", "list-objects-v2", "--bucket", bucket, "--prefix", prefix))
        return {entry["Key"]: entry["Size"] for entry in answer.get("Contents", [])}

    def copy(self, bucket: str, source: str, target: str) -> None:
        self._s3("cp", f"s3://{bucket}/{source}", f"s3://{bucket}/{target}")

    def delete(self, bucket: str, key: str) -> None:
        self._s3("rm", f"s3://{bucket}/{key}")

    def presign(self, method: str, bucket: str, key: str) -> str:
        return self._run("s3", "presign", f"s3://{bucket}/{key}").decode().strip()

    def _s3(self, *arguments: str | Path) -> None:
        self._run("s3", *arguments, "--only-show-errors")

    def _run(self, *arguments: str | Path) -> bytes:
        return run(
            [self._program, "--endpoint-url", self._service.endpoint, "--output", "json", *arguments],
            self._service,
            environment={"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "AWS_PAGER": ""},
        )
