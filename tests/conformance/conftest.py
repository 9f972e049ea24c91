"""Both sides of every server: straight to it, and through a gateway with one rule of mode ``none`` or ``cse``."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.s3_server import S3Server
from lab.sealing import sealed_rule, sealing_options
from tests.conformance.raw_client import RawClient
from tests.conformance.sides import Side, new_run

_RULES = {"none": {"name": "nothing", "buckets": ["*"], "mode": "none"}, "cse": sealed_rule("*")}
_SERVERS = ("seaweedfs", "rgw", "minio")

Sides = tuple[Side, Side]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mode ``cse`` is compared on one server: what the gateway answers there is its own on any."""
    items[:] = [item for item in items if not _is_repetition(item)]


def _is_repetition(item: pytest.Item) -> bool:
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    in_comparison = {"mode", "server", "case"} <= parameters.keys()
    return in_comparison and parameters["mode"] == "cse" and parameters["server"] != "seaweedfs"


@pytest.fixture(
    scope="session",
    params=[name if name == "seaweedfs" else pytest.param(name, marks=pytest.mark.slow) for name in _SERVERS],
)
def server(request: pytest.FixtureRequest) -> S3Server:
    """Each server in turn."""
    found: S3Server = request.getfixturevalue({"seaweedfs": "seaweed"}.get(request.param, request.param))
    return found


@pytest.fixture(scope="session", params=_RULES)
def mode(request: pytest.FixtureRequest) -> str:
    """The gateway's one rule."""
    found: str = request.param
    return found


@pytest.fixture(scope="session")
def sides(
    server: S3Server, mode: str, authority: CertificateAuthority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sides]:
    """The direct way and the way through the gateway."""
    directory: Path = tmp_path_factory.mktemp(f"conformance-{server.name}-{mode}")
    sealed = mode == "cse"
    options = sealing_options(directory) if sealed else {}
    gateway = Gateway(directory, authority, server, rules=[_RULES[mode]], options=options)
    gateway.start()
    run = new_run()
    try:
        yield (
            Side(RawClient(server.endpoint, server.ca_file, server.credentials), "d", run, own_etags=sealed),
            Side(RawClient(gateway.endpoint, gateway.ca_file, gateway.credentials), "g", run, own_etags=sealed),
        )
    finally:
        gateway.stop()
