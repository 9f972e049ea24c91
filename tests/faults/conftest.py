"""Servers that may be killed: each test module has its own."""

from collections.abc import Iterator

import pytest

from lab.certificates import CertificateAuthority
from lab.openbao import OpenBao
from lab.seaweed import SeaweedFS


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
