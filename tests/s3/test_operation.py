"""Operations are recognised by method, level and the presence of query keys."""

from typing import Any

import botocore.session
import pytest
from botocore.model import OperationModel
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import S3Error
from gateway.s3.headers import Headers
from gateway.s3.operation import FOREIGN_SUB_RESOURCES, OPERATIONS, SUB_RESOURCES, UNSUPPORTED, Operation, recognise
from gateway.s3.operation_table import Level
from gateway.s3.query import Query

# Every operation of the S3 service model with its method and URI.
EVERY_OPERATION = """
AbortMultipartUpload DELETE /B/K?uploadId
CompleteMultipartUpload POST /B/K?uploadId
CopyObject PUT /B/K
CreateBucket PUT /B
CreateBucketMetadataConfiguration POST /B?metadataConfiguration
CreateBucketMetadataTableConfiguration POST /B?metadataTable
CreateMultipartUpload POST /B/K?uploads
CreateSession GET /B?session
DeleteBucket DELETE /B
DeleteBucketAnalyticsConfiguration DELETE /B?analytics&id
DeleteBucketCors DELETE /B?cors
DeleteBucketEncryption DELETE /B?encryption
DeleteBucketIntelligentTieringConfiguration DELETE /B?intelligent-tiering&id
DeleteBucketInventoryConfiguration DELETE /B?inventory&id
DeleteBucketLifecycle DELETE /B?lifecycle
DeleteBucketMetadataConfiguration DELETE /B?metadataConfiguration
DeleteBucketMetadataTableConfiguration DELETE /B?metadataTable
DeleteBucketMetricsConfiguration DELETE /B?metrics&id
DeleteBucketOwnershipControls DELETE /B?ownershipControls
DeleteBucketPolicy DELETE /B?policy
DeleteBucketReplication DELETE /B?replication
DeleteBucketTagging DELETE /B?tagging
DeleteBucketWebsite DELETE /B?website
DeleteObject DELETE /B/K
DeleteObjectAnnotation DELETE /B/K?annotation&annotationName
DeleteObjectTagging DELETE /B/K?tagging
DeleteObjects POST /B?delete
DeletePublicAccessBlock DELETE /B?publicAccessBlock
GetBucketAbac GET /B?abac
GetBucketAccelerateConfiguration GET /B?accelerate
GetBucketAcl GET /B?acl
GetBucketAnalyticsConfiguration GET /B?analytics&id
GetBucketCors GET /B?cors
GetBucketEncryption GET /B?encryption
GetBucketIntelligentTieringConfiguration GET /B?intelligent-tiering&id
GetBucketInventoryConfiguration GET /B?inventory&id
GetBucketLifecycle GET /B?lifecycle
GetBucketLifecycleConfiguration GET /B?lifecycle
GetBucketLocation GET /B?location
GetBucketLogging GET /B?logging
GetBucketMetadataConfiguration GET /B?metadataConfiguration
GetBucketMetadataTableConfiguration GET /B?metadataTable
GetBucketMetricsConfiguration GET /B?metrics&id
GetBucketNotification GET /B?notification
GetBucketNotificationConfiguration GET /B?notification
GetBucketOwnershipControls GET /B?ownershipControls
GetBucketPolicy GET /B?policy
GetBucketPolicyStatus GET /B?policyStatus
GetBucketReplication GET /B?replication
GetBucketRequestPayment GET /B?requestPayment
GetBucketTagging GET /B?tagging
GetBucketVersioning GET /B?versioning
GetBucketWebsite GET /B?website
GetObject GET /B/K?partNumber
GetObjectAcl GET /B/K?acl
GetObjectAnnotation GET /B/K?annotation&annotationName
GetObjectAttributes GET /B/K?attributes
GetObjectLegalHold GET /B/K?legal-hold
GetObjectLockConfiguration GET /B?object-lock
GetObjectRetention GET /B/K?retention
GetObjectTagging GET /B/K?tagging
GetObjectTorrent GET /B/K?torrent
GetPublicAccessBlock GET /B?publicAccessBlock
HeadBucket HEAD /B
HeadObject HEAD /B/K?partNumber
ListBucketAnalyticsConfigurations GET /B?analytics
ListBucketIntelligentTieringConfigurations GET /B?intelligent-tiering
ListBucketInventoryConfigurations GET /B?inventory
ListBucketMetricsConfigurations GET /B?metrics
ListBuckets GET /
ListDirectoryBuckets GET /
ListMultipartUploads GET /B?uploads
ListObjectAnnotations GET /B/K?annotation
ListObjectVersions GET /B?versions
ListObjects GET /B
ListObjectsV2 GET /B?list-type=2
ListParts GET /B/K?uploadId
PutBucketAbac PUT /B?abac
PutBucketAccelerateConfiguration PUT /B?accelerate
PutBucketAcl PUT /B?acl
PutBucketAnalyticsConfiguration PUT /B?analytics&id
PutBucketCors PUT /B?cors
PutBucketEncryption PUT /B?encryption
PutBucketIntelligentTieringConfiguration PUT /B?intelligent-tiering&id
PutBucketInventoryConfiguration PUT /B?inventory&id
PutBucketLifecycle PUT /B?lifecycle
PutBucketLifecycleConfiguration PUT /B?lifecycle
PutBucketLogging PUT /B?logging
PutBucketMetricsConfiguration PUT /B?metrics&id
PutBucketNotification PUT /B?notification
PutBucketNotificationConfiguration PUT /B?notification
PutBucketOwnershipControls PUT /B?ownershipControls
PutBucketPolicy PUT /B?policy
PutBucketReplication PUT /B?replication
PutBucketRequestPayment PUT /B?requestPayment
PutBucketTagging PUT /B?tagging
PutBucketVersioning PUT /B?versioning
PutBucketWebsite PUT /B?website
PutObject PUT /B/K
PutObjectAcl PUT /B/K?acl
PutObjectAnnotation PUT /B/K?annotation&annotationName
PutObjectLegalHold PUT /B/K?legal-hold
PutObjectLockConfiguration PUT /B?object-lock
PutObjectRetention PUT /B/K?retention
PutObjectTagging PUT /B/K?tagging
PutPublicAccessBlock PUT /B?publicAccessBlock
RenameObject PUT /B/K?renameObject
RestoreObject POST /B/K?restore
SelectObjectContent POST /B/K?select&select-type=2
UpdateBucketMetadataAnnotationTableConfiguration PUT /B?metadataAnnotationTable
UpdateBucketMetadataInventoryTableConfiguration PUT /B?metadataInventoryTable
UpdateBucketMetadataJournalTableConfiguration PUT /B?metadataJournalTable
UpdateObjectEncryption PUT /B/K?encryption
UploadPart PUT /B/K?partNumber&uploadId
UploadPartCopy PUT /B/K?partNumber&uploadId
WriteGetObjectResponse POST /WriteGetObjectResponse
"""

