"""The service, buckets and what is configured on them."""

from tests.conformance.case import Case, Step, case
from tests.conformance.cases import documents
from tests.conformance.cases.documents import described

_NEW = Step("PUT", "/${fresh}")
_GONE = Step("DELETE", "/${fresh}")


def _configuration(name: str, sub_resource: str, body: bytes, *, deletes: bool = True) -> Case:
    """Ask for what is not there, put it, get it, delete it, ask again."""
    target = f"/${{fresh}}?{sub_resource}"
    end = (Step("DELETE", target), Step("GET", target)) if deletes else ()
    # The policy names its bucket, so its digest is not known here.
    headers = {} if sub_resource == "policy" else described(body)
    put = Step("PUT", target, headers, body)
    return case(name, _NEW, Step("GET", target), put, Step("GET", target), *end, _GONE)


CASES = (
    case("list-buckets", Step("GET", "/")),
    case("list-buckets-max", Step("GET", "/?max-buckets=1")),
    case("list-buckets-prefix", Step("GET", "/?prefix=no-such-prefix")),
    case("service-head", Step("HEAD", "/")),
    case("bucket-create-head-delete", _NEW, Step("HEAD", "/${fresh}"), _GONE, Step("HEAD", "/${fresh}")),
    case(
        "bucket-create-trailing-slash",
        Step("PUT", "/${fresh}/"),
        Step("HEAD", "/${fresh}/"),
        Step("DELETE", "/${fresh}/"),
    ),
    case("bucket-create-twice", _NEW, _NEW, _GONE),
    case(
        "bucket-create-with-location",
        Step(
            "PUT",
            "/${fresh}",
            {},
            documents.document("CreateBucketConfiguration", "<LocationConstraint>eu-west-9</LocationConstraint>"),
        ),
        Step("GET", "/${fresh}?location"),
        _GONE,
    ),
    case("bucket-create-malformed-body", Step("PUT", "/${fresh}", {}, b"<Create"), _GONE),
    case("bucket-create-private-acl", Step("PUT", "/${fresh}", {"x-amz-acl": "private"}), _GONE),
    case(
        "bucket-create-object-lock",
        Step("PUT", "/${fresh}", {"x-amz-bucket-object-lock-enabled": "true"}),
        Step("GET", "/${fresh}?object-lock"),
        Step("GET", "/${fresh}?versioning"),
        _GONE,
    ),
    case("bucket-name-too-short", Step("PUT", "/ab")),
    case("bucket-name-with-space", Step("PUT", "/not%20a%20name")),
    # In a bucket of its own: some servers delete it with all that is in it.
    case(
        "bucket-delete-not-empty",
        Step("PUT", "/${fresh}"),
        Step("PUT", "/${fresh}/kept", {}, b"kept"),
        Step("DELETE", "/${fresh}"),
    ),
    case("bucket-delete-missing", Step("DELETE", "/${fresh}")),
    case("bucket-head-missing", Step("HEAD", "/${fresh}")),
    case("bucket-location", Step("GET", "/${bucket}?location")),
    case("bucket-location-missing", Step("GET", "/${fresh}?location")),
    case("bucket-versioning-unset", Step("GET", "/${bucket}?versioning")),
    case(
        "bucket-versioning-malformed", _NEW, Step("PUT", "/${fresh}?versioning", described(b"<Vers"), b"<Vers"), _GONE
    ),
    case(
        "bucket-versioning",
        _NEW,
        Step("PUT", "/${fresh}?versioning", described(documents.VERSIONING), documents.VERSIONING),
        Step("GET", "/${fresh}?versioning"),
        Step("PUT", "/${fresh}?versioning", described(documents.SUSPENDED), documents.SUSPENDED),
        Step("GET", "/${fresh}?versioning"),
        _GONE,
    ),
    _configuration("bucket-tagging", "tagging", documents.TAGGING),
    _configuration("bucket-cors", "cors", documents.CORS),
    _configuration("bucket-lifecycle", "lifecycle", documents.LIFECYCLE),
    _configuration("bucket-encryption", "encryption", documents.ENCRYPTION),
    _configuration("bucket-policy", "policy", documents.POLICY),
    _configuration("bucket-ownership-controls", "ownershipControls", documents.OWNERSHIP),
    _configuration("bucket-public-access-block", "publicAccessBlock", documents.PUBLIC_ACCESS),
    _configuration("bucket-website", "website", documents.WEBSITE),
    case(
        "bucket-tagging-bad-digest",
        _NEW,
        Step("PUT", "/${fresh}?tagging", described(b"other"), documents.TAGGING),
        _GONE,
    ),
    case("bucket-acl", Step("GET", "/${bucket}?acl")),
    case(
        "bucket-acl-put",
        _NEW,
        Step("PUT", "/${fresh}?acl", {"x-amz-acl": "private"}),
        Step("GET", "/${fresh}?acl"),
        _GONE,
    ),
    case("bucket-policy-status", Step("GET", "/${bucket}?policyStatus")),
    case("bucket-notification", Step("GET", "/${bucket}?notification")),
    case("bucket-logging", Step("GET", "/${bucket}?logging")),
    case("bucket-accelerate", Step("GET", "/${bucket}?accelerate")),
    case("bucket-request-payment", Step("GET", "/${bucket}?requestPayment")),
    case("bucket-replication", Step("GET", "/${bucket}?replication")),
    case("bucket-object-lock-unset", Step("GET", "/${bucket}?object-lock")),
    case("bucket-analytics", Step("GET", "/${bucket}?analytics&id=1")),
    case(
        "bucket-cors-preflight",
        Step(
            "OPTIONS",
            "/${bucket}/ten",
            {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"},
            signing="anonymous",
        ),
    ),
    case(
        "bucket-cors-preflight-allowed",
        _NEW,
        Step("PUT", "/${fresh}?cors", described(documents.CORS), documents.CORS),
        Step(
            "OPTIONS",
            "/${fresh}/key",
            {"Origin": "https://app.example", "Access-Control-Request-Method": "PUT"},
            signing="anonymous",
        ),
        Step("PUT", "/${fresh}/key", {"Origin": "https://app.example"}, b"data"),
        Step("GET", "/${fresh}/key", {"Origin": "https://app.example"}),
        Step("GET", "/${fresh}/key", {"Origin": "https://else.example"}),
        Step("DELETE", "/${fresh}/key"),
        _GONE,
    ),
)
