"""Which of IAM's actions a request asks for, and about which resource."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import S3Error
from gateway.policy.iam.actions import ASKED_ACTIONS, accesses_of, deletion_accesses, object_arn
from gateway.policy.iam.decision import Access
from gateway.s3.headers import Headers
from gateway.s3.operation import UNSUPPORTED, Operation
from gateway.s3.parse import parse_request
from gateway.s3.query import Query
from gateway.s3.request import RawRequest, S3Request

_BUCKET = "arn:aws:s3:::bucket"
_OBJECT = "arn:aws:s3:::bucket/folder/key"
_SOURCE = "arn:aws:s3:::other/from"

#: What is done to a bucket, and the last part of the action's name: query, then the method's action.
_BUCKET_CASES = {
    "abac": {"GET": "GetBucketAbac", "PUT": "PutBucketAbac"},
    "accelerate": {"GET": "GetAccelerateConfiguration", "PUT": "PutAccelerateConfiguration"},
    "acl": {"GET": "GetBucketAcl", "PUT": "PutBucketAcl"},
    "analytics": {"GET": "GetAnalyticsConfiguration"},
    "analytics&id=1": {
        "GET": "GetAnalyticsConfiguration",
        "PUT": "PutAnalyticsConfiguration",
        "DELETE": "PutAnalyticsConfiguration",
    },
    "cors": {"GET": "GetBucketCORS", "PUT": "PutBucketCORS", "DELETE": "PutBucketCORS"},
    "encryption": {
        "GET": "GetEncryptionConfiguration",
        "PUT": "PutEncryptionConfiguration",
        "DELETE": "PutEncryptionConfiguration",
    },
    "intelligent-tiering": {"GET": "GetIntelligentTieringConfiguration"},
    "intelligent-tiering&id=1": {
        "GET": "GetIntelligentTieringConfiguration",
        "PUT": "PutIntelligentTieringConfiguration",
        "DELETE": "PutIntelligentTieringConfiguration",
    },
    "inventory": {"GET": "GetInventoryConfiguration"},
    "inventory&id=1": {
        "GET": "GetInventoryConfiguration",
        "PUT": "PutInventoryConfiguration",
        "DELETE": "PutInventoryConfiguration",
    },
    "lifecycle": {
        "GET": "GetLifecycleConfiguration",
        "PUT": "PutLifecycleConfiguration",
        "DELETE": "PutLifecycleConfiguration",
    },
    "list-type=2": {"GET": "ListBucket"},
    "location": {"GET": "GetBucketLocation"},
    "logging": {"GET": "GetBucketLogging", "PUT": "PutBucketLogging"},
    "metadataAnnotationTable": {"PUT": "UpdateBucketMetadataAnnotationTableConfiguration"},
    "metadataConfiguration": {
        "GET": "GetBucketMetadataTableConfiguration",
        "POST": "CreateBucketMetadataTableConfiguration",
        "DELETE": "DeleteBucketMetadataTableConfiguration",
    },
    "metadataInventoryTable": {"PUT": "UpdateBucketMetadataInventoryTableConfiguration"},
    "metadataJournalTable": {"PUT": "UpdateBucketMetadataJournalTableConfiguration"},
    "metadataTable": {
        "GET": "GetBucketMetadataTableConfiguration",
        "POST": "CreateBucketMetadataTableConfiguration",
        "DELETE": "DeleteBucketMetadataTableConfiguration",
    },
    "metrics": {"GET": "GetMetricsConfiguration"},
    "metrics&id=1": {
        "GET": "GetMetricsConfiguration",
        "PUT": "PutMetricsConfiguration",
        "DELETE": "PutMetricsConfiguration",
    },
    "notification": {"GET": "GetBucketNotification", "PUT": "PutBucketNotification"},
    "object-lock": {"GET": "GetBucketObjectLockConfiguration", "PUT": "PutBucketObjectLockConfiguration"},
    "ownershipControls": {
        "GET": "GetBucketOwnershipControls",
        "PUT": "PutBucketOwnershipControls",
        "DELETE": "PutBucketOwnershipControls",
    },
    "policy": {"GET": "GetBucketPolicy", "PUT": "PutBucketPolicy", "DELETE": "DeleteBucketPolicy"},
    "policyStatus": {"GET": "GetBucketPolicyStatus"},
    "publicAccessBlock": {
        "GET": "GetBucketPublicAccessBlock",
        "PUT": "PutBucketPublicAccessBlock",
        "DELETE": "PutBucketPublicAccessBlock",
    },
    "replication": {
        "GET": "GetReplicationConfiguration",
        "PUT": "PutReplicationConfiguration",
        "DELETE": "PutReplicationConfiguration",
    },
    "requestPayment": {"GET": "GetBucketRequestPayment", "PUT": "PutBucketRequestPayment"},
    "tagging": {"GET": "GetBucketTagging", "PUT": "PutBucketTagging", "DELETE": "PutBucketTagging"},
    "uploads": {"GET": "ListBucketMultipartUploads"},
    "versioning": {"GET": "GetBucketVersioning", "PUT": "PutBucketVersioning"},
    "versions": {"GET": "ListBucketVersions"},
    "website": {"GET": "GetBucketWebsite", "PUT": "PutBucketWebsite", "DELETE": "DeleteBucketWebsite"},
    "": {"GET": "ListBucket", "HEAD": "ListBucket", "PUT": "CreateBucket", "DELETE": "DeleteBucket"},
}
#: The same for an object; several actions are separated by blanks.
_OBJECT_CASES = {
    "": {"GET": "GetObject", "HEAD": "GetObject", "PUT": "PutObject", "DELETE": "DeleteObject"},
    "acl": {"GET": "GetObjectAcl", "PUT": "PutObjectAcl"},
    "acl&versionId=v": {"GET": "GetObjectVersionAcl", "PUT": "PutObjectVersionAcl"},
    "annotation": {"GET": "ListObjectAnnotations"},
    "annotation&annotationName=a": {
        "GET": "GetObjectAnnotation",
        "PUT": "PutObjectAnnotation",
        "DELETE": "DeleteObjectAnnotation",
    },
    "annotation&annotationName=a&versionId=v": {
        "GET": "GetObjectVersionAnnotation",
        "PUT": "PutObjectVersionAnnotation",
        "DELETE": "DeleteObjectVersionAnnotation",
    },
    "annotation&versionId=v": {"GET": "ListObjectVersionAnnotations"},
    "attributes": {"GET": "GetObject GetObjectAttributes"},
    "attributes&versionId=v": {"GET": "GetObjectVersion GetObjectVersionAttributes"},
    "encryption": {"PUT": "UpdateObjectEncryption PutObject"},
    "legal-hold": {"GET": "GetObjectLegalHold", "PUT": "PutObjectLegalHold"},
    "partNumber=1&uploadId=u": {"PUT": "PutObject"},
    "restore": {"POST": "RestoreObject"},
    "retention": {"GET": "GetObjectRetention", "PUT": "PutObjectRetention"},
    "select&select-type=2": {"POST": "GetObject"},
    "tagging": {"GET": "GetObjectTagging", "PUT": "PutObjectTagging", "DELETE": "DeleteObjectTagging"},
    "tagging&versionId=v": {
        "GET": "GetObjectVersionTagging",
        "PUT": "PutObjectVersionTagging",
        "DELETE": "DeleteObjectVersionTagging",
    },
    "torrent": {"GET": "GetObject GetObjectTorrent"},
    "uploadId=u": {"GET": "ListMultipartUploadParts", "POST": "PutObject", "DELETE": "AbortMultipartUpload"},
    "uploads": {"POST": "PutObject"},
    "versionId=v": {"GET": "GetObjectVersion", "HEAD": "GetObjectVersion", "DELETE": "DeleteObjectVersion"},
    # Servers that take an empty version id at all take it for the current version.
    "versionId=": {"GET": "GetObject", "HEAD": "GetObject", "DELETE": "DeleteObject"},
}
_CASES = [
    (method, f"{path}?{query}" if query else path, resource, actions)
    for path, resource, cases in (("/bucket", _BUCKET, _BUCKET_CASES), ("/bucket/folder/key", _OBJECT, _OBJECT_CASES))
    for query, by_method in cases.items()
    for method, actions in by_method.items()
]


def _request(method: str, target: str, headers: dict[str, str] | list[tuple[str, str]] | None = None) -> S3Request:
    path, _, query = target.partition("?")
    fields = headers.items() if isinstance(headers, dict) else headers or ()
    raw = RawRequest(method, path, query, Headers((("host", "h"), *fields)), "https", "127.0.0.1", "0" * 16)
    return parse_request(raw, ())


def _asked(method: str, target: str, headers: dict[str, str] | list[tuple[str, str]] | None = None) -> list[str]:
    accesses = accesses_of(_request(method, target, headers))
    return [f"{access.action.removeprefix('s3:')} {access.resource}" for access in accesses]


@pytest.mark.parametrize(("method", "target", "resource", "actions"), _CASES)
def test_the_operations_action(method: str, target: str, resource: str, actions: str) -> None:
    assert _asked(method, target) == [f"{action} {resource}" for action in actions.split()]


def test_every_operation_has_its_row() -> None:
    """Also the ones that are recognised by more than their query."""
    asked = {_request(method, target).operation for method, target, _, _ in _CASES}
    elsewhere = {
        Operation.COPY_OBJECT,
        Operation.CORS_PREFLIGHT,
        Operation.DELETE_OBJECTS,
        Operation.LIST_BUCKETS,
        Operation.POST_OBJECT,
        Operation.UPLOAD_PART_COPY,
    }
    assert asked | elsewhere | UNSUPPORTED == set(Operation)
    assert not asked & (elsewhere | UNSUPPORTED)


@pytest.mark.parametrize("operation", list(Operation), ids=lambda operation: operation.value)
def test_every_operation_is_covered(operation: Operation) -> None:
    """Whatever the gateway may learn to serve, a policy is asked about it."""
    request = replace(_request("PUT", "/bucket/key", {"x-amz-copy-source": "a-bucket/b"}), operation=operation)
    asked = {access.action for access in accesses_of(request)}
    assert asked <= ASKED_ACTIONS
    assert bool(asked) is (operation not in {Operation.CORS_PREFLIGHT, Operation.DELETE_OBJECTS})


def test_buckets_are_listed_for_nobodys_resource() -> None:
    assert _asked("GET", "/") == ["ListAllMyBuckets *"]


def test_a_preflight_asks_nothing() -> None:
    assert _asked("OPTIONS", "/bucket/folder/key") == []


def test_a_form_is_about_every_key_until_its_own_is_known() -> None:
    form = {"content-type": "multipart/form-data; boundary=x"}
    assert _asked("POST", "/bucket", form) == [f"PutObject {_BUCKET}/*"]


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("other/from", f"GetObject {_SOURCE}"),
        ("/other/from", f"GetObject {_SOURCE}"),
        ("%2Fother%2Ffrom", f"GetObject {_SOURCE}"),
        ("other/from?versionId=v", f"GetObjectVersion {_SOURCE}"),
        ("other/a+b%2Bc", "GetObject arn:aws:s3:::other/a b+c"),
    ],
)
@pytest.mark.parametrize("target", ["/bucket/folder/key", "/bucket/folder/key?partNumber=1&uploadId=u"])
def test_a_copy_reads_its_source(target: str, source: str, wanted: str) -> None:
    assert _asked("PUT", target, {"x-amz-copy-source": source}) == [f"PutObject {_OBJECT}", wanted]


def test_a_copy_in_a_presigned_url_reads_its_source() -> None:
    assert _asked("PUT", "/bucket/folder/key?x-amz-copy-source=other%2Ffrom")[1:] == [f"GetObject {_SOURCE}"]


@pytest.mark.parametrize("source", ["", "other", "/", "a/b", "other/from?versionId=", "%"])
def test_a_copy_of_nothing_that_exists_is_refused(source: str) -> None:
    with pytest.raises(S3Error):
        accesses_of(_request("PUT", "/bucket/folder/key", {"x-amz-copy-source": source}))


_NEW_OBJECT_CASES = [
    ({"x-amz-acl": "private"}, "PutObjectAcl"),
    ({"x-amz-grant-read": "id=1"}, "PutObjectAcl"),
    ({"x-amz-grant-read-acp": "id=1"}, "PutObjectAcl"),
    ({"x-amz-grant-write": "id=1"}, "PutObjectAcl"),
    ({"x-amz-grant-write-acp": "id=1"}, "PutObjectAcl"),
    ({"x-amz-grant-full-control": "id=1", "x-amz-acl": "private"}, "PutObjectAcl"),
    ({"X-Amz-Tagging": "a=b"}, "PutObjectTagging"),
    ({"x-amz-tagging": "false"}, "PutObjectTagging"),
    ({"x-amz-object-lock-mode": "GOVERNANCE"}, "PutObjectRetention"),
    ({"x-amz-object-lock-retain-until-date": "2030-01-01T00:00:00Z"}, "PutObjectRetention"),
    ({"x-amz-object-lock-legal-hold": "ON"}, "PutObjectLegalHold"),
    ({"x-amz-acl": "private", "x-amz-tagging": "a=b"}, "PutObjectAcl PutObjectTagging"),
    ({"x-amz-acl": ""}, ""),
    ({"x-amz-acl": " "}, ""),
    ({"x-amz-tagging": ""}, ""),
    ({"x-amz-meta-acl": "private"}, ""),
]


@pytest.mark.parametrize(("headers", "actions"), _NEW_OBJECT_CASES)
@pytest.mark.parametrize(("method", "target"), [("PUT", "/bucket/folder/key"), ("POST", "/bucket/folder/key?uploads")])
def test_what_header_fields_ask_for_beside_a_new_object(
    method: str, target: str, headers: dict[str, str], actions: str
) -> None:
    assert _asked(method, target, headers) == [f"{action} {_OBJECT}" for action in ("PutObject", *actions.split())]


@pytest.mark.parametrize(("headers", "actions"), _NEW_OBJECT_CASES)
def test_what_header_fields_ask_for_beside_a_copy(headers: dict[str, str], actions: str) -> None:
    asked = _asked("PUT", "/bucket/folder/key", {**headers, "x-amz-copy-source": "other/from"})
    assert asked == [
        *(f"{action} {_OBJECT}" for action in ("PutObject", *actions.split())),
        f"GetObject {_SOURCE}",
    ]


def test_an_empty_field_does_not_hide_the_one_behind_it() -> None:
    asked = _asked("PUT", "/bucket/folder/key", [("x-amz-acl", ""), ("x-amz-acl", "public-read")])
    assert asked == [f"PutObject {_OBJECT}", f"PutObjectAcl {_OBJECT}"]


def test_a_field_in_the_query_of_a_presigned_url_asks_for_the_same() -> None:
    assert _asked("PUT", "/bucket/folder/key?X-Amz-Tagging=a%3Db")[1:] == [f"PutObjectTagging {_OBJECT}"]


@pytest.mark.parametrize(
    ("method", "target", "name", "value", "action"),
    [
        ("PUT", "/bucket", "x-amz-acl", "public-read", "PutBucketAcl"),
        ("PUT", "/bucket", "x-amz-grant-write", "id=1", "PutBucketAcl"),
        ("PUT", "/bucket", "x-amz-bucket-object-lock-enabled", "true", "PutBucketObjectLockConfiguration"),
        ("PUT", "/bucket", "x-amz-bucket-object-lock-enabled", "False", ""),
        ("PUT", "/bucket", "x-amz-object-ownership", "ObjectWriter", "PutBucketOwnershipControls"),
        ("DELETE", "/bucket/folder/key", "x-amz-bypass-governance-retention", "true", "BypassGovernanceRetention"),
        ("DELETE", "/bucket/folder/key", "x-amz-bypass-governance-retention", "TRUE", "BypassGovernanceRetention"),
        ("DELETE", "/bucket/folder/key", "x-amz-bypass-governance-retention", "false", ""),
        ("PUT", "/bucket/folder/key?retention", "x-amz-bypass-governance-retention", "1", "BypassGovernanceRetention"),
        ("GET", "/bucket/folder/key", "x-amz-acl", "private", ""),
    ],
)
def test_what_header_fields_ask_for_elsewhere(method: str, target: str, name: str, value: str, action: str) -> None:
    resource = _BUCKET if target == "/bucket" else _OBJECT
    assert _asked(method, target, {name: value})[1:] == ([f"{action} {resource}"] if action else [])


@pytest.mark.parametrize(
    ("version_id", "headers", "actions"),
    [
        (None, {}, ["DeleteObject"]),
        ("", {}, ["DeleteObject"]),
        ("v", {}, ["DeleteObjectVersion"]),
        ("v", {"x-amz-bypass-governance-retention": "true"}, ["DeleteObjectVersion", "BypassGovernanceRetention"]),
    ],
)
def test_deletions_are_asked_key_by_key(version_id: str | None, headers: dict[str, str], actions: list[str]) -> None:
    request = _request("POST", "/bucket?delete", headers)
    assert accesses_of(request) == ()
    wanted = tuple(Access(f"s3:{action}", f"{_BUCKET}/a*b/?") for action in actions)
    assert deletion_accesses(request, "a*b/?", version_id) == wanted


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=80))
def test_an_object_key_is_part_of_the_resource_as_it_is(object_key: str) -> None:
    """Percent-encoding, slashes, dots, stars and question marks mean nothing to the resource."""
    request = _request("GET", "/bucket/" + Query().with_values([(object_key, None)]).render())
    assert accesses_of(request) == (Access("s3:GetObject", f"{_BUCKET}/{object_key}"),)


def test_bytes_that_are_no_text_survive() -> None:
    assert object_arn("bucket", "\udc80key").encode("utf-8", "surrogateescape") == b"arn:aws:s3:::bucket/\x80key"