#: Older names of the same request.
RENAMED = {
    "GetBucketLifecycle": "GetBucketLifecycleConfiguration",
    "GetBucketNotification": "GetBucketNotificationConfiguration",
    "PutBucketLifecycle": "PutBucketLifecycleConfiguration",
    "PutBucketNotification": "PutBucketNotificationConfiguration",
    "ListDirectoryBuckets": "ListBuckets",
}
NOT_SERVED = {"CreateSession", "RenameObject", "WriteGetObjectResponse"}
LEVELS: dict[str, Level] = {"/": "service", "/B": "bucket", "/B/K": "object", "/WriteGetObjectResponse": "bucket"}
HEADERS = {
    "CopyObject": {"x-amz-copy-source": "/other/key"},
    "UploadPartCopy": {"x-amz-copy-source": "/other/key"},
    "WriteGetObjectResponse": {"x-amz-request-route": "route"},
}
FORM = Headers([("Content-Type", "Multipart/Form-Data; boundary=x")])
COPY = Headers([("x-amz-copy-source", "/b/k")])


def rows() -> list[tuple[str, str, Level, str]]:
    found = []
    for line in EVERY_OPERATION.split("\n"):
        if line:
            name, method, uri = line.split(" ")
            path, _, query = uri.partition("?")
            found.append((name, method, LEVELS[path], query))
    return found


ROWS = rows()


def recognised(method: str, level: Level, query: str, headers: Headers | None = None) -> Operation:
    return recognise(method, level, Query.parse(query), headers or Headers())


def refusal(method: str, level: Level, query: str, headers: Headers | None = None) -> S3Error:
    with pytest.raises(S3Error) as caught:
        recognised(method, level, query, headers)
    return caught.value


def test_the_table_is_complete() -> None:
    assert len(ROWS) == 116
    names = {RENAMED.get(name, name) for name, *_ in ROWS} | {"PostObject", "CorsPreflight"}
    assert {operation.value for operation in Operation} == names
    assert all(info.name == operation.value for operation, info in OPERATIONS.items())


