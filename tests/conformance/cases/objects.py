"""Objects: put, get, head, delete, ranges, metadata, tags, ACLs, locks, versions, DeleteObjects."""

from tests.conformance.case import Case, Step, case
from tests.conformance.cases import documents
from tests.conformance.cases.documents import deletion, described

_SYSTEM = {
    "Cache-Control": "max-age=60, private",
    "Content-Disposition": 'attachment; filename="a b.txt"',
    "Content-Encoding": "gzip",
    "Content-Language": "de, en",
    "Content-Type": "text/plain; charset=utf-8",
    "Expires": "Thu, 01 Jan 2099 00:00:00 GMT",
    "x-amz-storage-class": "STANDARD",
    "x-amz-website-redirect-location": "/elsewhere",
}
_RANGES = {
    "first-byte": "bytes=0-0",
    "middle": "bytes=3-6",
    "open-end": "bytes=4-",
    "suffix": "bytes=-3",
    "suffix-longer-than-object": "bytes=-100",
    "end-past-object": "bytes=8-100",
    "all": "bytes=0-9",
    "start-past-object": "bytes=10-",
    "suffix-of-nothing": "bytes=-0",
    "backwards": "bytes=6-3",
    "several": "bytes=0-1,4-5",
    "other-unit": "lines=0-1",
    "not-a-range": "bytes=a-b",
    "spaces": "bytes= 1-2",
}


def _range_case(name: str, value: str) -> Case:
    return case(
        f"range-{name}",
        Step("GET", "/${bucket}/ten", {"Range": value}),
        Step("HEAD", "/${bucket}/ten", {"Range": value}),
    )


def _round_trip(name: str, headers: dict[str, str], body: bytes = b"data") -> Case:
    target = f"/${{bucket}}/{name}"
    return case(
        name, Step("PUT", target, headers, body), Step("HEAD", target), Step("GET", target), Step("DELETE", target)
    )


