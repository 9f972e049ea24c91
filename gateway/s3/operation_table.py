"""Every S3 operation as one row: how a request is recognised, and what the gateway has to know about it.

Source: the S3 service model in botocore 1.44 and the "API operations" list of the Amazon S3 API Reference. Four
operations of the model are older spellings of another on the same wire (GetBucketLifecycle, GetBucketNotification, and
their Puts) and carry the newer name here. ListDirectoryBuckets differs from ListBuckets by host alone and is left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Level = Literal["service", "bucket", "object"]

SERVICE: Final = "service"
BUCKET: Final = "bucket"
OBJECT: Final = "object"

COPY_SOURCE_HEADER: Final = "x-amz-copy-source"
REQUEST_ROUTE_HEADER: Final = "x-amz-request-route"

# A request body: none, an XML or JSON document, a document whose checksum S3 demands, or object data.
_Body = Literal["none", "document", "checked", "data"]
DOCUMENT: Final = "document"
CHECKED: Final = "checked"
DATA: Final = "data"

#: Query keys that only tell two operations of one sub-resource apart; alone they are plain parameters.
QUALIFIERS: frozenset[str] = frozenset({"annotationName", "id", "partNumber", "select-type"})


@dataclass(frozen=True, slots=True)
class OperationInfo:
    """What is known about one operation.

    Attributes:
        name: S3's own name of it, also the metrics' label.
        method: the HTTP method.
        level: what the path names.
        query_keys: the query keys whose presence selects it.
        header: the header field whose presence selects it, or None.
        required_checksum: whether S3 demands Content-MD5 or an ``x-amz-checksum-*`` of the body.
        takes_body: whether a request body has a meaning: object data or XML.
        data_body: whether the body is object data.
        idempotent: whether the same request may safely be sent twice.
        write: whether it changes anything.
        sse: encryption parameters accepted: S method, K KMS key, X context, B bucket key, 3 customer key, Z customer
            key of a copy source.
    """

    name: str
    method: str
    level: Level
    query_keys: frozenset[str]
    header: str | None
    required_checksum: bool
    takes_body: bool
    data_body: bool
    idempotent: bool
    write: bool
    sse: frozenset[str]


def _row(
    name: str,
    method: str,
    level: Level,
    query_keys: str = "",
    *,
    header: str | None = None,
    body: _Body = "none",
    sse: str = "",
    once: bool = False,
) -> OperationInfo:
    """One row.

    A PUT or DELETE marked ``once`` may not be repeated: each time it has another effect (a new version, a delete
    marker) or another answer ("already exists").
    """
    reads = method in {"GET", "HEAD", "OPTIONS"} or name == "SelectObjectContent"
    return OperationInfo(
        name=name,
        method=method,
        level=level,
        query_keys=frozenset(query_keys.split()),
        header=header,
        required_checksum=body == CHECKED,
        takes_body=body != "none",
        data_body=body == DATA,
        idempotent=reads or (method != "POST" and not once),
        write=not reads,
        sse=frozenset(sse),
    )


_ROWS: tuple[OperationInfo, ...] = (
    _row("AbortMultipartUpload", "DELETE", OBJECT, "uploadId"),
    _row("CompleteMultipartUpload", "POST", OBJECT, "uploadId", body=DOCUMENT, sse="3"),
    _row("CopyObject", "PUT", OBJECT, header=COPY_SOURCE_HEADER, sse="SKXB3Z", once=True),
    _row("CreateBucket", "PUT", BUCKET, body=DOCUMENT, once=True),
    _row("CreateBucketMetadataConfiguration", "POST", BUCKET, "metadataConfiguration", body=CHECKED),
    _row("CreateBucketMetadataTableConfiguration", "POST", BUCKET, "metadataTable", body=CHECKED),
    _row("CreateMultipartUpload", "POST", OBJECT, "uploads", sse="SKXB3"),
    _row("CreateSession", "GET", BUCKET, "session", sse="SKXB"),
    _row("DeleteBucket", "DELETE", BUCKET, once=True),
    _row("DeleteBucketAnalyticsConfiguration", "DELETE", BUCKET, "analytics id"),
    _row("DeleteBucketCors", "DELETE", BUCKET, "cors"),
    _row("DeleteBucketEncryption", "DELETE", BUCKET, "encryption"),
    _row("DeleteBucketIntelligentTieringConfiguration", "DELETE", BUCKET, "intelligent-tiering id"),
    _row("DeleteBucketInventoryConfiguration", "DELETE", BUCKET, "inventory id"),
    _row("DeleteBucketLifecycle", "DELETE", BUCKET, "lifecycle"),
    _row("DeleteBucketMetadataConfiguration", "DELETE", BUCKET, "metadataConfiguration"),
    _row("DeleteBucketMetadataTableConfiguration", "DELETE", BUCKET, "metadataTable"),
    _row("DeleteBucketMetricsConfiguration", "DELETE", BUCKET, "metrics id"),
    _row("DeleteBucketOwnershipControls", "DELETE", BUCKET, "ownershipControls"),
    _row("DeleteBucketPolicy", "DELETE", BUCKET, "policy"),
    _row("DeleteBucketReplication", "DELETE", BUCKET, "replication"),
    _row("DeleteBucketTagging", "DELETE", BUCKET, "tagging"),
    _row("DeleteBucketWebsite", "DELETE", BUCKET, "website"),
    _row("DeleteObject", "DELETE", OBJECT, once=True),
    _row("DeleteObjectAnnotation", "DELETE", OBJECT, "annotation annotationName", once=True),
    _row("DeleteObjectTagging", "DELETE", OBJECT, "tagging"),
    _row("DeleteObjects", "POST", BUCKET, "delete", body=CHECKED),
    _row("DeletePublicAccessBlock", "DELETE", BUCKET, "publicAccessBlock"),
    _row("GetBucketAbac", "GET", BUCKET, "abac"),
    _row("GetBucketAccelerateConfiguration", "GET", BUCKET, "accelerate"),
    _row("GetBucketAcl", "GET", BUCKET, "acl"),
    _row("GetBucketAnalyticsConfiguration", "GET", BUCKET, "analytics id"),
    _row("GetBucketCors", "GET", BUCKET, "cors"),
    _row("GetBucketEncryption", "GET", BUCKET, "encryption"),
    _row("GetBucketIntelligentTieringConfiguration", "GET", BUCKET, "intelligent-tiering id"),
    _row("GetBucketInventoryConfiguration", "GET", BUCKET, "inventory id"),
    _row("GetBucketLifecycleConfiguration", "GET", BUCKET, "lifecycle"),
    _row("GetBucketLocation", "GET", BUCKET, "location"),
    _row("GetBucketLogging", "GET", BUCKET, "logging"),
    _row("GetBucketMetadataConfiguration", "GET", BUCKET, "metadataConfiguration"),
    _row("GetBucketMetadataTableConfiguration", "GET", BUCKET, "metadataTable"),
    _row("GetBucketMetricsConfiguration", "GET", BUCKET, "metrics id"),
    _row("GetBucketNotificationConfiguration", "GET", BUCKET, "notification"),
    _row("GetBucketOwnershipControls", "GET", BUCKET, "ownershipControls"),
    _row("GetBucketPolicy", "GET", BUCKET, "policy"),
    _row("GetBucketPolicyStatus", "GET", BUCKET, "policyStatus"),
    _row("GetBucketReplication", "GET", BUCKET, "replication"),
    _row("GetBucketRequestPayment", "GET", BUCKET, "requestPayment"),
    _row("GetBucketTagging", "GET", BUCKET, "tagging"),
    _row("GetBucketVersioning", "GET", BUCKET, "versioning"),
    _row("GetBucketWebsite", "GET", BUCKET, "website"),
    _row("GetObject", "GET", OBJECT, sse="3"),
    _row("GetObjectAcl", "GET", OBJECT, "acl"),
    _row("GetObjectAnnotation", "GET", OBJECT, "annotation annotationName"),
    _row("GetObjectAttributes", "GET", OBJECT, "attributes", sse="3"),
    _row("GetObjectLegalHold", "GET", OBJECT, "legal-hold"),
    _row("GetObjectLockConfiguration", "GET", BUCKET, "object-lock"),
    _row("GetObjectRetention", "GET", OBJECT, "retention"),
    _row("GetObjectTagging", "GET", OBJECT, "tagging"),
    _row("GetObjectTorrent", "GET", OBJECT, "torrent"),
    _row("GetPublicAccessBlock", "GET", BUCKET, "publicAccessBlock"),
    _row("HeadBucket", "HEAD", BUCKET),
    _row("HeadObject", "HEAD", OBJECT, sse="3"),
    _row("ListBucketAnalyticsConfigurations", "GET", BUCKET, "analytics"),
    _row("ListBucketIntelligentTieringConfigurations", "GET", BUCKET, "intelligent-tiering"),
    _row("ListBucketInventoryConfigurations", "GET", BUCKET, "inventory"),
    _row("ListBucketMetricsConfigurations", "GET", BUCKET, "metrics"),
    _row("ListBuckets", "GET", SERVICE),
    _row("ListMultipartUploads", "GET", BUCKET, "uploads"),
    _row("ListObjectAnnotations", "GET", OBJECT, "annotation"),
    _row("ListObjectVersions", "GET", BUCKET, "versions"),
    _row("ListObjects", "GET", BUCKET),
    _row("ListObjectsV2", "GET", BUCKET, "list-type"),
    _row("ListParts", "GET", OBJECT, "uploadId", sse="3"),
    _row("PutBucketAbac", "PUT", BUCKET, "abac", body=DOCUMENT),
    _row("PutBucketAccelerateConfiguration", "PUT", BUCKET, "accelerate", body=DOCUMENT),
    _row("PutBucketAcl", "PUT", BUCKET, "acl", body=CHECKED),
    _row("PutBucketAnalyticsConfiguration", "PUT", BUCKET, "analytics id", body=DOCUMENT),
    _row("PutBucketCors", "PUT", BUCKET, "cors", body=CHECKED),
    _row("PutBucketEncryption", "PUT", BUCKET, "encryption", body=CHECKED),
    _row("PutBucketIntelligentTieringConfiguration", "PUT", BUCKET, "intelligent-tiering id", body=DOCUMENT),
    _row("PutBucketInventoryConfiguration", "PUT", BUCKET, "inventory id", body=DOCUMENT),
    _row("PutBucketLifecycleConfiguration", "PUT", BUCKET, "lifecycle", body=CHECKED),
    _row("PutBucketLogging", "PUT", BUCKET, "logging", body=CHECKED),
    _row("PutBucketMetricsConfiguration", "PUT", BUCKET, "metrics id", body=DOCUMENT),
    _row("PutBucketNotificationConfiguration", "PUT", BUCKET, "notification", body=DOCUMENT),
    _row("PutBucketOwnershipControls", "PUT", BUCKET, "ownershipControls", body=CHECKED),
    _row("PutBucketPolicy", "PUT", BUCKET, "policy", body=CHECKED),
    _row("PutBucketReplication", "PUT", BUCKET, "replication", body=CHECKED),
    _row("PutBucketRequestPayment", "PUT", BUCKET, "requestPayment", body=CHECKED),
    _row("PutBucketTagging", "PUT", BUCKET, "tagging", body=CHECKED),
    _row("PutBucketVersioning", "PUT", BUCKET, "versioning", body=CHECKED),
    _row("PutBucketWebsite", "PUT", BUCKET, "website", body=CHECKED),
    _row("PutObject", "PUT", OBJECT, body=DATA, sse="SKXB3", once=True),
    _row("PutObjectAcl", "PUT", OBJECT, "acl", body=CHECKED),
    _row("PutObjectAnnotation", "PUT", OBJECT, "annotation annotationName", body=DATA, once=True),
    _row("PutObjectLegalHold", "PUT", OBJECT, "legal-hold", body=CHECKED),
    _row("PutObjectLockConfiguration", "PUT", BUCKET, "object-lock", body=CHECKED),
    _row("PutObjectRetention", "PUT", OBJECT, "retention", body=CHECKED),
    _row("PutObjectTagging", "PUT", OBJECT, "tagging", body=CHECKED),
    _row("PutPublicAccessBlock", "PUT", BUCKET, "publicAccessBlock", body=CHECKED),
    _row("RenameObject", "PUT", OBJECT, "renameObject", once=True),
    _row("RestoreObject", "POST", OBJECT, "restore", body=DOCUMENT),
    _row("SelectObjectContent", "POST", OBJECT, "select select-type", body=DOCUMENT, sse="3"),
    _row("UpdateBucketMetadataAnnotationTableConfiguration", "PUT", BUCKET, "metadataAnnotationTable", body=CHECKED),
    _row("UpdateBucketMetadataInventoryTableConfiguration", "PUT", BUCKET, "metadataInventoryTable", body=CHECKED),
    _row("UpdateBucketMetadataJournalTableConfiguration", "PUT", BUCKET, "metadataJournalTable", body=CHECKED),
    _row("UpdateObjectEncryption", "PUT", OBJECT, "encryption", body=CHECKED),
    _row("UploadPart", "PUT", OBJECT, "partNumber uploadId", body=DATA, sse="3"),
    _row("UploadPartCopy", "PUT", OBJECT, "partNumber uploadId", header=COPY_SOURCE_HEADER, sse="3Z"),
    _row("WriteGetObjectResponse", "POST", BUCKET, header=REQUEST_ROUTE_HEADER, body=DATA),
    # Outside the service model: the browser's form upload, and its preflight before a cross-origin request.
    _row("PostObject", "POST", BUCKET, body=DATA, sse="SKXB3"),
    _row("CorsPreflight", "OPTIONS", OBJECT),
)

INFO_BY_NAME: Mapping[str, OperationInfo] = {row.name: row for row in _ROWS}
