"""What a request asks of a bucket policy: IAM's actions and the resources that they are about.

Header fields can ask for more than the operation itself: an ACL, tags, an object lock, a copy's source. Whoever may not
do one of them may not do the request.

Source: AWS Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3"; Amazon S3 User
Guide, "Required permissions for Amazon S3 API operations".
"""

from collections.abc import Mapping

from gateway.policy.iam.decision import Access
from gateway.s3.copy_source import parse_copy_source
from gateway.s3.hoist import hoist_query
from gateway.s3.operation import Operation
from gateway.s3.operation_table import COPY_SOURCE_HEADER, OBJECT
from gateway.s3.request import S3Request

#: The operations that read an object named in a header field.
COPIES: frozenset[Operation] = frozenset({Operation.COPY_OBJECT, Operation.UPLOAD_PART_COPY})

_ACTIONS: Mapping[Operation, tuple[str, ...]] = {
    Operation.ABORT_MULTIPART_UPLOAD: ("s3:AbortMultipartUpload",),
    Operation.COMPLETE_MULTIPART_UPLOAD: ("s3:PutObject",),
    Operation.COPY_OBJECT: ("s3:PutObject",),
    Operation.CREATE_BUCKET: ("s3:CreateBucket",),
    Operation.CREATE_BUCKET_METADATA_CONFIGURATION: ("s3:CreateBucketMetadataTableConfiguration",),
    Operation.CREATE_BUCKET_METADATA_TABLE_CONFIGURATION: ("s3:CreateBucketMetadataTableConfiguration",),
    Operation.CREATE_MULTIPART_UPLOAD: ("s3:PutObject",),
    Operation.CREATE_SESSION: ("s3express:CreateSession",),
    Operation.DELETE_BUCKET: ("s3:DeleteBucket",),
    Operation.DELETE_BUCKET_ANALYTICS_CONFIGURATION: ("s3:PutAnalyticsConfiguration",),
    Operation.DELETE_BUCKET_CORS: ("s3:PutBucketCORS",),
    Operation.DELETE_BUCKET_ENCRYPTION: ("s3:PutEncryptionConfiguration",),
    Operation.DELETE_BUCKET_INTELLIGENT_TIERING_CONFIGURATION: ("s3:PutIntelligentTieringConfiguration",),
    Operation.DELETE_BUCKET_INVENTORY_CONFIGURATION: ("s3:PutInventoryConfiguration",),
    Operation.DELETE_BUCKET_LIFECYCLE: ("s3:PutLifecycleConfiguration",),
    Operation.DELETE_BUCKET_METADATA_CONFIGURATION: ("s3:DeleteBucketMetadataTableConfiguration",),
    Operation.DELETE_BUCKET_METADATA_TABLE_CONFIGURATION: ("s3:DeleteBucketMetadataTableConfiguration",),
    Operation.DELETE_BUCKET_METRICS_CONFIGURATION: ("s3:PutMetricsConfiguration",),
    Operation.DELETE_BUCKET_OWNERSHIP_CONTROLS: ("s3:PutBucketOwnershipControls",),
    Operation.DELETE_BUCKET_POLICY: ("s3:DeleteBucketPolicy",),
    Operation.DELETE_BUCKET_REPLICATION: ("s3:PutReplicationConfiguration",),
    Operation.DELETE_BUCKET_TAGGING: ("s3:PutBucketTagging",),
    Operation.DELETE_BUCKET_WEBSITE: ("s3:DeleteBucketWebsite",),
    Operation.DELETE_OBJECT: ("s3:DeleteObject",),
    Operation.DELETE_OBJECT_ANNOTATION: ("s3:DeleteObjectAnnotation",),
    Operation.DELETE_OBJECT_TAGGING: ("s3:DeleteObjectTagging",),
    # Asked key by key once the body is read: see deletion_accesses.
    Operation.DELETE_OBJECTS: (),
    Operation.DELETE_PUBLIC_ACCESS_BLOCK: ("s3:PutBucketPublicAccessBlock",),
    Operation.GET_BUCKET_ABAC: ("s3:GetBucketAbac",),
    Operation.GET_BUCKET_ACCELERATE_CONFIGURATION: ("s3:GetAccelerateConfiguration",),
    Operation.GET_BUCKET_ACL: ("s3:GetBucketAcl",),
    Operation.GET_BUCKET_ANALYTICS_CONFIGURATION: ("s3:GetAnalyticsConfiguration",),
    Operation.GET_BUCKET_CORS: ("s3:GetBucketCORS",),
    Operation.GET_BUCKET_ENCRYPTION: ("s3:GetEncryptionConfiguration",),
    Operation.GET_BUCKET_INTELLIGENT_TIERING_CONFIGURATION: ("s3:GetIntelligentTieringConfiguration",),
    Operation.GET_BUCKET_INVENTORY_CONFIGURATION: ("s3:GetInventoryConfiguration",),
    Operation.GET_BUCKET_LIFECYCLE_CONFIGURATION: ("s3:GetLifecycleConfiguration",),
    Operation.GET_BUCKET_LOCATION: ("s3:GetBucketLocation",),
    Operation.GET_BUCKET_LOGGING: ("s3:GetBucketLogging",),
    Operation.GET_BUCKET_METADATA_CONFIGURATION: ("s3:GetBucketMetadataTableConfiguration",),
    Operation.GET_BUCKET_METADATA_TABLE_CONFIGURATION: ("s3:GetBucketMetadataTableConfiguration",),
    Operation.GET_BUCKET_METRICS_CONFIGURATION: ("s3:GetMetricsConfiguration",),
    Operation.GET_BUCKET_NOTIFICATION_CONFIGURATION: ("s3:GetBucketNotification",),
    Operation.GET_BUCKET_OWNERSHIP_CONTROLS: ("s3:GetBucketOwnershipControls",),
    Operation.GET_BUCKET_POLICY: ("s3:GetBucketPolicy",),
    Operation.GET_BUCKET_POLICY_STATUS: ("s3:GetBucketPolicyStatus",),
    Operation.GET_BUCKET_REPLICATION: ("s3:GetReplicationConfiguration",),
    Operation.GET_BUCKET_REQUEST_PAYMENT: ("s3:GetBucketRequestPayment",),
    Operation.GET_BUCKET_TAGGING: ("s3:GetBucketTagging",),
    Operation.GET_BUCKET_VERSIONING: ("s3:GetBucketVersioning",),
    Operation.GET_BUCKET_WEBSITE: ("s3:GetBucketWebsite",),
    Operation.GET_OBJECT: ("s3:GetObject",),
    Operation.GET_OBJECT_ACL: ("s3:GetObjectAcl",),
    Operation.GET_OBJECT_ANNOTATION: ("s3:GetObjectAnnotation",),
    Operation.GET_OBJECT_ATTRIBUTES: ("s3:GetObject", "s3:GetObjectAttributes"),
    Operation.GET_OBJECT_LEGAL_HOLD: ("s3:GetObjectLegalHold",),
    Operation.GET_OBJECT_LOCK_CONFIGURATION: ("s3:GetBucketObjectLockConfiguration",),
    Operation.GET_OBJECT_RETENTION: ("s3:GetObjectRetention",),
    Operation.GET_OBJECT_TAGGING: ("s3:GetObjectTagging",),
    Operation.GET_OBJECT_TORRENT: ("s3:GetObject", "s3:GetObjectTorrent"),
    Operation.GET_PUBLIC_ACCESS_BLOCK: ("s3:GetBucketPublicAccessBlock",),
    Operation.HEAD_BUCKET: ("s3:ListBucket",),
    Operation.HEAD_OBJECT: ("s3:GetObject",),
    Operation.LIST_BUCKET_ANALYTICS_CONFIGURATIONS: ("s3:GetAnalyticsConfiguration",),
    Operation.LIST_BUCKET_INTELLIGENT_TIERING_CONFIGURATIONS: ("s3:GetIntelligentTieringConfiguration",),
    Operation.LIST_BUCKET_INVENTORY_CONFIGURATIONS: ("s3:GetInventoryConfiguration",),
    Operation.LIST_BUCKET_METRICS_CONFIGURATIONS: ("s3:GetMetricsConfiguration",),
    Operation.LIST_BUCKETS: ("s3:ListAllMyBuckets",),
    Operation.LIST_MULTIPART_UPLOADS: ("s3:ListBucketMultipartUploads",),
    Operation.LIST_OBJECT_ANNOTATIONS: ("s3:ListObjectAnnotations",),
    Operation.LIST_OBJECT_VERSIONS: ("s3:ListBucketVersions",),
    Operation.LIST_OBJECTS: ("s3:ListBucket",),
    Operation.LIST_OBJECTS_V2: ("s3:ListBucket",),
    Operation.LIST_PARTS: ("s3:ListMultipartUploadParts",),
    Operation.PUT_BUCKET_ABAC: ("s3:PutBucketAbac",),
    Operation.PUT_BUCKET_ACCELERATE_CONFIGURATION: ("s3:PutAccelerateConfiguration",),
    Operation.PUT_BUCKET_ACL: ("s3:PutBucketAcl",),
    Operation.PUT_BUCKET_ANALYTICS_CONFIGURATION: ("s3:PutAnalyticsConfiguration",),
    Operation.PUT_BUCKET_CORS: ("s3:PutBucketCORS",),
    Operation.PUT_BUCKET_ENCRYPTION: ("s3:PutEncryptionConfiguration",),
    Operation.PUT_BUCKET_INTELLIGENT_TIERING_CONFIGURATION: ("s3:PutIntelligentTieringConfiguration",),
    Operation.PUT_BUCKET_INVENTORY_CONFIGURATION: ("s3:PutInventoryConfiguration",),
    Operation.PUT_BUCKET_LIFECYCLE_CONFIGURATION: ("s3:PutLifecycleConfiguration",),
    Operation.PUT_BUCKET_LOGGING: ("s3:PutBucketLogging",),
    Operation.PUT_BUCKET_METRICS_CONFIGURATION: ("s3:PutMetricsConfiguration",),
    Operation.PUT_BUCKET_NOTIFICATION_CONFIGURATION: ("s3:PutBucketNotification",),
    Operation.PUT_BUCKET_OWNERSHIP_CONTROLS: ("s3:PutBucketOwnershipControls",),
    Operation.PUT_BUCKET_POLICY: ("s3:PutBucketPolicy",),
    Operation.PUT_BUCKET_REPLICATION: ("s3:PutReplicationConfiguration",),
    Operation.PUT_BUCKET_REQUEST_PAYMENT: ("s3:PutBucketRequestPayment",),
    Operation.PUT_BUCKET_TAGGING: ("s3:PutBucketTagging",),
    Operation.PUT_BUCKET_VERSIONING: ("s3:PutBucketVersioning",),
    Operation.PUT_BUCKET_WEBSITE: ("s3:PutBucketWebsite",),
    Operation.PUT_OBJECT: ("s3:PutObject",),
    Operation.PUT_OBJECT_ACL: ("s3:PutObjectAcl",),
    Operation.PUT_OBJECT_ANNOTATION: ("s3:PutObjectAnnotation",),
    Operation.PUT_OBJECT_LEGAL_HOLD: ("s3:PutObjectLegalHold",),
    Operation.PUT_OBJECT_LOCK_CONFIGURATION: ("s3:PutBucketObjectLockConfiguration",),
    Operation.PUT_OBJECT_RETENTION: ("s3:PutObjectRetention",),
    Operation.PUT_OBJECT_TAGGING: ("s3:PutObjectTagging",),
    Operation.PUT_PUBLIC_ACCESS_BLOCK: ("s3:PutBucketPublicAccessBlock",),
    Operation.RENAME_OBJECT: ("s3express:CreateSession",),
    Operation.RESTORE_OBJECT: ("s3:RestoreObject",),
    Operation.SELECT_OBJECT_CONTENT: ("s3:GetObject",),
    Operation.UPDATE_BUCKET_METADATA_ANNOTATION_TABLE_CONFIGURATION: (
        "s3:UpdateBucketMetadataAnnotationTableConfiguration",
    ),
    Operation.UPDATE_BUCKET_METADATA_INVENTORY_TABLE_CONFIGURATION: (
        "s3:UpdateBucketMetadataInventoryTableConfiguration",
    ),
    Operation.UPDATE_BUCKET_METADATA_JOURNAL_TABLE_CONFIGURATION: ("s3:UpdateBucketMetadataJournalTableConfiguration",),
    Operation.UPDATE_OBJECT_ENCRYPTION: ("s3:UpdateObjectEncryption", "s3:PutObject"),
    Operation.UPLOAD_PART: ("s3:PutObject",),
    Operation.UPLOAD_PART_COPY: ("s3:PutObject",),
    Operation.WRITE_GET_OBJECT_RESPONSE: ("s3-object-lambda:WriteGetObjectResponse",),
    Operation.POST_OBJECT: ("s3:PutObject",),
    # Browsers send it without a proof of who they are; S3 answers it from the bucket's CORS configuration alone.
    Operation.CORS_PREFLIGHT: (),
}

