"""From a raw HTTP request to an S3 request: bucket, object key and operation.

Both address styles are served: ``/bucket/key`` and ``bucket.domain/key``. Paths are not normalised: ``//``, ``.``,
``..`` and ``%2F`` belong to object keys.
"""

import re
from dataclasses import replace
from urllib.parse import unquote_to_bytes

from gateway.errors import S3Error
from gateway.s3.headers import Headers
from gateway.s3.operation import recognise
from gateway.s3.operation_table import Level
from gateway.s3.query import Query, check_request_target
from gateway.s3.request import RawRequest, S3Request

#: Amazon S3 User Guide, "Naming Amazon S3 objects": a key is at most 1,024 bytes of UTF-8.
MAX_OBJECT_KEY_BYTES = 1024

#: Names of general purpose buckets, and of the older ones that other servers and us-east-1 still hold: up to 255
#: characters, upper case and underscores. Amazon S3 User Guide, "General purpose bucket naming rules".
_BUCKET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,254}")

#: Reserved suffixes of directory buckets (x-s3), Object Lambda access points (ol-s3) and table buckets (table-s3).
_UNSUPPORTED_BUCKET_SUFFIXES = ("--x-s3", "--ol-s3", "--table-s3")

_HOST = re.compile(r"(?P<name>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?")
_ABSOLUTE_FORM = re.compile(r"https?://(?P<authority>[^/]*)(?P<path>/.*)?", re.IGNORECASE)


def parse_request(raw: RawRequest, domains: tuple[str, ...]) -> S3Request:
    """The S3 meaning of ``raw``.

    Args:
        raw: the request as received. A request target in absolute form (RFC 9112, section 3.2.2) is accepted when its
            authority is the Host; the answer's ``raw`` then has the path alone, which is what the client signed.
        domains: the base domains of virtual-host style, such as ``s3.example.com``, in lower case.

    Raises:
        S3Error: InvalidURI, InvalidRequest (Host), InvalidBucketName, KeyTooLongError, and those of
            :func:`gateway.s3.operation.recognise`.
    """
    host = _host(raw.headers)
    raw = _origin_form(raw)
    check_request_target(raw.raw_path)
    query = Query.parse(raw.raw_query)
    bucket, raw_object_key = _address(host, raw.raw_path, domains)
    object_key = None if raw_object_key is None else _decode_object_key(raw_object_key)
    level: Level = "service" if bucket is None else "bucket" if object_key is None else "object"
    operation = recognise(raw.method, level, query, raw.headers)
    return S3Request(
        raw=raw,
        operation=operation,
        bucket=bucket,
        # Amazon reads a bare + in a path as a space, others as itself. The upstream is told what was meant here.
        raw_object_key=None if raw_object_key is None else raw_object_key.replace("+", "%2B"),
        object_key=object_key,
        query=query,
    )


def check_bucket_name(bucket: str) -> None:
    """Refuse what no S3 server takes for a bucket's name, and buckets of kinds that the gateway does not serve.

    Raises:
        S3Error: InvalidBucketName; NotImplemented for directory, Object Lambda and table buckets.
    """
    if not _BUCKET_NAME.fullmatch(bucket):
        raise S3Error("InvalidBucketName", "The specified bucket is not valid.", details=(("BucketName", bucket),))
    if bucket.endswith(_UNSUPPORTED_BUCKET_SUFFIXES):
        raise S3Error("NotImplemented", "Buckets of this kind are not supported.", details=(("BucketName", bucket),))


def check_object_key(object_key: str) -> None:
    """Refuse an object key that is too long.

    Raises:
        S3Error: KeyTooLongError.
    """
    size = len(object_key.encode("utf-8", "surrogateescape"))
    if size > MAX_OBJECT_KEY_BYTES:
        raise S3Error(
            "KeyTooLongError",
            "Your key is too long",
            details=(("Size", str(size)), ("MaxSizeAllowed", str(MAX_OBJECT_KEY_BYTES))),
        )


def _host(headers: Headers) -> str:
    """The host that the request names, lower case, without port.

    RFC 9112, section 3.2: a request without exactly one valid Host field is answered 400.
    """
    values = headers.all("host")
    match = _HOST.fullmatch(values[0]) if len(values) == 1 else None
    if match is None:
        raise S3Error("InvalidRequest", "A request must have exactly one valid Host header.")
    return match["name"].lower().removesuffix(".")


def _origin_form(raw: RawRequest) -> RawRequest:
    if raw.raw_path.startswith("/"):
        return raw
    match = _ABSOLUTE_FORM.fullmatch(raw.raw_path)
    if match is None:
        raise S3Error("InvalidURI", "Couldn't parse the specified URI.")
    if match["authority"].lower() != (raw.headers.get("host") or "").lower():
        raise S3Error("InvalidRequest", "The request target and the Host header name different hosts.")
    return replace(raw, raw_path=match["path"] or "/")


def _address(host: str, raw_path: str, domains: tuple[str, ...]) -> tuple[str | None, str | None]:
    """Bucket name and raw object key."""
    bucket = _bucket_of_host(host, domains)
    if bucket is not None:
        check_bucket_name(bucket)
        return bucket, raw_path[1:] or None
    raw_bucket, _, raw_object_key = raw_path[1:].partition("/")
    if not raw_bucket and not raw_object_key and raw_path == "/":
        return None, None
    name = _decode_path(raw_bucket)
    check_bucket_name(name)
    return name, raw_object_key or None


def _bucket_of_host(host: str, domains: tuple[str, ...]) -> str | None:
    """The bucket in front of a base domain; the longest domain that fits decides."""
    if host in domains:
        return None
    fitting = [domain for domain in domains if host.endswith("." + domain)]
    return host.removesuffix("." + max(fitting, key=len)) if fitting else None


def _decode_object_key(raw_object_key: str) -> str:
    object_key = _decode_path(raw_object_key)
    check_object_key(object_key)
    return object_key


def _decode_path(raw: str) -> str:
    """A decoded piece of a path. ``+`` stands for itself, as RFC 3986 has it.

    Raises:
        S3Error: InvalidURI for bytes that are not UTF-8, which no S3 key can hold, and for NUL.
    """
    if "%" not in raw:
        return raw
    try:
        text = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError as error:
        raise S3Error("InvalidURI", "Couldn't parse the specified URI.") from error
    if "\0" in text:
        raise S3Error("InvalidURI", "Couldn't parse the specified URI.")
    return text
