"""What weakens encryption, or opens a way around the gateway."""

import pytest

from gateway.policy.gated import GATED, binding_rule, gated_accesses
from gateway.policy.rules import EncryptionRule, ModeName
from gateway.s3.headers import Headers
from gateway.s3.hoist import hoist_query
from gateway.s3.operation import Operation
from gateway.s3.parse import parse_request
from gateway.s3.request import RawRequest

#: One request for each gated operation, with the action that a policy has to allow.
REQUESTS = {
    Operation.CREATE_BUCKET_METADATA_CONFIGURATION: (
        "POST /bucket?metadataConfiguration",
        "CreateBucketMetadataTableConfiguration",
    ),
    Operation.CREATE_BUCKET_METADATA_TABLE_CONFIGURATION: (
        "POST /bucket?metadataTable",
        "CreateBucketMetadataTableConfiguration",
    ),
    Operation.DELETE_BUCKET_ENCRYPTION: ("DELETE /bucket?encryption", "PutEncryptionConfiguration"),
    Operation.DELETE_BUCKET_OWNERSHIP_CONTROLS: ("DELETE /bucket?ownershipControls", "PutBucketOwnershipControls"),
    Operation.DELETE_BUCKET_POLICY: ("DELETE /bucket?policy", "DeleteBucketPolicy"),
    Operation.DELETE_PUBLIC_ACCESS_BLOCK: ("DELETE /bucket?publicAccessBlock", "PutBucketPublicAccessBlock"),
    Operation.PUT_BUCKET_ABAC: ("PUT /bucket?abac", "PutBucketAbac"),
    Operation.PUT_BUCKET_ACL: ("PUT /bucket?acl", "PutBucketAcl"),
    Operation.PUT_BUCKET_ENCRYPTION: ("PUT /bucket?encryption", "PutEncryptionConfiguration"),
    Operation.PUT_BUCKET_INVENTORY_CONFIGURATION: ("PUT /bucket?inventory&id=x", "PutInventoryConfiguration"),
    Operation.PUT_BUCKET_LOGGING: ("PUT /bucket?logging", "PutBucketLogging"),
    Operation.PUT_BUCKET_OWNERSHIP_CONTROLS: ("PUT /bucket?ownershipControls", "PutBucketOwnershipControls"),
    Operation.PUT_BUCKET_POLICY: ("PUT /bucket?policy", "PutBucketPolicy"),
    Operation.PUT_BUCKET_REPLICATION: ("PUT /bucket?replication", "PutReplicationConfiguration"),
    Operation.PUT_BUCKET_WEBSITE: ("PUT /bucket?website", "PutBucketWebsite"),
    Operation.PUT_OBJECT_ACL: ("PUT /bucket/k?acl", "PutObjectAcl"),
    Operation.PUT_PUBLIC_ACCESS_BLOCK: ("PUT /bucket?publicAccessBlock", "PutBucketPublicAccessBlock"),
    Operation.UPDATE_BUCKET_METADATA_ANNOTATION_TABLE_CONFIGURATION: (
        "PUT /bucket?metadataAnnotationTable",
        "UpdateBucketMetadataAnnotationTableConfiguration",
    ),
    Operation.UPDATE_BUCKET_METADATA_INVENTORY_TABLE_CONFIGURATION: (
        "PUT /bucket?metadataInventoryTable",
        "UpdateBucketMetadataInventoryTableConfiguration",
    ),
    Operation.UPDATE_BUCKET_METADATA_JOURNAL_TABLE_CONFIGURATION: (
        "PUT /bucket?metadataJournalTable",
        "UpdateBucketMetadataJournalTableConfiguration",
    ),
    Operation.UPDATE_OBJECT_ENCRYPTION: ("PUT /bucket/k?encryption", "UpdateObjectEncryption"),
}


def _asked(line: str, headers: dict[str, str] | None = None) -> tuple[Operation, list[str]]:
    method, _, target = line.partition(" ")
    path, _, query = target.partition("?")
    fields = Headers((("host", "gateway"), *(headers or {}).items()))
    request = parse_request(RawRequest(method, path, query, fields, "https", "127.0.0.1", "0" * 16), ())
    return request.operation, [access.action for access in gated_accesses(hoist_query(request))]


@pytest.mark.parametrize("operation", sorted(REQUESTS, key=str), ids=str)
def test_gated_operations(operation: Operation) -> None:
    line, action = REQUESTS[operation]
    assert _asked(line) == (operation, [f"s3:{action}"])


def test_every_gated_operation_is_here() -> None:
    assert REQUESTS.keys() == GATED


@pytest.mark.parametrize(
    ("line", "headers", "actions"),
    [
        ("PUT /bucket/k", {}, []),
        ("PUT /bucket/k", {"x-amz-acl": "private"}, []),
        ("PUT /bucket/k", {"x-amz-acl": "bucket-owner-full-control"}, []),
        ("PUT /bucket/k", {"x-amz-acl": "public-read"}, ["s3:PutObjectAcl"]),
        ("PUT /bucket/k?x-amz-acl=public-read", {}, ["s3:PutObjectAcl"]),
        ("PUT /bucket/k", {"x-amz-acl": "authenticated-read", "x-amz-tagging": "a=b"}, ["s3:PutObjectAcl"]),
        ("PUT /bucket/k", {"x-amz-acl": "something-new"}, ["s3:PutObjectAcl"]),
        ("PUT /bucket/k", {"x-amz-grant-read": "uri=everybody"}, ["s3:PutObjectAcl"]),
        ("PUT /bucket/k", {"x-amz-copy-source": "bucket/l", "x-amz-acl": "public-read"}, ["s3:PutObjectAcl"]),
        ("POST /bucket/k?uploads", {"x-amz-acl": "public-read"}, ["s3:PutObjectAcl"]),
        ("PUT /bucket", {"x-amz-acl": "public-read-write"}, ["s3:PutBucketAcl"]),
        ("PUT /bucket", {"x-amz-object-ownership": "ObjectWriter"}, ["s3:PutBucketOwnershipControls"]),
        ("PUT /bucket", {"x-amz-object-ownership": "BucketOwnerEnforced"}, []),
        ("GET /bucket?policy", {}, []),
        ("DELETE /bucket?replication", {}, []),
        ("DELETE /bucket?website", {}, []),
        ("PUT /bucket?versioning", {}, []),
        ("PUT /bucket?lifecycle", {}, []),
        ("PUT /bucket/k?tagging", {}, []),
        ("DELETE /bucket/k", {}, []),
    ],
)
def test_header_fields_can_open_a_way_too(line: str, headers: dict[str, str], actions: list[str]) -> None:
    assert _asked(line, headers)[1] == actions


def test_binding_rule() -> None:
    """The rule about the object; for a bucket, any rule about some object in it."""
    loose = EncryptionRule("loose", ("b",), ("open/",), ModeName.SSE_S3)
    strict = EncryptionRule("strict", ("b", "c"), (), ModeName.SSE_S3, refuse_others=True)
    mine = EncryptionRule("mine", ("d",), (), ModeName.SSE_S3, enforce=True, identities=("ann",))
    rest = EncryptionRule("rest", ("*",), (), ModeName.NONE)
    rules = (loose, strict, mine, rest)
    assert binding_rule(rules, "b", None) is strict
    assert binding_rule(rules, "b", "open/k") is None
    assert binding_rule(rules, "b", "k") is strict
    assert binding_rule(rules, "d", "k") is mine
    assert binding_rule(rules, "e", None) is None
