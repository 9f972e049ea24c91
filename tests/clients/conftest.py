"""Every client program, in front of a gateway with one bucket for each mode, in front of every server.

boto3 against SeaweedFS is part of the default run; the others are slow. A client that is not
on this machine is skipped, unless ``SEALGATE_TEST_CLIENTS`` lists it.
"""

import base64
import os
import random
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.binaries import find_binary
from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.openbao import OpenBao
from lab.s3_server import S3Server
from lab.sealing import sealing_options
from tests.clients.modes import CUSTOMER_KEYS, MODES, bucket_of, rules
from tests.clients.programs.catalogue import CLIENTS, DEFAULT_CLIENTS
from tests.clients.programs.client import Client, Service

_SERVERS = ("seaweedfs", "rgw", "minio")
_DEFAULT_SERVERS = ("seaweedfs",)
#: Names of clients that must be there: where they are listed (CI), a missing one is a failure and not a skip.
REQUIRED_CLIENTS = frozenset(os.environ.get("SEALGATE_TEST_CLIENTS", "").split())


@dataclass(frozen=True, slots=True)
class Stand:
    """A server with a gateway in front of it, and the buckets made."""

    server: S3Server
    gateway: Gateway


@pytest.fixture(
    scope="session",
    params=[pytest.param(name, marks=[] if name in _DEFAULT_SERVERS else pytest.mark.slow) for name in _SERVERS],
)
def server(request: pytest.FixtureRequest) -> S3Server:
    """Each server in turn."""
    found: S3Server = request.getfixturevalue({"seaweedfs": "seaweed"}.get(request.param, request.param))
    return found


@pytest.fixture(scope="session")
def stands() -> Iterator[dict[str, Stand]]:
    """The stands that were made so far, by server; a process may come back to one for another file of tests."""
    made: dict[str, Stand] = {}
    yield made
    for one in made.values():
        one.gateway.stop()


@pytest.fixture(scope="session")
def stand(
    server: S3Server,
    stands: dict[str, Stand],
    authority: CertificateAuthority,
    openbao: OpenBao,
    tmp_path_factory: pytest.TempPathFactory,
) -> Stand:
    """The server behind a gateway with default settings and a rule for every mode."""
    if server.name not in stands:
        for path in CUSTOMER_KEYS.values():
            openbao.put_secret(path, {"key": base64.b64encode(secrets.token_bytes(32)).decode()})
        stands[server.name] = _made(server, authority, openbao, tmp_path_factory.mktemp(f"clients-{server.name}"))
    return stands[server.name]


def _made(server: S3Server, authority: CertificateAuthority, openbao: OpenBao, directory: Path) -> Stand:
    gateway = Gateway(
        directory,
        authority,
        server,
        rules=rules(server),
        vault=openbao,
        customer_keys=CUSTOMER_KEYS,
        options={"virtual_host_domains": ["s3.localhost"], **sealing_options(directory)},
    )
    gateway.start()
    try:
        for mode in MODES:
            gateway.client().create_bucket(Bucket=bucket_of(mode))
    except BaseException:
        gateway.stop()
        raise
    return Stand(server, gateway)


@pytest.fixture(
    params=[
        pytest.param(kind, id=kind.name, marks=[] if kind in DEFAULT_CLIENTS else pytest.mark.slow) for kind in CLIENTS
    ]
)
def client_kind(request: pytest.FixtureRequest) -> type[Client]:
    """Each client in turn; skips when its program is not installed."""
    kind: type[Client] = request.param
    if kind.program is not None and find_binary(kind.program) is None:
        if kind.name in REQUIRED_CLIENTS:
            pytest.fail(f"{kind.name} is required by SEALGATE_TEST_CLIENTS and is not on this machine")
        pytest.skip(f"{kind.name} is not on this machine")
    return kind


@pytest.fixture
def client(client_kind: type[Client], stand: Stand, tmp_path: Path) -> Client:
    """The client, pointed to the gateway."""
    return client_kind(service(stand.gateway, tmp_path))


def service(side: Gateway | S3Server, tmp_path: Path) -> Service:
    """A gateway, or a server itself, as clients see it."""
    home = tmp_path / "home"
    home.mkdir(parents=True)
    return Service(side.endpoint, side.ca_file, side.credentials, home)


@pytest.fixture(scope="session")
def source_file(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Files of random bytes by size, each made once."""
    directory = tmp_path_factory.mktemp("sources")

    def make(size: int) -> Path:
        path = directory / str(size)
        if not path.exists():
            path.write_bytes(random.Random(size).randbytes(size))
        return path

    return make
