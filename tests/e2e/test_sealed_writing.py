"""Objects written under mode ``cse``: the store gets ciphertext only, and clients are answered as if it were not so."""

import base64
import hashlib
import json
import random
import re
import zlib
from typing import Any

import pytest
import urllib3

from tests.e2e.opened_offline import open_stored
from tests.e2e.stage import CSE, CSE_PLAINTEXT, ENFORCED_CSE, NONE, Stage, fails, logged
from tests.e2e.wire import Key

_MIB = 1024 * 1024
_DATA = random.Random(11).randbytes(9 * _MIB)
_SIZES = (0, 1, 16_383, 16_384, 16_385, 64 * 1024, 64 * 1024 + 1, 5 * _MIB, 9 * _MIB)
_SHOWN = re.compile(r'"[0-9a-f]{32}-1"')


@pytest.fixture(
    scope="module",
    params=[
        "stage",
        pytest.param("rgw_stage", marks=pytest.mark.slow),
        pytest.param("minio_stage", marks=pytest.mark.slow),
    ],
)
def world(request: pytest.FixtureRequest) -> Stage:
    """A gateway before each store in turn."""
    found: Stage = request.getfixturevalue(request.param)
    return found


def where(stage: Stage, key: str, encryption: str = CSE) -> dict[str, str]:
    return {"Bucket": stage.bucket(encryption), "Key": key}


def absent(stage: Stage, place: dict[str, str]) -> bool:
    """Whether the store has no such object."""
    return fails(lambda: stage.direct.head_object(**place))[0] == 404


@pytest.mark.parametrize("size", _SIZES)
def test_the_store_holds_one_sealed_message(world: Stage, size: int) -> None:
    place, data = where(world, f"whole/{size} ä+%.bin"), _DATA[:size]
    put = world.client.put_object(**place, Body=data, ContentType="text/x-own", Metadata={"purpose": "test"})
    opened = open_stored(world, place["Bucket"], place["Key"])
    assert opened.plaintext == data
    assert opened.head["ContentType"] == "text/x-own"
    assert opened.head["Metadata"] == {"purpose": "test", "sealgate": f"v1;size={size}"}
    assert _SHOWN.fullmatch(put["ETag"])
    assert put["ETag"].replace("-1", "") == opened.head["ETag"]


def test_equal_objects_are_sealed_differently(stage: Stage) -> None:
    places = [where(stage, f"equal/{number}") for number in range(2)]
    for place in places:
        stage.client.put_object(**place, Body=_DATA[:100_000])
    first, second = (open_stored(stage, place["Bucket"], place["Key"]) for place in places)
    assert first.plaintext == second.plaintext
    assert first.envelopes[0].object_id != second.envelopes[0].object_id
    assert first.head["ETag"] != second.head["ETag"]
    bodies = [stage.direct.get_object(**place)["Body"].read()[512:] for place in places]
    assert not any(bodies[0][at : at + 64] in bodies[1] for at in range(0, 100_000, 9_973))


