"""CopyObject and UploadPartCopy."""

from tests.conformance.case import Case, Step, case
from tests.conformance.cases.documents import completion

_SOURCE = "x-amz-copy-source"
_TEN = {_SOURCE: "/${bucket}/ten"}
_OTHER = '"00000000000000000000000000000000"'
_PAST = "Sat, 01 Jan 2000 00:00:00 GMT"
_PUT_RICH = Step(
    "PUT",
    "/${bucket}/rich",
    {"Content-Type": "text/x-rich", "Cache-Control": "no-store", "x-amz-meta-a": "1", "x-amz-tagging": "t=1"},
    b"rich",
)


def _conditional(name: str, **condition: str) -> Case:
    headers = {field.replace("_", "-"): value for field, value in condition.items()}
    return case(
        f"copy-if-{name}", Step("PUT", f"/${{bucket}}/c-{name}", _TEN | headers), Step("HEAD", f"/${{bucket}}/c-{name}")
    )


CASES = (
    case("copy", Step("PUT", "/${bucket}/c", _TEN), Step("GET", "/${bucket}/c"), Step("HEAD", "/${bucket}/c")),
    case(
        "copy-without-leading-slash",
        Step("PUT", "/${bucket}/c2", {_SOURCE: "${bucket}/ten"}),
        Step("GET", "/${bucket}/c2"),
    ),
    case("copy-empty", Step("PUT", "/${bucket}/c3", {_SOURCE: "/${bucket}/empty"}), Step("GET", "/${bucket}/c3")),
    case(
        "copy-keeps-metadata",
        _PUT_RICH,
        Step("PUT", "/${bucket}/c4", {_SOURCE: "/${bucket}/rich"}),
        Step("GET", "/${bucket}/c4"),
        Step("GET", "/${bucket}/c4?tagging"),
    ),
    case(
        "copy-replaces-metadata",
        _PUT_RICH,
        Step(
            "PUT",
            "/${bucket}/c5",
            {
                _SOURCE: "/${bucket}/rich",
                "x-amz-metadata-directive": "REPLACE",
                "Content-Type": "text/x-new",
                "x-amz-meta-b": "2",
            },
        ),
        Step("GET", "/${bucket}/c5"),
    ),
    case(
        "copy-replaces-tags",
        _PUT_RICH,
        Step(
            "PUT",
            "/${bucket}/c6",
            {_SOURCE: "/${bucket}/rich", "x-amz-tagging-directive": "REPLACE", "x-amz-tagging": "n=2"},
        ),
        Step("GET", "/${bucket}/c6?tagging"),
    ),
    case("copy-onto-itself", Step("PUT", "/${bucket}/ten", _TEN)),
    case(
        "copy-onto-itself-replacing",
        Step("PUT", "/${bucket}/self", {"x-amz-meta-a": "1"}, b"self"),
        Step(
            "PUT",
            "/${bucket}/self",
            {_SOURCE: "/${bucket}/self", "x-amz-metadata-directive": "REPLACE", "x-amz-meta-a": "2"},
        ),
        Step("HEAD", "/${bucket}/self"),
    ),
    case("copy-missing-source", Step("PUT", "/${bucket}/c7", {_SOURCE: "/${bucket}/never-there"})),
    case("copy-missing-source-bucket", Step("PUT", "/${bucket}/c8", {_SOURCE: "/${fresh}/ten"})),
    case("copy-malformed-source", Step("PUT", "/${bucket}/c9", {_SOURCE: "nothing"})),
    case(
        "copy-odd-names",
        Step("PUT", "/${bucket}/s%20%2B%25%C3%A4", {}, b"odd"),
        Step("PUT", "/${bucket}/d%20%2B%25%C3%A4", {_SOURCE: "/${bucket}/s%20%2B%25%C3%A4"}),
        Step("GET", "/${bucket}/d%20%2B%25%C3%A4"),
    ),
    case(
        "copy-version",
        Step("PUT", "/${bucket}/cv", {_SOURCE: "/${bucket}/twice?versionId=${first}"}),
        Step("GET", "/${bucket}/cv"),
        world="versioned",
    ),
    case("copy-delete-marker", Step("PUT", "/${bucket}/cm", {_SOURCE: "/${bucket}/gone"}), world="versioned"),
    _conditional("match", x_amz_copy_source_if_match="${etag}"),
    _conditional("match-other", x_amz_copy_source_if_match=_OTHER),
    _conditional("none-match", x_amz_copy_source_if_none_match="${etag}"),
    _conditional("modified-since-past", x_amz_copy_source_if_modified_since=_PAST),
    _conditional("unmodified-since-past", x_amz_copy_source_if_unmodified_since=_PAST),
    case(
        "part-copy",
        Step("POST", "/${bucket}/pc?uploads", take={"upload": "UploadId"}),
        Step(
            "PUT", "/${bucket}/pc?partNumber=1&uploadId=${upload}", {_SOURCE: "/${bucket}/large"}, take={"part": "ETag"}
        ),
        Step("POST", "/${bucket}/pc?uploadId=${upload}", {}, completion((1, "${part}"))),
        Step("HEAD", "/${bucket}/pc"),
    ),
    case(
        "part-copy-range",
        Step("POST", "/${bucket}/pr?uploads", take={"upload": "UploadId"}),
        Step(
            "PUT",
            "/${bucket}/pr?partNumber=1&uploadId=${upload}",
            {_SOURCE: "/${bucket}/ten", "x-amz-copy-source-range": "bytes=2-5"},
            take={"part": "ETag"},
        ),
        Step("POST", "/${bucket}/pr?uploadId=${upload}", {}, completion((1, "${part}"))),
        Step("GET", "/${bucket}/pr"),
    ),
    case(
        "part-copy-refused",
        Step("POST", "/${bucket}/px?uploads", take={"upload": "UploadId"}),
        Step("PUT", "/${bucket}/px?partNumber=1&uploadId=${upload}", {_SOURCE: "/${bucket}/never-there"}),
        Step(
            "PUT",
            "/${bucket}/px?partNumber=1&uploadId=${upload}",
            {_SOURCE: "/${bucket}/ten", "x-amz-copy-source-range": "bytes=5-99"},
        ),
        Step(
            "PUT",
            "/${bucket}/px?partNumber=1&uploadId=${upload}",
            {_SOURCE: "/${bucket}/ten", "x-amz-copy-source-range": "5-6"},
        ),
        Step("DELETE", "/${bucket}/px?uploadId=${upload}"),
    ),
    case("part-copy-unknown-upload", Step("PUT", "/${bucket}/pu?partNumber=1&uploadId=nonsense", _TEN)),
)
