"""XML as S3 speaks it: documents of clients, answers of the upstream, and answers of the gateway.

Input is hostile: DTDs and entities are refused, sizes are limited. Answers of the upstream are edited in place, so
namespaces, order and everything not understood here stay byte for byte. Source: Amazon S3 API Reference, "Error
responses", CopyObject, UploadPartCopy and POST Object.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from gateway.errors import S3Error
from gateway.s3.xml_edit import edit_text, escape_text

#: The largest document that is parsed unless a caller says otherwise, bytes. CompleteMultipartUpload with 10,000 parts
#: and a SHA-256 checksum each stays below 3 MiB.
MAX_DOCUMENT_BYTES = 4 * 1024 * 1024
#: The largest error document that is looked into, bytes.
MAX_ERROR_BYTES = 64 * 1024

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_NAMESPACE_PREFIX = re.compile(r"^\{[^}]*\}")


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """What an ``Error`` document says."""

    code: str
    message: str


def render_error(
    *,
    code: str,
    message: str,
    resource: str,
    request_id: str,
    host_id: str,
    details: Iterable[tuple[str, str]] = (),
) -> bytes:
    """S3's error document; it has no namespace.

    Args:
        code: S3's error code.
        message: the text for people.
        resource: the path that was asked for, as sent.
        request_id: the request's id.
        host_id: the value of ``x-amz-id-2``.
        details: further elements in order, after the message as S3 has them.
    """
    fields = (
        ("Code", code),
        ("Message", message),
        *details,
        ("Resource", resource),
        ("RequestId", request_id),
        ("HostId", host_id),
    )
    return _render("Error", fields, namespace=None)


def render_copy_result(
    element: Literal["CopyObjectResult", "CopyPartResult"],
    *,
    etag: str,
    last_modified: datetime,
    checksums: Iterable[tuple[str, str]] = (),
) -> bytes:
    """The result document of CopyObject or UploadPartCopy.

    Args:
        element: the root element.
        etag: the entity tag, quotes included.
        last_modified: when the copy was made, with a time zone.
        checksums: further elements such as ``("ChecksumCRC32", "…")``.
    """
    modified = last_modified.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return _render(element, (("LastModified", modified), ("ETag", etag), *checksums), namespace=NAMESPACE)


def render_post_response(*, location: str, bucket: str, object_key: str, etag: str) -> bytes:
    """The answer to a form upload whose ``success_action_status`` is 201; it has no namespace."""
    fields = (("Location", location), ("Bucket", bucket), ("Key", object_key), ("ETag", etag))
    return _render("PostResponse", fields, namespace=None)


def render_completed(*, location: str, bucket: str, object_key: str, etag: str) -> bytes:
    """The result document of CompleteMultipartUpload."""
    fields = (("Location", location), ("Bucket", bucket), ("Key", object_key), ("ETag", etag))
    return _render("CompleteMultipartUploadResult", fields, namespace=NAMESPACE)


def parse_xml(body: bytes, limit: int = MAX_DOCUMENT_BYTES) -> Element:
    """The root element of a document.

    Args:
        body: the document.
        limit: the most bytes it may have.

    Raises:
        S3Error: MalformedXML for anything but well-formed XML without a DTD.
    """
    if len(body) > limit:
        raise _malformed()
    try:
        root: Element = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, LookupError, ValueError) as error:
        # LookupError and ValueError: an encoding that Python does not know or that has several bytes per character.
        raise _malformed() from error
    return root


def local_name(element: Element) -> str:
    """An element's name without its namespace."""
    return _NAMESPACE_PREFIX.sub("", element.tag)


def parse_error(body: bytes) -> ErrorAnswer | None:
    """The error that an answer's body states, or None when it states none: another document, or no XML at all.

    White space in front, which S3 sends to keep connections alive, is no hindrance.
    """
    try:
        root = parse_xml(body.lstrip(), MAX_ERROR_BYTES)
    except S3Error:
        return None
    if local_name(root) != "Error":
        return None
    return ErrorAnswer(root.findtext("{*}Code") or "InternalError", root.findtext("{*}Message") or "")


def error_code(body: bytes) -> str | None:
    """The code of the error that an answer's body states, if any."""
    found = parse_error(body)
    return None if found is None else found.code


def element_text(body: bytes, name: str, limit: int = MAX_DOCUMENT_BYTES) -> str | None:
    """The text of the first element called ``name``, in any namespace, or None without one or when it is no XML."""
    try:
        root = parse_xml(body.lstrip(), limit)
    except S3Error:
        return None
    for element in root.iter():
        if local_name(element) == name:
            return element.text or ""
    return None


def replace_text(body: bytes, texts: Mapping[str, str]) -> bytes:
    """An answer of the upstream in which every element named in ``texts``, in any namespace, has that text.

    Raises:
        S3Error: InternalError when the body is not XML.
    """
    return edit_text(body, lambda path, _text: texts.get(path[-1]))


def _render(root: str, fields: Iterable[tuple[str, str]], *, namespace: str | None) -> bytes:
    content = "".join(f"<{name}>{escape_text(text)}</{name}>" for name, text in fields)
    attribute = "" if namespace is None else f' xmlns="{namespace}"'
    return f"{_DECLARATION}<{root}{attribute}>{content}</{root}>".encode()


def _malformed() -> S3Error:
    return S3Error(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    )
