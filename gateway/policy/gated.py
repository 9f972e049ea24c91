"""Operations that weaken the encryption of a bucket, or open a way around the gateway.

Where a rule limits what clients choose, these need a statement of a policy that allows them; the default does not. They
are of three kinds:

- what decides about encryption beside the gateway: the bucket's default encryption, its policy, and the encryption of
  a stored object;
- what makes S3 itself write copies, or descriptions, of objects elsewhere, under other encryption or none: replication,
  inventories, metadata tables, logs;
- what lets others than the gateway in: access control lists, public access, who owns objects, access by tags, websites.

What only takes such a thing away again (a replication, a website, a table) needs no permission of its own. Source:
Amazon S3 API Reference, "Actions"; what each of them can be used for is in the Amazon S3 User Guide.
"""

from collections.abc import Sequence

from gateway.policy.choice import possible_rules
from gateway.policy.iam.actions import accesses_of
from gateway.policy.iam.decision import Access
from gateway.policy.rules import EncryptionRule
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.request import S3Request

GATED: frozenset[Operation] = frozenset(
    {
        Operation.CREATE_BUCKET_METADATA_CONFIGURATION,
        Operation.CREATE_BUCKET_METADATA_TABLE_CONFIGURATION,
        Operation.DELETE_BUCKET_ENCRYPTION,
        Operation.DELETE_BUCKET_OWNERSHIP_CONTROLS,
        Operation.DELETE_BUCKET_POLICY,
        Operation.DELETE_PUBLIC_ACCESS_BLOCK,
        Operation.PUT_BUCKET_ABAC,
        Operation.PUT_BUCKET_ACL,
        Operation.PUT_BUCKET_ENCRYPTION,
        Operation.PUT_BUCKET_INVENTORY_CONFIGURATION,
        Operation.PUT_BUCKET_LOGGING,
        Operation.PUT_BUCKET_OWNERSHIP_CONTROLS,
        Operation.PUT_BUCKET_POLICY,
        Operation.PUT_BUCKET_REPLICATION,
        Operation.PUT_BUCKET_WEBSITE,
        Operation.PUT_OBJECT_ACL,
        Operation.PUT_PUBLIC_ACCESS_BLOCK,
        Operation.UPDATE_BUCKET_METADATA_ANNOTATION_TABLE_CONFIGURATION,
        Operation.UPDATE_BUCKET_METADATA_INVENTORY_TABLE_CONFIGURATION,
        Operation.UPDATE_BUCKET_METADATA_JOURNAL_TABLE_CONFIGURATION,
        Operation.UPDATE_OBJECT_ENCRYPTION,
    }
)

_ACL = "x-amz-acl"
_GRANTS = "x-amz-grant-"
_OWNERSHIP = "x-amz-object-ownership"
#: Canned lists that let nobody in but the owners of the bucket and of the object. Source: Amazon S3 User Guide, "Access
#: control list (ACL) overview".
_CLOSED_ACLS = frozenset({"", "private", "bucket-owner-read", "bucket-owner-full-control"})
_CLOSED_OWNERSHIP = frozenset({"", "BucketOwnerEnforced"})
_ACL_ACTIONS = frozenset({"s3:PutObjectAcl", "s3:PutBucketAcl"})
_OWNERSHIP_ACTION = "s3:PutBucketOwnershipControls"


def gated_accesses(request: S3Request) -> list[Access]:
    """What of a request weakens encryption or opens a way around the gateway.

    Args:
        request: the request, with the header fields that its query stands for.
    """
    if request.operation in GATED:
        return list(accesses_of(request)[:1])  # the operation itself is first
    headers = request.raw.headers
    actions: set[str] = set()
    if _opens_acl(headers):
        actions |= _ACL_ACTIONS
    if any(value.strip() not in _CLOSED_OWNERSHIP for value in headers.all(_OWNERSHIP)):
        actions.add(_OWNERSHIP_ACTION)
    return [access for access in accesses_of(request) if access.action in actions] if actions else []


def binding_rule(rules: Sequence[EncryptionRule], bucket: str, object_key: str | None) -> EncryptionRule | None:
    """A rule that limits what clients choose for the object, or for some object of the bucket; None without any."""
    if object_key is None:
        about = [rule for rule in rules if rule.matches_bucket(bucket)]
    else:
        about = list(possible_rules(rules, bucket, object_key))
    return next((rule for rule in about if rule.binds_clients), None)


def _opens_acl(headers: Headers) -> bool:
    given = [field for field in headers.fields if field[0] == _ACL or field[0].startswith(_GRANTS)]
    return any(value.strip() not in (_CLOSED_ACLS if name == _ACL else {""}) for name, value in given)
