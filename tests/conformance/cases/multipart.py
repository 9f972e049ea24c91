"""Multipart uploads."""

from tests.conformance.case import Step, case
from tests.conformance.cases.documents import completion

_MINIMUM = 5 * 1024 * 1024
_XML = {"Content-Type": "application/xml"}


def _create(key: str, **headers: str) -> Step:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return Step("POST", f"/${{bucket}}/{key}?uploads", fields, take={"upload": "UploadId"})


def _part(key: str, number: int, body: bytes, **headers: str) -> Step:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    target = f"/${{bucket}}/{key}?partNumber={number}&uploadId=${{upload}}"
    return Step("PUT", target, fields, body, take={f"part{number}": "header:etag"})


def _complete(key: str, *numbers: int) -> Step:
    body = completion(*((number, f"${{part{number}}}") for number in numbers))
    return Step("POST", f"/${{bucket}}/{key}?uploadId=${{upload}}", _XML, body)


def _abort(key: str) -> Step:
    return Step("DELETE", f"/${{bucket}}/{key}?uploadId=${{upload}}")


CASES = (
    case(
        "multipart-two-parts",
        _create("mp", Content_Type="video/x", x_amz_meta_a="1", Cache_Control="no-cache"),
        _part("mp", 1, b"1" * _MINIMUM),
        _part("mp", 2, b"2"),
        Step("GET", "/${bucket}/mp?uploadId=${upload}"),
        _complete("mp", 1, 2),
        Step("HEAD", "/${bucket}/mp"),
        Step("GET", "/${bucket}/mp", {"Range": f"bytes={_MINIMUM - 2}-"}),
        Step("HEAD", "/${bucket}/mp?partNumber=2"),
        Step("GET", "/${bucket}/mp?partNumber=2"),
        Step("GET", "/${bucket}/mp?attributes", {"x-amz-object-attributes": "ETag,ObjectParts,ObjectSize"}),
    ),
    case(
        "multipart-one-part", _create("m1"), _part("m1", 1, b"only"), _complete("m1", 1), Step("GET", "/${bucket}/m1")
    ),
    case(
        "multipart-odd-key",
        _create("m%20%2B%C3%A4"),
        _part("m%20%2B%C3%A4", 1, b"odd"),
        _complete("m%20%2B%C3%A4", 1),
        Step("GET", "/${bucket}/m%20%2B%C3%A4"),
    ),
    case(
        "multipart-tagged",
        _create("mt", x_amz_tagging="a=1"),
        _part("mt", 1, b"x"),
        _complete("mt", 1),
        Step("GET", "/${bucket}/mt?tagging"),
    ),
    case(
        "multipart-versioned",
        _create("mv"),
        _part("mv", 1, b"x"),
        _complete("mv", 1),
        Step("GET", "/${bucket}/mv"),
        world="versioned",
    ),
    case(
        "multipart-part-overwritten",
        _create("mo"),
        _part("mo", 1, b"old"),
        _part("mo", 1, b"new"),
        _complete("mo", 1),
        Step("GET", "/${bucket}/mo"),
    ),
    case("multipart-part-gap", _create("mg"), _part("mg", 3, b"x"), _complete("mg", 3), Step("GET", "/${bucket}/mg")),
    case(
        "multipart-list-parts-paged",
        _create("ml"),
        _part("ml", 1, b"1"),
        _part("ml", 2, b"22"),
        _part("ml", 3, b"333"),
        Step("GET", "/${bucket}/ml?uploadId=${upload}&max-parts=1"),
        Step("GET", "/${bucket}/ml?uploadId=${upload}&max-parts=1&part-number-marker=1"),
        Step("GET", "/${bucket}/ml?uploadId=${upload}&part-number-marker=3"),
        _abort("ml"),
        Step("GET", "/${bucket}/ml?uploadId=${upload}"),
    ),
    case(
        "multipart-list-uploads",
        Step("PUT", "/${fresh}"),
        Step("GET", "/${fresh}?uploads"),
        Step("POST", "/${fresh}/u/1?uploads", take={"one": "UploadId"}),
        Step("POST", "/${fresh}/u/2?uploads", take={"two": "UploadId"}),
        Step("POST", "/${fresh}/v%20%26?uploads", take={"three": "UploadId"}),
        Step("GET", "/${fresh}?uploads"),
        Step("GET", "/${fresh}?uploads&prefix=u/"),
        Step("GET", "/${fresh}?uploads&delimiter=/"),
        Step("GET", "/${fresh}?uploads&max-uploads=1"),
        Step("GET", "/${fresh}?uploads&key-marker=u/1"),
        Step("GET", "/${fresh}?uploads&encoding-type=url"),
        Step("DELETE", "/${fresh}/u/1?uploadId=${one}"),
        Step("DELETE", "/${fresh}/u/2?uploadId=${two}"),
        Step("DELETE", "/${fresh}/v%20%26?uploadId=${three}"),
    ),
    case("multipart-abort-twice", _create("ma"), _part("ma", 1, b"x"), _abort("ma"), _abort("ma")),
    case(
        "multipart-checksums",
        _create("mc", x_amz_checksum_algorithm="CRC32"),
        _part("mc", 1, b"hello", x_amz_checksum_crc32="NhCmhg=="),
        _complete("mc", 1),
        Step("HEAD", "/${bucket}/mc", {"x-amz-checksum-mode": "ENABLED"}),
    ),
    case(
        "multipart-part-wrong-md5",
        _create("mw"),
        _part("mw", 1, b"hello", Content_MD5="AAAAAAAAAAAAAAAAAAAAAA=="),
        _abort("mw"),
    ),
    case(
        "multipart-complete-if-none-match",
        _create("mn"),
        _part("mn", 1, b"x"),
        Step("POST", "/${bucket}/ten?uploadId=${upload}", _XML | {"If-None-Match": "*"}, completion((1, "${part1}"))),
        _abort("mn"),
    ),
    case(
        "multipart-entity-too-small",
        _create("ms"),
        _part("ms", 1, b"small"),
        _part("ms", 2, b"small"),
        _complete("ms", 1, 2),
        _abort("ms"),
    ),
    case(
        "multipart-invalid-part",
        _create("mi"),
        _part("mi", 1, b"x"),
        Step("POST", "/${bucket}/mi?uploadId=${upload}", _XML, completion((1, '"00000000000000000000000000000000"'))),
        Step("POST", "/${bucket}/mi?uploadId=${upload}", _XML, completion((7, "${part1}"))),
        _abort("mi"),
    ),
    case(
        "multipart-invalid-order",
        _create("mr"),
        _part("mr", 1, b"1" * _MINIMUM),
        _part("mr", 2, b"2"),
        _complete("mr", 2, 1),
        _abort("mr"),
    ),
    case(
        "multipart-malformed-xml",
        _create("mx"),
        _part("mx", 1, b"x"),
        Step("POST", "/${bucket}/mx?uploadId=${upload}", _XML, b"<Complete"),
        _abort("mx"),
    ),
    case(
        "multipart-no-parts-named",
        _create("mz"),
        Step("POST", "/${bucket}/mz?uploadId=${upload}", _XML, completion()),
        _abort("mz"),
    ),
    case("multipart-part-number-zero", _create("m0"), _part("m0", 0, b"x"), _abort("m0")),
    case("multipart-part-number-too-high", _create("mh"), _part("mh", 10001, b"x"), _abort("mh")),
    case("multipart-part-number-not-a-number", Step("PUT", "/${bucket}/mq?partNumber=x&uploadId=nonsense", {}, b"x")),
    case("multipart-unknown-upload-part", Step("PUT", "/${bucket}/mu?partNumber=1&uploadId=nonsense", {}, b"x")),
    case("multipart-unknown-upload-list", Step("GET", "/${bucket}/mu?uploadId=nonsense")),
    case(
        "multipart-unknown-upload-complete",
        Step("POST", "/${bucket}/mu?uploadId=nonsense", _XML, completion((1, '"x"'))),
    ),
    case("multipart-unknown-upload-abort", Step("DELETE", "/${bucket}/mu?uploadId=nonsense")),
    case("multipart-create-missing-bucket", Step("POST", "/${fresh}/mb?uploads")),
)
