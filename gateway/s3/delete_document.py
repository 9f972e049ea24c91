"""The document of DeleteObjects, and its result.

Where policies decide about each object, the document is read strictly and written anew, so that the server can not take
it for another one than was judged. Source: Amazon S3 API Reference, DeleteObjects.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from gateway.errors import S3Error
from gateway.s3.xml import NAMESPACE, local_name, parse_xml
from gateway.s3.xml_edit import escape_text

#: Source: Amazon S3 API Reference, DeleteObjects.
MAX_OBJECTS = 1000

_FIELDS = ("Key", "VersionId", "ETag", "LastModifiedTime", "Size")
_EMPTY_ROOT = re.compile(rb"<([^\s/>]+)([^<>]*)/>\s*\Z")


@dataclass(frozen=True, slots=True)
class Deletion:
    """One object that a document names.

    Attributes:
        object_key: its key.
        version_id: the version; None for the current one.
        fields: everything that is said of it, in the document's order.
    """

    object_key: str
    version_id: str | None
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class DeleteDocument:
    """A whole document.

    Attributes:
        quiet: whether only errors are reported; None when it does not say.
        deletions: the objects.
    """

    quiet: str | None
    deletions: tuple[Deletion, ...]


@dataclass(frozen=True, slots=True)
class DeletionError:
    """One object that was not removed."""

    deletion: Deletion
    code: str
    message: str


def parse_delete_document(body: bytes) -> DeleteDocument:
    """Read a document.

    Raises:
        S3Error: MalformedXML for anything that the published schema does not have.
    """
    root = parse_xml(body)
    if local_name(root) != "Delete":
        raise _malformed()
    quiet: str | None = None
    deletions: list[Deletion] = []
    for element in root:
        name = local_name(element)
        if name == "Object":
            deletions.append(_deletion(element))
        elif name == "Quiet" and quiet is None:
            quiet = _text(element).strip()
        else:
            raise _malformed()
    if not 0 < len(deletions) <= MAX_OBJECTS or quiet not in {None, "true", "false"}:
        raise _malformed()
    return DeleteDocument(quiet, tuple(deletions))


def render_delete_document(document: DeleteDocument) -> bytes:
    """The inverse of :func:`parse_delete_document`."""
    quiet = "" if document.quiet is None else f"<Quiet>{document.quiet}</Quiet>"
    objects = "".join(f"<Object>{_render(deletion.fields)}</Object>" for deletion in document.deletions)
    return f'<Delete xmlns="{NAMESPACE}">{quiet}{objects}</Delete>'.encode()


def render_result(errors: Iterable[DeletionError]) -> bytes:
    """The result of a request none of whose objects was removed."""
    declaration = '<?xml version="1.0" encoding="UTF-8"?>'
    return f'{declaration}\n<DeleteResult xmlns="{NAMESPACE}">{_render_errors(errors)}</DeleteResult>'.encode()


def result_with_errors(body: bytes, errors: Sequence[DeletionError]) -> bytes:
    """The server's result with further errors at its end.

    Raises:
        S3Error: InternalError, when the server's answer is no such result.
    """
    added = _render_errors(errors).encode()
    empty = _EMPTY_ROOT.search(body)
    end = body.rfind(b"</")
    if end >= 0:
        whole = body[:end] + added + body[end:]
    elif empty is not None:
        whole = body[: empty.start()] + b"<%b%b>" % empty.groups() + added + b"</%b>" % empty[1]
    else:
        raise _unreadable()
    try:
        before, after = parse_xml(body), parse_xml(whole)
    except S3Error as error:
        raise _unreadable() from error
    if local_name(after) != "DeleteResult" or len(after) != len(before) + len(errors):
        raise _unreadable()
    return whole


def _deletion(element: Element) -> Deletion:
    fields: dict[str, str] = {}
    for child in element:
        name = local_name(child)
        if name not in _FIELDS or name in fields:
            raise _malformed()
        fields[name] = _text(child)
    if not fields.get("Key"):
        raise _malformed()
    return Deletion(fields["Key"], fields.get("VersionId"), tuple(fields.items()))


def _text(element: Element) -> str:
    if len(element):
        raise _malformed()
    return element.text or ""


def _render(fields: Iterable[tuple[str, str]]) -> str:
    return "".join(f"<{name}>{escape_text(text)}</{name}>" for name, text in fields)


def _render_errors(errors: Iterable[DeletionError]) -> str:
    rendered = []
    for error in errors:
        deletion = error.deletion
        version = () if deletion.version_id is None else (("VersionId", deletion.version_id),)
        fields = (("Key", deletion.object_key), *version, ("Code", error.code), ("Message", error.message))
        rendered.append(f"<Error>{_render(fields)}</Error>")
    return "".join(rendered)


def _malformed() -> S3Error:
    return S3Error(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    )


def _unreadable() -> S3Error:
    return S3Error("InternalError", "The upstream server's answer could not be read.")
