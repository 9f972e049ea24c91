"""The buckets that cases share: each is made and filled once for each side. Cases that write use keys of their own."""

from collections.abc import Mapping

from tests.conformance.case import Step

_VERSIONING = (
    b'<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status>'
    b"</VersioningConfiguration>"
)

#: What listings are made of: two folders, names that sort around the delimiter, names that XML and URLs escape.
LISTED_KEYS = (
    "a",
    "a%20space",
    "a%2Bplus",
    "dir/1",
    "dir/2",
    "dir/sub/3",
    "dir2/4",
    "x%26y%3Cz%3E",
    "%C3%A4%E2%82%AC",
    "uploads/5",
    "z%25percent",
)

_BUCKET = Step("PUT", "/${bucket}")


def _put(key: str, body: bytes = b"0123456789", **headers: str) -> Step:
    return Step("PUT", f"/${{bucket}}/{key}", {name.replace("_", "-"): value for name, value in headers.items()}, body)


_VERSIONED = (
    _BUCKET,
    Step("PUT", "/${bucket}?versioning", {"Content-Type": "application/xml"}, _VERSIONING),
    Step("PUT", "/${bucket}/twice", {}, b"first", take={"first": "header:x-amz-version-id"}),
    Step("PUT", "/${bucket}/twice", {}, b"second", take={"second": "header:x-amz-version-id"}),
    Step("PUT", "/${bucket}/gone", {}, b"gone", take={"gone": "header:x-amz-version-id"}),
    Step("DELETE", "/${bucket}/gone", take={"marker": "header:x-amz-version-id"}),
)


WORLDS: Mapping[str, tuple[Step, ...]] = {
    "plain": (
        _BUCKET,
        Step("PUT", "/${bucket}/ten", {"Content-Type": "text/plain"}, b"0123456789", take={"etag": "header:etag"}),
        _put("empty", b""),
        _put("large", bytes(range(256)) * 1024),
    ),
    "empty": (_BUCKET,),
    "keys": (_BUCKET, _put("beside")),
    "listing": (_BUCKET, *(_put(key) for key in LISTED_KEYS)),
    "versioned": _VERSIONED,
    # The same, for cases that list everything.
    "versioned-list": _VERSIONED,
}
