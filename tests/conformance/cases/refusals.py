"""What is refused because of what it asks for."""

from tests.conformance.case import Step, case
from tests.conformance.cases.documents import deletion, described

CASES = (
    case("no-such-key-get", Step("GET", "/${bucket}/never-there")),
    case("no-such-key-head", Step("HEAD", "/${bucket}/never-there")),
    case("no-such-key-range", Step("GET", "/${bucket}/never-there", {"Range": "bytes=0-1"})),
    case("no-such-key-tagging", Step("GET", "/${bucket}/never-there?tagging")),
    case("no-such-key-acl", Step("GET", "/${bucket}/never-there?acl")),
    case(
        "no-such-key-attributes", Step("GET", "/${bucket}/never-there?attributes", {"x-amz-object-attributes": "ETag"})
    ),
    case("no-such-bucket-get", Step("GET", "/${fresh}/key")),
    case("no-such-bucket-head", Step("HEAD", "/${fresh}/key")),
    case("no-such-bucket-put", Step("PUT", "/${fresh}/key", {}, b"x")),
    case("no-such-bucket-delete", Step("DELETE", "/${fresh}/key")),
    case("no-such-bucket-list", Step("GET", "/${fresh}")),
    case("no-such-bucket-list-v2", Step("GET", "/${fresh}?list-type=2")),
    case("no-such-bucket-delete-objects", Step("POST", "/${fresh}?delete", described(deletion("a")), deletion("a"))),
    case("no-such-bucket-versioning", Step("GET", "/${fresh}?versioning")),
    case("method-unknown-on-object", Step("POST", "/${bucket}/ten", {}, b"x")),
    case("method-patch", Step("PATCH", "/${bucket}/ten", {}, b"x")),
    case("method-delete-on-service", Step("DELETE", "/")),
    case("list-type-unknown", Step("GET", "/${bucket}?list-type=3"), world="empty"),
    case("two-sub-resources", Step("GET", "/${bucket}?acl&tagging")),
    case("sub-resource-unknown", Step("GET", "/${bucket}?nonsense"), world="empty"),
    case(
        "range-not-satisfiable-after-if-match",
        Step("GET", "/${bucket}/ten", {"If-Match": "${etag}", "Range": "bytes=99-"}),
    ),
    case(
        "metadata-directive-unknown",
        Step("PUT", "/${bucket}/md", {"x-amz-copy-source": "/${bucket}/ten", "x-amz-metadata-directive": "KEEP"}),
    ),
    case("tagging-malformed-header", Step("PUT", "/${bucket}/tm", {"x-amz-tagging": "a=1&a=2"}, b"x")),
    case("acl-unknown", Step("PUT", "/${bucket}/au", {"x-amz-acl": "everybody"}, b"x")),
    case(
        "restore-not-archived",
        Step("POST", "/${bucket}/ten?restore", {}, b"<RestoreRequest><Days>1</Days></RestoreRequest>"),
    ),
    case("select-not-there", Step("POST", "/${bucket}/ten?select&select-type=2", {}, b"<SelectObjectContentRequest/>")),
)