CASES = (
    case("get", Step("GET", "/${bucket}/ten")),
    case("get-empty", Step("GET", "/${bucket}/empty"), Step("HEAD", "/${bucket}/empty")),
    case("get-large", Step("GET", "/${bucket}/large")),
    case("get-x-id", Step("GET", "/${bucket}/ten?x-id=GetObject")),
    case("get-unknown-parameter", Step("GET", "/${bucket}/ten?something=else")),
    case("get-accepting-gzip", Step("GET", "/${bucket}/ten", {"Accept-Encoding": "gzip, identity"})),
    case("head", Step("HEAD", "/${bucket}/ten")),
    case(
        "get-response-overrides",
        Step(
            "GET",
            "/${bucket}/ten?response-cache-control=no-cache&response-content-disposition=inline&response-content-encoding=br"
            "&response-content-language=fr&response-content-type=text%2Fhtml&response-expires=Thu%2C%2001%20Jan%202099%2000%3A00%3A00%20GMT",
        ),
    ),
    *(_range_case(name, value) for name, value in _RANGES.items()),
    case(
        "range-of-empty",
        Step("GET", "/${bucket}/empty", {"Range": "bytes=0-"}),
        Step("GET", "/${bucket}/empty", {"Range": "bytes=-1"}),
    ),
    case("range-large", Step("GET", "/${bucket}/large", {"Range": "bytes=1000-200000"})),
    case("get-part-number", Step("GET", "/${bucket}/ten?partNumber=1"), Step("HEAD", "/${bucket}/ten?partNumber=1")),
    case("get-part-number-missing", Step("GET", "/${bucket}/ten?partNumber=2")),
    _round_trip("put-empty", {}, b""),
    _round_trip("put-without-type", {}),
    _round_trip("put-system-metadata", _SYSTEM),
    _round_trip(
        "put-user-metadata", {"x-amz-meta-one": "1", "x-amz-meta-Mixed-Case": "Value", "x-amz-meta-spaces": "a  b"}
    ),
    _round_trip("put-user-metadata-empty-value", {"x-amz-meta-nothing": ""}),
    _round_trip("put-user-metadata-utf8", {"x-amz-meta-name": "Grüße €"}),
    _round_trip("put-user-metadata-encoded-word", {"x-amz-meta-name": "=?UTF-8?Q?Gr=C3=BC=C3=9Fe?="}),
    _round_trip("put-user-metadata-large", {"x-amz-meta-long": "v" * 2000}),
    _round_trip("put-tagged", {"x-amz-tagging": "one=1&two=a%20b"}),
    _round_trip("put-acl-private", {"x-amz-acl": "private"}),
    _round_trip("put-storage-class", {"x-amz-storage-class": "STANDARD_IA"}),
    _round_trip("put-form-type", {"Content-Type": "application/x-www-form-urlencoded"}, b"a=1&b=2"),
    _round_trip("put-two-encodings", {"Content-Encoding": "gzip, br"}),
    _round_trip("put-megabyte", {"Content-Type": "application/octet-stream"}, bytes(range(256)) * 4096),
    case(
        "put-overwrites",
        Step("PUT", "/${bucket}/over", {"x-amz-meta-a": "1"}, b"first"),
        Step("PUT", "/${bucket}/over", {}, b"second"),
        Step("GET", "/${bucket}/over"),
    ),
    case(
        "delete",
        Step("PUT", "/${bucket}/del", {}, b"x"),
        Step("DELETE", "/${bucket}/del"),
        Step("HEAD", "/${bucket}/del"),
    ),
    case("delete-missing", Step("DELETE", "/${bucket}/never-there")),
    case(
        "object-tagging",
        Step("PUT", "/${bucket}/tags", {}, b"x"),
        Step("GET", "/${bucket}/tags?tagging"),
        Step("PUT", "/${bucket}/tags?tagging", described(documents.TAGGING), documents.TAGGING),
        Step("GET", "/${bucket}/tags?tagging"),
        Step("HEAD", "/${bucket}/tags"),
        Step("DELETE", "/${bucket}/tags?tagging"),
        Step("GET", "/${bucket}/tags?tagging"),
    ),
    case("object-tagging-malformed", Step("PUT", "/${bucket}/ten?tagging", described(b"<Tagging>"), b"<Tagging>")),
    case("object-acl", Step("GET", "/${bucket}/ten?acl")),
    case(
        "object-acl-put", Step("PUT", "/${bucket}/ten?acl", {"x-amz-acl": "private"}), Step("GET", "/${bucket}/ten?acl")
    ),
    case(
        "object-attributes",
        Step(
            "GET",
            "/${bucket}/ten?attributes",
            {"x-amz-object-attributes": "ETag,ObjectSize,StorageClass,Checksum,ObjectParts"},
        ),
    ),
    case("object-attributes-none-named", Step("GET", "/${bucket}/ten?attributes")),
    case("object-torrent", Step("GET", "/${bucket}/ten?torrent")),
    case(
        "object-lock-on-plain-bucket", Step("GET", "/${bucket}/ten?retention"), Step("GET", "/${bucket}/ten?legal-hold")
    ),
    case(
        "object-lock",
        Step("PUT", "/${fresh}", {"x-amz-bucket-object-lock-enabled": "true"}),
        Step("PUT", "/${fresh}/held", {}, b"x", take={"version": "header:x-amz-version-id"}),
        Step("PUT", "/${fresh}/held?legal-hold", described(documents.LEGAL_HOLD), documents.LEGAL_HOLD),
        Step("GET", "/${fresh}/held?legal-hold"),
        Step("HEAD", "/${fresh}/held"),
        Step("DELETE", "/${fresh}/held?versionId=${version}"),
        Step("PUT", "/${fresh}/held?legal-hold", described(documents.NO_LEGAL_HOLD), documents.NO_LEGAL_HOLD),
        Step("PUT", "/${fresh}/held?retention", described(documents.RETENTION), documents.RETENTION),
        Step("GET", "/${fresh}/held?retention"),
        Step("DELETE", "/${fresh}/held?versionId=${version}", {"x-amz-bypass-governance-retention": "true"}),
        Step("PUT", "/${fresh}?object-lock", described(documents.OBJECT_LOCK), documents.OBJECT_LOCK),
        Step("GET", "/${fresh}?object-lock"),
    ),
    case(
        "delete-objects",
        *(Step("PUT", f"/${{bucket}}/{key}", {}, b"x") for key in ("m1", "m%202", "m%26")),
        Step(
            "POST",
            "/${bucket}?delete",
            described(deletion("m1", "m 2", "m&amp;", "never")),
            deletion("m1", "m 2", "m&amp;", "never"),
        ),
        Step("HEAD", "/${bucket}/m%26"),
    ),
    case(
        "delete-objects-quiet",
        Step("PUT", "/${bucket}/q1", {}, b"x"),
        Step(
            "POST",
            "/${bucket}?delete",
            described(deletion("q1", "never", quiet=True)),
            deletion("q1", "never", quiet=True),
        ),
        Step("HEAD", "/${bucket}/q1"),
    ),
    case("delete-objects-malformed", Step("POST", "/${bucket}?delete", described(b"<Delete><Obj"), b"<Delete><Obj")),
    case("delete-objects-empty-list", Step("POST", "/${bucket}?delete", described(deletion()), deletion())),
    case(
        "versions-get",
        Step("GET", "/${bucket}/twice"),
        Step("GET", "/${bucket}/twice?versionId=${first}"),
        world="versioned",
    ),
    case("versions-head", Step("HEAD", "/${bucket}/twice?versionId=${second}"), world="versioned"),
    case(
        "versions-range", Step("GET", "/${bucket}/twice?versionId=${first}", {"Range": "bytes=1-2"}), world="versioned"
    ),
    case("versions-tagging", Step("GET", "/${bucket}/twice?tagging&versionId=${first}"), world="versioned"),
    case(
        "versions-attributes",
        Step("GET", "/${bucket}/twice?attributes&versionId=${first}", {"x-amz-object-attributes": "ETag,ObjectSize"}),
        world="versioned",
    ),
    case("versions-delete-marker", Step("GET", "/${bucket}/gone"), Step("HEAD", "/${bucket}/gone"), world="versioned"),
    case("versions-get-marker-itself", Step("GET", "/${bucket}/gone?versionId=${marker}"), world="versioned"),
    case("versions-behind-marker", Step("GET", "/${bucket}/gone?versionId=${gone}"), world="versioned"),
    case("versions-unknown", Step("GET", "/${bucket}/twice?versionId=nonsense"), world="versioned"),
    case("versions-null", Step("GET", "/${bucket}/ten?versionId=null")),
    case(
        "versions-put-and-delete",
        Step("PUT", "/${bucket}/v", {}, b"x", take={"id": "header:x-amz-version-id"}),
        Step("DELETE", "/${bucket}/v", take={"dm": "header:x-amz-version-id"}),
        Step("DELETE", "/${bucket}/v?versionId=${dm}"),
        Step("GET", "/${bucket}/v"),
        Step("DELETE", "/${bucket}/v?versionId=${id}"),
        Step("GET", "/${bucket}/v"),
        world="versioned",
    ),
)
