"""Both sides of every server: straight to it, and through a gateway whose one rule is ``none``."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.s3_server import S3Server
from tests.conformance.raw_client import RawClient
from tests.conformance.sides import Side, new_run

_RULES = [{"name": "nothing", "buckets": ["*"], "mode": "none"}]
_SERVERS = ("seaweedfs", "rgw", "minio")

Sides = tuple[Side, Side]


@pytest.fixture(
    scope="session",
    params=[name if name == "seaweedfs" else pytest.param(name, marks=pytest.mark.slow) for name in _SERVERS],
)
def server(request: pytest.FixtureRequest) -> S3Server:
    """Each server in turn."""
    found: S3Server = request.getfixturevalue({"seaweedfs": "seaweed"}.get(request.param, request.param))
    return found


@pytest.fixture(scope="session")
def sides(
    server: S3Server, authority: CertificateAuthority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sides]:
    """The direct way and the way through the gateway."""
    directory: Path = tmp_path_factory.mktemp(f"conformance-{server.name}")
    gateway = Gateway(directory, authority, server, rules=_RULES)
    gateway.start()
    run = new_run()
    try:
        yield (
            Side(RawClient(server.endpoint, server.ca_file, server.credentials), "d", run),
            Side(RawClient(gateway.endpoint, gateway.ca_file, gateway.credentials), "g", run),
        )
    finally:
        gateway.stop()
