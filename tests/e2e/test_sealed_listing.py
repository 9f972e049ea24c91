"""Listings of sealed objects: every size is the plaintext's, every ETag the one that HEAD shows, at the least cost."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lab.certificates import CertificateAuthority
from lab.minio import Minio
from lab.openbao import OpenBao
from lab.rgw import Rgw
from lab.seaweed import SeaweedFS
from tests.e2e.between import Passed
from tests.e2e.sealing_stage import MIB, MIGRATING, MIXED, PLAIN, SEALED, SEALED_PREFIX, SealingStage
from tests.e2e.wire import ask

_SIZES = (0, 1, 16_383, 16_384, 16_385, 100_000)
_ODD_KEYS = ("a+b", "100% sure", "with space", "a//b/..c", "grüße/日本", "%2Fescaped", "q?uestion&=<>\"'", "tail ")


@pytest.fixture(scope="module")
def seaweed_sealing(
    lab_directory: Path, authority: CertificateAuthority, seaweed: SeaweedFS, openbao: OpenBao
) -> Iterator[SealingStage]:
    yield from _running(SealingStage(lab_directory / "lists", authority, seaweed, openbao, name="lists"))


@pytest.fixture(scope="module")
def rgw_sealing(
    lab_directory: Path, authority: CertificateAuthority, rgw: Rgw, openbao: OpenBao
) -> Iterator[SealingStage]:
    yield from _running(SealingStage(lab_directory / "lists-rgw", authority, rgw, openbao, name="lists"))


@pytest.fixture(scope="module")
def minio_sealing(
    lab_directory: Path, authority: CertificateAuthority, minio: Minio, openbao: OpenBao
) -> Iterator[SealingStage]:
    yield from _running(SealingStage(lab_directory / "lists-minio", authority, minio, openbao, name="lists"))


def _running(stage: SealingStage) -> Iterator[SealingStage]:
    stage.start()
    yield stage
    stage.stop()


@pytest.fixture(
    params=[
        "seaweed_sealing",
        pytest.param("rgw_sealing", marks=pytest.mark.slow),
        pytest.param("minio_sealing", marks=pytest.mark.slow),
    ]
)
def stage(request: pytest.FixtureRequest) -> SealingStage:
    """Each kind of server."""
    found: SealingStage = request.getfixturevalue(request.param)
    return found


Listing = Callable[..., dict[str, Any]]


def _v1(stage: SealingStage) -> Listing:
    found: Listing = stage.client.list_objects
    return found


def _v2(stage: SealingStage) -> Listing:
    found: Listing = stage.client.list_objects_v2
    return found


def _versions(stage: SealingStage) -> Listing:
    def listing(**arguments: Any) -> dict[str, Any]:
        answer: dict[str, Any] = stage.client.list_object_versions(**arguments)
        return answer | {"Contents": answer.get("Versions", [])}

    return listing


@pytest.mark.parametrize("listing", [_v1, _v2, _versions])
def test_sizes_and_etags_are_those_of_head(stage: SealingStage, listing: Callable[[SealingStage], Listing]) -> None:
    bucket, prefix = stage.bucket(SEALED), f"agree{listing.__name__}/"
    for size in _SIZES:
        stage.client.put_object(Bucket=bucket, Key=f"{prefix}{size}", Body=bytes(size))
    in_parts: tuple[int, ...] = (5 * MIB + 1, 7)
    if listing is _versions and stage.store.name == "seaweedfs":
        in_parts = ()  # where there are no versions, its list of them has ETags that are not the objects'
    for size in in_parts:
        stage.put_parts(bucket, f"{prefix}{size}", *([bytes(5 * MIB)] * (size > 5 * MIB)), bytes(size % (5 * MIB)))
    listed = listing(stage)(Bucket=bucket, Prefix=prefix)["Contents"]
    assert {entry["Key"]: entry["Size"] for entry in listed} == {
        f"{prefix}{size}": size for size in (*_SIZES, *in_parts)
    }
    for entry in listed:
        head = stage.client.head_object(Bucket=bucket, Key=entry["Key"])
        assert (entry["Size"], entry["ETag"]) == (head["ContentLength"], head["ETag"])
        assert re.fullmatch('"[0-9a-f]{32}-[0-9]+"', entry["ETag"])
        assert "ChecksumAlgorithm" not in entry


@pytest.mark.parametrize("encoding", ["", "&encoding-type=url"])
def test_keys_of_all_kinds(stage: SealingStage, encoding: str) -> None:
    bucket, prefix = stage.bucket(SEALED), f"odd{len(encoding)}/"
    # SeaweedFS lists a//b as a/b, where no object may be that was sealed for another name; MinIO refuses the name.
    keys = [key for key in _ODD_KEYS if "//" not in key or stage.store.name == "rgw"]
    for size, key in enumerate(keys):
        stage.put_parts(bucket, prefix + key, bytes(size))
        stage.client.put_object(Bucket=bucket, Key=f"{prefix}{key}.whole", Body=bytes(size))
    gateway = stage.gateway
    target = f"/{bucket}?list-type=2&prefix={prefix}{encoding}"
    answer = ask(gateway.endpoint, gateway.ca_file, gateway.credentials, "GET", target)
    direct = ask(stage.store.endpoint, stage.store.ca_file, stage.store.credentials, "GET", target)
    assert answer.status == 200
    sizes = [int(size) for size in re.findall(rb"<Size>([0-9]+)</Size>", answer.body)]
    assert sorted(sizes) == sorted([*range(len(keys)), *range(len(keys))])
    # Nothing but sizes, ETags and checksums differs from what the store itself says.
    changed = rb"<Size>[^<]*</Size>|<ETag>[^<]*</ETag>|<Checksum(Algorithm|Type)>[^<]*</Checksum(Algorithm|Type)>"
    assert re.sub(changed, b"", answer.body) == re.sub(changed, b"", direct.body)


def test_pages_prefixes_and_delimiters(stage: SealingStage) -> None:
    bucket = stage.bucket(SEALED)
    for size in range(7):
        stage.client.put_object(Bucket=bucket, Key=f"pages/{size}", Body=bytes(size))
    stage.client.put_object(Bucket=bucket, Key="pages/deeper/8", Body=bytes(8))
    pages = list(
        stage.client.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix="pages/", Delimiter="/", FetchOwner=True, PaginationConfig={"PageSize": 3}
        )
    )
    assert len(pages) >= 3
    assert [entry["Size"] for page in pages for entry in page.get("Contents", [])] == list(range(7))
    assert all("Owner" in entry for page in pages for entry in page.get("Contents", []))
    assert [found["Prefix"] for page in pages for found in page.get("CommonPrefixes", [])] == ["pages/deeper/"]
    after = stage.client.list_objects_v2(Bucket=bucket, Prefix="pages/", StartAfter="pages/4")
    assert [entry["Size"] for entry in after["Contents"]] == [5, 6, 8]
    marked = stage.client.list_objects(Bucket=bucket, Prefix="pages/", Marker="pages/5")
    assert [entry["Size"] for entry in marked["Contents"]] == [6, 8]
    assert "Contents" not in stage.client.list_objects_v2(Bucket=bucket, Prefix="nothing/")
    assert stage.client.list_objects_v2(Bucket=bucket, MaxKeys=0)["KeyCount"] == 0


def test_versions_and_delete_markers(stage: SealingStage) -> None:
    bucket, key = stage.bucket(SEALED), "versions"
    stage.client.put_object(Bucket=bucket, Key=key, Body=bytes(3))
    stage.direct.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    try:
        stage.put_parts(bucket, key, bytes(5 * MIB), bytes(5))
        stage.client.put_object(Bucket=bucket, Key=key, Body=bytes(8))
        stage.client.delete_object(Bucket=bucket, Key=key)
        answer = stage.client.list_object_versions(Bucket=bucket, Prefix=key)
        assert sorted(version["Size"] for version in answer["Versions"]) == [3, 8, 5 * MIB + 5]
        assert len(answer["DeleteMarkers"]) == 1
        for version in answer["Versions"]:
            head = stage.client.head_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])
            assert (head["ContentLength"], head["ETag"]) == (version["Size"], version["ETag"])
    finally:
        stage.direct.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})


def test_only_keys_under_the_rule_are_corrected(stage: SealingStage) -> None:
    bucket = stage.bucket(MIXED)
    stage.client.put_object(Bucket=bucket, Key="plain", Body=bytes(1000))
    stage.client.put_object(Bucket=bucket, Key=f"{SEALED_PREFIX}x", Body=bytes(1000))
    listed = stage.client.list_objects_v2(Bucket=bucket)["Contents"]
    assert {entry["Key"]: (entry["Size"], "-1" in entry["ETag"]) for entry in listed} == {
        "plain": (1000, False),
        f"{SEALED_PREFIX}x": (1000, True),
    }


def test_a_bucket_without_sealed_objects_is_listed_as_it_is(stage: SealingStage) -> None:
    bucket = stage.bucket(PLAIN)
    stage.client.put_object(Bucket=bucket, Key="x", Body=bytes(1000))
    with stage.between.counting() as passed:
        (entry,) = stage.client.list_objects_v2(Bucket=bucket, Prefix="x")["Contents"]
    assert (entry["Size"], "-" in entry["ETag"], len(passed)) == (1000, False, 1)


def test_plaintext_beside_sealed_objects_is_told_apart_once(stage: SealingStage) -> None:
    bucket, prefix = stage.bucket(MIGRATING), "told-apart/"
    sizes = {f"{prefix}sealed{size}": size for size in _SIZES}
    for key, size in sizes.items():
        stage.client.put_object(Bucket=bucket, Key=key, Body=bytes(size))
    # Among them the sizes that sealed objects have.
    for size in (0, 1, 583, 584, 585, 17_000):
        stage.direct.put_object(Bucket=bucket, Key=f"{prefix}plain{size}", Body=bytes(size))
        sizes[f"{prefix}plain{size}"] = size
    stage.put_parts(bucket, f"{prefix}parts", bytes(5 * MIB), b"x")
    sizes[f"{prefix}parts"] = 5 * MIB + 1
    with stage.between.counting() as first:
        listed = stage.client.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
    assert {entry["Key"]: entry["Size"] for entry in listed} == sizes
    for entry in listed:
        head = stage.client.head_object(Bucket=bucket, Key=entry["Key"])
        assert (entry["Size"], entry["ETag"]) == (head["ContentLength"], head["ETag"])
        assert ("plain" in entry["Key"]) != ("-" in entry["ETag"])
    with stage.between.counting() as again:
        assert stage.client.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"] == listed
    assert len(_lookups(first)) <= len(sizes) - 3  # what is too small to be sealed is not asked about
    assert not _lookups(again)


def test_a_damaged_object_hides_no_other(stage: SealingStage) -> None:
    bucket, prefix = stage.bucket(SEALED), "damaged/"
    stage.put_parts(bucket, f"{prefix}bad", bytes(5 * MIB), b"x")
    stage.put_parts(bucket, f"{prefix}good", bytes(5 * MIB), b"yy")
    stored = stage.direct.get_object(Bucket=bucket, Key=f"{prefix}bad")
    damaged = bytearray(stored["Body"].read())
    damaged[-40] ^= 1
    upload = {"Bucket": bucket, "Key": f"{prefix}bad"}
    upload["UploadId"] = stage.direct.create_multipart_upload(**upload, Metadata=stored["Metadata"])["UploadId"]
    etag = stage.direct.upload_part(**upload, PartNumber=1, Body=bytes(damaged))["ETag"]
    stage.direct.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    before = stage.gateway.metric("sealgate_integrity_failures_total")
    listed = stage.client.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
    assert [entry["Size"] for entry in listed] == [len(damaged), 5 * MIB + 2]
    assert stage.gateway.metric("sealgate_integrity_failures_total") == before + 1


def _lookups(passed: list[Passed]) -> list[Passed]:
    """The requests about single objects."""
    return [one for one in passed if one.target.partition("?")[0].count("/") > 1]


def test_objects_of_one_put_cost_no_request(stage: SealingStage) -> None:
    bucket, prefix = stage.bucket(SEALED), "thousand/"
    with ThreadPoolExecutor(16) as pool:
        keys = [f"{prefix}{size:04}" for size in range(1000)]
        list(pool.map(lambda key: stage.client.put_object(Bucket=bucket, Key=key, Body=bytes(int(key[-4:]))), keys))
    with stage.between.counting() as passed:
        listed = stage.client.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
    assert [entry["Size"] for entry in listed] == list(range(1000))
    assert len(passed) == 1


def test_objects_in_parts_cost_one_request_each_and_none_again(stage: SealingStage) -> None:
    bucket, prefix, count = stage.bucket(SEALED), "hundred/", 100
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda at: stage.put_parts(bucket, f"{prefix}{at:04}", bytes(at)), range(count)))
    stage.gateway.stop()
    stage.gateway.start()  # what it knew of its own uploads is forgotten
    with stage.between.counting() as first:
        listed = stage.client.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
    assert [entry["Size"] for entry in listed] == list(range(count))
    assert len(_lookups(first)) == count
    with stage.between.counting() as again:
        assert stage.client.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"] == listed
    assert len(again) == 1