#: What an action is called when the request names a version of the object.
_OF_VERSION: Mapping[str, str] = {
    "s3:DeleteObject": "s3:DeleteObjectVersion",
    "s3:DeleteObjectAnnotation": "s3:DeleteObjectVersionAnnotation",
    "s3:DeleteObjectTagging": "s3:DeleteObjectVersionTagging",
    "s3:GetObject": "s3:GetObjectVersion",
    "s3:GetObjectAcl": "s3:GetObjectVersionAcl",
    "s3:GetObjectAnnotation": "s3:GetObjectVersionAnnotation",
    "s3:GetObjectAttributes": "s3:GetObjectVersionAttributes",
    "s3:GetObjectTagging": "s3:GetObjectVersionTagging",
    "s3:GetObjectTorrent": "s3:GetObjectVersionTorrent",
    "s3:ListObjectAnnotations": "s3:ListObjectVersionAnnotations",
    "s3:PutObjectAcl": "s3:PutObjectVersionAcl",
    "s3:PutObjectAnnotation": "s3:PutObjectVersionAnnotation",
    "s3:PutObjectTagging": "s3:PutObjectVersionTagging",
}

_ACL_HEADERS = (
    "x-amz-acl",
    "x-amz-grant-full-control",
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write",
    "x-amz-grant-write-acp",
)
_NEW_OBJECT_HEADERS: Mapping[str, str] = {
    **dict.fromkeys(_ACL_HEADERS, "s3:PutObjectAcl"),
    "x-amz-object-lock-legal-hold": "s3:PutObjectLegalHold",
    "x-amz-object-lock-mode": "s3:PutObjectRetention",
    "x-amz-object-lock-retain-until-date": "s3:PutObjectRetention",
    "x-amz-tagging": "s3:PutObjectTagging",
}
_NEW_BUCKET_HEADERS: Mapping[str, str] = {
    **dict.fromkeys(_ACL_HEADERS, "s3:PutBucketAcl"),
    "x-amz-bucket-object-lock-enabled": "s3:PutBucketObjectLockConfiguration",
    "x-amz-object-ownership": "s3:PutBucketOwnershipControls",
}
_BYPASS_HEADERS: Mapping[str, str] = {"x-amz-bypass-governance-retention": "s3:BypassGovernanceRetention"}
_FLAGS = frozenset({"x-amz-bucket-object-lock-enabled", "x-amz-bypass-governance-retention"})

