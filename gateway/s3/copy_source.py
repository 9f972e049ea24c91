"""The object that a copy reads: ``x-amz-copy-source``.

Source: Amazon S3 API Reference, CopyObject: ``bucket/key`` or ``/bucket/key``, URL-encoded, optionally followed by
``?versionId=``.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from gateway.errors import S3Error
from gateway.s3.operation_table import COPY_SOURCE_HEADER
from gateway.s3.parse import check_bucket_name, check_object_key
from gateway.s3.query import encode_value

#: Longer than bucket, key and version can be when every byte is percent-encoded.
MAX_COPY_SOURCE_CHARACTERS = 8192

_BROKEN_PERCENT_ENCODING = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f]")
_VERSION_PARAMETER = "versionId="


@dataclass(frozen=True, slots=True)
class CopySource:
    """The source of a copy.

    Attributes:
        bucket: its bucket.
        raw_object_key: its object key percent-encoded, in one spelling whatever the client chose.
        object_key: its object key decoded.
        version_id: the version asked for, or None for the current one.
    """

    bucket: str
    raw_object_key: str
    object_key: str
    version_id: str | None

    def render(self) -> str:
        """The header's value."""
        version = "" if self.version_id is None else f"?{_VERSION_PARAMETER}{encode_value(self.version_id)}"
        return f"/{self.bucket}/{self.raw_object_key}{version}"


def parse_copy_source(value: str) -> CopySource:
    """The source that ``x-amz-copy-source`` names.

    The whole path may be encoded, slashes included, as some SDKs ask their users to do. ``+`` stands for a space: S3
    reads it so here, and form encoders write it so.

    Raises:
        S3Error: InvalidArgument when it is not ``bucket/key``; NotImplemented for an access point; KeyTooLongError.
    """
    path, question_mark, parameter = value.partition("?")
    if len(value) > MAX_COPY_SOURCE_CHARACTERS or (question_mark and not parameter.startswith(_VERSION_PARAMETER)):
        raise _invalid("Invalid copy source object key", value)
    decoded = _decode(path, value)
    if decoded.removeprefix("/").startswith("arn:"):
        raise S3Error("NotImplemented", "Copying from an access point is not supported.")
    bucket, _, object_key = decoded.removeprefix("/").partition("/")
    if not bucket or not object_key:
        raise _invalid("Invalid copy source object key", value)
    try:
        check_bucket_name(bucket)
    except S3Error as error:
        if error.code == "NotImplemented":
            raise
        raise _invalid("Invalid copy source bucket name", value) from error
    check_object_key(object_key)
    version_id = _decode(parameter.removeprefix(_VERSION_PARAMETER), value) if question_mark else None
    if version_id == "" or (version_id is not None and "&" in parameter):
        raise _invalid("Version id cannot be the empty string", value)
    return CopySource(bucket, quote(object_key, safe="/-_.~"), object_key, version_id)


def _decode(text: str, value: str) -> str:
    if _BROKEN_PERCENT_ENCODING.search(text):
        raise _invalid("Invalid copy source encoding.", value)
    spaced = text.replace("+", " ").encode("utf-8", "surrogateescape")
    try:
        decoded = unquote_to_bytes(spaced).decode("utf-8")
    except UnicodeDecodeError as error:
        raise _invalid("Invalid copy source encoding.", value) from error
    if "\0" in decoded or _CONTROL_CHARACTER.search(text):
        raise _invalid("Invalid copy source encoding.", value)
    return decoded


def _invalid(message: str, value: str) -> S3Error:
    return S3Error(
        "InvalidArgument", message, details=(("ArgumentName", COPY_SOURCE_HEADER), ("ArgumentValue", value[:1024]))
    )
