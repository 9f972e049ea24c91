"""Which S3 operation a request asks for.

Requests are recognised as S3 does it: by method, by what the path names, and by the *presence* of query keys. Never by
their values, and never by searching the text of the query, so a listing of ``prefix=uploads`` stays a listing.
Whatever could mean two operations to two servers is refused, because policy and transformation look at one of them.
"""

from collections.abc import Mapping
from enum import Enum

from gateway.errors import S3Error
from gateway.s3.headers import Headers
from gateway.s3.operation_table import BUCKET, INFO_BY_NAME, QUALIFIERS, REQUEST_ROUTE_HEADER, Level, OperationInfo
from gateway.s3.query import Query


class Operation(Enum):
    """The S3 operations; the value is S3's own name."""

    ABORT_MULTIPART_UPLOAD = "AbortMultipartUpload"
    COMPLETE_MULTIPART_UPLOAD = "CompleteMultipartUpload"
    COPY_OBJECT = "CopyObject"
    CREATE_BUCKET = "CreateBucket"
    CREATE_BUCKET_METADATA_CONFIGURATION = "CreateBucketMetadataConfiguration"
    CREATE_BUCKET_METADATA_TABLE_CONFIGURATION = "CreateBucketMetadataTableConfiguration"
    CREATE_MULTIPART_UPLOAD = "CreateMultipartUpload"
    CREATE_SESSION = "CreateSession"
    DELETE_BUCKET = "DeleteBucket"
    DELETE_BUCKET_ANALYTICS_CONFIGURATION = "DeleteBucketAnalyticsConfiguration"
    DELETE_BUCKET_CORS = "DeleteBucketCors"
    DELETE_BUCKET_ENCRYPTION = "DeleteBucketEncryption"
    DELETE_BUCKET_INTELLIGENT_TIERING_CONFIGURATION = "DeleteBucketIntelligentTieringConfiguration"
    DELETE_BUCKET_INVENTORY_CONFIGURATION = "DeleteBucketInventoryConfiguration"
    DELETE_BUCKET_LIFECYCLE = "DeleteBucketLifecycle"
    DELETE_BUCKET_METADATA_CONFIGURATION = "DeleteBucketMetadataConfiguration"
    DELETE_BUCKET_METADATA_TABLE_CONFIGURATION = "DeleteBucketMetadataTableConfiguration"
    DELETE_BUCKET_METRICS_CONFIGURATION = "DeleteBucketMetricsConfiguration"
    DELETE_BUCKET_OWNERSHIP_CONTROLS = "DeleteBucketOwnershipControls"
    DELETE_BUCKET_POLICY = "DeleteBucketPolicy"
    DELETE_BUCKET_REPLICATION = "DeleteBucketReplication"
    DELETE_BUCKET_TAGGING = "DeleteBucketTagging"
    DELETE_BUCKET_WEBSITE = "DeleteBucketWebsite"
    DELETE_OBJECT = "DeleteObject"
    DELETE_OBJECT_ANNOTATION = "DeleteObjectAnnotation"
    DELETE_OBJECT_TAGGING = "DeleteObjectTagging"
    DELETE_OBJECTS = "DeleteObjects"
    DELETE_PUBLIC_ACCESS_BLOCK = "DeletePublicAccessBlock"
    GET_BUCKET_ABAC = "GetBucketAbac"
    GET_BUCKET_ACCELERATE_CONFIGURATION = "GetBucketAccelerateConfiguration"
    GET_BUCKET_ACL = "GetBucketAcl"
    GET_BUCKET_ANALYTICS_CONFIGURATION = "GetBucketAnalyticsConfiguration"
    GET_BUCKET_CORS = "GetBucketCors"
    GET_BUCKET_ENCRYPTION = "GetBucketEncryption"
    GET_BUCKET_INTELLIGENT_TIERING_CONFIGURATION = "GetBucketIntelligentTieringConfiguration"
    GET_BUCKET_INVENTORY_CONFIGURATION = "GetBucketInventoryConfiguration"
    GET_BUCKET_LIFECYCLE_CONFIGURATION = "GetBucketLifecycleConfiguration"
    GET_BUCKET_LOCATION = "GetBucketLocation"
    GET_BUCKET_LOGGING = "GetBucketLogging"
    GET_BUCKET_METADATA_CONFIGURATION = "GetBucketMetadataConfiguration"
    GET_BUCKET_METADATA_TABLE_CONFIGURATION = "GetBucketMetadataTableConfiguration"
    GET_BUCKET_METRICS_CONFIGURATION = "GetBucketMetricsConfiguration"
    GET_BUCKET_NOTIFICATION_CONFIGURATION = "GetBucketNotificationConfiguration"
    GET_BUCKET_OWNERSHIP_CONTROLS = "GetBucketOwnershipControls"
    GET_BUCKET_POLICY = "GetBucketPolicy"
    GET_BUCKET_POLICY_STATUS = "GetBucketPolicyStatus"
    GET_BUCKET_REPLICATION = "GetBucketReplication"
    GET_BUCKET_REQUEST_PAYMENT = "GetBucketRequestPayment"
    GET_BUCKET_TAGGING = "GetBucketTagging"
    GET_BUCKET_VERSIONING = "GetBucketVersioning"
    GET_BUCKET_WEBSITE = "GetBucketWebsite"
    GET_OBJECT = "GetObject"
    GET_OBJECT_ACL = "GetObjectAcl"
    GET_OBJECT_ANNOTATION = "GetObjectAnnotation"
    GET_OBJECT_ATTRIBUTES = "GetObjectAttributes"
    GET_OBJECT_LEGAL_HOLD = "GetObjectLegalHold"
    GET_OBJECT_LOCK_CONFIGURATION = "GetObjectLockConfiguration"
    GET_OBJECT_RETENTION = "GetObjectRetention"
    GET_OBJECT_TAGGING = "GetObjectTagging"
    GET_OBJECT_TORRENT = "GetObjectTorrent"
    GET_PUBLIC_ACCESS_BLOCK = "GetPublicAccessBlock"
    HEAD_BUCKET = "HeadBucket"
    HEAD_OBJECT = "HeadObject"
    LIST_BUCKET_ANALYTICS_CONFIGURATIONS = "ListBucketAnalyticsConfigurations"
    LIST_BUCKET_INTELLIGENT_TIERING_CONFIGURATIONS = "ListBucketIntelligentTieringConfigurations"
    LIST_BUCKET_INVENTORY_CONFIGURATIONS = "ListBucketInventoryConfigurations"
    LIST_BUCKET_METRICS_CONFIGURATIONS = "ListBucketMetricsConfigurations"
    LIST_BUCKETS = "ListBuckets"
    LIST_MULTIPART_UPLOADS = "ListMultipartUploads"
    LIST_OBJECT_ANNOTATIONS = "ListObjectAnnotations"
    LIST_OBJECT_VERSIONS = "ListObjectVersions"
    LIST_OBJECTS = "ListObjects"
    LIST_OBJECTS_V2 = "ListObjectsV2"
    LIST_PARTS = "ListParts"
    PUT_BUCKET_ABAC = "PutBucketAbac"
    PUT_BUCKET_ACCELERATE_CONFIGURATION = "PutBucketAccelerateConfiguration"
    PUT_BUCKET_ACL = "PutBucketAcl"
    PUT_BUCKET_ANALYTICS_CONFIGURATION = "PutBucketAnalyticsConfiguration"
    PUT_BUCKET_CORS = "PutBucketCors"
    PUT_BUCKET_ENCRYPTION = "PutBucketEncryption"
    PUT_BUCKET_INTELLIGENT_TIERING_CONFIGURATION = "PutBucketIntelligentTieringConfiguration"
    PUT_BUCKET_INVENTORY_CONFIGURATION = "PutBucketInventoryConfiguration"
    PUT_BUCKET_LIFECYCLE_CONFIGURATION = "PutBucketLifecycleConfiguration"
    PUT_BUCKET_LOGGING = "PutBucketLogging"
    PUT_BUCKET_METRICS_CONFIGURATION = "PutBucketMetricsConfiguration"
    PUT_BUCKET_NOTIFICATION_CONFIGURATION = "PutBucketNotificationConfiguration"
    PUT_BUCKET_OWNERSHIP_CONTROLS = "PutBucketOwnershipControls"
    PUT_BUCKET_POLICY = "PutBucketPolicy"
    PUT_BUCKET_REPLICATION = "PutBucketReplication"
    PUT_BUCKET_REQUEST_PAYMENT = "PutBucketRequestPayment"
    PUT_BUCKET_TAGGING = "PutBucketTagging"
    PUT_BUCKET_VERSIONING = "PutBucketVersioning"
    PUT_BUCKET_WEBSITE = "PutBucketWebsite"
    PUT_OBJECT = "PutObject"
    PUT_OBJECT_ACL = "PutObjectAcl"
    PUT_OBJECT_ANNOTATION = "PutObjectAnnotation"
    PUT_OBJECT_LEGAL_HOLD = "PutObjectLegalHold"
    PUT_OBJECT_LOCK_CONFIGURATION = "PutObjectLockConfiguration"
    PUT_OBJECT_RETENTION = "PutObjectRetention"
    PUT_OBJECT_TAGGING = "PutObjectTagging"
    PUT_PUBLIC_ACCESS_BLOCK = "PutPublicAccessBlock"
    RENAME_OBJECT = "RenameObject"
    RESTORE_OBJECT = "RestoreObject"
    SELECT_OBJECT_CONTENT = "SelectObjectContent"
    UPDATE_BUCKET_METADATA_ANNOTATION_TABLE_CONFIGURATION = "UpdateBucketMetadataAnnotationTableConfiguration"
    UPDATE_BUCKET_METADATA_INVENTORY_TABLE_CONFIGURATION = "UpdateBucketMetadataInventoryTableConfiguration"
    UPDATE_BUCKET_METADATA_JOURNAL_TABLE_CONFIGURATION = "UpdateBucketMetadataJournalTableConfiguration"
    UPDATE_OBJECT_ENCRYPTION = "UpdateObjectEncryption"
    UPLOAD_PART = "UploadPart"
    UPLOAD_PART_COPY = "UploadPartCopy"
    WRITE_GET_OBJECT_RESPONSE = "WriteGetObjectResponse"
    POST_OBJECT = "PostObject"
    CORS_PREFLIGHT = "CorsPreflight"

    def __init__(self, name: str) -> None:
        #: What is known about the operation.
        self.info: OperationInfo = INFO_BY_NAME[name]

    # A member equals itself only. What Enum has instead is a function in Python, called for every look into a table.
    __hash__ = object.__hash__