#: The further actions that header fields ask for, by operation.
_ASKED_BY_HEADERS: Mapping[Operation, Mapping[str, str]] = {
    Operation.COPY_OBJECT: _NEW_OBJECT_HEADERS,
    Operation.CREATE_BUCKET: _NEW_BUCKET_HEADERS,
    Operation.CREATE_MULTIPART_UPLOAD: _NEW_OBJECT_HEADERS,
    Operation.DELETE_OBJECT: _BYPASS_HEADERS,
    Operation.PUT_OBJECT: _NEW_OBJECT_HEADERS,
    Operation.PUT_OBJECT_RETENTION: _BYPASS_HEADERS,
}

#: Every action that some request asks for; a statement about any other never applies here.
ASKED_ACTIONS: frozenset[str] = frozenset[str]().union(
    *_ACTIONS.values(), *(asked.values() for asked in _ASKED_BY_HEADERS.values())
) | frozenset(_OF_VERSION.values())

#: Those of them that are about objects; the others are about buckets, or about none in particular.
OBJECT_ACTIONS: frozenset[str] = (
    frozenset[str]()
    .union(*(actions for operation, actions in _ACTIONS.items() if operation.info.level == OBJECT))
    .union(_OF_VERSION.values(), _NEW_OBJECT_HEADERS.values(), _BYPASS_HEADERS.values())
)


