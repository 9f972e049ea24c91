"""Imagined requests pass the gateway's own parser and verification, and are refused by them too."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.cli.policy.imagined import ImaginedRequest, Proof
from gateway.errors import S3Error
from gateway.s3.authenticate import AuthSettings
from gateway.s3.operation import Operation

_NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
_SSE = "x-amz-server-side-encryption"


@pytest.mark.parametrize("proof", [Proof.HEADER, Proof.PRESIGNED])
@pytest.mark.parametrize(
    ("request_", "operation"),
    [
        (ImaginedRequest("GET"), Operation.LIST_BUCKETS),
        (ImaginedRequest("GET", "bucket"), Operation.LIST_OBJECTS),
        (ImaginedRequest("GET", "bucket", query=(("prefix", "a/ b+c"), ("list-type", "2"))), Operation.LIST_OBJECTS_V2),
        (ImaginedRequest("PUT", "bucket", "a/ä b//../%2F?", ((_SSE, "aws:kms"),)), Operation.PUT_OBJECT),
        (ImaginedRequest("POST", "bucket", "key", query=(("uploads", None),)), Operation.CREATE_MULTIPART_UPLOAD),
        (ImaginedRequest("PUT", "bucket", "key", query=(("acl", None),)), Operation.PUT_OBJECT_ACL),
        (ImaginedRequest("PUT", "bucket", "key", (("x-amz-copy-source", "a/b"),)), Operation.COPY_OBJECT),
        (ImaginedRequest("PUT", "bucket", "k", (("x-amz-meta-a", "1"), ("x-amz-meta-a", "2"))), Operation.PUT_OBJECT),
    ],
    ids=lambda value: value.value if isinstance(value, Operation) else "",
)
def test_signed_requests(proof: Proof, request_: ImaginedRequest, operation: Operation) -> None:
    asked = ImaginedRequest(
        request_.method, request_.bucket, request_.object_key, request_.headers, request_.query, "billing", proof=proof
    )
    verified = asked.verified(_NOW, AuthSettings())
    assert verified.request.operation is operation
    assert (verified.request.bucket, verified.request.object_key) == (request_.bucket, request_.object_key)
    assert verified.identity is not None
    assert verified.identity.name == "billing"
    assert verified.auth_type == ("REST-HEADER" if proof is Proof.HEADER else "REST-QUERY-STRING")
    assert verified.signed_at == _NOW
    for name, value in request_.headers:
        assert value in verified.request.raw.headers.all(name)


def test_a_form_becomes_the_upload_that_it_asks_for() -> None:
    form = ImaginedRequest("POST", "bucket", "a/ä b", ((_SSE.title(), "AES256"),), identity="billing", proof=Proof.FORM)
    verified = form.verified(_NOW, AuthSettings())
    assert verified.request.operation is Operation.PUT_OBJECT
    assert verified.request.object_key == "a/ä b"
    assert verified.auth_type == "POST"
    assert verified.request.raw.headers.get(_SSE) == "AES256"


def test_the_hop_is_the_requests_own() -> None:
    raw = (
        ImaginedRequest("GET", "bucket", scheme="http", source_ip="192.0.2.7")
        .verified(_NOW, AuthSettings())
        .request.raw
    )
    assert (raw.scheme, raw.client_address) == ("http", "192.0.2.7")


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (ImaginedRequest("PUT", "b", "k"), "InvalidBucketName"),
        (ImaginedRequest("PATCH", "bucket", "k"), "MethodNotAllowed"),
        (ImaginedRequest("PUT", "bucket", "k" * 1025), "KeyTooLongError"),
        (ImaginedRequest("PUT", "bucket", "k", query=(("partNumber", "1"),)), "InvalidArgument"),
        (ImaginedRequest("GET", "bucket", age=timedelta(minutes=16)), "RequestTimeTooSkewed"),
        (ImaginedRequest("GET", "bucket", proof=Proof.PRESIGNED, age=timedelta(days=8)), "AccessDenied"),
        (ImaginedRequest("POST", "bucket", "", proof=Proof.FORM), "InvalidArgument"),
        (ImaginedRequest("POST", "bucket", "k", (("x-amz-copy-source", "a/b"),), proof=Proof.FORM), "NotImplemented"),
    ],
    ids=["bucket", "method", "key", "query", "old", "expired", "form without key", "form that copies"],
)
def test_what_the_gateway_refuses_is_refused(request_: ImaginedRequest, code: str) -> None:
    with pytest.raises(S3Error) as refused:
        request_.verified(_NOW, AuthSettings())
    assert refused.value.code == code


def test_a_presigned_url_may_be_days_old() -> None:
    url = ImaginedRequest("GET", "bucket", "key", proof=Proof.PRESIGNED, age=timedelta(days=6))
    assert url.verified(_NOW, AuthSettings()).signed_at == _NOW - timedelta(days=6)


def test_the_description_shows_no_value_of_a_parameter() -> None:
    shown = ImaginedRequest(
        "PUT", "bucket", "key", query=(("X-Amz-Security-Token", "secret"), ("acl", None))
    ).describe()
    assert shown == "PUT s3://bucket/key (X-Amz-Security-Token, acl)"