OPERATIONS: Mapping[Operation, OperationInfo] = {operation: operation.info for operation in Operation}

#: Operations that exist on directory buckets or Object Lambda only, which the gateway does not front.
UNSUPPORTED: frozenset[Operation] = frozenset(
    {Operation.CREATE_SESSION, Operation.RENAME_OBJECT, Operation.WRITE_GET_OBJECT_RESPONSE}
)

#: Every query key that selects an operation on its own.
SUB_RESOURCES: frozenset[str] = (
    frozenset[str]().union(*(info.query_keys for info in INFO_BY_NAME.values())) - QUALIFIERS
)

#: Sub-resources of other S3 servers that change what a request does there. Sent on as unknown parameters they would
#: bypass policy and encryption: append and position (Ceph), compose (Google), events and lambdaArn and replication-*
#: (MinIO), symlink and process (OSS).
FOREIGN_SUB_RESOURCES: frozenset[str] = frozenset(
    {
        "append",
        "bucket-logging",
        "compose",
        "events",
        "lambdaArn",
        "position",
        "process",
        "replication-check",
        "replication-metrics",
        "replication-reset",
        "replication-reset-status",
        "symlink",
        "x-oss-process",
    }
)

#: Parameters that qualify an operation without choosing it. They may be empty; other unknown names may not, because a
#: name without a value is how S3 spells a sub-resource.
PARAMETERS: frozenset[str] = frozenset(
    {
        "AWSAccessKeyId",
        "Expires",
        "Signature",
        "bucket-region",
        "continuation-token",
        "delimiter",
        "encoding-type",
        "fetch-owner",
        "key-marker",
        "marker",
        "max-buckets",
        "max-keys",
        "max-parts",
        "max-uploads",
        "part-number-marker",
        "prefix",
        "start-after",
        "upload-id-marker",
        "version-id-marker",
        "versionId",
        "x-id",
    }
)

