"""Encryption that clients ask for themselves: kept, or replaced where the rule says so; and what S3 says to misuse."""

from typing import Any

import pytest
import urllib3

from tests.e2e.stage import (
    DERIVED,
    ENFORCED_C,
    ENFORCED_KMS,
    ENFORCED_S3,
    NONE,
    SSE_C,
    SSE_KMS,
    SSE_S3,
    Stage,
    fails,
    stored_encryption,
)
from tests.e2e.wire import Key

_SSE = "x-amz-server-side-encryption"
_MUST = "Requests specifying Server Side Encryption with Customer provided keys must provide"
_KEY = Key(b"k" * 32)
_TRIO = _KEY.fields()
_ALGORITHM, _KEY_FIELD, _MD5_FIELD = _TRIO


def _own(stage: Stage, asked: str) -> dict[str, Any]:
    """What a client adds to ask for an encryption itself."""
    return {
        "sse-s3": {"ServerSideEncryption": "AES256"},
        "sse-kms": {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": stage.store.kms_key_id},
        "sse-c": Key.new().arguments(),
    }[asked]


@pytest.mark.parametrize("asked", ["sse-s3", "sse-kms", "sse-c"])
@pytest.mark.parametrize("encryption", [NONE, SSE_S3, SSE_KMS, SSE_C, DERIVED])
def test_a_clients_own_encryption_is_kept(stage: Stage, encryption: str, asked: str) -> None:
    where = {"Bucket": stage.bucket(encryption), "Key": f"own/{asked}"}
    own = _own(stage, asked)
    overridden = stage.gateway.metric("sealgate_encryption_overridden_total")
    injected = stage.gateway.metric("sealgate_encryption_injected_total")
    stage.client.put_object(**where, Body=b"own", **own)
    assert stored_encryption(stage, encryption, where["Key"]) == asked
    key = own if asked == "sse-c" else {}
    assert stage.client.get_object(**where, **key)["Body"].read() == b"own"
    assert stage.client.head_object(**where, **key)["ContentLength"] == 3
    assert stage.gateway.metric("sealgate_encryption_overridden_total") == overridden
    assert stage.gateway.metric("sealgate_encryption_injected_total") == injected
    line = stage.last_logged("PutObject", where["Bucket"], where["Key"])
    assert (line["mode"], line["encryption_source"]) == (asked, "client")


@pytest.mark.parametrize("asked", ["sse-s3", "sse-kms", "sse-c"])
@pytest.mark.parametrize(
    ("encryption", "stored"), [(ENFORCED_S3, "sse-s3"), (ENFORCED_KMS, "sse-kms"), (ENFORCED_C, "sse-c")]
)
def test_an_enforced_rule_replaces_a_clients_own_encryption(
    stage: Stage, encryption: str, stored: str, asked: str
) -> None:
    where = {"Bucket": stage.bucket(encryption), "Key": f"enforced/{asked}"}
    own = _own(stage, asked)
    before = stage.gateway.metric("sealgate_encryption_overridden_total", from_mode=asked, to_mode=stored)
    stage.client.put_object(**where, Body=b"own", **own)
    assert stored_encryption(stage, encryption, where["Key"]) == stored
    assert stage.client.get_object(**where)["Body"].read() == b"own"
    if asked == "sse-c":
        assert stage.client.get_object(**where, **own)["Body"].read() == b"own"
    after = stage.gateway.metric("sealgate_encryption_overridden_total", from_mode=asked, to_mode=stored)
    assert after == before + 1
    line = stage.last_logged("PutObject", where["Bucket"], where["Key"])
    assert (line["mode"], line["encryption_source"]) == (stored, "overridden")


@pytest.mark.parametrize("asked", ["sse-s3", "sse-kms", "sse-c"])
def test_an_enforced_rule_replaces_the_encryption_of_a_multipart_upload(stage: Stage, asked: str) -> None:
    where = {"Bucket": stage.bucket(ENFORCED_C), "Key": f"enforced-multipart/{asked}"}
    own = _own(stage, asked)
    upload = where | {"UploadId": stage.client.create_multipart_upload(**where, **own)["UploadId"]}
    part_key = own if asked == "sse-c" else {}
    etag = stage.client.upload_part(**upload, PartNumber=1, Body=b"part", **part_key)["ETag"]
    stage.client.complete_multipart_upload(
        **upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}, **part_key
    )
    assert stage.client.get_object(**where)["Body"].read() == b"part"
    assert stored_encryption(stage, ENFORCED_C, where["Key"]) == "sse-c"
    if asked == "sse-c":
        assert fails(lambda: stage.direct.get_object(**where, **own))[0] == 403


