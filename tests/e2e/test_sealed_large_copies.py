"""Copies of objects that are too large for one request, by gateways to which small objects are large."""

import itertools
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from gateway.server.sealed import server_copy, stream_sealed
from lab.certificates import CertificateAuthority
from lab.openbao import OpenBao
from lab.rgw import Rgw
from lab.seaweed import SeaweedFS
from tests.e2e.sealing_stage import CUSTOMER, KMS, MIB, MIGRATING, OTHER_KEY, PLAIN, SEALED, SECOND, SealingStage
from tests.e2e.stage import fails

pytestmark = pytest.mark.slow

_DATA = random.Random(6).randbytes(20 * MIB + 12_345)
_PARTS = (_DATA[: 7 * MIB], _DATA[7 * MIB : 15 * MIB], _DATA[15 * MIB :])


def _started(stage: SealingStage) -> Iterator[SealingStage]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", str(Path(__file__).parent / "small_limits"))
        stage.start()
    yield stage
    stage.stop()


@pytest.fixture(scope="module")
def seaweed_sealing(
    lab_directory: Path, authority: CertificateAuthority, seaweed: SeaweedFS, openbao: OpenBao
) -> Iterator[SealingStage]:
    yield from _started(SealingStage(lab_directory / "large", authority, seaweed, openbao, name="large"))


@pytest.fixture(scope="module")
def rgw_sealing(
    lab_directory: Path, authority: CertificateAuthority, rgw: Rgw, openbao: OpenBao
) -> Iterator[SealingStage]:
    yield from _started(SealingStage(lab_directory / "large-rgw", authority, rgw, openbao, name="large"))


@pytest.fixture(params=["seaweed_sealing", pytest.param("rgw_sealing", marks=pytest.mark.slow)])
def stage(request: pytest.FixtureRequest) -> SealingStage:
    """Each kind of server."""
    found: SealingStage = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("destination", [SECOND, OTHER_KEY, PLAIN, KMS, CUSTOMER])
def test_a_large_sealed_object_is_copied(stage: SealingStage, destination: str) -> None:
    source = {"Bucket": stage.bucket(SEALED), "Key": "large"}
    stage.put_parts(source["Bucket"], source["Key"], *_PARTS, Metadata={"kept": "yes"}, ContentType="text/x-kept")
    target = {"Bucket": stage.bucket(destination), "Key": f"large.{destination}"}
    with stage.between.counting() as passed:
        copied = stage.client.copy_object(**target, CopySource=source)
    writes = [one for one in passed if one.method == "PUT" and "partNumber" in one.target]
    assert len(writes) > 2
    got = stage.client.get_object(**target)
    assert got["Body"].read() == _DATA
    assert (got["Metadata"], got["ContentType"]) == ({"kept": "yes"}, "text/x-kept")
    assert copied["CopyObjectResult"]["ETag"] == got["ETag"]
    assert stage.read(target["Bucket"], target["Key"], Range="bytes=-20") == _DATA[-20:]
    (listed,) = stage.client.list_objects_v2(Bucket=target["Bucket"], Prefix=target["Key"])["Contents"]
    assert (listed["Size"], listed["ETag"]) == (len(_DATA), got["ETag"])


def test_a_large_object_is_sealed_by_a_copy(stage: SealingStage) -> None:
    source = {"Bucket": stage.bucket(MIGRATING), "Key": "large plaintext"}
    stage.direct.put_object(**source, Body=_DATA)
    stage.client.copy_object(**source, CopySource=source)
    assert stage.read(source["Bucket"], source["Key"]) == _DATA
    stored = stage.direct.get_object(**source)["Body"].read()
    assert stored.startswith(b"sealgate")
    assert _DATA[1000:1032] not in stored


def test_a_large_source_that_is_damaged_becomes_no_object(stage: SealingStage) -> None:
    source = {"Bucket": stage.bucket(SEALED), "Key": "large damaged"}
    stage.put_parts(source["Bucket"], source["Key"], *_PARTS)
    stored = stage.direct.get_object(**source)
    damaged = bytearray(stored["Body"].read())
    damaged[18 * MIB] ^= 1
    stage.direct.put_object(**source, Body=bytes(damaged), Metadata=stored["Metadata"])
    for kind in (OTHER_KEY, PLAIN):
        target = {"Bucket": stage.bucket(kind), "Key": "large damaged"}
        refused = fails(partial(stage.client.copy_object, **target, CopySource=source))
        assert refused[1] in {"AccessDenied", "200"}
        assert fails(partial(stage.client.head_object, **target))[0] == 404
        assert "Uploads" not in stage.direct.list_multipart_uploads(Bucket=target["Bucket"])


@pytest.mark.parametrize("size", [1, 5 * MIB, 1024**3, 2 * 1024**3 - 1, 5 * 1024**3 + 1, 5 * 1024**4])
def test_ranges_fit_into_what_s3_takes(size: int) -> None:
    for ranges in (server_copy.copy_ranges(size), stream_sealed.part_ranges(size)):
        assert ranges[0][0] == 0
        assert ranges[-1][1] == size - 1
        assert all(before[1] + 1 == after[0] for before, after in itertools.pairwise(ranges))
        assert len(ranges) < 10_000
        assert all(last - first + 1 < 5 * 1024**3 - 10 * MIB for first, last in ranges)
        assert len(ranges) == 1 or all(last - first + 1 >= 5 * MIB for first, last in ranges)
