"""An unmodified client under every encryption: what it writes is what it reads, and the store holds it encrypted."""

import gzip
import io
import random
from typing import Any

import pytest
import urllib3
from boto3.s3.transfer import TransferConfig

from tests.e2e.stage import DERIVED, ENCRYPTIONS, SSE_C, SSE_KMS, Stage, expected_at_store, fails, stored_encryption

_MIB = 1024 * 1024
_SIZES = (0, 1, 64 * 1024, 64 * 1024 + 1, 5 * _MIB)
_DATA = random.Random(7).randbytes(20 * _MIB)


@pytest.fixture(params=ENCRYPTIONS)
def encryption(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def _proven(encryption: str, answer: dict[str, Any]) -> bool:
    """Whether an answer states the encryption of its bucket."""
    shown = {"none": None, "sse-s3": "AES256", "sse-kms": "aws:kms", "sse-c": None}[expected_at_store(encryption)]
    customer = "AES256" if expected_at_store(encryption) == "sse-c" else None
    return (answer.get("ServerSideEncryption"), answer.get("SSECustomerAlgorithm")) == (shown, customer)


@pytest.mark.parametrize("size", _SIZES)
def test_an_object_comes_back_as_it_was_written_and_is_stored_encrypted(
    stage: Stage, encryption: str, size: int
) -> None:
    bucket, key, data = stage.bucket(encryption), f"put/{size} ä+%.bin", _DATA[:size]
    put = stage.client.put_object(Bucket=bucket, Key=key, Body=data, Metadata={"purpose": "test"})
    got = stage.client.get_object(Bucket=bucket, Key=key)
    assert got["Body"].read() == data
    head = stage.client.head_object(Bucket=bucket, Key=key)
    assert head["ContentLength"] == size
    assert head["ETag"] == got["ETag"] == put["ETag"]
    assert head["Metadata"] == {"purpose": "test"}
    assert all(_proven(encryption, answer) for answer in (put, got, head))
    assert stored_encryption(stage, encryption, key) == expected_at_store(encryption)


@pytest.mark.parametrize(
    ("wanted", "status", "expected"),
    [
        ("bytes=0-0", 206, _DATA[:1]),
        ("bytes=65535-65537", 206, _DATA[65535:65538]),
        ("bytes=-5", 206, _DATA[199_995:200_000]),
        ("bytes=199999-300000", 206, _DATA[199_999:200_000]),
    ],
)
def test_a_range_is_that_part_of_the_plaintext(
    stage: Stage, encryption: str, wanted: str, status: int, expected: bytes
) -> None:
    bucket = stage.bucket(encryption)
    stage.client.put_object(Bucket=bucket, Key="ranges", Body=_DATA[:200_000])
    got = stage.client.get_object(Bucket=bucket, Key="ranges", Range=wanted)
    assert got["ResponseMetadata"]["HTTPStatusCode"] == status
    assert got["Body"].read() == expected
    assert got["ContentRange"].endswith("/200000")


def test_a_range_behind_the_end_is_refused(stage: Stage, encryption: str) -> None:
    bucket = stage.bucket(encryption)
    stage.client.put_object(Bucket=bucket, Key="short", Body=b"short")
    refused = fails(lambda: stage.client.get_object(Bucket=bucket, Key="short", Range="bytes=5-9"))
    assert refused[:2] == (416, "InvalidRange")


def test_a_multipart_upload_is_put_together_and_encrypted(stage: Stage, encryption: str) -> None:
    bucket = stage.bucket(encryption)
    settings = TransferConfig(multipart_threshold=5 * _MIB, multipart_chunksize=5 * _MIB, max_concurrency=4)
    stage.client.upload_fileobj(io.BytesIO(_DATA), bucket, "multi/ä part", Config=settings)
    got = stage.client.get_object(Bucket=bucket, Key="multi/ä part")
    assert got["Body"].read() == _DATA
    assert got["ETag"].endswith('-4"')
    assert _proven(encryption, got)
    assert stored_encryption(stage, encryption, "multi/ä part") == expected_at_store(encryption)
    across = stage.client.get_object(Bucket=bucket, Key="multi/ä part", Range=f"bytes={5 * _MIB - 3}-{5 * _MIB + 2}")
    assert across["Body"].read() == _DATA[5 * _MIB - 3 : 5 * _MIB + 3]


@pytest.mark.parametrize("size", [0, 70_000])
def test_a_presigned_link_writes_and_reads_with_nothing_but_the_link(stage: Stage, encryption: str, size: int) -> None:
    bucket, data = stage.bucket(encryption), _DATA[:size]
    where = {"Bucket": bucket, "Key": f"presigned/{size} +ä"}
    signer = stage.gateway.client(signature_version="s3v4")
    with urllib3.PoolManager(ca_certs=str(stage.gateway.ca_file)) as http:
        put = http.request("PUT", signer.generate_presigned_url("put_object", where), body=data)
        assert put.status == 200, put.data
        got = http.request("GET", signer.generate_presigned_url("get_object", where))
        head = http.request("HEAD", signer.generate_presigned_url("head_object", where))
    assert (got.status, got.data) == (200, data)
    assert (head.status, head.headers["Content-Length"]) == (200, str(size))
    assert stored_encryption(stage, encryption, where["Key"]) == expected_at_store(encryption)


def test_listings_show_the_size_of_the_plaintext_and_one_etag(stage: Stage, encryption: str) -> None:
    bucket = stage.bucket(encryption)
    put = stage.client.put_object(Bucket=bucket, Key="listed/one", Body=_DATA[:1234])
    (listed,) = stage.client.list_objects_v2(Bucket=bucket, Prefix="listed/")["Contents"]
    assert (listed["Size"], listed["ETag"]) == (1234, put["ETag"])


def test_many_objects_are_deleted_at_once(stage: Stage, encryption: str) -> None:
    bucket = stage.bucket(encryption)
    keys = [f"delete/{number} &<ä>" for number in range(5)]
    for key in keys:
        stage.client.put_object(Bucket=bucket, Key=key, Body=b"x")
    answer = stage.client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
    assert sorted(deleted["Key"] for deleted in answer["Deleted"]) == keys
    assert "Contents" not in stage.client.list_objects_v2(Bucket=bucket, Prefix="delete/")


def test_tags_of_objects_are_written_read_and_removed(stage: Stage, encryption: str) -> None:
    where = {"Bucket": stage.bucket(encryption), "Key": "tagged"}
    stage.client.put_object(**where, Body=b"x", Tagging="first=1&second=a%20b")
    tags = stage.client.get_object_tagging(**where)["TagSet"]
    assert sorted((tag["Key"], tag["Value"]) for tag in tags) == [("first", "1"), ("second", "a b")]
    stage.client.put_object_tagging(**where, Tagging={"TagSet": [{"Key": "third", "Value": "3"}]})
    assert stage.client.get_object_tagging(**where)["TagSet"] == [{"Key": "third", "Value": "3"}]
    stage.client.delete_object_tagging(**where)
    assert stage.client.get_object_tagging(**where)["TagSet"] == []


def test_a_gzip_body_stays_as_it_is_and_keeps_its_encoding(stage: Stage, encryption: str) -> None:
    packed = gzip.compress(b"packed by the client " * 5000)
    where = {"Bucket": stage.bucket(encryption), "Key": "packed.gz"}
    stage.client.put_object(
        **where, Body=packed, ContentEncoding="gzip", ContentType="text/plain", CacheControl="max-age=60",
        ContentDisposition='attachment; filename="a b"', ContentLanguage="de",
    )  # fmt: skip
    got = stage.client.get_object(**where)
    assert got["Body"].read() == packed
    assert (got["ContentEncoding"], got["ContentType"], got["CacheControl"]) == ("gzip", "text/plain", "max-age=60")
    assert (got["ContentDisposition"], got["ContentLanguage"]) == ('attachment; filename="a b"', "de")
    raw = stage.ask("GET", f"/{where['Bucket']}/packed.gz", headers={"accept-encoding": "gzip, deflate, br"})
    assert raw.body == packed
    assert raw.headers["Content-Encoding"] == "gzip"


def test_an_upload_in_pieces_is_not_stored_as_aws_chunked(stage: Stage, encryption: str) -> None:
    where = {"Bucket": stage.bucket(encryption), "Key": "framed"}
    stage.client.put_object(**where, Body=_DATA[:100_000])
    assert "ContentEncoding" not in stage.client.head_object(**where)


def test_conditions_of_reads_and_writes_reach_the_store(stage: Stage, encryption: str) -> None:
    where = {"Bucket": stage.bucket(encryption), "Key": "conditional"}
    etag = stage.client.put_object(**where, Body=b"first")["ETag"]
    assert fails(lambda: stage.client.get_object(**where, IfNoneMatch=etag))[0] == 304
    assert fails(lambda: stage.client.get_object(**where, IfMatch='"0"'))[0] == 412
    assert fails(lambda: stage.client.put_object(**where, Body=b"second", IfNoneMatch="*"))[0] == 412
    assert stage.client.get_object(**where, IfMatch=etag)["Body"].read() == b"first"


def test_a_missing_object_is_missing(stage: Stage, encryption: str) -> None:
    where = {"Bucket": stage.bucket(encryption), "Key": "not there"}
    assert fails(lambda: stage.client.get_object(**where))[:2] == (404, "NoSuchKey")
    assert fails(lambda: stage.client.head_object(**where))[0] == 404


@pytest.mark.parametrize("encryption", [SSE_C, DERIVED])
def test_the_store_refuses_a_customer_keys_object_without_the_key(stage: Stage, encryption: str) -> None:
    where = {"Bucket": stage.bucket(encryption), "Key": "refused"}
    stage.client.put_object(**where, Body=b"secret")
    assert fails(lambda: stage.direct.get_object(**where))[0] == 400
    assert fails(lambda: stage.direct.head_object(**where))[0] == 400


def test_sse_kms_objects_name_the_key_of_the_rule(stage: Stage) -> None:
    where = {"Bucket": stage.bucket(SSE_KMS), "Key": "kms"}
    stage.client.put_object(**where, Body=b"x")
    assert stage.direct.head_object(**where)["SSEKMSKeyId"] == stage.store.kms_key_id


def test_object_attributes_are_read_with_the_key(stage: Stage, encryption: str) -> None:
    where = {"Bucket": stage.bucket(encryption), "Key": "attributes"}
    stage.client.put_object(**where, Body=_DATA[:300])
    attributes = stage.client.get_object_attributes(**where, ObjectAttributes=["ObjectSize", "ETag"])
    assert attributes["ObjectSize"] == 300


def test_reads_and_writes_are_counted_by_their_encryption(stage: Stage, encryption: str) -> None:
    mode = expected_at_store(encryption)
    where = {"Bucket": stage.bucket(encryption), "Key": "counted"}

    def counts() -> tuple[float, float, float]:
        return (
            stage.gateway.metric("sealgate_objects_written_total", mode=mode),
            stage.gateway.metric("sealgate_objects_read_total", mode=mode),
            stage.gateway.metric("sealgate_encryption_injected_total", mode=mode),
        )

    before = counts()
    stage.client.put_object(**where, Body=b"x")
    stage.client.get_object(**where)["Body"].read()
    injected = 0 if mode == "none" else 1
    assert counts() == (before[0] + 1, before[1] + 1, before[2] + injected)
    assert stage.last_logged("PutObject", where["Bucket"], "counted")["mode"] == mode
    assert stage.last_logged("GetObject", where["Bucket"], "counted")["mode"] == mode


def test_a_presigned_link_of_somebody_elses_object_does_not_work(stage: Stage) -> None:
    bucket = stage.bucket(SSE_C)
    stage.client.put_object(Bucket=bucket, Key="mine", Body=b"x")
    signer = stage.gateway.client(signature_version="s3v4")
    link = signer.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "other"})
    with urllib3.PoolManager(ca_certs=str(stage.gateway.ca_file)) as http:
        got = http.request("GET", link.replace("/other?", "/mine?"))
    assert got.status == 403
    assert b"<Code>SignatureDoesNotMatch</Code>" in got.data