def accesses_of(request: S3Request) -> tuple[Access, ...]:
    """Everything that a request wants to do; it may happen when all of them may.

    Nothing for a CORS preflight, and for DeleteObjects, whose keys are in its body: :func:`deletion_accesses`. A form
    upload is asked as the PutObject that it becomes; before its key is known it is about every key of the bucket.

    Raises:
        S3Error: a copy's source can not be understood, or the query contradicts the header fields.
    """
    request = hoist_query(request)
    operation = request.operation
    resource = _resource_of(request)
    version_id = request.query.get("versionId")
    accesses = [Access(_action(action, version_id), resource) for action in _ACTIONS[operation]]
    further = _ASKED_BY_HEADERS.get(operation)
    if further is not None:
        accesses.extend(Access(action, resource) for action in _asked_by_headers(request, further))
    if operation in COPIES:
        accesses.append(_source_access(request))
    return tuple(accesses)


def deletion_accesses(request: S3Request, object_key: str, version_id: str | None) -> tuple[Access, ...]:
    """What it takes to remove one of the objects that a DeleteObjects document names.

    Args:
        request: the DeleteObjects request.
        object_key: the key as the document has it.
        version_id: the version that the document names, or None.
    """
    request = hoist_query(request)
    resource = object_arn(request.bucket or "", object_key)
    further = _asked_by_headers(request, _BYPASS_HEADERS)
    return (
        Access(_action("s3:DeleteObject", version_id), resource),
        *(Access(action, resource) for action in further),
    )


