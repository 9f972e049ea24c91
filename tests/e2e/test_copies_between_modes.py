"""Every pair of source and destination encryption can be copied, whatever the server does by itself."""

import itertools
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lab.certificates import CertificateAuthority
from lab.openbao import OpenBao
from lab.seaweed import SeaweedFS
from tests.e2e.stage import (
    DERIVED,
    ENCRYPTIONS,
    ENFORCED_S3,
    NONE,
    SSE_C,
    SSE_KMS,
    SSE_S3,
    Stage,
    expected_at_store,
    fails,
    rotate_and_wait,
    stored_encryption,
)
from tests.e2e.wire import Key

_MIB = 1024 * 1024
_DATA = random.Random(11).randbytes(6 * _MIB)
_PAIRS = tuple(itertools.product(ENCRYPTIONS, ENCRYPTIONS))
_ODD_KEYS = ("100% sure", "a+b", "with space", "grüße/日本", "%2Fescaped", "a//b/..c", "q?uestion&=", "plain")


@pytest.fixture(scope="session")
def streaming_stage(
    lab_directory: Path, authority: CertificateAuthority, seaweed: SeaweedFS, openbao: OpenBao
) -> Iterator[Stage]:
    """A gateway that never asks the server to copy."""
    running = Stage(
        lab_directory / "e2e-stream", authority, seaweed, openbao, prefix="e2e-stream",
        options={"upstream": {"copies": "stream"}},
    )  # fmt: skip
    running.start()
    yield running
    running.gateway.stop()


@pytest.fixture(
    params=[
        "stage",
        # The default run streams too, wherever SeaweedFS does not copy by itself.
        pytest.param("streaming_stage", marks=pytest.mark.slow),
        pytest.param("rgw_stage", marks=pytest.mark.slow),
        pytest.param("minio_stage", marks=pytest.mark.slow),
    ]
)
def any_stage(request: pytest.FixtureRequest) -> Stage:
    """Each kind of server, and the gateway's own copy."""
    found: Stage = request.getfixturevalue(request.param)
    return found


def _needs(stage: Stage, *encryptions: str) -> bool:
    """Whether the store has these encryptions at all; Ceph has no SSE-S3."""
    return stage.store.traits.sse_s3 or SSE_S3 not in encryptions


@pytest.mark.parametrize("size", [pytest.param(0, marks=pytest.mark.slow), 70_000])
@pytest.mark.parametrize(("source", "destination"), _PAIRS)
def test_an_object_is_copied_between_any_two_encryptions(
    any_stage: Stage, source: str, destination: str, size: int
) -> None:
    stage = any_stage
    if not _needs(stage, source, destination):
        _sse_s3_is_refused(stage)
        return
    data, key = _DATA[:size], f"copy/from-{source}-{size}"
    stage.client.put_object(
        Bucket=stage.bucket(source), Key=key, Body=data, Metadata={"kept": "yes"}, ContentType="text/x-kept",
        Tagging="kept=1",
    )  # fmt: skip
    copied = stage.client.copy_object(
        Bucket=stage.bucket(destination), Key=key + ".copy", CopySource={"Bucket": stage.bucket(source), "Key": key}
    )
    got = stage.client.get_object(Bucket=stage.bucket(destination), Key=key + ".copy")
    assert got["Body"].read() == data
    assert (got["Metadata"], got["ContentType"]) == ({"kept": "yes"}, "text/x-kept")
    assert copied["CopyObjectResult"]["ETag"].strip('"') == got["ETag"].strip('"')
    assert abs(copied["CopyObjectResult"]["LastModified"] - datetime.now(UTC)) < timedelta(minutes=5)
    assert stored_encryption(stage, destination, key + ".copy") == expected_at_store(destination)
    tags = stage.client.get_object_tagging(Bucket=stage.bucket(destination), Key=key + ".copy")["TagSet"]
    assert tags == [{"Key": "kept", "Value": "1"}]


def _sse_s3_is_refused(stage: Stage) -> None:
    refused = fails(lambda: stage.client.put_object(Bucket=stage.bucket(SSE_S3), Key="refused", Body=b"x"))
    assert refused[:2] == (501, "NotImplemented")