def test_a_multipart_upload_under_a_clients_key_is_read_with_that_key(stage: Stage) -> None:
    where, own = {"Bucket": stage.bucket(SSE_KMS), "Key": "own multipart"}, Key.new().arguments()
    upload = where | {"UploadId": stage.client.create_multipart_upload(**where, **own)["UploadId"]}
    etag = stage.client.upload_part(**upload, PartNumber=1, Body=b"part", **own)["ETag"]
    stage.client.complete_multipart_upload(
        **upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}, **own
    )
    assert stage.client.get_object(**where, **own)["Body"].read() == b"part"
    assert stored_encryption(stage, SSE_KMS, where["Key"]) == "sse-c"


@pytest.mark.parametrize(
    ("headers", "code", "message"),
    [
        (
            {_SSE: "AES256", **_TRIO},
            "InvalidArgument",
            "Server Side Encryption with Customer provided key is incompatible with the encryption method specified",
        ),
        (
            _TRIO | {_ALGORITHM: "AES128"},
            "InvalidEncryptionAlgorithmError",
            "The Encryption request you specified is not valid. Supported value: AES256.",
        ),
        (
            {_KEY_FIELD: _KEY.base64, _MD5_FIELD: _KEY.md5},
            "InvalidArgument",
            f"{_MUST} a valid encryption algorithm.",
        ),
        ({_ALGORITHM: "AES256"}, "InvalidArgument", f"{_MUST} an appropriate secret key."),
        (
            {_ALGORITHM: "AES256", _KEY_FIELD: _KEY.base64},
            "InvalidArgument",
            f"{_MUST} the client calculated MD5 of the secret key.",
        ),
        (
            _TRIO | {_MD5_FIELD: Key(b"l" * 32).md5},
            "InvalidArgument",
            "The calculated MD5 hash of the key did not match the hash that was provided.",
        ),
        (Key(b"k" * 31).fields(), "InvalidArgument", "The secret key was invalid for the specified algorithm."),
        (Key(b"k" * 33).fields(), "InvalidArgument", "The secret key was invalid for the specified algorithm."),
        (
            _TRIO | {_KEY_FIELD: "not base64!"},
            "InvalidArgument",
            "The secret key was invalid for the specified algorithm.",
        ),
        (
            {f"{_SSE}-aws-kms-key-id": "some-key"},
            "InvalidArgument",
            (
                "Server Side Encryption with AWS KMS managed key requires HTTP header "
                "x-amz-server-side-encryption : aws:kms"
            ),
        ),
        (
            {_SSE: "AES256", f"{_SSE}-aws-kms-key-id": "some-key"},
            "InvalidArgument",
            (
                "Server Side Encryption with AWS KMS managed key requires HTTP header "
                "x-amz-server-side-encryption : aws:kms"
            ),
        ),
        ({_SSE: "AES512"}, "InvalidArgument", "The encryption method specified is not supported"),
        ({_SSE: ""}, "InvalidArgument", "The encryption method specified is not supported"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("operation", ["PUT", "POST ?uploads"])
@pytest.mark.parametrize("encryption", [NONE, ENFORCED_C])
def test_contradicting_encryption_headers_are_refused_in_s3s_words(
    stage: Stage, encryption: str, operation: str, headers: dict[str, str], code: str, message: str
) -> None:
    method, _, query = operation.partition(" ")
    target = f"/{stage.bucket(encryption)}/misuse{query}"
    answer = stage.ask(method, target, headers=headers, body=b"x" if method == "PUT" else b"")
    assert (answer.status, answer.code, answer.message) == (400, code, message)
    if "ArgumentName" in answer.body.decode():
        assert answer.text_of("ArgumentName") == _SSE
    assert _KEY.base64 not in answer.body.decode()
    assert stage.ask("HEAD", f"/{stage.bucket(encryption)}/misuse").status == 404


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT part"])
def test_the_method_of_encryption_belongs_to_requests_that_create_objects(stage: Stage, method: str) -> None:
    where = {"Bucket": stage.bucket(SSE_S3), "Key": "method"}
    stage.client.put_object(**where, Body=b"x")
    verb, _, part = method.partition(" ")
    query = f"?partNumber=1&uploadId={stage.client.create_multipart_upload(**where)['UploadId']}" if part else ""
    answer = stage.ask(verb, f"/{where['Bucket']}/method{query}", headers={_SSE: "AES256"})
    assert answer.status == 400
    if verb != "HEAD":
        expected = "x-amz-server-side-encryption header is not supported for this operation."
        assert (answer.code, answer.message) == ("InvalidArgument", expected)


@pytest.mark.parametrize(("method", "status"), [("get_object", 403), ("head_object", 403)])
@pytest.mark.parametrize("encryption", [NONE, SSE_C, ENFORCED_C])
def test_a_wrong_key_reads_nothing(stage: Stage, encryption: str, method: str, status: int) -> None:
    where = {"Bucket": stage.bucket(encryption), "Key": f"wrong key {method}"}
    stage.direct.put_object(**where, Body=b"foreign", **Key.new().arguments())
    read = getattr(stage.client, method)
    answer = fails(lambda: read(**where, **Key.new().arguments()))
    if encryption == ENFORCED_C:  # the last attempt was without a key
        assert answer[0] == 400
    else:
        assert answer[0] == status


@pytest.mark.parametrize("encryption", [NONE, SSE_C, DERIVED])
def test_an_object_under_a_foreign_key_is_not_read_without_it(stage: Stage, encryption: str) -> None:
    where, key = {"Bucket": stage.bucket(encryption), "Key": "foreign"}, Key.new()
    stage.direct.put_object(**where, Body=b"foreign", **key.arguments())
    assert fails(lambda: stage.client.get_object(**where))[0] == 400
    assert fails(lambda: stage.client.head_object(**where))[0] == 400
    assert stage.client.get_object(**where, **key.arguments())["Body"].read() == b"foreign"


def test_parts_need_the_key_that_their_upload_began_with(stage: Stage) -> None:
    where, key = {"Bucket": stage.bucket(NONE), "Key": "part keys"}, Key.new()
    upload = where | {"UploadId": stage.client.create_multipart_upload(**where, **key.arguments())["UploadId"]}
    missing = fails(lambda: stage.client.upload_part(**upload, PartNumber=1, Body=b"x"))
    assert missing == (
        400,
        "InvalidRequest",
        (
            "The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate "
            "encryption parameters."
        ),
    )
    other = fails(lambda: stage.client.upload_part(**upload, PartNumber=1, Body=b"x", **Key.new().arguments()))
    assert other == (
        400, "InvalidRequest", "The provided encryption parameters did not match the ones used originally.",
    )  # fmt: skip
    assert "Parts" not in stage.client.list_parts(**upload)
    stage.client.abort_multipart_upload(**upload)


def test_a_part_with_a_key_does_not_fit_an_upload_without(stage: Stage) -> None:
    where = {"Bucket": stage.bucket(SSE_S3), "Key": "part key"}
    upload = where | {"UploadId": stage.client.create_multipart_upload(**where)["UploadId"]}
    refused = fails(lambda: stage.client.upload_part(**upload, PartNumber=1, Body=b"x", **Key.new().arguments()))
    assert refused[:2] == (400, "InvalidRequest")
    stage.client.abort_multipart_upload(**upload)


@pytest.mark.parametrize("asked", ["sse-s3", "sse-c"])
def test_encryption_may_stand_in_the_query_of_a_presigned_link(stage: Stage, asked: str) -> None:
    where, key = {"Bucket": stage.bucket(NONE), "Key": f"query/{asked}"}, Key.new()
    fields = {_SSE: "AES256"} if asked == "sse-s3" else key.fields()
    url = _presigned_with_query(stage, "put_object", where, fields)
    with urllib3.PoolManager(ca_certs=str(stage.gateway.ca_file)) as http:
        put = http.request("PUT", url, body=b"query")
        assert put.status == 200, put.data
        assert stored_encryption(stage, NONE, where["Key"]) == asked
        read = _presigned_with_query(stage, "get_object", where, fields if asked == "sse-c" else {})
        assert http.request("GET", read).data == b"query"
        conflict = http.request("PUT", url, body=b"x", headers={next(iter(fields)): "other"})
    assert conflict.status in {400, 403}
    text = stage.gateway.log_file.read_text(errors="replace") + stage.scrape()
    assert key.base64 not in text


def _presigned_with_query(stage: Stage, method: str, where: dict[str, str], fields: dict[str, str]) -> str:
    """A link whose query carries header fields, as SDKs that hoist them make it."""
    client = stage.gateway.client(signature_version="s3v4")

    def add(request: Any, **_: Any) -> None:
        request.params = {**(request.params or {}), **fields}

    client.meta.events.register("before-sign.s3", add)
    url: str = client.generate_presigned_url(method, where)
    return url
