"""A success that does not prove its encryption is an error: to the client, in the metrics and in the log."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from aiohttp import web

from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.openbao import OpenBao
from tests.e2e.lying_store import LyingStore, Seen
from tests.e2e.stage import DSSE, NONE, SSE_S3, Stage, fails, logged

_KEY_ID = "arn:aws:kms:us-east-1:111122223333:key/0a0a0a0a-0000-4000-8000-000000000001"
_OTHER_KEY_ID = "arn:aws:kms:us-east-1:111122223333:key/0b0b0b0b-0000-4000-8000-000000000002"
_BLOCKED = (
    "Access Denied. The bucket has blocked upload requests that specify Server Side Encryption with Customer provided "
    "keys (SSE-C). Please specify a different server-side encryption type"
)


def _requires_an_error(stage: Stage, encryption: str, mode: str, *, server_refuses: str | None = None) -> None:
    """Every way to write into a bucket fails, and is counted and logged, but for what the server refuses itself."""
    bucket, client = stage.bucket(encryption), stage.client
    source = {"Bucket": stage.bucket(NONE), "Key": "unproven source"}
    client.put_object(**source, Body=b"x")
    upload = client.create_multipart_upload(Bucket=bucket, Key="unproven part")
    where = {"Bucket": bucket, "Key": "unproven part", "UploadId": upload["UploadId"], "PartNumber": 1}
    writes: dict[str, Any] = {
        "PutObject": lambda: client.put_object(Bucket=bucket, Key="unproven put", Body=b"x"),
        "UploadPart": lambda: client.upload_part(**where, Body=b"x"),
        "UploadPartCopy": lambda: client.upload_part_copy(**where, CopySource=source),
        "CopyObject": lambda: client.copy_object(Bucket=bucket, Key="unproven copy", CopySource=source),
    }
    if server_refuses is not None:
        assert 400 <= fails(writes.pop(server_refuses))[0] < 500
    for operation, write in writes.items():
        before = stage.gateway.metric("sealgate_encryption_unproven_total", mode=mode)
        written = stage.gateway.metric("sealgate_objects_written_total", mode=mode)
        status, code, message = fails(write)
        assert (status, code) == (501, "NotImplemented"), operation
        assert mode in message
        assert "not encrypted" in message
        assert stage.gateway.metric("sealgate_encryption_unproven_total", mode=mode) == before + 1, operation
        assert stage.gateway.metric("sealgate_objects_written_total", mode=mode) == written, operation
        line = logged(stage.gateway, operation=operation, bucket=bucket, status=501)
        assert (line["error_code"], line["mode"]) == ("NotImplemented", mode)
    signed = stage.gateway.client(signature_version="s3v4").generate_presigned_post(bucket, "unproven form")
    with urllib3.PoolManager(ca_certs=str(stage.gateway.ca_file)) as http:
        answer = http.request("POST", signed["url"], fields={**signed["fields"], "file": ("f", b"x")})
    assert (answer.status, b"<Code>NotImplemented</Code>" in answer.data) == (501, True)


def test_a_store_without_dsse_is_found_out(stage: Stage) -> None:
    _requires_an_error(stage, DSSE, "dsse-kms", server_refuses="CopyObject")


@pytest.mark.slow
def test_a_store_without_sse_s3_is_found_out(rgw_stage: Stage) -> None:
    _requires_an_error(rgw_stage, SSE_S3, "sse-s3")


class Lie:
    """A gateway before a lying store."""

    def __init__(self, store: LyingStore, gateway: Gateway) -> None:
        self.store = store
        self.gateway = gateway
        self.client = gateway.client(retries={"max_attempts": 0})

    def answers(self, answer: Any) -> None:
        """From now on the store answers so."""
        self.store.seen.clear()
        self.store.answer = answer


@pytest.fixture(scope="module")
def lie(lab_directory: Path, authority: CertificateAuthority, openbao: OpenBao) -> Iterator[Lie]:
    openbao.put_secret("s3/lying", {"key": "Nm4vK2h1b1B3eFkzZlJ2Y0w5c0F0UTdnRDFqWkJlTWs="})
    rules = [
        {"name": "s3", "buckets": ["sses3"], "mode": "sse-s3"},
        {"name": "kms", "buckets": ["kms"], "mode": "sse-kms", "kms_key_arn": _KEY_ID},
        {"name": "dsse", "buckets": ["dsse"], "mode": "dsse-kms", "kms_key_arn": _KEY_ID},
        {"name": "customer", "buckets": ["customer"], "mode": "sse-c", "customer_key": "lab"},
        {"name": "rest", "buckets": ["*"], "mode": "none"},
    ]
    store = LyingStore(authority)
    store.start()
    gateway = Gateway(
        lab_directory / "lying", authority, store, rules=rules, vault=openbao, customer_keys={"lab": "s3/lying"}
    )
    gateway.start()
    yield Lie(store, gateway)
    gateway.stop()
    store.stop()


@pytest.mark.parametrize(
    ("bucket", "mode", "shown"),
    [
        ("sses3", "sse-s3", {}),
        ("sses3", "sse-s3", {"x-amz-server-side-encryption": "aws:kms"}),
        ("kms", "sse-kms", {}),
        ("kms", "sse-kms", {"x-amz-server-side-encryption": "AES256"}),
        ("kms", "sse-kms", {"x-amz-server-side-encryption": "aws:kms"}),
        (
            "kms",
            "sse-kms",
            {
                "x-amz-server-side-encryption": "aws:kms",
                "x-amz-server-side-encryption-aws-kms-key-id": _OTHER_KEY_ID,
            },
        ),
        (
            "dsse",
            "dsse-kms",
            {"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": _KEY_ID},
        ),
        ("customer", "sse-c", {}),
        ("customer", "sse-c", {"x-amz-server-side-encryption-customer-algorithm": "AES256"}),
        (
            "customer",
            "sse-c",
            {
                "x-amz-server-side-encryption-customer-algorithm": "AES256",
                "x-amz-server-side-encryption-customer-key-MD5": "AAAAAAAAAAAAAAAAAAAAAA==",
            },
        ),
    ],
)
def test_a_put_that_shows_no_or_another_encryption_is_an_error(
    lie: Lie, bucket: str, mode: str, shown: dict[str, str]
) -> None:
    lie.answers(lambda _: web.Response(headers={"ETag": '"0"', **shown}))
    before = lie.gateway.metric("sealgate_encryption_unproven_total", mode=mode)
    refused = fails(lambda: lie.client.put_object(Bucket=bucket, Key="x", Body=b"x"))
    assert refused[:2] == (501, "NotImplemented")
    assert lie.gateway.metric("sealgate_encryption_unproven_total", mode=mode) == before + 1
    assert len(lie.store.seen) == 1


def _created(shown: dict[str, str]) -> web.Response:
    body = "<InitiateMultipartUploadResult><UploadId>abc</UploadId></InitiateMultipartUploadResult>"
    return web.Response(text=body, content_type="application/xml", headers=shown)


def test_an_upload_created_with_another_encryption_is_aborted(lie: Lie) -> None:
    lie.answers(lambda seen: _created({"x-amz-server-side-encryption": "AES256"}) if seen.method == "POST" else None)
    refused = fails(lambda: lie.client.create_multipart_upload(Bucket="kms", Key="x"))
    assert refused[:2] == (501, "NotImplemented")
    abort = lie.store.seen[-1]
    assert (abort.method, abort.target) == ("DELETE", "/kms/x?uploadId=abc")


def test_an_upload_created_in_silence_has_to_prove_itself_with_its_parts(lie: Lie) -> None:
    lie.answers(lambda seen: _created({}) if seen.method == "POST" else None)
    upload = lie.client.create_multipart_upload(Bucket="kms", Key="x")["UploadId"]
    refused = fails(lambda: lie.client.upload_part(Bucket="kms", Key="x", UploadId=upload, PartNumber=1, Body=b"x"))
    assert refused[:2] == (501, "NotImplemented")


_ERROR = "<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>"
_PARTS = {"Parts": [{"PartNumber": 1, "ETag": '"0"'}]}


def _late_error(seen: Seen) -> web.Response:
    return web.Response(text=_ERROR, content_type="application/xml")


@pytest.mark.parametrize("operation", ["CompleteMultipartUpload", "CopyObject"])
def test_an_error_inside_a_success_counts_as_an_error(lie: Lie, operation: str) -> None:
    lie.answers(_late_error)
    written = lie.gateway.metric("sealgate_objects_written_total")
    failed = lie.gateway.metric("sealgate_requests_total", operation=operation, status_class="5xx")
    calls: dict[str, Any] = {
        "CompleteMultipartUpload": lambda: lie.client.complete_multipart_upload(
            Bucket="plain", Key="late", UploadId="abc", MultipartUpload=_PARTS
        ),
        "CopyObject": lambda: lie.client.copy_object(
            Bucket="plain", Key="late", CopySource={"Bucket": "plain", "Key": "source"}
        ),
    }
    assert fails(calls[operation])[1] == "InternalError"
    assert lie.gateway.metric("sealgate_objects_written_total") == written
    line = logged(lie.gateway, operation=operation, object_key="late", status=500)
    assert (line["error_code"], line["upstream_status"]) == ("InternalError", 200)
    assert lie.gateway.metric("sealgate_requests_total", operation=operation, status_class="5xx") > failed


def _blocks(seen: Seen) -> web.Response:
    body = f"<Error><Code>AccessDenied</Code><Message>{_BLOCKED}</Message></Error>"
    return web.Response(status=403, text=body, content_type="application/xml")


@pytest.mark.parametrize("operation", ["PutObject", "CreateMultipartUpload", "CopyObject"])
def test_a_bucket_that_blocks_sse_c_is_explained(lie: Lie, operation: str) -> None:
    lie.answers(_blocks)
    blocked = lie.gateway.metric("sealgate_sse_c_blocked_total")
    calls: dict[str, Any] = {
        "PutObject": lambda: lie.client.put_object(Bucket="customer", Key="x", Body=b"x"),
        "CreateMultipartUpload": lambda: lie.client.create_multipart_upload(Bucket="customer", Key="x"),
        "CopyObject": lambda: lie.client.copy_object(
            Bucket="customer", Key="x", CopySource={"Bucket": "plain", "Key": "source"}
        ),
    }
    status, code, message = fails(calls[operation])
    assert (status, code) == (403, "AccessDenied")
    assert message.startswith(_BLOCKED)
    assert "PutBucketEncryption" in message
    assert "sealgate doctor" in message
    assert lie.gateway.metric("sealgate_sse_c_blocked_total") == blocked + 1


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_redirect_is_not_followed_with_the_customer_key(lie: Lie, status: int) -> None:
    elsewhere = "https://localhost:1/steal"
    lie.answers(lambda _: web.Response(status=status, headers={"Location": elsewhere}))
    assert fails(lambda: lie.client.put_object(Bucket="customer", Key="x", Body=b"x"))[0] >= 300
    assert all(seen.target.startswith("/customer") for seen in lie.store.seen)
    answer = lie.gateway.log_file.read_text(errors="replace")
    assert "steal" not in answer
