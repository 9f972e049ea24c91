"""What a copy takes from its source, and what from the request. Source: Amazon S3 API Reference, CopyObject."""

from urllib.parse import urlencode

from gateway.errors import S3Error
from gateway.s3.headers import Headers
from gateway.s3.xml import parse_xml

_META = "x-amz-meta-"
_SYSTEM_METADATA = frozenset(
    {"cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires"}
)
_COPY_SOURCE = "x-amz-copy-source"
METADATA_DIRECTIVE = "x-amz-metadata-directive"
TAGGING_DIRECTIVE = "x-amz-tagging-directive"
_ABOUT_THE_COPY = frozenset({METADATA_DIRECTIVE, TAGGING_DIRECTIVE, "x-amz-checksum-algorithm"})
_CONDITIONS = {
    "x-amz-copy-source-if-match": "if-match",
    "x-amz-copy-source-if-none-match": "if-none-match",
    "x-amz-copy-source-if-modified-since": "if-modified-since",
    "x-amz-copy-source-if-unmodified-since": "if-unmodified-since",
    "x-amz-copy-source-range": "range",
}


def source_conditions(requested: Headers) -> Headers:
    """The conditions and the range of a copy's source, as a GET of that source states them."""
    return Headers((_CONDITIONS[name], value) for name, value in requested if name in _CONDITIONS)


def replaces(requested: Headers, directive: str) -> bool:
    """Whether a copy's directive is ``REPLACE`` and not ``COPY``, the default.

    Raises:
        S3Error: InvalidArgument, when it is neither.
    """
    value = requested.get(directive) or "COPY"
    if value.upper() not in {"COPY", "REPLACE"}:
        raise S3Error(
            "InvalidArgument",
            f"Unknown {'tagging' if directive == TAGGING_DIRECTIVE else 'metadata'} directive.",
            details=(("ArgumentName", directive), ("ArgumentValue", value)),
        )
    return value.upper() == "REPLACE"


def copied_headers(requested: Headers, source: Headers) -> Headers:
    """The header fields of the PutObject that stands for a CopyObject.

    With the metadata directive ``COPY``, which is the default, the metadata come from the source and those in the
    request are ignored; with ``REPLACE`` it is the other way round.

    Raises:
        S3Error: InvalidArgument, when the directive is neither.
    """
    replace = replaces(requested, METADATA_DIRECTIVE)
    kept = Headers(
        (name, value)
        for name, value in requested
        if not name.startswith(_COPY_SOURCE) and name not in _ABOUT_THE_COPY and (replace or not _is_metadata(name))
    )
    if replace:
        return kept
    return Headers((*kept, *((name, value) for name, value in source if _is_metadata(name))))


def copied_tagging(body: bytes) -> Headers:
    """The header field that sets the tags of a GetObjectTagging answer.

    Raises:
        S3Error: the answer is not XML.
    """
    tags = parse_tagging(body)
    return Headers((("x-amz-tagging", urlencode(tags)),)) if tags else Headers()


def parse_tagging(body: bytes) -> list[tuple[str, str]]:
    """Key and value of every tag in a GetObjectTagging answer; Ceph RGW's is empty for an object without tags.

    Raises:
        S3Error: the answer is not XML.
    """
    if not body.strip():
        return []
    return [
        (tag.findtext("{*}Key") or "", tag.findtext("{*}Value") or "") for tag in parse_xml(body).iterfind(".//{*}Tag")
    ]


def _is_metadata(name: str) -> bool:
    return name in _SYSTEM_METADATA or name.startswith(_META)