@pytest.mark.parametrize(("source", "destination"), _PAIRS)
def test_parts_are_copied_between_any_two_encryptions(any_stage: Stage, source: str, destination: str) -> None:
    stage = any_stage
    if not _needs(stage, source, destination):
        _sse_s3_is_refused(stage)
        return
    key = f"parts/from {source}"
    stage.client.put_object(Bucket=stage.bucket(source), Key=key, Body=_DATA)
    target = {"Bucket": stage.bucket(destination), "Key": f"{key}.to"}
    upload = target | {"UploadId": stage.client.create_multipart_upload(**target)["UploadId"]}
    place = {"Bucket": stage.bucket(source), "Key": key}
    ranges = [f"bytes=0-{5 * _MIB - 1}", f"bytes={5 * _MIB + 7}-{5 * _MIB + 70_006}"]
    parts = []
    for number, wanted in enumerate(ranges, 1):
        answer = stage.client.upload_part_copy(**upload, PartNumber=number, CopySource=place, CopySourceRange=wanted)
        parts.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
    stage.client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    expected = _DATA[: 5 * _MIB] + _DATA[5 * _MIB + 7 : 5 * _MIB + 70_007]
    assert stage.client.get_object(**target)["Body"].read() == expected
    assert stored_encryption(stage, destination, target["Key"]) == expected_at_store(destination)


@pytest.mark.parametrize(("source", "destination"), [(SSE_C, DERIVED), (SSE_KMS, SSE_C), (NONE, SSE_KMS)])
def test_a_multipart_object_is_copied_whole(any_stage: Stage, source: str, destination: str) -> None:
    stage = any_stage
    where = {"Bucket": stage.bucket(source), "Key": "in parts"}
    upload = where | {"UploadId": stage.client.create_multipart_upload(**where)["UploadId"]}
    parts = [
        {"PartNumber": number, "ETag": stage.client.upload_part(**upload, PartNumber=number, Body=data)["ETag"]}
        for number, data in enumerate((_DATA[: 5 * _MIB], _DATA[5 * _MIB :]), 1)
    ]
    stage.client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    target = {"Bucket": stage.bucket(destination), "Key": "multi-copy"}
    stage.client.copy_object(**target, CopySource=where)
    assert stage.client.get_object(**target)["Body"].read() == _DATA
    assert stored_encryption(stage, destination, "multi-copy") == expected_at_store(destination)


@pytest.mark.parametrize("destination", [NONE, SSE_C, SSE_KMS])
def test_metadata_and_tags_are_replaced_when_the_client_says_so(any_stage: Stage, destination: str) -> None:
    stage = any_stage
    source = {"Bucket": stage.bucket(SSE_C), "Key": "replaced"}
    stage.client.put_object(**source, Body=b"x", Metadata={"old": "1"}, ContentType="text/old", Tagging="old=1")
    target = {"Bucket": stage.bucket(destination), "Key": "replaced.copy"}
    stage.client.copy_object(
        **target, CopySource=source, MetadataDirective="REPLACE", Metadata={"new": "2"}, ContentType="text/new",
        TaggingDirective="REPLACE", Tagging="new=2",
    )  # fmt: skip
    head = stage.client.head_object(**target)
    assert (head["Metadata"], head["ContentType"]) == ({"new": "2"}, "text/new")
    assert stage.client.get_object_tagging(**target)["TagSet"] == [{"Key": "new", "Value": "2"}]


@pytest.mark.parametrize("key", _ODD_KEYS)
@pytest.mark.parametrize(("source", "destination"), [(NONE, NONE), (SSE_C, SSE_KMS), (SSE_KMS, DERIVED)])
def test_odd_names_of_sources_are_read_right(any_stage: Stage, source: str, destination: str, key: str) -> None:
    stage = any_stage
    where = {"Bucket": stage.bucket(source), "Key": f"odd/{key}"}
    if stage.store.name == "minio" and "//" in key:
        assert fails(lambda: stage.direct.put_object(**where, Body=b""))[1] == "XMinioInvalidObjectName"
        return
    stage.client.put_object(**where, Body=key.encode())
    target = {"Bucket": stage.bucket(destination), "Key": f"odd-copy/{key}"}
    stage.client.copy_object(**target, CopySource=where)
    assert stage.client.get_object(**target)["Body"].read() == key.encode()
    upload = target | {"UploadId": stage.client.create_multipart_upload(**target)["UploadId"]}
    etag = stage.client.upload_part_copy(**upload, PartNumber=1, CopySource=where)["CopyPartResult"]["ETag"]
    stage.client.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    assert stage.client.get_object(**target)["Body"].read() == key.encode()