#: The one value that two of the keys may have; S3 names no other version of these operations.
_ONLY_VALUE: Mapping[str, str] = {"list-type": "2", "select-type": "2"}

#: Recognised by something else than their query.
_WITHOUT_SUB_RESOURCE_RULES = frozenset(
    {Operation.CORS_PREFLIGHT, Operation.POST_OBJECT, Operation.WRITE_GET_OBJECT_RESPONSE}
)

_PART_NUMBER_OPERATIONS = frozenset(
    {Operation.GET_OBJECT, Operation.HEAD_OBJECT, Operation.UPLOAD_PART, Operation.UPLOAD_PART_COPY}
)


def _index() -> dict[tuple[str, Level, str | None], tuple[Operation, ...]]:
    """Operations by method, level and sub-resource; the most particular one first."""
    index: dict[tuple[str, Level, str | None], list[Operation]] = {}
    for operation, info in OPERATIONS.items():
        if operation in _WITHOUT_SUB_RESOURCE_RULES:
            continue
        sub_resource = next(iter(info.query_keys - QUALIFIERS), None)
        index.setdefault((info.method, info.level, sub_resource), []).append(operation)
    return {
        place: tuple(sorted(found, key=lambda each: (-len(each.info.query_keys), each.info.header is None)))
        for place, found in index.items()
    }


