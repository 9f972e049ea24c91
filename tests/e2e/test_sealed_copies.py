"""Copies from, to and between sealed objects: by the server where it can, through the gateway where it has to."""

import itertools
import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lab.certificates import CertificateAuthority
from lab.minio import Minio
from lab.openbao import OpenBao
from lab.rgw import Rgw
from lab.s3_server import S3Server
from lab.seaweed import SeaweedFS
from tests.e2e.between import Passed
from tests.e2e.sealing_stage import (
    CUSTOMER,
    KMS,
    MIB,
    MIGRATING,
    MIXED,
    OTHER_KEY,
    PLAIN,
    SEALED,
    SEALED_PREFIX,
    SECOND,
    SealingStage,
)
from tests.e2e.stage import fails

_DATA = random.Random(5).randbytes(11 * MIB)
_SEALING = (SEALED, SECOND, OTHER_KEY, MIGRATING)
_KINDS = (*_SEALING, PLAIN, KMS, CUSTOMER)
_PAIRS = [pair for pair in itertools.product(_KINDS, _KINDS) if set(pair) & set(_SEALING)]
_ODD_KEYS = ("100% sure", "a+b", "with space", "grüße/日本", "%2Fescaped", "q?uestion&=", "plain")


def _started(
    directory: Path, authority: CertificateAuthority, store: S3Server, vault: OpenBao, name: str, **options: Any
) -> Iterator[SealingStage]:
    stage = SealingStage(directory / name, authority, store, vault, name=name, **options)
    stage.start()
    yield stage
    stage.stop()


@pytest.fixture(scope="module")
def seaweed_sealing(
    lab_directory: Path, authority: CertificateAuthority, seaweed: SeaweedFS, openbao: OpenBao
) -> Iterator[SealingStage]:
    yield from _started(lab_directory, authority, seaweed, openbao, "copies")


@pytest.fixture(scope="module")
def streaming(
    lab_directory: Path, authority: CertificateAuthority, seaweed: SeaweedFS, openbao: OpenBao
) -> Iterator[SealingStage]:
    """A gateway that never asks the server to copy."""
    options = {"upstream": {"copies": "stream"}}
    yield from _started(lab_directory, authority, seaweed, openbao, "copies-streamed", options=options)


@pytest.fixture(scope="module")
def rgw_sealing(
    lab_directory: Path, authority: CertificateAuthority, rgw: Rgw, openbao: OpenBao
) -> Iterator[SealingStage]:
    yield from _started(lab_directory, authority, rgw, openbao, "copies-rgw")


@pytest.fixture(scope="module")
def minio_sealing(
    lab_directory: Path, authority: CertificateAuthority, minio: Minio, openbao: OpenBao
) -> Iterator[SealingStage]:
    yield from _started(lab_directory, authority, minio, openbao, "copies-minio")


@pytest.fixture(
    params=[
        "seaweed_sealing",
        pytest.param("streaming", marks=pytest.mark.slow),
        pytest.param("rgw_sealing", marks=pytest.mark.slow),
        pytest.param("minio_sealing", marks=pytest.mark.slow),
    ]
)
def stage(request: pytest.FixtureRequest) -> SealingStage:
    """Each kind of server, and the gateway's own copy."""
    found: SealingStage = request.getfixturevalue(request.param)
    return found


def _is_sealed(stage: SealingStage, kind: str, key: str) -> bool:
    """Whether the store has sealed bytes; asked without the gateway."""
    if kind == CUSTOMER:
        return False
    stored: bytes = stage.direct.get_object(Bucket=stage.bucket(kind), Key=key)["Body"].read()
    return stored.startswith(b"sealgate")


def _tags(stage: SealingStage, kind: str, key: str) -> list[dict[str, str]]:
    """An object's tags; Ceph RGW answers nothing at all for none."""
    tags: list[dict[str, str]] = stage.client.get_object_tagging(Bucket=stage.bucket(kind), Key=key).get("TagSet", [])
    return tags


def _streamed(passed: list[Passed]) -> bool:
    """Whether the bytes went through the gateway."""
    return any(one.method == "GET" and one.received_bytes > 20_000 for one in passed)


