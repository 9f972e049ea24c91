"""moto's server: AWS KMS and Secrets Manager as far as one can have them without AWS. Memory only, any Region, any key.

It checks encryption contexts, keys and their states as KMS does; it checks no signatures.
"""

import sys
from pathlib import Path
from typing import Any, Literal

import boto3

from lab.ports import accepts_connections, free_port
from lab.process import ServerProcess

_START_SECONDS = 60
#: moto believes everybody.
ACCESS_KEY_ID = "moto-access-key-id"
SECRET_ACCESS_KEY = "moto-secret-access-key"


class MotoServer:
    """One server.

    Attributes:
        endpoint: ``http://127.0.0.1:PORT``.
    """

    def __init__(self, directory: Path) -> None:
        """Nothing runs yet. The log is kept in ``directory``."""
        directory.mkdir(parents=True, exist_ok=True)
        self._port = free_port()
        self.endpoint = f"http://127.0.0.1:{self._port}"
        self._process = ServerProcess(
            "moto",
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self._port)],
            directory=directory,
        )

    def start(self) -> None:
        self._process.start(lambda: accepts_connections(self._port), seconds=_START_SECONDS)

    def stop(self) -> None:
        self._process.stop()

    def client(self, service: Literal["kms", "secretsmanager"], region: str) -> Any:
        """A boto3 client, for whoever prepares or looks."""
        session = boto3.session.Session(
            aws_access_key_id=ACCESS_KEY_ID, aws_secret_access_key=SECRET_ACCESS_KEY, region_name=region
        )
        return session.client(service, endpoint_url=self.endpoint)

    def create_key(self, region: str, *, multi_region: bool = False) -> str:
        """A new symmetric key; returns its ARN."""
        answer = self.client("kms", region).create_key(MultiRegion=multi_region)
        return str(answer["KeyMetadata"]["Arn"])