@pytest.mark.parametrize("spelling", ["", "=", "=x"])
@pytest.mark.parametrize(("name", "method", "level", "query"), ROWS, ids=[row[0] for row in ROWS])
def test_every_operation(name: str, method: str, level: Level, query: str, spelling: str) -> None:
    """A key counts whether or not it has a value; ``list-type`` and ``select-type`` have one value only."""
    sent = "&".join(key if "=" in key else key + spelling for key in query.split("&")) if query else ""
    headers = Headers(HEADERS.get(name, {}).items())
    if name in NOT_SERVED:
        assert refusal(method, level, sent, headers).code == "NotImplemented"
    else:
        assert recognised(method, level, sent, headers).value == RENAMED.get(name, name)


@pytest.mark.parametrize(("name", "method", "level", "query"), ROWS, ids=[row[0] for row in ROWS])
def test_plain_parameters_do_not_disturb(name: str, method: str, level: Level, query: str) -> None:
    """Presigned parameters of both versions, the SDKs' x-id, response overrides, empty and unknown parameters."""
    extra = (
        f"x-id={name}&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2Fb&X-Amz-Date=20260101T000000Z&X-Amz-Expires=60"
        "&X-Amz-SignedHeaders=host&X-Amz-Security-Token=&X-Amz-Signature=00&AWSAccessKeyId=A&Expires=1&Signature=x"
        "&response-content-type=text%2Fplain&response-expires=&versionId=&prefix=&delimiter=%2F&marker=uploads"
        "&encoding-type=url&max-keys=1&start-after=delete&unknown=tagging&x-amz-server-side-encryption=AES256"
    )
    headers = Headers(HEADERS.get(name, {}).items())
    sent = f"{extra}&{query}" if query else extra
    if name in NOT_SERVED:
        assert refusal(method, level, sent, headers).code == "NotImplemented"
    else:
        assert recognised(method, level, sent, headers).value == RENAMED.get(name, name)


@pytest.mark.parametrize("word", sorted(SUB_RESOURCES | FOREIGN_SUB_RESOURCES))
@pytest.mark.parametrize("parameter", ["prefix", "delimiter", "marker", "start-after", "unknown", "x-id"])
def test_values_that_look_like_sub_resources_route_nothing(word: str, parameter: str) -> None:
    assert recognised("GET", "bucket", f"{parameter}={word}") is Operation.LIST_OBJECTS
    assert recognised("GET", "bucket", f"list-type=2&{parameter}=a%26{word}%3D1") is Operation.LIST_OBJECTS_V2
    assert recognised("PUT", "object", f"{parameter}={word}%3F{word}") is Operation.PUT_OBJECT


@pytest.mark.parametrize(
    ("method", "level", "query", "headers", "operation"),
    [
        ("GET", "bucket", "versions&prefix=uploads", None, Operation.LIST_OBJECT_VERSIONS),
        ("GET", "bucket", "uploads&prefix=versions", None, Operation.LIST_MULTIPART_UPLOADS),
        ("GET", "bucket", "analytics&id=", None, Operation.GET_BUCKET_ANALYTICS_CONFIGURATION),
        ("GET", "bucket", "id=5", None, Operation.LIST_OBJECTS),
        ("GET", "bucket", "metrics&continuation-token=x", None, Operation.LIST_BUCKET_METRICS_CONFIGURATIONS),
        ("PUT", "bucket", "encryption", None, Operation.PUT_BUCKET_ENCRYPTION),
        ("PUT", "object", "encryption", None, Operation.UPDATE_OBJECT_ENCRYPTION),
        ("PUT", "bucket", "tagging", None, Operation.PUT_BUCKET_TAGGING),
        ("PUT", "object", "tagging", None, Operation.PUT_OBJECT_TAGGING),
        ("GET", "object", "partNumber=2", None, Operation.GET_OBJECT),
        ("HEAD", "object", "partNumber=2&versionId=x", None, Operation.HEAD_OBJECT),
        ("GET", "object", "uploadId=x&part-number-marker=3", None, Operation.LIST_PARTS),
        ("GET", "object", "annotationName=x", None, Operation.GET_OBJECT),
        ("PUT", "object", "uploadId=x&partNumber=1", COPY, Operation.UPLOAD_PART_COPY),
        ("PUT", "object", "", COPY, Operation.COPY_OBJECT),
        ("PUT", "object", "X-Amz-Copy-Source=%2Fb%2Fk&Signature=x", None, Operation.COPY_OBJECT),
        ("PUT", "object", "acl", COPY, Operation.PUT_OBJECT_ACL),
        ("GET", "object", "", COPY, Operation.GET_OBJECT),
        ("PUT", "bucket", "", COPY, Operation.CREATE_BUCKET),
        ("POST", "bucket", "", FORM, Operation.POST_OBJECT),
        ("POST", "bucket", "delete", FORM, Operation.DELETE_OBJECTS),
        ("OPTIONS", "object", "", None, Operation.CORS_PREFLIGHT),
        ("OPTIONS", "bucket", "uploads&foo", None, Operation.CORS_PREFLIGHT),
        ("GET", "object", "&&", None, Operation.GET_OBJECT),
        ("GET", "bucket", "u%70loads", None, Operation.LIST_MULTIPART_UPLOADS),
    ],
)
def test_ambiguous_requests(
    method: str, level: Level, query: str, headers: Headers | None, operation: Operation
) -> None:
    assert recognised(method, level, query, headers) is operation