@pytest.mark.parametrize("size", [0, 100_000])
@pytest.mark.parametrize(("source", "destination"), _PAIRS)
def test_an_object_is_copied(stage: SealingStage, source: str, destination: str, size: int) -> None:
    data, key, target = _DATA[:size], f"one/{source}-{size}", f"one/{source}-{size}.copy"
    stage.client.put_object(
        Bucket=stage.bucket(source), Key=key, Body=data, Metadata={"kept": "yes"}, ContentType="text/x-kept",
        CacheControl="max-age=3", Tagging="kept=1",
    )  # fmt: skip
    with stage.between.counting() as passed:
        copied = stage.client.copy_object(
            Bucket=stage.bucket(destination), Key=target, CopySource={"Bucket": stage.bucket(source), "Key": key}
        )
    got = stage.client.get_object(Bucket=stage.bucket(destination), Key=target)
    assert got["Body"].read() == data
    assert (got["Metadata"], got["ContentType"], got["CacheControl"]) == ({"kept": "yes"}, "text/x-kept", "max-age=3")
    assert copied["CopyObjectResult"]["ETag"].strip('"') == got["ETag"].strip('"')
    assert abs(copied["CopyObjectResult"]["LastModified"] - datetime.now(UTC)) < timedelta(minutes=5)
    assert _is_sealed(stage, destination, target) == (destination in _SEALING)
    assert ("-1" in got["ETag"]) == (destination in _SEALING)
    assert _tags(stage, destination, target) == [{"Key": "kept", "Value": "1"}]
    same_key = {source, destination} <= {SEALED, SECOND, MIGRATING} or {source, destination} == {OTHER_KEY}
    if size and stage.store.name == "seaweedfs":
        assert _streamed(passed) == (not same_key or "streamed" in stage.name)


@pytest.mark.parametrize("destination", _KINDS)
@pytest.mark.parametrize("tail", [100, 6 * MIB])
def test_a_multipart_object_is_copied(stage: SealingStage, destination: str, tail: int) -> None:
    source, target = f"multi/{tail}", f"multi/{tail}.{destination}"
    data = _DATA[: 5 * MIB + tail]
    stage.put_parts(
        stage.bucket(SEALED), source, data[: 5 * MIB], data[5 * MIB :], Metadata={"kept": "yes"}, Tagging="kept=1"
    )
    copied = stage.client.copy_object(
        Bucket=stage.bucket(destination), Key=target, CopySource={"Bucket": stage.bucket(SEALED), "Key": source}
    )
    head = stage.client.head_object(Bucket=stage.bucket(destination), Key=target)
    assert (head["ContentLength"], head["Metadata"]) == (len(data), {"kept": "yes"})
    assert copied["CopyObjectResult"]["ETag"].strip('"') == head["ETag"].strip('"')
    assert stage.read(stage.bucket(destination), target) == data
    assert stage.read(stage.bucket(destination), target, Range="bytes=5242870-5242889") == data[5242870:5242890]
    (listed,) = stage.client.list_objects_v2(Bucket=stage.bucket(destination), Prefix=target)["Contents"]
    assert listed["Size"] == len(data)
    # Ceph RGW 16 knows no tags of multipart uploads, so there may be none to copy.
    assert _tags(stage, destination, target) == _tags(stage, SEALED, source)


def test_a_copy_of_a_copy_is_read_at_its_own_place_only(stage: SealingStage) -> None:
    first, second = stage.bucket(SEALED), stage.bucket(SECOND)
    stage.client.put_object(Bucket=first, Key="chain/0", Body=_DATA[:50_000])
    stage.client.copy_object(Bucket=second, Key="chain/1", CopySource={"Bucket": first, "Key": "chain/0"})
    stage.client.copy_object(Bucket=first, Key="chain/2", CopySource={"Bucket": second, "Key": "chain/1"})
    stage.client.copy_object(Bucket=first, Key="chain/0", CopySource={"Bucket": first, "Key": "chain/2"})
    for bucket, key in ((second, "chain/1"), (first, "chain/2"), (first, "chain/0")):
        assert stage.read(bucket, key) == _DATA[:50_000]
    # The store copies behind the gateway's back.
    stage.direct.copy_object(Bucket=first, Key="chain/3", CopySource={"Bucket": first, "Key": "chain/2"})
    assert fails(lambda: stage.read(first, "chain/3"))[:2] == (403, "AccessDenied")