def object_arn(bucket: str, object_key: str) -> str:
    """The ARN of an object; its key is part of it as it is, ``*`` and ``?`` included."""
    return f"arn:aws:s3:::{bucket}/{object_key}"


def _resource_of(request: S3Request) -> str:
    if request.bucket is None:
        return "*"
    if request.object_key is not None:
        return object_arn(request.bucket, request.object_key)
    if request.operation is Operation.POST_OBJECT:
        return object_arn(request.bucket, "*")
    return f"arn:aws:s3:::{request.bucket}"


def _action(action: str, version_id: str | None) -> str:
    """The action's name; servers that accept an empty version id take it for the current version."""
    return _OF_VERSION.get(action, action) if version_id else action


def _asked_by_headers(request: S3Request, asked: Mapping[str, str]) -> list[str]:
    headers = request.raw.headers
    if headers.names().isdisjoint(asked):
        return []
    return list(
        dict.fromkeys(
            action
            for name, action in asked.items()
            if name in headers and any(_says_something(name, value.strip()) for value in headers.all(name))
        )
    )


def _says_something(name: str, value: str) -> bool:
    """Whether a header field asks for anything: an empty one and a flag that says ``false`` do not."""
    return bool(value) and not (name in _FLAGS and value.lower() == "false")


def _source_access(request: S3Request) -> Access:
    source = parse_copy_source(request.raw.headers.get(COPY_SOURCE_HEADER) or "")
    return Access(_action("s3:GetObject", source.version_id), object_arn(source.bucket, source.object_key))
