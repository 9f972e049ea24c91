"""What exists in S3's policies: values that condition keys can have, and names that mean something elsewhere only.

Source: AWS Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3"; IAM User Guide,
"AWS global condition context keys".
"""

from collections.abc import Mapping

from gateway.s3.encryption_headers import COPY_SSE_C_ALGORITHM, SSE, SSE_C_ALGORITHM, SSE_KMS_KEY_ID

SSE_KEY = f"s3:{SSE}"
KMS_KEY_ID_KEY = f"s3:{SSE_KMS_KEY_ID}"
CUSTOMER_ALGORITHM_KEY = f"s3:{SSE_C_ALGORITHM}"
COPY_SOURCE_KEY = "s3:x-amz-copy-source"
#: The keys that a policy about encryption looks at.
ENCRYPTION_KEYS: frozenset[str] = frozenset({SSE_KEY, KMS_KEY_ID_KEY, CUSTOMER_ALGORITHM_KEY})
#: The keys that say who asks.
SENDER_KEYS: frozenset[str] = frozenset(
    {"aws:principalaccount", "aws:principalarn", "aws:principaltype", "aws:sourceip", "aws:username"}
)

#: Every value that a request can have for a key; it would be refused with any other.
VALUES_OF_KEY: Mapping[str, tuple[str, ...]] = {
    SSE_KEY: ("AES256", "aws:kms", "aws:kms:dsse"),
    CUSTOMER_ALGORITHM_KEY: ("AES256",),
    f"s3:{COPY_SSE_C_ALGORITHM}": ("AES256",),
    "s3:authtype": ("REST-HEADER", "REST-QUERY-STRING", "POST"),
    "s3:signatureversion": ("AWS4-HMAC-SHA256", "AWS"),
    "s3:x-amz-metadata-directive": ("COPY", "REPLACE"),
    "s3:object-lock-mode": ("GOVERNANCE", "COMPLIANCE"),
    "s3:object-lock-legal-hold": ("ON", "OFF"),
}

#: Actions on buckets and objects that no request through a gateway asks for, in lower case: AWS does them itself, or at
#: other endpoints.
ACTIONS_ELSEWHERE: frozenset[str] = frozenset(
    {
        "s3:allowvendedlogdeliveryforresource",
        "s3:getobjectversionannotationforreplication",
        "s3:getobjectversionforreplication",
        "s3:initiatereplication",
        "s3:listtagsforresource",
        "s3:objectowneroverridetobucketowner",
        "s3:pausereplication",
        "s3:replicatedelete",
        "s3:replicateobject",
        "s3:replicateobjectannotation",
        "s3:replicatetags",
        "s3:tagresource",
        "s3:untagresource",
    }
)

#: Condition keys that exist and that no request through the gateway has, in lower case.
KEYS_ELSEWHERE: frozenset[str] = frozenset(
    {
        "aws:calledvia",
        "aws:calledviafirst",
        "aws:calledvialast",
        "aws:federatedprovider",
        "aws:multifactorauthage",
        "aws:multifactorauthpresent",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:principalservicename",
        "aws:principalservicenameslist",
        "aws:requestedregion",
        "aws:resourceaccount",
        "aws:resourceorgid",
        "aws:resourceorgpaths",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceidentity",
        "aws:sourceorgid",
        "aws:sourceorgpaths",
        "aws:sourcevpc",
        "aws:sourcevpcarn",
        "aws:sourcevpce",
        "aws:tokenissuetime",
        "aws:userid",
        "aws:vpceaccount",
        "aws:vpceorgid",
        "aws:vpceorgpaths",
        "aws:vpcsourceip",
        "s3:accessgrantsinstancearn",
        "s3:accesspointnetworkorigin",
        "s3:dataaccesspointaccount",
        "s3:dataaccesspointarn",
        "s3:inventoryaccessibleoptionalfields",
        "s3:locationconstraint",
        "s3:resourceaccount",
    }
)
#: The same for keys that end in the name of a tag.
KEY_PREFIXES_ELSEWHERE = ("aws:principaltag/", "aws:resourcetag/", "s3:existingobjecttag/", "s3:buckettag/")


def exists_elsewhere(key: str) -> bool:
    """Whether a condition key (lower case) exists, though no request through the gateway has it."""
    return key in KEYS_ELSEWHERE or key.startswith(KEY_PREFIXES_ELSEWHERE)