@pytest.mark.parametrize("destination", [SEALED, SECOND, OTHER_KEY, KMS])
@pytest.mark.parametrize("parts", [1, 2])
def test_metadata_and_tags_are_replaced_when_the_client_says_so(
    stage: SealingStage, destination: str, parts: int
) -> None:
    source = {"Bucket": stage.bucket(SEALED), "Key": f"replaced/{parts}"}
    described: dict[str, Any] = {"Metadata": {"old": "1"}, "ContentType": "text/old", "Tagging": "old=1"}
    if parts == 1:
        stage.client.put_object(**source, Body=b"x", **described)
    else:
        stage.put_parts(source["Bucket"], source["Key"], bytes(5 * MIB), b"x", **described)
    target = {"Bucket": stage.bucket(destination), "Key": f"replaced/{parts}.copy"}
    stage.client.copy_object(
        **target, CopySource=source, MetadataDirective="REPLACE", Metadata={"new": "2"}, ContentType="text/new",
        TaggingDirective="REPLACE", Tagging="new=2",
    )  # fmt: skip
    head = stage.client.head_object(**target)
    assert (head["Metadata"], head["ContentType"]) == ({"new": "2"}, "text/new")
    if parts == 1 or stage.store.name != "rgw":
        assert _tags(stage, destination, target["Key"]) == [{"Key": "new", "Value": "2"}]
    assert stage.read(target["Bucket"], target["Key"]) == bytes(5 * MIB) * (parts - 1) + b"x"


@pytest.mark.parametrize("parts", [1, 2])
def test_an_object_is_copied_onto_itself_only_when_that_changes_something(stage: SealingStage, parts: int) -> None:
    where = {"Bucket": stage.bucket(SEALED), "Key": f"self/{parts}"}
    if parts == 1:
        stage.client.put_object(**where, Body=_DATA[:70_000], Metadata={"a": "1"})
    else:
        stage.put_parts(where["Bucket"], where["Key"], _DATA[: 5 * MIB], b"x", Metadata={"a": "1"})
    data = stage.read(where["Bucket"], where["Key"])
    assert fails(lambda: stage.client.copy_object(**where, CopySource=where))[:2] == (400, "InvalidRequest")
    for value in ("2", "3"):
        stage.client.copy_object(**where, CopySource=where, MetadataDirective="REPLACE", Metadata={"b": value})
        head = stage.client.head_object(**where)
        assert (head["Metadata"], head["ContentLength"]) == ({"b": value}, len(data))
        assert stage.read(where["Bucket"], where["Key"]) == data


def test_plaintext_is_sealed_by_a_copy_onto_itself(stage: SealingStage) -> None:
    where = {"Bucket": stage.bucket(MIGRATING), "Key": "migrated"}
    stage.direct.put_object(**where, Body=_DATA[:70_000], Metadata={"kept": "yes"})
    assert stage.read(where["Bucket"], where["Key"]) == _DATA[:70_000]
    stage.client.copy_object(**where, CopySource=where)
    assert _is_sealed(stage, MIGRATING, "migrated")
    got = stage.client.get_object(**where)
    assert (got["Body"].read(), got["Metadata"]) == (_DATA[:70_000], {"kept": "yes"})


@pytest.mark.parametrize("key", _ODD_KEYS)
@pytest.mark.parametrize("destination", [SECOND, OTHER_KEY, PLAIN])
def test_odd_names_of_sources_are_read_right(stage: SealingStage, destination: str, key: str) -> None:
    source = {"Bucket": stage.bucket(SEALED), "Key": f"odd/{key}"}
    stage.put_parts(source["Bucket"], source["Key"], bytes(5 * MIB), key.encode())
    stage.client.put_object(Bucket=source["Bucket"], Key=f"odd/{key}.whole", Body=key.encode())
    target = {"Bucket": stage.bucket(destination), "Key": f"odd-copy/{key}"}
    stage.client.copy_object(**target, CopySource=source)
    assert stage.read(target["Bucket"], target["Key"]) == bytes(5 * MIB) + key.encode()
    stage.client.copy_object(**target, CopySource=source | {"Key": f"odd/{key}.whole"})
    assert stage.read(target["Bucket"], target["Key"]) == key.encode()


