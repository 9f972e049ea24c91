"""What the suite asks of every client program, and how programs are started."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from lab.s3_server import Credentials

_COMMAND_SECONDS = 110
_OUTPUT_CHARACTERS = 3_000


class ClientFailed(Exception):
    """The client reported an error; the message is what it printed."""


@dataclass(frozen=True, slots=True)
class Service:
    """Where a client is pointed to.

    Attributes:
        endpoint: an ``https`` URL without a path.
        ca_file: the CA bundle that verifies it.
        credentials: what requests are signed with.
        home: an empty directory, so that no configuration of the machine is read.
    """

    endpoint: str
    ca_file: Path
    credentials: Credentials
    home: Path


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is stored with an object: its media type and user metadata without ``x-amz-meta-``."""

    content_type: str
    metadata: Mapping[str, str] = field(default_factory=dict)


class Client(Protocol):
    """A client program with its default settings: only the endpoint, the CA, credentials and path-style are given.

    Every method raises :class:`ClientFailed` when the program reports an error.
    """

    #: How tests call it.
    name: ClassVar[str]
    #: The program that must be on this machine; None when a locked Python package is the client.
    program: ClassVar[str | None]
    #: Whether :meth:`read_tail` is there.
    reads_ranges: ClassVar[bool]
    #: Whether its copy of a large object asks the server to keep media type and metadata.
    copies_attributes: ClassVar[bool]
    #: The methods that it presigns URLs for.
    presigns: ClassVar[frozenset[str]]

    def __init__(self, service: Service) -> None:
        """Nothing is asked of the service yet."""

    def upload(self, folder: Path, bucket: str, prefix: str, attributes: Attributes) -> None:
        """Upload every file of a folder as ``prefix`` and its name, large ones in parts if the client does so."""

    def download(self, bucket: str, prefix: str, folder: Path) -> None:
        """Download every object below a prefix that ends with a slash, into a folder that exists."""

    def read_tail(self, bucket: str, key: str, first: int) -> bytes:
        """The object from byte ``first`` to its end, by a ranged read."""

    def sizes(self, bucket: str, prefix: str) -> dict[str, int]:
        """The sizes of the objects below a prefix that ends with a slash, by full key."""

    def copy(self, bucket: str, source: str, target: str) -> None:
        """Copy within the bucket on the server's side, in parts when the client does so for its size."""

    def delete(self, bucket: str, key: str) -> None:
        """Delete one object."""

    def presign(self, method: str, bucket: str, key: str) -> str:
        """A URL for one of ``presigns``."""


def run(command: Sequence[str | Path], service: Service, *, environment: Mapping[str, str], text: str = "") -> bytes:
    """What a program prints, run with an environment that holds nothing of this machine's but ``PATH``.

    Args:
        command: program and arguments.
        service: its CA and credentials are in the environment under the names that AWS's own tools know.
        environment: further variables.
        text: its standard input.

    Raises:
        ClientFailed: it ended with another status than 0.
    """
    done = subprocess.run(
        [str(word) for word in command],
        env={
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(service.home),
            "LC_ALL": "C.UTF-8",
            "AWS_ACCESS_KEY_ID": service.credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": service.credentials.secret_key,
            "AWS_CA_BUNDLE": str(service.ca_file),
            **environment,
        },
        cwd=service.home,
        input=text.encode(),
        capture_output=True,
        timeout=_COMMAND_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        printed = (done.stderr + done.stdout).decode(errors="replace")
        raise ClientFailed(f"{Path(command[0]).name} ended with {done.returncode}: {printed[-_OUTPUT_CHARACTERS:]}")
    return done.stdout
