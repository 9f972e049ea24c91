"""Every known difference between the server alone and the server behind the gateway, each with its reason.

A difference that is not listed here fails the suite, and so does one that is listed and not seen any more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class Difference:
    """One deliberate difference.

    Attributes:
        title: what differs; ``docs/s3-support.md`` says it in these words.
        reason: why it has to.
        cases: server -> patterns of the cases that show it.
        parts: patterns of what differs, as :class:`~tests.conformance.comparison.Outcome` names it; or of
            ``part|server's value|gateway's value``.
        gateway: case pattern -> status and code of the gateway's first answer that differs.
        modes: the gateway's modes that show it.
        required: whether each of the cases has to show it.
    """

    title: str
    reason: str
    cases: Mapping[str, tuple[str, ...]]
    parts: tuple[str, ...] = ("*",)
    gateway: Mapping[str, str] | None = None
    modes: tuple[str, ...] = ("none", "cse")
    required: bool = True

    def is_about(self, server: str, mode: str, case: str) -> bool:
        """Whether ``case`` shows it with ``server`` and a gateway in ``mode``."""
        return mode in self.modes and any(fnmatchcase(case, pattern) for pattern in self.cases.get(server, ()))

    def covers(self, part: str, said: object, answered: object) -> bool:
        """Whether it explains that ``part`` differs in this way."""
        values = f"{part}|{said}|{answered}"
        return any(fnmatchcase(values if "|" in pattern else part, pattern) for pattern in self.parts)

    def answer_to(self, case: str) -> str | None:
        """What the gateway has to answer, or None when that is not said."""
        return next((said for pattern, said in (self.gateway or {}).items() if fnmatchcase(case, pattern)), None)


#: All of an error but its status and its code: every element of the document except Error/Code, and what comes with it.
_WORDS = (
    "Error/[!C]*",
    "Error/C[!o]*",
    "Error/Co[!d]*",
    "header:accept-ranges",
    "header:content-length",
    "header:content-type",
    "header:vary",
    "header:x-amz-bucket-region",
)
_REFUSED_ALIKE = ("bucket-name-*", "content-md5-?*", "multipart-part-wrong-md5")
_CHECKSUM_FIELDS = (
    "checksum-not-base64",
    "checksum-unknown-algorithm",
    "checksum-promised-only",
    "checksum-trailer-wrong",
    "bucket-tagging-bad-digest",
)
_STREAMED = ("chunks-signed-large", "unsigned-payload-large", "presigned-put-large")
_NO_KEYS = ("key-too-long", "key-not-utf8", "key-nul")
_SEALED = ("cse",)
_AMBIGUOUS = ("list-type-unknown", "two-sub-resources")

DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        "What the gateway refuses itself, it refuses in Amazon's words",
        "Identity, names, methods and what a client says about its body are judged before the server is asked. Status "
        "and code are the server's; message, details and the answer's side fields follow Amazon S3.",
        {
            "seaweedfs": (
                *_REFUSED_ALIKE,
                "checksum-header-wrong-*",
                "identity-*",
                "method-patch",
                "method-unknown-on-object",
                "service-head",
                "sub-resource-unknown",
            ),
            "rgw": (
                *_REFUSED_ALIKE,
                "content-length-missing",
                "copy-malformed-source",
                "identity-*-*t",
                "identity-*-head",
                "method-delete-on-service",
                "method-patch",
                "payload-hash-wrong",
            ),
            "minio": (*_REFUSED_ALIKE, "copy-malformed-source", "identity-*", "payload-hash-wrong"),
        },
        _WORDS,
    ),
    Difference(
        "`aws-chunked` is never shown as an object's Content-Encoding",
        "It is the framing of an upload and not an encoding of the object; Amazon S3 does not store it, these "
        "servers do.",
        {
            "seaweedfs": ("checksum-trailer-[csl]*", "checksum-chunks-trailer-*", "chunks-*"),
            "rgw": ("chunks-signed", "chunks-signed-large", "chunks-with-encoding"),
        },
        ("header:content-encoding",),
    ),
    Difference(
        "Streamed uploads without a checksum get CRC64NVME",
        "The gateway sends a trailing checksum so that no error between it and the server goes unseen. Amazon S3 "
        "stores the same checksum for such uploads by itself.",
        {"seaweedfs": _STREAMED, "minio": _STREAMED},
        ("header:x-amz-checksum-crc64nvme", "header:x-amz-checksum-type"),
        modes=("none",),
    ),
    Difference(
        "A body that is not what its signature says is refused",
        "SeaweedFS does not compare the body with a signed `x-amz-content-sha256`.",
        {"seaweedfs": ("payload-hash-wrong",)},
        gateway={"*": "400 XAmzContentSHA256Mismatch"},
    ),
    Difference(
        "Checksums are verified, and their fields have to be well formed",
        "The gateway verifies every claim about a body as Amazon S3 does; servers ignore some of them, or name the "
        "fault otherwise.",
        {
            "seaweedfs": _CHECKSUM_FIELDS,
            "rgw": (*_CHECKSUM_FIELDS, "checksum-header-wrong-*"),
            "minio": (*_CHECKSUM_FIELDS, "checksum-header-wrong-*"),
        },
        gateway={"*-wrong*": "400 BadDigest", "*-bad-digest": "400 BadDigest", "*": "400 InvalidRequest"},
    ),
    Difference(
        "Trailing checksums and empty chunked bodies work with Ceph RGW",
        "The gateway decodes and verifies them and sends RGW a plain body, because RGW does not know them.",
        {"rgw": ("checksum-trailer-[csl]*", "checksum-chunks-trailer-*", "chunks-signed-empty")},
        gateway={"*": "200"},
    ),
    Difference(
        "An upload has to state its length",
        "Amazon S3 answers 411. These servers take a missing Content-Length for an empty body.",
        {"seaweedfs": ("content-length-missing",), "minio": ("content-length-missing",)},
        gateway={"*": "411 MissingContentLength"},
    ),
    Difference(
        "Names that no object can have are refused as Amazon S3 does",
        "More than 1,024 bytes, bytes that are not UTF-8, NUL: each server has a code of its own for them.",
        {"seaweedfs": _NO_KEYS, "rgw": _NO_KEYS, "minio": _NO_KEYS},
        gateway={"key-too-long": "400 KeyTooLongError", "*": "400 InvalidURI"},
    ),
    Difference(
        "`%2F` in a path may be signed as it is sent",
        "Amazon S3 verifies the path as sent. These servers decode it before they verify, and refuse the signature.",
        {"seaweedfs": ("key-encoded-slash",), "rgw": ("key-encoded-slash",), "minio": ("key-encoded-slash",)},
        gateway={"*": "200"},
    ),
    Difference(
        "Requests that could mean two things are refused",
        "A sub-resource that the gateway does not know, two of them, or another value of `list-type` could mean one "
        "operation to the policy and another to the server.",
        {
            "seaweedfs": (*_AMBIGUOUS, "copy-malformed-source"),
            "rgw": (*_AMBIGUOUS, "sub-resource-unknown"),
            "minio": (*_AMBIGUOUS, "sub-resource-unknown"),
        },
        gateway={"sub-resource-unknown": "501 NotImplemented", "*": "400 InvalidArgument"},
    ),
    Difference(
        "A method that no operation has is 405",
        "The gateway answers as Amazon S3 does; servers have other codes, or serve it.",
        {
            "seaweedfs": ("method-delete-on-service",),
            "rgw": ("service-head", "method-unknown-on-object"),
            "minio": ("service-head", "method-*"),
        },
        gateway={"service-head": "405", "*": "405 MethodNotAllowed"},
    ),
    Difference(
        "Nobody is served without a signature",
        "The gateway needs to know whose credentials to use upstream. RGW shows anonymous clients an empty "
        "list of buckets.",
        {"rgw": ("identity-anonymous-service",)},
        gateway={"*": "403 AccessDenied"},
    ),
    Difference(
        "The Location of a completed upload names the gateway",
        "It is where the client finds the object; the server would name itself.",
        {
            "rgw": (
                "part-copy",
                "part-copy-range",
                "multipart-two-parts",
                "multipart-one-part",
                "multipart-odd-key",
                "multipart-tagged",
                "multipart-versioned",
                "multipart-part-overwritten",
                "multipart-part-gap",
                "multipart-checksums",
                "multipart-invalid-order",
            ),
            "minio": ("multipart-odd-key",),
        },
        ("CompleteMultipartUploadResult/Location",),
    ),
    Difference(
        "An answer without Content-Type is `application/octet-stream`",
        "RGW states no type for GetBucketLocation; this is what RFC 9110 lets a client assume.",
        {"rgw": ("bucket-location",)},
        ("header:content-type",),
    ),
    Difference(
        "Sealed: a type that nobody states is not guessed from the content",
        "The server sees ciphertext, and takes it for `application/octet-stream`.",
        {"seaweedfs": ("*",)},
        ("header:content-type|text/plain*|application/octet-stream",),
        modes=_SEALED,
        required=False,
    ),
    Difference(
        "Sealed: no checksum of the stored bytes is shown",
        "It would cover ciphertext. The answer to an upload repeats the checksum that the client sent and the gateway "
        "verified.",
        {"seaweedfs": ("checksum-*", "chunks-*", "multipart-checksums")},
        ("header:x-amz-checksum-*|*|None", "header:x-amz-checksum-type|None|*"),
        modes=_SEALED,
        required=False,
    ),
    Difference(
        "Sealed: answers are made by the gateway, as Amazon S3 makes them",
        "The gateway reads, copies and completes by requests of its own. Status and code are the server's; quotes "
        "around ETags, the namespace, details of errors, side fields and what HEAD says of an error follow Amazon S3.",
        {"seaweedfs": ("*",)},
        (
            "namespace",
            "header:vary",
            "header:accept-ranges",
            "Error/[!C]*",
            "Error/C[!o]*",
            "header:content-length|*|None",
            "header:x-amz-mp-parts-count|1|None",
            "header:x-amz-copy-source-version-id|None|*",
            "header:etag|*|None",
            'Copy*Result/ETag|an-etag|"an-etag"',
        ),
        modes=_SEALED,
        required=False,
    ),
    Difference(
        "Sealed: HEAD takes a range",
        "As Amazon S3 does. SeaweedFS looks at Range only in GET.",
        {
            "seaweedfs": (
                "if-if-range",
                "if-match-and-range",
                "range-all",
                "range-[em]*",
                "range-open*",
                "range-f*",
                "range-s[tu]*",
            )
        },
        modes=_SEALED,
    ),
    Difference(
        "Sealed: a range that can not be read is ignored",
        "As RFC 9110 asks, and as Amazon S3 does. SeaweedFS answers 416.",
        {"seaweedfs": ("range-backwards", "range-not-a-range", "range-spaces")},
        gateway={"*": "200"},
        modes=_SEALED,
    ),
    Difference(
        "Sealed: If-Range is obeyed",
        "A range of another object than the client knows would be of no use to it (RFC 9110). SeaweedFS ignores the "
        "field.",
        {"seaweedfs": ("if-if-range-other",)},
        gateway={"*": "200"},
        modes=_SEALED,
    ),
    Difference(
        "Sealed: uploads and parts are judged as Amazon S3 judges them",
        "The gateway knows the sizes that parts had before they were sealed, and checks the list of parts itself.",
        {
            "seaweedfs": (
                "multipart-checksums",
                "multipart-no-parts-named",
                "multipart-part-number-*",
                "part-copy-refused",
                "object-attributes-none-named",
            )
        },
        gateway={
            "multipart-checksums": "200",
            "multipart-no-parts-named": "400 MalformedXML",
            "multipart-part-number-not-a-number": "404 NoSuchUpload",
            "object-attributes-none-named": "400 InvalidRequest",
            "multipart-part-number-*": "400 InvalidArgument",
        },
        modes=_SEALED,
    ),
    Difference(
        "Sealed: ListMultipartUploads shows the server's own ids",
        "They do for aborting an upload. One that is to be continued needs the id that the gateway gave, which says "
        "that its parts are sealed.",
        {"seaweedfs": ("multipart-list-uploads",)},
        ("*UploadId", "*UploadIdMarker"),
        modes=_SEALED,
    ),
    Difference(
        "Sealed: what needs the content at the server is refused",
        "SelectObjectContent and GetObjectTorrent would work on ciphertext.",
        {"seaweedfs": ("object-torrent", "select-not-there")},
        gateway={"*": "501 NotImplemented"},
        modes=_SEALED,
    ),
    Difference(
        "Sealed: SeaweedFS keeps no folder objects",
        "It makes a directory of a key that ends with a slash, and keeps neither content nor metadata. What it answers "
        "later is no sealed object and is refused.",
        {"seaweedfs": ("key-trailing-slash",)},
        gateway={"*": "403 AccessDenied"},
        modes=_SEALED,
    ),
)


def differences_of(server: str, mode: str, case: str) -> tuple[Difference, ...]:
    """What is known to differ in ``case``."""
    return tuple(difference for difference in DIFFERENCES if difference.is_about(server, mode, case))