@pytest.mark.parametrize(("source", "destination"), [(NONE, NONE), (SSE_C, SSE_C), (SSE_KMS, DERIVED)])
def test_conditions_on_the_source_decide(any_stage: Stage, source: str, destination: str) -> None:
    stage = any_stage
    where = {"Bucket": stage.bucket(source), "Key": "conditions"}
    etag = stage.client.put_object(**where, Body=b"x")["ETag"]
    copy: dict[str, Any] = {"Bucket": stage.bucket(destination), "Key": "conditions.copy", "CopySource": where}
    past, future = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) - timedelta(seconds=-1)
    held: list[dict[str, Any]] = [
        {"CopySourceIfMatch": etag},
        {"CopySourceIfNoneMatch": '"0"'},
        {"CopySourceIfModifiedSince": past},
        {"CopySourceIfUnmodifiedSince": future},
    ]
    for condition in held:
        stage.client.copy_object(**copy, **condition)
    if (stage.store.name, destination) == ("rgw", NONE):
        return  # Ceph RGW 16 copies by itself there, and looks at no condition
    stage.client.delete_object(Bucket=copy["Bucket"], Key=copy["Key"])
    failing: list[dict[str, Any]] = [
        {"CopySourceIfMatch": '"0"'},
        {"CopySourceIfNoneMatch": etag},
        {"CopySourceIfUnmodifiedSince": past},
    ]
    for condition in failing:
        arguments = copy | condition
        assert fails(partial(stage.client.copy_object, **arguments))[:2] == (412, "PreconditionFailed")
    assert fails(lambda: stage.client.head_object(Bucket=copy["Bucket"], Key=copy["Key"]))[0] == 404


def test_an_object_copied_onto_itself_can_change_its_encryption(any_stage: Stage) -> None:
    stage = any_stage
    where = {"Bucket": stage.bucket(NONE), "Key": "self"}
    key = Key.new()
    stage.client.put_object(**where, Body=_DATA[:1000], Metadata={"kept": "yes"})
    stage.client.copy_object(**where, CopySource=where, **key.arguments())
    assert stored_encryption(stage, NONE, "self") == "sse-c"
    got = stage.client.get_object(**where, **key.arguments())
    assert (got["Body"].read(), got["Metadata"]) == (_DATA[:1000], {"kept": "yes"})
    stage.client.copy_object(
        **where, CopySource=where, ServerSideEncryption="aws:kms", SSEKMSKeyId=stage.store.kms_key_id,
        **key.copy_source_arguments(),
    )  # fmt: skip
    assert stored_encryption(stage, NONE, "self") == "sse-kms"
    assert stage.client.get_object(**where)["Body"].read() == _DATA[:1000]


@pytest.mark.parametrize("encryption", [SSE_C, DERIVED])
def test_an_object_copied_onto_itself_moves_to_the_newest_key(any_stage: Stage, encryption: str) -> None:
    stage = any_stage
    where = {"Bucket": stage.bucket(encryption), "Key": "rotated"}
    before = stage.client.put_object(**where, Body=b"first version")["SSECustomerKeyMD5"]
    rotate_and_wait(stage)
    stage.client.copy_object(**where, CopySource=where)
    got = stage.client.get_object(**where)
    assert got["Body"].read() == b"first version"
    assert before not in got["SSECustomerKeyMD5"]


@pytest.mark.parametrize(("source", "destination"), [(NONE, NONE), (NONE, SSE_C), (SSE_C, NONE), (SSE_KMS, SSE_C)])
def test_a_missing_source_is_missing(any_stage: Stage, source: str, destination: str) -> None:
    stage = any_stage
    refused = fails(
        lambda: stage.client.copy_object(
            Bucket=stage.bucket(destination), Key="x", CopySource={"Bucket": stage.bucket(source), "Key": "missing"}
        )
    )
    assert refused[:2] == (404, "NoSuchKey")