@pytest.mark.parametrize(
    ("source", "destination"), [(SEALED, SECOND), (SEALED, OTHER_KEY), (SEALED, PLAIN), (PLAIN, SEALED)]
)
def test_conditions_on_the_source_decide(stage: SealingStage, source: str, destination: str) -> None:
    where = {"Bucket": stage.bucket(source), "Key": "conditions"}
    etag = stage.client.put_object(**where, Body=b"x")["ETag"]
    target = {"Bucket": stage.bucket(destination), "Key": "conditions.copy"}
    past, future = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(seconds=1)
    held: list[dict[str, Any]] = [
        {"CopySourceIfMatch": etag},
        {"CopySourceIfNoneMatch": '"0"'},
        {"CopySourceIfModifiedSince": past},
        {"CopySourceIfUnmodifiedSince": future},
    ]
    for condition in held:
        stage.client.copy_object(**target, CopySource=where, **condition)
    stage.client.delete_object(**target)
    failing: list[dict[str, Any]] = [
        {"CopySourceIfMatch": '"0"'},
        {"CopySourceIfNoneMatch": etag},
        {"CopySourceIfUnmodifiedSince": past},
    ]
    for condition in failing:
        call = partial(stage.client.copy_object, **target, CopySource=where, **condition)
        assert fails(call)[:2] == (412, "PreconditionFailed")
    assert fails(lambda: stage.client.head_object(**target))[0] == 404


@pytest.mark.parametrize("source", [SEALED, OTHER_KEY, PLAIN])
def test_conditions_on_the_destination_decide(stage: SealingStage, source: str) -> None:
    if stage.store.name == "rgw" or (stage.store.name, source) == ("minio", SEALED):
        return  # Ceph RGW 16 looks at no condition of a write, MinIO at none of its own copies
    where = {"Bucket": stage.bucket(source), "Key": "on-destination"}
    stage.client.put_object(**where, Body=b"new")
    target = {"Bucket": stage.bucket(SEALED), "Key": f"on-destination.{source}"}
    etag = stage.client.put_object(**target, Body=b"old")["ETag"]
    assert fails(lambda: stage.client.copy_object(**target, CopySource=where, IfNoneMatch="*"))[0] == 412
    assert fails(lambda: stage.client.copy_object(**target, CopySource=where, IfMatch='"0"'))[0] == 412
    assert stage.read(target["Bucket"], target["Key"]) == b"old"
    stage.client.copy_object(**target, CopySource=where, IfMatch=etag)
    assert stage.read(target["Bucket"], target["Key"]) == b"new"


@pytest.mark.parametrize("destination", [SECOND, OTHER_KEY, PLAIN])
def test_a_version_of_the_source_is_copied(stage: SealingStage, destination: str) -> None:
    bucket, key = stage.bucket(SEALED), f"versions/{destination}"
    stage.direct.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    try:
        first = stage.client.put_object(Bucket=bucket, Key=key, Body=b"first")["VersionId"]
        stage.client.put_object(Bucket=bucket, Key=key, Body=b"second")
        source = {"Bucket": bucket, "Key": key, "VersionId": first}
        target = {"Bucket": stage.bucket(destination), "Key": key}
        copied = stage.client.copy_object(**target, CopySource=source)
        assert stage.read(target["Bucket"], target["Key"]) == b"first"
        assert copied["CopySourceVersionId"] == first
        # An older version onto the object itself is how objects are restored.
        restored = stage.client.copy_object(Bucket=bucket, Key=key, CopySource=source)
        assert stage.read(bucket, key) == b"first"
        if stage.store.name != "rgw":  # it does not say which version its copies are
            assert restored["VersionId"] != first
            assert stage.read(bucket, key, VersionId=restored["VersionId"]) == b"first"
    finally:
        stage.direct.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})


