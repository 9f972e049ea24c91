"""Servers that may be killed: each test module has its own."""

from collections.abc import Iterator

import pytest

from lab.certificates import CertificateAuthority
from lab.moto import MotoServer
from lab.openbao import OpenBao
from lab.seaweed import SeaweedFS
from tests.faults.key_services import KeyService, KmsService, TransitService


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory, authority: CertificateAuthority) -> Iterator[OpenBao]:
    """A vault that tests seal, hang and kill."""
    server = OpenBao(tmp_path_factory.mktemp("vault") / "openbao", authority)
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, authority: CertificateAuthority) -> Iterator[SeaweedFS]:
    """A store that tests kill."""
    server = SeaweedFS(tmp_path_factory.mktemp("store") / "seaweedfs", authority)
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MotoServer]:
    server = MotoServer(tmp_path_factory.mktemp("moto"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["aws-kms", pytest.param("vault-transit", marks=pytest.mark.slow)])
def key_service(request: pytest.FixtureRequest, authority: CertificateAuthority) -> Iterator[KeyService]:
    """Each kind of key service in turn, with a key of the test's own."""
    service: KeyService
    if request.param == "aws-kms":
        service = KmsService(request.getfixturevalue("moto"), authority)
    else:
        service = TransitService(request.getfixturevalue("openbao"), authority)
    yield service
    service.stop()