@pytest.mark.parametrize("keyed", [True, False])
@pytest.mark.parametrize("destination", [NONE, SSE_C, SSE_KMS])
def test_a_source_under_a_clients_key_is_not_copied_without_that_key(
    any_stage: Stage, destination: str, keyed: bool
) -> None:
    stage = any_stage
    source = {"Bucket": stage.bucket(NONE), "Key": f"foreign-{destination}-{keyed}"}
    stage.client.put_object(**source, Body=_DATA[:5000], **Key.new().arguments())
    target = {"Bucket": stage.bucket(destination), "Key": source["Key"] + ".copy"}
    wrong = Key.new().copy_source_arguments() if keyed else {}
    status, code, _ = fails(lambda: stage.client.copy_object(**target, CopySource=source, **wrong))
    assert (status, code) in {(403, "AccessDenied"), (400, "InvalidRequest"), (400, "InvalidArgument")}
    assert fails(lambda: stage.client.head_object(**target))[0] == 404


@pytest.mark.parametrize("destination", ENCRYPTIONS)
def test_a_source_under_a_clients_key_is_copied_with_that_key(any_stage: Stage, destination: str) -> None:
    stage = any_stage
    if not _needs(stage, destination):
        _sse_s3_is_refused(stage)
        return
    key = Key.new()
    source = {"Bucket": stage.bucket(NONE), "Key": f"own-{destination}"}
    stage.client.put_object(**source, Body=_DATA[:5000], **key.arguments())
    target = {"Bucket": stage.bucket(destination), "Key": source["Key"] + ".copy"}
    stage.client.copy_object(**target, CopySource=source, **key.copy_source_arguments())
    assert stage.client.get_object(**target)["Body"].read() == _DATA[:5000]
    assert stored_encryption(stage, destination, target["Key"]) == expected_at_store(destination)


def test_a_range_of_a_copied_part_must_lie_inside_the_source(any_stage: Stage) -> None:
    stage = any_stage
    source = {"Bucket": stage.bucket(SSE_C), "Key": "small source"}
    stage.client.put_object(**source, Body=b"0123456789")
    target = {"Bucket": stage.bucket(SSE_C), "Key": "small target"}
    upload = target | {"UploadId": stage.client.create_multipart_upload(**target)["UploadId"]}
    refused = fails(
        lambda: stage.client.upload_part_copy(**upload, PartNumber=1, CopySource=source, CopySourceRange="bytes=5-10")
    )
    assert refused[0] in {400, 416}
    stage.client.abort_multipart_upload(**upload)


@pytest.mark.parametrize("source", [NONE, SSE_C])
def test_a_version_of_the_source_is_copied(any_stage: Stage, source: str) -> None:
    stage = any_stage
    bucket = stage.bucket(source)
    stage.direct.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    try:
        first = stage.client.put_object(Bucket=bucket, Key="versions", Body=b"first")["VersionId"]
        stage.client.put_object(Bucket=bucket, Key="versions", Body=b"second")
        copied = stage.client.copy_object(
            Bucket=stage.bucket(SSE_KMS), Key="versions",
            CopySource={"Bucket": bucket, "Key": "versions", "VersionId": first},
        )  # fmt: skip
        assert stage.client.get_object(Bucket=stage.bucket(SSE_KMS), Key="versions")["Body"].read() == b"first"
        assert copied.get("CopySourceVersionId", first) == first
        got = stage.client.get_object(Bucket=bucket, Key="versions", VersionId=first)
        assert got["Body"].read() == b"first"
    finally:
        stage.direct.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})


def test_a_copy_in_a_bucket_that_is_enforced_loses_what_the_client_asked_for(stage: Stage) -> None:
    source = {"Bucket": stage.bucket(NONE), "Key": "enforced source"}
    stage.client.put_object(**source, Body=b"x")
    target = {"Bucket": stage.bucket(ENFORCED_S3), "Key": "enforced copy"}
    stage.client.copy_object(**target, CopySource=source, **Key.new().arguments())
    assert stage.client.get_object(**target)["Body"].read() == b"x"
    assert stored_encryption(stage, ENFORCED_S3, "enforced copy") == "sse-s3"


def test_streamed_copies_are_counted(streaming_stage: Stage) -> None:
    stage = streaming_stage
    before = stage.gateway.metric("sealgate_copies_streamed_total", operation="CopyObject")
    where = {"Bucket": stage.bucket(NONE), "Key": "counted"}
    stage.client.put_object(**where, Body=b"x")
    stage.client.copy_object(Bucket=stage.bucket(SSE_C), Key="counted", CopySource=where)
    assert stage.gateway.metric("sealgate_copies_streamed_total", operation="CopyObject") == before + 1