@pytest.mark.parametrize("destination", [SEALED, OTHER_KEY, PLAIN])
def test_a_source_that_is_missing_damaged_or_not_sealed_is_not_copied(stage: SealingStage, destination: str) -> None:
    bucket = stage.bucket(SEALED)
    target = {"Bucket": stage.bucket(destination), "Key": "never"}
    stage.client.put_object(Bucket=bucket, Key="bad/damaged", Body=_DATA[:500_000])
    stored = stage.direct.get_object(Bucket=bucket, Key="bad/damaged")
    damaged = bytearray(stored["Body"].read())
    damaged[-1] ^= 1
    stage.direct.put_object(Bucket=bucket, Key="bad/damaged", Body=bytes(damaged), Metadata=stored["Metadata"])
    stage.direct.put_object(Bucket=bucket, Key="bad/plain", Body=b"plaintext")
    cases = {"bad/missing": (404, "NoSuchKey"), "bad/plain": (403, "AccessDenied")}
    if destination != SEALED or "streamed" in stage.name:
        cases["bad/damaged"] = (403, "AccessDenied")  # otherwise the server copies it as it is
    for key, expected in cases.items():
        call = partial(stage.client.copy_object, **target, CopySource={"Bucket": bucket, "Key": key})
        assert fails(call)[:2] == expected
        assert fails(lambda: stage.client.head_object(**target))[0] == 404


def test_metadata_that_marks_sealed_objects_is_the_gateways(stage: SealingStage) -> None:
    source = {"Bucket": stage.bucket(PLAIN), "Key": "forged"}
    stage.client.put_object(**source, Body=b"x")
    for kind in (PLAIN, SEALED):
        call = partial(
            stage.client.copy_object, Bucket=stage.bucket(kind), Key="forged.copy", CopySource=source,
            MetadataDirective="REPLACE", Metadata={"sealgate": "v1;size=1"},
        )  # fmt: skip
        assert fails(call)[:2] == (400, "InvalidArgument")


def test_a_sealed_object_is_copied_out_of_and_into_a_part_of_a_bucket(stage: SealingStage) -> None:
    bucket = stage.bucket(MIXED)
    stage.client.put_object(Bucket=bucket, Key=f"{SEALED_PREFIX}x", Body=b"mixed")
    stage.client.copy_object(Bucket=bucket, Key="outside", CopySource={"Bucket": bucket, "Key": f"{SEALED_PREFIX}x"})
    assert stage.direct.get_object(Bucket=bucket, Key="outside")["Body"].read() == b"mixed"
    assert "sealgate" not in stage.direct.head_object(Bucket=bucket, Key="outside")["Metadata"]
    stage.client.copy_object(Bucket=bucket, Key=f"{SEALED_PREFIX}y", CopySource={"Bucket": bucket, "Key": "outside"})
    assert stage.read(bucket, f"{SEALED_PREFIX}y") == b"mixed"


def test_a_sealed_object_under_a_rule_that_does_not_seal_is_opened_by_a_copy(stage: SealingStage) -> None:
    sealed, plain = stage.bucket(SEALED), stage.bucket(PLAIN)
    stage.client.put_object(Bucket=sealed, Key="outlived", Body=b"still sealed")
    stored = stage.direct.get_object(Bucket=sealed, Key="outlived")
    # The bytes of the very object at the very name, but under another rule: a bucket that was replicated.
    stage.direct.put_object(Bucket=plain, Key="outlived", Body=stored["Body"].read(), Metadata=stored["Metadata"])
    refused = fails(lambda: stage.client.copy_object(Bucket=plain, Key="x", CopySource=f"{plain}/outlived"))
    assert refused[:2] == (403, "AccessDenied")  # it was sealed for another bucket