@pytest.mark.parametrize("size", [0, 1000, 200_000])
@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_the_clients_checksum_is_verified_and_echoed(stage: Stage, algorithm: str, size: int) -> None:
    place = where(stage, f"checksums/{algorithm}-{size}")
    put = stage.client.put_object(**place, Body=_DATA[:size], ChecksumAlgorithm=algorithm)
    shown = {name: value for name, value in put.items() if name.startswith("Checksum")}
    assert set(shown) == {f"Checksum{algorithm}", "ChecksumType"}
    assert shown["ChecksumType"] == "FULL_OBJECT"
    if algorithm == "SHA256":
        assert put["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(_DATA[:size]).digest()).decode()
    if algorithm == "CRC32":
        assert put["ChecksumCRC32"] == base64.b64encode(zlib.crc32(_DATA[:size]).to_bytes(4)).decode()
    assert open_stored(stage, place["Bucket"], place["Key"]).plaintext == _DATA[:size]


@pytest.mark.parametrize("size", [1000, 200_000])
def test_a_header_checksum_and_md5_of_the_plaintext_do_not_reach_the_store(stage: Stage, size: int) -> None:
    data, key = _DATA[:size], f"headers/{size}"
    fields = {
        "content-md5": base64.b64encode(hashlib.md5(data).digest()).decode(),  # noqa: S324 - what the header is
        "x-amz-checksum-sha256": base64.b64encode(hashlib.sha256(data).digest()).decode(),
        "x-amz-sdk-checksum-algorithm": "SHA256",
    }
    answer = stage.ask("PUT", f"/{stage.bucket(CSE)}/{key}", headers=fields, body=data)
    assert answer.status == 200
    assert answer.headers["x-amz-checksum-sha256"] == fields["x-amz-checksum-sha256"]
    assert [name for name in answer.headers if name.startswith("x-amz-checksum-")] == [
        "x-amz-checksum-sha256", "x-amz-checksum-type",
    ]  # fmt: skip
    assert open_stored(stage, stage.bucket(CSE), key).plaintext == data


@pytest.mark.parametrize("size", [1000, 200_000])
@pytest.mark.parametrize(
    "wrong",
    [
        {"content-md5": "AAAAAAAAAAAAAAAAAAAAAA=="},
        {"x-amz-checksum-crc32": "AAAAAA=="},
        {"x-amz-checksum-sha256": "A" * 43 + "="},
    ],
    ids=["md5", "crc32", "sha256"],
)
def test_a_wrong_claim_leaves_no_object(stage: Stage, wrong: dict[str, str], size: int) -> None:
    place = where(stage, f"wrong/{next(iter(wrong))}-{size}")
    answer = stage.ask("PUT", f"/{place['Bucket']}/{place['Key']}", headers=wrong, body=_DATA[:size])
    assert (answer.status, answer.code) == (400, "BadDigest")
    assert absent(stage, place)


@pytest.mark.parametrize("encryption", [CSE, NONE])
def test_the_marker_is_refused_from_clients(stage: Stage, encryption: str) -> None:
    place = where(stage, "marked", encryption)
    marker = {"Metadata": {"Sealgate": "v1;size=1"}}
    assert fails(lambda: stage.client.put_object(**place, Body=b"x", **marker))[:2] == (400, "InvalidArgument")
    assert fails(lambda: stage.client.create_multipart_upload(**place, **marker))[:2] == (400, "InvalidArgument")
    assert absent(stage, place)


def test_appending_is_not_implemented(stage: Stage) -> None:
    place = where(stage, "appended")
    assert fails(lambda: stage.client.put_object(**place, Body=b"x", WriteOffsetBytes=0))[:2] == (501, "NotImplemented")
    assert absent(stage, place)


def test_an_object_beyond_the_limit_is_refused_before_its_body(stage: Stage) -> None:
    for size, message in ((5 * 1024**3, "5 GiB less"), (5 * 1024**3 + 1, "")):
        answer = stage.ask(
            "PUT",
            f"/{stage.bucket(CSE)}/large",
            headers={"content-length": str(size), "expect": "100-continue", "x-amz-content-sha256": "UNSIGNED-PAYLOAD"},
        )
        assert (answer.status, answer.code) == (400, "EntityTooLarge")
        assert message in answer.message


def test_what_describes_the_object_goes_along(world: Stage) -> None:
    place = where(world, "described")
    described: dict[str, Any] = {
        "CacheControl": "max-age=1",
        "ContentDisposition": 'attachment; filename="x"',
        "ContentEncoding": "gzip",
        "ContentLanguage": "de",
        "ContentType": "application/x-own",
        "Metadata": {"a": "1", "long": "x" * 1500},
    }
    world.client.put_object(**place, Body=b"data", **described, Tagging="k=v%20w", StorageClass="STANDARD")
    head = open_stored(world, place["Bucket"], place["Key"]).head
    metadata = head["Metadata"]
    assert metadata.pop("sealgate") == "v1;size=4"
    assert {name: head[name] for name in described} == described
    assert world.direct.get_object_tagging(**place)["TagSet"] == [{"Key": "k", "Value": "v w"}]


def test_conditions_are_the_stores_and_mean_the_shown_etags(world: Stage) -> None:
    place = where(world, "conditions")
    first = world.client.put_object(**place, Body=b"first", IfNoneMatch="*")["ETag"]
    assert fails(lambda: world.client.put_object(**place, Body=b"x", IfNoneMatch="*"))[0] in {409, 412}
    assert fails(lambda: world.client.put_object(**place, Body=b"x", IfMatch='"0123-1"'))[0] == 412
    if world.store.name != "rgw":  # Ceph RGW 16 refuses every If-Match with an ETag
        second = world.client.put_object(**place, Body=b"second", IfMatch=first)["ETag"]
        assert second != first
        assert fails(lambda: world.client.put_object(**place, Body=b"x", IfMatch=first))[0] == 412
    assert open_stored(world, place["Bucket"], place["Key"]).plaintext in {b"first", b"second"}


def test_where_plaintext_may_exist_a_condition_means_the_object_that_is_there(stage: Stage) -> None:
    place = where(stage, "mixed", CSE_PLAINTEXT)
    upload = place | {"UploadId": stage.direct.create_multipart_upload(**place)["UploadId"]}
    part = {"PartNumber": 1, "ETag": stage.direct.upload_part(**upload, PartNumber=1, Body=b"plain")["ETag"]}
    stage.direct.complete_multipart_upload(**upload, MultipartUpload={"Parts": [part]})
    plain = stage.direct.head_object(**place)["ETag"]
    assert plain.endswith('-1"')
    # The same text would mean a sealed object with another ETag at the store.
    assert fails(lambda: stage.client.put_object(**place, Body=b"x", IfMatch=plain.replace("-1", "-10001")))[0] == 412
    sealed = stage.client.put_object(**place, Body=b"sealed", IfMatch=plain)["ETag"]
    assert fails(lambda: stage.client.put_object(**place, Body=b"x", IfMatch=plain))[0] == 412
    stage.client.put_object(**place, Body=b"again", IfMatch=sealed)
    assert open_stored(stage, place["Bucket"], place["Key"]).plaintext == b"again"


@pytest.mark.parametrize("asked", ["sse-s3", "sse-kms"])
def test_the_clients_own_encryption_is_applied_to_the_sealed_bytes(stage: Stage, asked: str) -> None:
    kms = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": stage.store.kms_key_id}
    own = {"sse-s3": {"ServerSideEncryption": "AES256"}, "sse-kms": kms}[asked]
    place = where(stage, f"own/{asked}")
    put = stage.client.put_object(**place, Body=_DATA[:70_000], **own)
    assert put["ServerSideEncryption"] == own["ServerSideEncryption"]
    opened = open_stored(stage, place["Bucket"], place["Key"])
    assert opened.plaintext == _DATA[:70_000]
    assert opened.head["ServerSideEncryption"] == own["ServerSideEncryption"]
    enforced = where(stage, f"own/{asked}", ENFORCED_CSE)
    assert "ServerSideEncryption" not in stage.client.put_object(**enforced, Body=b"x", **own)
    assert open_stored(stage, enforced["Bucket"], enforced["Key"]).plaintext == b"x"


def test_a_clients_customer_key_is_applied_to_the_sealed_bytes(stage: Stage) -> None:
    place, own = where(stage, "own/customer"), Key.new().arguments()
    put = stage.client.put_object(**place, Body=_DATA[:70_000], **own)
    assert put["SSECustomerAlgorithm"] == "AES256"
    assert open_stored(stage, place["Bucket"], place["Key"], **own).plaintext == _DATA[:70_000]


def test_every_write_is_counted_and_logged_as_cse(stage: Stage) -> None:
    place = where(stage, "counted")
    before = {name: stage.gateway.metric(f"sealgate_sealed_{name}_total") for name in ("objects", "bytes")}
    written = stage.gateway.metric("sealgate_objects_written_total", mode="cse")
    stage.client.put_object(**place, Body=_DATA[:1234])
    assert stage.gateway.metric("sealgate_sealed_objects_total") == before["objects"] + 1
    assert stage.gateway.metric("sealgate_sealed_bytes_total") == before["bytes"] + 1234
    assert stage.gateway.metric("sealgate_objects_written_total", mode="cse") == written + 1
    line = logged(stage.gateway, operation="PutObject", bucket=place["Bucket"], object_key=place["Key"])
    assert line["mode"] == "cse"


# ---------------------------------------------------------------------------------------------------------------- forms


def post(stage: Stage, key: str, data: bytes, more: dict[str, str] | None = None) -> urllib3.BaseHTTPResponse:
    """A form that boto3 signed, as a browser sends it."""
    more = more or {}
    signed = stage.gateway.client(signature_version="s3v4").generate_presigned_post(
        stage.bucket(CSE), key, Fields=dict(more), Conditions=[{name: value} for name, value in more.items()]
    )
    with urllib3.PoolManager(ca_certs=str(stage.gateway.ca_file)) as http:
        parts: dict[str, Any] = {**signed["fields"], "file": ("file.bin", data, "application/octet-stream")}
        return http.request("POST", signed["url"], fields=parts, redirect=False)


@pytest.mark.parametrize("size", [0, 1, 64 * 1024 + 1, 5 * _MIB])
def test_a_form_writes_a_sealed_object(stage: Stage, size: int) -> None:
    answer = post(stage, f"post/{size}", _DATA[:size], {"x-amz-meta-purpose": "form"})
    assert answer.status == 204, answer.data
    assert _SHOWN.fullmatch(answer.headers["ETag"])
    opened = open_stored(stage, stage.bucket(CSE), f"post/{size}")
    assert opened.plaintext == _DATA[:size]
    assert opened.head["Metadata"]["purpose"] == "form"


def test_a_form_shows_the_same_etag_in_its_document(stage: Stage) -> None:
    answer = post(stage, "post/document", b"x", {"success_action_status": "201"})
    assert answer.status == 201
    shown = answer.headers["ETag"]
    assert shown.strip('"').encode() in answer.data
    redirected = post(stage, "post/redirected", b"x", {"success_action_redirect": "https://example.com/done"})
    assert redirected.status == 303
    assert re.search(r"etag=%22[0-9a-f]{32}-1%22", redirected.headers["Location"])


def test_a_forms_marker_and_wrong_checksum_are_refused(stage: Stage) -> None:
    refused = post(stage, "post/marked", b"x", {"x-amz-meta-sealgate": "v1"})
    assert (refused.status, b"<Code>InvalidArgument</Code>" in refused.data) == (400, True)
    wrong = post(stage, "post/wrong", b"x", {"x-amz-checksum-crc32": "AAAAAA=="})
    assert (wrong.status, b"<Code>BadDigest</Code>" in wrong.data) == (400, True)
    assert absent(stage, where(stage, "post/marked"))
    assert absent(stage, where(stage, "post/wrong"))


def test_a_presigned_url_writes_a_sealed_object(stage: Stage) -> None:
    place = where(stage, "presigned")
    url = stage.gateway.client(signature_version="s3v4").generate_presigned_url("put_object", Params=place)
    with urllib3.PoolManager(ca_certs=str(stage.gateway.ca_file)) as http:
        assert http.request("PUT", url, body=_DATA[:100_000]).status == 200
    assert open_stored(stage, place["Bucket"], place["Key"]).plaintext == _DATA[:100_000]
    assert json.dumps(stage.direct.head_object(**place)["Metadata"]) == '{"sealgate": "v1;size=100000"}'
