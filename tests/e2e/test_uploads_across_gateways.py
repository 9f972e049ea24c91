"""Uploads that several gateways serve: the id carries what each needs, through restarts and key rotations."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.certificates import CertificateAuthority
from lab.openbao import OpenBao
from lab.s3_server import S3Client
from lab.seaweed import SeaweedFS
from tests.e2e.stage import (
    DERIVED,
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

_MIB = 1024 * 1024
_PARTS = [random.Random(number).randbytes(5 * _MIB + number) for number in range(4)]


@pytest.fixture(scope="module")
def twins(
    lab_directory: Path, authority: CertificateAuthority, seaweed: SeaweedFS, openbao: OpenBao
) -> Iterator[tuple[Stage, Stage]]:
    """Two gateways with the same rules before the same store."""
    first = Stage(lab_directory / "twin-a", authority, seaweed, openbao, prefix="e2e-twins")
    second = Stage(
        lab_directory / "twin-b",
        authority,
        seaweed,
        openbao,
        prefix="e2e-twins",
        key_path=first.key_path,
        sealing=first.sealing,
        name="twin",
    )
    for stage in (first, second):
        stage.start()
    yield first, second
    for stage in (first, second):
        stage.gateway.stop()


@pytest.mark.parametrize("encryption", [NONE, SSE_S3, SSE_KMS, SSE_C, DERIVED])
def test_parts_go_through_either_gateway_across_a_rotation_and_a_restart(
    twins: tuple[Stage, Stage], encryption: str
) -> None:
    first, second = twins
    where = {"Bucket": first.bucket(encryption), "Key": f"twins/{encryption} ä"}
    upload_id = first.client.create_multipart_upload(**where)["UploadId"]
    upload = where | {"UploadId": upload_id}
    parts = []
    for number, data in enumerate(_PARTS, 1):
        if number == 3 and encryption in {SSE_C, DERIVED}:
            rotate_and_wait(first)
        if number == 4 and encryption in {SSE_KMS, DERIVED}:
            first.gateway.kill()
            first.gateway.start()
        client: S3Client = (second, first)[number % 2].client
        parts.append({"PartNumber": number, "ETag": client.upload_part(**upload, PartNumber=number, Body=data)["ETag"]})
    listed = second.client.list_parts(**upload)
    assert (listed["UploadId"], len(listed["Parts"])) == (upload_id, 4)
    second.client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    for stage in twins:
        assert stage.client.get_object(**where)["Body"].read() == b"".join(_PARTS)
    assert stored_encryption(first, encryption, where["Key"]) == expected_at_store(encryption)


@pytest.mark.parametrize("encryption", [SSE_S3, SSE_KMS, SSE_C, DERIVED])
def test_an_upload_begun_at_the_store_itself_is_not_continued(stage: Stage, encryption: str) -> None:
    where = {"Bucket": stage.bucket(encryption), "Key": "raw upload"}
    raw = where | {"UploadId": stage.direct.create_multipart_upload(**where)["UploadId"]}
    assert fails(lambda: stage.client.upload_part(**raw, PartNumber=1, Body=b"x"))[:2] == (404, "NoSuchUpload")
    part = {"Parts": [{"PartNumber": 1, "ETag": '"0"'}]}
    refused = fails(lambda: stage.client.complete_multipart_upload(**raw, MultipartUpload=part))
    assert refused[:2] == (404, "NoSuchUpload")
    source = {"Bucket": stage.bucket(NONE), "Key": "raw upload source"}
    stage.client.put_object(**source, Body=b"x")
    refused = fails(lambda: stage.client.upload_part_copy(**raw, PartNumber=1, CopySource=source))
    assert refused[:2] == (404, "NoSuchUpload")
    stage.direct.abort_multipart_upload(**raw)


@pytest.mark.parametrize("encryption", [NONE, SSE_KMS, SSE_C])
def test_listed_uploads_can_be_aborted_by_their_listed_id(stage: Stage, encryption: str) -> None:
    where = {"Bucket": stage.bucket(encryption), "Key": "abandoned upload"}
    stage.client.create_multipart_upload(**where)
    listing = stage.client.list_multipart_uploads(Bucket=where["Bucket"], Prefix="abandoned")
    (listed,) = listing["Uploads"]
    stage.client.abort_multipart_upload(**where, UploadId=listed["UploadId"])
    listing = stage.client.list_multipart_uploads(Bucket=where["Bucket"], Prefix="abandoned")
    assert "Uploads" not in listing


@pytest.mark.parametrize("encryption", [NONE, SSE_S3, SSE_KMS, SSE_C, DERIVED])
def test_answers_about_an_upload_name_the_clients_id(stage: Stage, encryption: str) -> None:
    where = {"Bucket": stage.bucket(encryption), "Key": "echo"}
    upload_id = stage.client.create_multipart_upload(**where)["UploadId"]
    upload = where | {"UploadId": upload_id}
    etags = [stage.client.upload_part(**upload, PartNumber=number, Body=b"x")["ETag"] for number in (1, 2)]
    page = stage.client.list_parts(**upload, MaxParts=1)
    assert (page["UploadId"], page["IsTruncated"], len(page["Parts"])) == (upload_id, True, 1)
    rest = stage.client.list_parts(**upload, PartNumberMarker=int(page["NextPartNumberMarker"]))
    assert [part["ETag"] for part in rest["Parts"]] == etags[1:]
    stage.client.abort_multipart_upload(**upload)
    assert fails(lambda: stage.client.list_parts(**upload))[:2] == (404, "NoSuchUpload")


def test_a_part_that_is_sent_again_replaces_the_first(stage: Stage) -> None:
    where = {"Bucket": stage.bucket(DERIVED), "Key": "sent again"}
    upload = where | {"UploadId": stage.client.create_multipart_upload(**where)["UploadId"]}
    stage.client.upload_part(**upload, PartNumber=2, Body=b"not listed")
    stage.client.upload_part(**upload, PartNumber=1, Body=b"first try")
    etag = stage.client.upload_part(**upload, PartNumber=1, Body=b"second try")["ETag"]
    answer = stage.client.complete_multipart_upload(
        **upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}
    )
    assert answer["Location"].startswith(stage.gateway.endpoint)
    assert stage.client.get_object(**where)["Body"].read() == b"second try"


@pytest.mark.parametrize("tampered", [".sg1-c-00000000-1", ".sg1-s3-00000000-0", ".sg1-kms-ffffffff-0"])
def test_a_changed_id_spoils_the_upload_and_nothing_else(stage: Stage, tampered: str) -> None:
    where = {"Bucket": stage.bucket(SSE_C), "Key": "tampered id"}
    upload_id = stage.client.create_multipart_upload(**where)["UploadId"]
    changed = where | {"UploadId": upload_id.partition(".sg1-")[0] + tampered}
    assert fails(lambda: stage.client.upload_part(**changed, PartNumber=1, Body=b"x"))[0] in {400, 404, 501}
    stage.client.abort_multipart_upload(**where, UploadId=upload_id)
