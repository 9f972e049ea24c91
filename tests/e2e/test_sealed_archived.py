"""Sealed objects in an archive: their bytes can not be had, but clients ask whether they are being restored."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.sealing import sealed_rule, sealing_options
from lab.seaweed import SeaweedFS
from tests.e2e.between import Answer, Between, Passed
from tests.e2e.sealed_store import SealedStore
from tests.e2e.wire import ask

pytestmark = pytest.mark.slow

_BUCKET = "archived-sealed"
_ERROR = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>InvalidObjectState</Code><Message>The operation is not '
    b"valid for the object's storage class</Message><StorageClass>GLACIER</StorageClass></Error>"
)


@pytest.fixture(scope="module")
def between(seaweed: SeaweedFS, authority: CertificateAuthority) -> Iterator[Between]:
    server = Between(seaweed, authority)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def gateway(between: Between, lab_directory: Path, authority: CertificateAuthority) -> Iterator[Gateway]:
    directory = lab_directory / "archived"
    running = Gateway(
        directory, authority, between, rules=[sealed_rule("*")], options=sealing_options(directory), name="archived"
    )
    running.start()
    yield running
    running.stop()


def _archived(passed: Passed, answer: Answer) -> Answer:
    """What S3 does: no bytes, and HEAD tells the state."""
    if passed.method == "GET":
        return Answer(403, {"Content-Type": "application/xml"}, _ERROR)
    restoring = {"x-amz-storage-class": "GLACIER", "x-amz-restore": 'ongoing-request="true"'}
    return Answer(answer.status, answer.headers | restoring, answer.body)


def test_an_archived_object(between: Between, gateway: Gateway, seaweed: SeaweedFS, lab_directory: Path) -> None:
    direct = seaweed.client()
    direct.create_bucket(Bucket=_BUCKET)
    store = SealedStore(direct, lab_directory / "archived")
    store.put(_BUCKET, "one", b"x" * 100_000, Metadata={"colour": "red"})
    for known in (False, True):
        if known:
            assert gateway.client().get_object(Bucket=_BUCKET, Key="one")["Body"].read() == b"x" * 100_000
        with between.changing(_archived):
            head = ask(gateway.endpoint, gateway.ca_file, gateway.credentials, "HEAD", f"/{_BUCKET}/one")
            assert head.status == 200
            assert head.headers["x-amz-restore"] == 'ongoing-request="true"'
            assert head.headers["x-amz-meta-colour"] == "red"
            assert head.headers["ETag"].endswith('-1"')
            assert "x-amz-meta-sealgate" not in head.headers
            # The size is said only if it was proven before.
            assert head.headers["Content-Length"] == ("100000" if known else None)
            for fields in ({}, {"Range": "bytes=0-1"}):
                got = ask(
                    gateway.endpoint, gateway.ca_file, gateway.credentials, "GET", f"/{_BUCKET}/one", headers=fields
                )
                assert (got.status, got.code) == (403, "InvalidObjectState")
    missing = ask(gateway.endpoint, gateway.ca_file, gateway.credentials, "HEAD", f"/{_BUCKET}/two")
    assert missing.status == 404