@pytest.mark.parametrize(
    ("method", "level", "query", "code"),
    [
        # Known sub-resources without such a method, or of the other level.
        ("HEAD", "object", "tagging", "MethodNotAllowed"),
        ("HEAD", "object", "uploadId=x", "MethodNotAllowed"),
        ("HEAD", "bucket", "location", "MethodNotAllowed"),
        ("POST", "object", "delete", "MethodNotAllowed"),
        ("POST", "bucket", "uploads", "MethodNotAllowed"),
        ("GET", "object", "uploads", "MethodNotAllowed"),
        ("GET", "object", "versions", "MethodNotAllowed"),
        ("GET", "object", "list-type=2", "MethodNotAllowed"),
        ("PUT", "bucket", "versions", "MethodNotAllowed"),
        ("PUT", "bucket", "list-type=2", "MethodNotAllowed"),
        ("DELETE", "bucket", "acl", "MethodNotAllowed"),
        ("GET", "bucket", "legal-hold", "MethodNotAllowed"),
        ("GET", "service", "acl", "MethodNotAllowed"),
        # Methods.
        ("POST", "object", "", "MethodNotAllowed"),
        ("PATCH", "object", "", "MethodNotAllowed"),
        ("get", "object", "", "MethodNotAllowed"),
        ("", "object", "", "MethodNotAllowed"),
        ("CONNECT", "bucket", "", "MethodNotAllowed"),
        ("HEAD", "service", "", "MethodNotAllowed"),
        ("PUT", "service", "", "MethodNotAllowed"),
        ("OPTIONS", "service", "", "MethodNotAllowed"),
        # A form upload without a form.
        ("POST", "bucket", "", "PreconditionFailed"),
        # Unknown sub-resources.
        ("GET", "bucket", "foo", "NotImplemented"),
        ("GET", "bucket", "foo=", "NotImplemented"),
        ("PUT", "object", "Tagging", "NotImplemented"),
        ("PUT", "object", "ACL&acl", "NotImplemented"),
        ("GET", "service", "usage", "NotImplemented"),
        # Parameters that contradict each other.
        ("GET", "bucket", "uploads&versions", "InvalidArgument"),
        ("GET", "bucket", "versions&list-type=2", "InvalidArgument"),
        ("POST", "object", "uploads&uploadId=x", "InvalidArgument"),
        ("PUT", "object", "acl&tagging", "InvalidArgument"),
        ("GET", "object", "uploadId=x&partNumber=1", "InvalidArgument"),
        ("PUT", "object", "acl&partNumber=1", "InvalidArgument"),
        # Companions missing.
        ("PUT", "object", "partNumber=1", "InvalidArgument"),
        ("PUT", "object", "uploadId=x", "InvalidArgument"),
        ("PUT", "bucket", "analytics", "InvalidArgument"),
        ("DELETE", "bucket", "inventory", "InvalidArgument"),
        ("PUT", "object", "annotation", "InvalidArgument"),
        ("POST", "object", "select", "InvalidArgument"),
        # Repetitions.
        ("GET", "object", "versionId=a&versionId=b", "InvalidArgument"),
        ("PUT", "object", "uploadId=a&partNumber=1&%75ploadId=b", "InvalidArgument"),
        ("GET", "bucket", "uploads&uploads", "InvalidArgument"),
        # The one version of an operation.
        ("GET", "bucket", "list-type=1", "InvalidArgument"),
        ("GET", "bucket", "list-type", "InvalidArgument"),
        ("POST", "object", "select&select-type=1", "InvalidArgument"),
    ],
)
def test_refused_requests(method: str, level: Level, query: str, code: str) -> None:
    assert refusal(method, level, query).code == code


@pytest.mark.parametrize("name", sorted(FOREIGN_SUB_RESOURCES))
def test_sub_resources_of_other_servers_are_refused_with_or_without_value(name: str) -> None:
    for query in (name, f"{name}=5", f"{name}=5&versionId=1"):
        assert refusal("PUT", "object", query).code == "NotImplemented"


