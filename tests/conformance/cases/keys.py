"""Odd object keys, as they stand on the wire: each is put, read, listed and deleted."""

from tests.conformance.case import Case, Step, case

_KEYS = {
    "double-slash": "a//b",
    "leading-slash": "/lead",
    "slashes": "//",
    "dot": "k/./x",
    "dots-within": "k/../x",
    "dots-first": "../x",
    "encoded-slash": "k%2Fenc",
    "plus": "k%2Bplus",
    "space": "k%20space",
    "spaces-at-the-ends": "%20k%20",
    "percent": "k%25",
    "percent-twice": "k%252F",
    "utf8": "%C3%A4%E2%82%AC%F0%9F%94%91",
    "utf8-combining": "a%CC%88",
    "marks": "k%21%24%26%27%28%29%2A%2C%3A%3B%3D%40",
    "question-and-hash": "k%3Fa%3Db%23c",
    "quotes-and-angles": "%22k%22%3Ca%3E",
    "backslash": "k%5Cx",
    "unreserved": "Az09-_.~",
    "tab-and-newline": "k%09%0Ax",
    "trailing-slash": "folder/",
    "long": "l" * 1000,
    "longest": "/".join(["l" * 204] * 5),
    "named-uploads": "uploads",
    "named-delete": "delete",
    "named-tagging": "tagging",
    "named-acl-in-folder": "acl/versions",
}


def _case(name: str, key: str) -> Case:
    target = f"/${{bucket}}/{key}"
    return case(
        f"key-{name}",
        Step("PUT", target, {"x-amz-meta-name": name}, name.encode()),
        Step("GET", target),
        Step("HEAD", target),
        Step("GET", "/${bucket}?list-type=2"),
        Step("GET", "/${bucket}?list-type=2&encoding-type=url"),
        Step("DELETE", target),
        Step("GET", target),
        world="keys",
    )


CASES = (
    *(_case(name, key) for name, key in _KEYS.items()),
    case("key-too-long", Step("PUT", "/${bucket}/" + "l" * 1025, {}, b"x"), Step("GET", "/${bucket}/" + "l" * 1025)),
    case("key-not-utf8", Step("GET", "/${bucket}/%FF%FE")),
    case("key-nul", Step("PUT", "/${bucket}/a%00b", {}, b"x")),
    case(
        "key-lower-case-escapes", Step("PUT", "/${bucket}/%c3%a4lower", {}, b"x"), Step("GET", "/${bucket}/%C3%A4lower")
    ),
)
