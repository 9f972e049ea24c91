"""Conditional requests."""

from tests.conformance.case import Case, Step, case

_PAST = "Sat, 01 Jan 2000 00:00:00 GMT"
_FUTURE = "Thu, 01 Jan 2099 00:00:00 GMT"
_OTHER = '"00000000000000000000000000000000"'

_READS = {
    "match": {"If-Match": "${etag}"},
    "match-other": {"If-Match": _OTHER},
    "match-any": {"If-Match": "*"},
    "match-list": {"If-Match": f"{_OTHER}, ${{etag}}"},
    "none-match": {"If-None-Match": "${etag}"},
    "none-match-other": {"If-None-Match": _OTHER},
    "none-match-any": {"If-None-Match": "*"},
    "none-match-weak": {"If-None-Match": "W/${etag}"},
    "modified-since-past": {"If-Modified-Since": _PAST},
    "modified-since-future": {"If-Modified-Since": _FUTURE},
    "unmodified-since-past": {"If-Unmodified-Since": _PAST},
    "unmodified-since-future": {"If-Unmodified-Since": _FUTURE},
    "not-a-date": {"If-Modified-Since": "yesterday"},
    "match-and-unmodified-since-past": {"If-Match": "${etag}", "If-Unmodified-Since": _PAST},
    "none-match-other-and-modified-since-future": {"If-None-Match": _OTHER, "If-Modified-Since": _FUTURE},
    "match-and-range": {"If-Match": "${etag}", "Range": "bytes=0-3"},
    "if-range": {"If-Range": "${etag}", "Range": "bytes=0-3"},
    "if-range-other": {"If-Range": _OTHER, "Range": "bytes=0-3"},
}


def _read(name: str, headers: dict[str, str]) -> Case:
    return case(f"if-{name}", Step("GET", "/${bucket}/ten", headers), Step("HEAD", "/${bucket}/ten", headers))


CASES = (
    *(_read(name, headers) for name, headers in _READS.items()),
    case(
        "put-if-absent",
        Step("PUT", "/${bucket}/once", {"If-None-Match": "*"}, b"first"),
        Step("PUT", "/${bucket}/once", {"If-None-Match": "*"}, b"second"),
        Step("GET", "/${bucket}/once"),
    ),
    case(
        "put-if-match",
        Step("PUT", "/${bucket}/swap", {}, b"first", take={"swapped": "header:etag"}),
        Step("PUT", "/${bucket}/swap", {"If-Match": "${swapped}"}, b"second"),
        Step("PUT", "/${bucket}/swap", {"If-Match": "${swapped}"}, b"third"),
        Step("GET", "/${bucket}/swap"),
    ),
    case("put-if-match-missing", Step("PUT", "/${bucket}/never-there", {"If-Match": _OTHER}, b"x")),
    case(
        "put-if-absent-large",
        Step("PUT", "/${bucket}/large-once", {"If-None-Match": "*"}, b"f" * 100_000),
        Step("PUT", "/${bucket}/large-once", {"If-None-Match": "*"}, b"s" * 100_000),
        Step("HEAD", "/${bucket}/large-once"),
    ),
    case(
        "delete-if-match",
        Step("PUT", "/${bucket}/del-if", {}, b"x"),
        Step("DELETE", "/${bucket}/del-if", {"If-Match": _OTHER}),
        Step("HEAD", "/${bucket}/del-if"),
    ),
)