def test_refusals_read_as_those_of_s3() -> None:
    conflict = refusal("GET", "bucket", "uploads&acl")
    assert conflict.message == "Conflicting query string parameters: acl, uploads"
    assert conflict.details == (("ArgumentName", "ResourceType"), ("ArgumentValue", "acl"))
    not_allowed = refusal("POST", "object", "acl")
    assert (not_allowed.status, not_allowed.details) == (405, (("Method", "POST"), ("ResourceType", "ACL")))
    assert refusal("POST", "object", "").details[1] == ("ResourceType", "OBJECT")
    part = refusal("PUT", "object", "partNumber=1")
    assert part.message == "This operation does not accept partNumber without uploadId"
    assert part.details == (("ArgumentName", "partNumber"), ("ArgumentValue", "1"))
    assert refusal("POST", "bucket", "", Headers([("content-type", "text/plain")])).details == (
        ("Condition", "Bucket POST must be of the enclosure-type multipart/form-data"),
    )


@given(
    st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", ""]),
    st.sampled_from(["service", "bucket", "object"]),
    st.lists(
        st.tuples(
            st.one_of(st.sampled_from(sorted(SUB_RESOURCES)), st.text(max_size=6)), st.none() | st.text(max_size=3)
        )
    ),
)
def test_garbage_is_an_operation_or_an_s3_error(method: str, level: Level, pairs: list[tuple[str, str | None]]) -> None:
    query = Query().with_values(pairs)
    try:
        operation = recognise(method, level, query, Headers())
    except S3Error:
        return
    assert operation not in UNSUPPORTED
    assert operation.info.method == method
    if method != "OPTIONS":
        assert query.names() & SUB_RESOURCES == operation.info.query_keys & SUB_RESOURCES


# What is known of them.


def modelled() -> list[OperationModel]:
    model = botocore.session.get_session().get_service_model("s3")
    return [model.operation_model(name) for name in model.operation_names if name not in RENAMED]


SSE_LETTERS = {
    "ServerSideEncryption": "S",
    "SSEKMSKeyId": "K",
    "SSEKMSEncryptionContext": "X",
    "BucketKeyEnabled": "B",
    "SSECustomerKey": "3",
    "CopySourceSSECustomerKey": "Z",
}


@pytest.mark.parametrize("model", modelled(), ids=lambda model: model.name)
def test_the_table_agrees_with_the_service_model(model: OperationModel) -> None:
    info = Operation(model.name).info
    members: dict[str, Any] = dict(model.input_shape.members) if model.input_shape else {}
    payload = model.input_shape.serialization.get("payload") if model.input_shape else None
    assert info.method == model.http["method"]
    assert info.required_checksum == bool((model.http_checksum or {}).get("requestChecksumRequired"))
    assert info.data_body == (payload is not None and members[payload].type_name == "blob")
    # SelectObjectContent has its document without a payload member; a bucket policy is a JSON text.
    assert info.takes_body == (payload is not None or model.name == "SelectObjectContent")
    if model.name != "WriteGetObjectResponse":
        assert info.sse == {letter for member, letter in SSE_LETTERS.items() if member in members}


NOT_IDEMPOTENT = {
    "CompleteMultipartUpload", "CopyObject", "CreateBucket", "CreateBucketMetadataConfiguration",
    "CreateBucketMetadataTableConfiguration", "CreateMultipartUpload", "DeleteBucket", "DeleteObject",
    "DeleteObjectAnnotation", "DeleteObjects", "PostObject", "PutObject", "PutObjectAnnotation", "RenameObject",
    "RestoreObject", "WriteGetObjectResponse",
}  # fmt: skip


def test_what_may_be_sent_twice() -> None:
    """The second time gives a new version, a delete marker, a new upload or "already exists"."""
    assert {operation.value for operation in Operation if not operation.info.idempotent} == NOT_IDEMPOTENT


def test_what_writes() -> None:
    reads = {operation for operation in Operation if not operation.info.write}
    safe = {operation for operation in Operation if operation.info.method in {"GET", "HEAD", "OPTIONS"}}
    assert reads == safe | {Operation.SELECT_OBJECT_CONTENT}


def test_the_form_upload_takes_the_encryption_of_a_put() -> None:
    form, put = Operation.POST_OBJECT.info, Operation.PUT_OBJECT.info
    assert (form.sse, form.data_body, form.takes_body, form.write) == (put.sse, True, True, True)