@pytest.mark.parametrize(("source", "destination"), _PAIRS)
def test_parts_are_copied(stage: SealingStage, source: str, destination: str) -> None:
    key = f"parts/from {source}"
    stage.client.put_object(Bucket=stage.bucket(source), Key=key, Body=_DATA)
    target = {"Bucket": stage.bucket(destination), "Key": f"{key}.to"}
    upload = target | {"UploadId": stage.client.create_multipart_upload(**target)["UploadId"]}
    place = {"Bucket": stage.bucket(source), "Key": key}
    ranges = [f"bytes=0-{5 * MIB - 1}", f"bytes={5 * MIB + 7}-{5 * MIB + 70_006}"]
    parts = []
    for number, wanted in enumerate(ranges, 1):
        answer = stage.client.upload_part_copy(**upload, PartNumber=number, CopySource=place, CopySourceRange=wanted)
        parts.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
    listed = stage.client.list_parts(**upload)["Parts"]
    assert [(part["PartNumber"], part["ETag"], part["Size"]) for part in listed] == [
        (1, parts[0]["ETag"], 5 * MIB),
        (2, parts[1]["ETag"], 70_000),
    ]
    stage.client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    expected = _DATA[: 5 * MIB] + _DATA[5 * MIB + 7 : 5 * MIB + 70_007]
    assert stage.read(target["Bucket"], target["Key"]) == expected
    assert _is_sealed(stage, destination, target["Key"]) == (destination in _SEALING)


@pytest.mark.parametrize("destination", [SEALED, PLAIN])
def test_a_range_of_a_copied_part_must_lie_inside_the_plaintext(stage: SealingStage, destination: str) -> None:
    source = {"Bucket": stage.bucket(SEALED), "Key": "small source"}
    stage.client.put_object(**source, Body=b"0123456789")
    target = {"Bucket": stage.bucket(destination), "Key": "small target"}
    upload = target | {"UploadId": stage.client.create_multipart_upload(**target)["UploadId"]}
    for wanted in ("bytes=5-10", "bytes=10-10", "bytes=3-2", "bytes=1-", "3-4"):
        call = partial(stage.client.upload_part_copy, **upload, PartNumber=1, CopySource=source, CopySourceRange=wanted)
        assert fails(call)[:2] == (400, "InvalidArgument")
    answer = stage.client.upload_part_copy(**upload, PartNumber=1, CopySource=source, CopySourceRange="bytes=9-9")
    part = {"PartNumber": 1, "ETag": answer["CopyPartResult"]["ETag"]}
    stage.client.complete_multipart_upload(**upload, MultipartUpload={"Parts": [part]})
    assert stage.read(target["Bucket"], target["Key"]) == b"9"


def test_an_empty_source_is_a_part(stage: SealingStage) -> None:
    for kind in (SEALED, PLAIN):
        source = {"Bucket": stage.bucket(kind), "Key": "empty source"}
        stage.client.put_object(**source, Body=b"")
        target = {"Bucket": stage.bucket(SEALED), "Key": "empty target"}
        upload = target | {"UploadId": stage.client.create_multipart_upload(**target)["UploadId"]}
        answer = stage.client.upload_part_copy(**upload, PartNumber=1, CopySource=source)
        part = {"PartNumber": 1, "ETag": answer["CopyPartResult"]["ETag"]}
        stage.client.complete_multipart_upload(**upload, MultipartUpload={"Parts": [part]})
        assert stage.read(target["Bucket"], target["Key"]) == b""


def test_no_upload_is_left_behind(stage: SealingStage) -> None:
    bucket = stage.bucket(SECOND)
    assert "Uploads" not in stage.direct.list_multipart_uploads(Bucket=bucket)


def test_answers_say_nothing_about_sealed_bytes(stage: SealingStage) -> None:
    source = {"Bucket": stage.bucket(SEALED), "Key": "answers"}
    stage.client.put_object(**source, Body=b"x" * 100, ChecksumAlgorithm="SHA256")
    for kind in (SECOND, OTHER_KEY):
        copied = stage.client.copy_object(
            Bucket=stage.bucket(kind), Key="answers", CopySource=source, ChecksumAlgorithm="CRC32"
        )
        assert not [name for name in copied["CopyObjectResult"] if name.startswith("Checksum")]
        assert re.fullmatch('"[0-9a-f]{32}-1"', copied["CopyObjectResult"]["ETag"])
        head = stage.client.head_object(Bucket=stage.bucket(kind), Key="answers", ChecksumMode="ENABLED")
        assert not [name for name in head if name.startswith("Checksum")]
