"""Real servers for every test that wants one: started when first asked for, one of each per test process."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import lab.minio
import lab.rgw
from lab.certificates import CertificateAuthority
from lab.minio import Minio
from lab.openbao import OpenBao
from lab.rgw import Rgw
from lab.s3_server import S3Server
from lab.seaweed import SeaweedFS

# A slow example says that the machine is busy, not that the code is wrong; pytest's timeout is the limit.
settings.register_profile("sealgate", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("sealgate")

#: Names of servers that must be there: where they are listed (CI), a missing one is a failure and not a skip.
REQUIRED_SERVERS = frozenset(os.environ.get("SEALGATE_TEST_SERVERS", "").split())


@pytest.fixture(scope="session")
def lab_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="session")
def authority(lab_directory: Path) -> CertificateAuthority:
    """The CA of every server here."""
    return CertificateAuthority(lab_directory / "tls")


@pytest.fixture(scope="session")
def openbao(lab_directory: Path, authority: CertificateAuthority) -> Iterator[OpenBao]:
    """A vault that stays well. Tests use secrets of their own."""
    server = OpenBao(lab_directory / "openbao", authority)
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def seaweed(lab_directory: Path, authority: CertificateAuthority, openbao: OpenBao) -> Iterator[SeaweedFS]:
    """SeaweedFS with SSE-KMS by ``openbao``. Tests use buckets of their own."""
    server = SeaweedFS(lab_directory / "seaweedfs", authority, vault=openbao)
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def rgw(lab_directory: Path, authority: CertificateAuthority) -> Iterator[Rgw]:
    """Ceph RGW; skips when it is not installed."""
    _need("rgw", available=lab.rgw.is_available())
    server = Rgw(lab_directory / "rgw", authority)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def minio(lab_directory: Path, authority: CertificateAuthority) -> Iterator[Minio]:
    """MinIO, built when it has to be; skips when there is no Go."""
    _need("minio", available=lab.minio.is_available())
    server = Minio(lab_directory / "minio", authority)
    server.start()
    yield server
    server.kill()


@pytest.fixture(params=["seaweedfs", "rgw", "minio"])
def s3_server(request: pytest.FixtureRequest) -> S3Server:
    """Each S3 server of the laboratory in turn."""
    fixture = {"seaweedfs": "seaweed"}.get(request.param, request.param)
    server: S3Server = request.getfixturevalue(fixture)
    return server


def _need(name: str, *, available: bool) -> None:
    if available:
        return
    if name in REQUIRED_SERVERS:
        pytest.fail(f"{name} is required by SEALGATE_TEST_SERVERS and is not on this machine")
    pytest.skip(f"{name} is not on this machine")