_INDEX = _index()


def recognise(method: str, level: Level, query: Query, headers: Headers) -> Operation:
    """The operation that a request asks for.

    Args:
        method: the HTTP method, upper case.
        level: what the path names.
        query: the query parameters.
        headers: the header fields; ``x-amz-copy-source`` makes a PUT a copy, also when it arrives in the query.

    Raises:
        S3Error: MethodNotAllowed when no operation has this method here; NotImplemented for a sub-resource or an
            operation that the gateway does not know or serve; InvalidArgument for parameters that contradict each
            other, are repeated or lack their companion.
    """
    if method == "OPTIONS" and level != "service":
        return Operation.CORS_PREFLIGHT
    sub_resource = _sub_resource(query)
    if method == "POST" and sub_resource is None:
        operation = _plain_post(level, headers)
    else:
        operation = _choose(method, level, sub_resource, query, headers)
    if operation in UNSUPPORTED:
        raise _not_implemented(f"The operation {operation.value} is not supported.")
    if level == "object" and "partNumber" in query and operation not in _PART_NUMBER_OPERATIONS:
        without = "" if "uploadId" in query else " without uploadId"
        raise _invalid_argument(f"This operation does not accept partNumber{without}", "partNumber", query)
    for name in operation.info.query_keys & _ONLY_VALUE.keys():
        if query.get(name) != _ONLY_VALUE[name]:
            raise _invalid_argument("Invalid version of the operation specified in Request", name, query)
    return operation


def _sub_resource(query: Query) -> str | None:
    """The one sub-resource that the query names, if any."""
    names = query.names()
    if not names:
        return None
    for name in sorted(names - SUB_RESOURCES - PARAMETERS - QUALIFIERS):
        if name in FOREIGN_SUB_RESOURCES or (not query.get(name) and not _is_free_parameter(name)):
            raise _not_implemented("A query parameter you provided implies functionality that is not implemented.")
    repeated = query.repeated() & (SUB_RESOURCES | PARAMETERS | QUALIFIERS)
    if repeated:
        raise _invalid_argument("A query parameter must not be repeated.", min(repeated), query)
    found = sorted(names & SUB_RESOURCES)
    if len(found) > 1:
        raise S3Error(
            "InvalidArgument",
            f"Conflicting query string parameters: {', '.join(found)}",
            details=(("ArgumentName", "ResourceType"), ("ArgumentValue", found[0])),
        )
    return found[0] if found else None


def _is_free_parameter(name: str) -> bool:
    return name.startswith("response-") or name.lower().startswith("x-amz-")


def _choose(method: str, level: Level, sub_resource: str | None, query: Query, headers: Headers) -> Operation:
    """The most particular operation whose query keys and header are all present."""
    candidates = _INDEX.get((method, level, sub_resource))
    if candidates is None:
        raise _method_not_allowed(method, level, sub_resource)
    for operation in candidates:
        info = operation.info
        complete = all(key in query for key in info.query_keys)
        if complete and (info.header is None or _carries(info.header, query, headers)):
            return operation
    missing = min(candidates[-1].info.query_keys - query.names())
    raise _invalid_argument(f"This operation requires the query parameter {missing}.", missing, query)


def _carries(header: str, query: Query, headers: Headers) -> bool:
    return header in headers or any(name.lower() == header for name in query.names())


def _plain_post(level: Level, headers: Headers) -> Operation:
    """A POST without a sub-resource: Object Lambda's answer, which names its route, or a browser's form upload."""
    if REQUEST_ROUTE_HEADER in headers:
        return Operation.WRITE_GET_OBJECT_RESPONSE
    if level != BUCKET:
        raise _method_not_allowed("POST", level, None)
    content_type = headers.get("content-type") or ""
    if content_type.partition(";")[0].strip().lower() == "multipart/form-data":
        return Operation.POST_OBJECT
    raise S3Error(
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold",
        details=(("Condition", "Bucket POST must be of the enclosure-type multipart/form-data"),),
    )


def _method_not_allowed(method: str, level: Level, sub_resource: str | None) -> S3Error:
    return S3Error(
        "MethodNotAllowed",
        "The specified method is not allowed against this resource.",
        details=(("Method", method), ("ResourceType", (sub_resource or level).upper())),
    )


def _not_implemented(message: str) -> S3Error:
    return S3Error("NotImplemented", message)


def _invalid_argument(message: str, name: str, query: Query) -> S3Error:
    return S3Error(
        "InvalidArgument", message, details=(("ArgumentName", name), ("ArgumentValue", query.get(name) or ""))
    )
