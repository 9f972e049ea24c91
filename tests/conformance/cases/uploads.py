"""Bodies and what clients say about them: checksums in every algorithm, in header and trailer, Content-MD5, framing."""

import base64
import hashlib
import zlib

import awscrt.checksums

from tests.conformance.case import Case, Signing, Step, case
from tests.conformance.cases.documents import content_md5

_BODY = b"checksummed body"
_LARGE = bytes(range(256)) * 600


def _checksums(body: bytes) -> dict[str, str]:
    """Base64 values by algorithm."""
    digests = {
        "crc32": zlib.crc32(body).to_bytes(4, "big"),
        "crc32c": awscrt.checksums.crc32c(body).to_bytes(4, "big"),
        "crc64nvme": awscrt.checksums.crc64nvme(body).to_bytes(8, "big"),
        "sha1": hashlib.sha1(body, usedforsecurity=False).digest(),
        "sha256": hashlib.sha256(body).digest(),
    }
    return {name: base64.b64encode(digest).decode() for name, digest in digests.items()}


_GOOD = _checksums(_BODY)
_WRONG = _checksums(b"another body")
_GOOD_LARGE = _checksums(_LARGE)


def _header(algorithm: str) -> Case:
    """Checksum in a header: kept, shown when asked for; a wrong one is refused and nothing is stored."""
    field, target = f"x-amz-checksum-{algorithm}", f"/${{bucket}}/header-{algorithm}"
    shown = {"x-amz-checksum-mode": "ENABLED"}
    return case(
        f"checksum-header-{algorithm}",
        Step("PUT", target, {field: _GOOD[algorithm], "x-amz-sdk-checksum-algorithm": algorithm.upper()}, _BODY),
        Step("HEAD", target, shown),
        Step("GET", target, shown),
        Step("GET", target),
        Step("GET", f"{target}?attributes", {"x-amz-object-attributes": "Checksum,ObjectSize"}),
    )


def _wrong_header(algorithm: str) -> Case:
    field, target = f"x-amz-checksum-{algorithm}", f"/${{bucket}}/wrong-{algorithm}"
    return case(
        f"checksum-header-wrong-{algorithm}",
        Step("PUT", target, {field: _WRONG[algorithm]}, _BODY),
        Step("HEAD", target),
    )


def _trailer(algorithm: str, signing: Signing) -> Case:
    field, target = f"x-amz-checksum-{algorithm}", f"/${{bucket}}/{signing}-{algorithm}"
    return case(
        f"checksum-{signing}-{algorithm}",
        Step("PUT", target, {}, _BODY, signing, (field, _GOOD[algorithm])),
        Step("HEAD", target, {"x-amz-checksum-mode": "ENABLED"}),
        Step("GET", target, {"x-amz-checksum-mode": "ENABLED"}),
    )


CASES = (
    *(_header(algorithm) for algorithm in _GOOD),
    *(_wrong_header(algorithm) for algorithm in _GOOD),
    *(_trailer(algorithm, "trailer") for algorithm in _GOOD),
    _trailer("crc32", "chunks-trailer"),
    _trailer("sha256", "chunks-trailer"),
    case(
        "checksum-trailer-wrong",
        Step("PUT", "/${bucket}/wrong-trailer", {}, _BODY, "trailer", ("x-amz-checksum-crc32", _WRONG["crc32"])),
        Step("HEAD", "/${bucket}/wrong-trailer"),
    ),
    case(
        "checksum-trailer-large",
        Step("PUT", "/${bucket}/large-trailer", {}, _LARGE, "trailer", ("x-amz-checksum-crc32", _GOOD_LARGE["crc32"])),
        Step("HEAD", "/${bucket}/large-trailer", {"x-amz-checksum-mode": "ENABLED"}),
        Step("GET", "/${bucket}/large-trailer"),
    ),
    case("checksum-not-base64", Step("PUT", "/${bucket}/bad-sum", {"x-amz-checksum-crc32": "!"}, _BODY)),
    case("checksum-unknown-algorithm", Step("PUT", "/${bucket}/odd-sum", {"x-amz-checksum-crc7": "AAAA"}, _BODY)),
    case(
        "checksum-promised-only", Step("PUT", "/${bucket}/promised", {"x-amz-sdk-checksum-algorithm": "CRC32"}, _BODY)
    ),
    case("chunks-signed", Step("PUT", "/${bucket}/chunks", {}, _BODY, "chunks"), Step("GET", "/${bucket}/chunks")),
    case(
        "chunks-signed-large",
        Step("PUT", "/${bucket}/chunks-l", {}, _LARGE, "chunks"),
        Step("GET", "/${bucket}/chunks-l"),
    ),
    case(
        "chunks-signed-empty", Step("PUT", "/${bucket}/chunks-e", {}, b"", "chunks"), Step("GET", "/${bucket}/chunks-e")
    ),
    case(
        "chunks-with-encoding",
        Step("PUT", "/${bucket}/chunks-z", {"Content-Encoding": "gzip"}, _BODY, "chunks"),
        Step("HEAD", "/${bucket}/chunks-z"),
    ),
    case(
        "unsigned-payload",
        Step("PUT", "/${bucket}/unsigned", {}, _BODY, "unsigned-payload"),
        Step("GET", "/${bucket}/unsigned"),
    ),
    case(
        "unsigned-payload-large",
        Step("PUT", "/${bucket}/unsigned-l", {}, _LARGE, "unsigned-payload"),
        Step("GET", "/${bucket}/unsigned-l"),
    ),
    case(
        "payload-hash-wrong",
        Step("PUT", "/${bucket}/wrong-hash", {}, _BODY, "wrong-hash"),
        Step("HEAD", "/${bucket}/wrong-hash"),
    ),
    case(
        "content-md5",
        Step("PUT", "/${bucket}/md5", {"Content-MD5": content_md5(_BODY)}, _BODY),
        Step("HEAD", "/${bucket}/md5"),
    ),
    case(
        "content-md5-wrong",
        Step("PUT", "/${bucket}/md5-w", {"Content-MD5": content_md5(b"x")}, _BODY),
        Step("HEAD", "/${bucket}/md5-w"),
    ),
    case("content-md5-malformed", Step("PUT", "/${bucket}/md5-m", {"Content-MD5": "short"}, _BODY)),
    case("content-length-missing", Step("PUT", "/${bucket}/no-length", {}, b"", sends_length=False)),
)
