"""Documents that are sent, and the header fields that belong to them."""

import base64
import hashlib
from collections.abc import Mapping

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


def document(root: str, content: str) -> bytes:
    """An S3 document."""
    return f'<{root} xmlns="{NAMESPACE}">{content}</{root}>'.encode()


def content_md5(body: bytes) -> str:
    """The value of Content-MD5."""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def described(body: bytes) -> Mapping[str, str]:
    """The fields of a document that S3 wants a checksum of."""
    return {"Content-MD5": content_md5(body), "Content-Type": "application/xml"}


VERSIONING = document("VersioningConfiguration", "<Status>Enabled</Status>")
SUSPENDED = document("VersioningConfiguration", "<Status>Suspended</Status>")
TAGGING = document("Tagging", "<TagSet><Tag><Key>one</Key><Value>1 &amp; more</Value></Tag></TagSet>")
CORS = document(
    "CORSConfiguration",
    "<CORSRule><AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod>"
    "<AllowedOrigin>https://app.example</AllowedOrigin><AllowedHeader>*</AllowedHeader>"
    "<ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>60</MaxAgeSeconds></CORSRule>",
)
LIFECYCLE = document(
    "LifecycleConfiguration",
    "<Rule><ID>old</ID><Status>Enabled</Status><Filter><Prefix>tmp/</Prefix></Filter>"
    "<Expiration><Days>3650</Days></Expiration></Rule>",
)
ENCRYPTION = document(
    "ServerSideEncryptionConfiguration",
    "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>"
    "</ApplyServerSideEncryptionByDefault></Rule>",
)
OWNERSHIP = document("OwnershipControls", "<Rule><ObjectOwnership>BucketOwnerPreferred</ObjectOwnership></Rule>")
PUBLIC_ACCESS = document("PublicAccessBlockConfiguration", "<BlockPublicAcls>true</BlockPublicAcls>")
LEGAL_HOLD = document("LegalHold", "<Status>ON</Status>")
NO_LEGAL_HOLD = document("LegalHold", "<Status>OFF</Status>")
RETENTION = document("Retention", "<Mode>GOVERNANCE</Mode><RetainUntilDate>2099-01-01T00:00:00Z</RetainUntilDate>")
OBJECT_LOCK = document(
    "ObjectLockConfiguration",
    "<ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days>"
    "</DefaultRetention></Rule>",
)
WEBSITE = document("WebsiteConfiguration", "<IndexDocument><Suffix>index.html</Suffix></IndexDocument>")
POLICY = (
    b'{"Version":"2012-10-17","Statement":[{"Sid":"read","Effect":"Allow","Principal":"*","Action":"s3:GetObject",'
    b'"Resource":"arn:aws:s3:::${fresh}/public/*"}]}'
)


def deletion(*keys: str, quiet: bool = False) -> bytes:
    """What DeleteObjects sends; keys as XML has them."""
    flag = "<Quiet>true</Quiet>" if quiet else ""
    return document("Delete", flag + "".join(f"<Object><Key>{key}</Key></Object>" for key in keys))


def completion(*parts: tuple[int, str]) -> bytes:
    """What CompleteMultipartUpload sends: part numbers and ETags."""
    return document(
        "CompleteMultipartUpload",
        "".join(f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>" for number, etag in parts),
    )
