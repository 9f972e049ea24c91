"""Gateways that many tests share. Tests use object keys of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.certificates import CertificateAuthority
from lab.minio import Minio
from lab.openbao import OpenBao
from lab.rgw import Rgw
from lab.s3_server import S3Server
from lab.seaweed import SeaweedFS
from tests.e2e.stage import Stage


@pytest.fixture(scope="session")
def stage(
    lab_directory: Path, authority: CertificateAuthority, seaweed: SeaweedFS, openbao: OpenBao
) -> Iterator[Stage]:
    """A gateway to SeaweedFS."""
    yield from _running(lab_directory, authority, seaweed, openbao)


@pytest.fixture(scope="session")
def rgw_stage(lab_directory: Path, authority: CertificateAuthority, rgw: Rgw, openbao: OpenBao) -> Iterator[Stage]:
    """A gateway to Ceph RGW."""
    yield from _running(lab_directory, authority, rgw, openbao)


@pytest.fixture(scope="session")
def minio_stage(
    lab_directory: Path, authority: CertificateAuthority, minio: Minio, openbao: OpenBao
) -> Iterator[Stage]:
    """A gateway to MinIO."""
    yield from _running(lab_directory, authority, minio, openbao)


def _running(
    lab_directory: Path, authority: CertificateAuthority, store: S3Server, openbao: OpenBao
) -> Iterator[Stage]:
    running = Stage(lab_directory / f"e2e-{store.name}", authority, store, openbao, prefix=f"e2e-{store.name}")
    running.start()
    yield running
    running.gateway.stop()
