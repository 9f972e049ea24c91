"""The header fields of ``multipart/form-data``: the request's boundary, and what each part says about itself.

Sources: RFC 7578, section 4, which forbids ``filename*`` (ignored here); RFC 2046, section 5.1.1.
"""

import re
from dataclasses import dataclass
from typing import Final

from gateway.errors import S3Error

#: Most characters of a boundary. Source: RFC 2046, section 5.1.1.
MAX_BOUNDARY_CHARS: Final = 70

_BOUNDARY: Final = re.compile(
    rf"[0-9A-Za-z'()+_,\-./:=? ]{{0,{MAX_BOUNDARY_CHARS - 1}}}[0-9A-Za-z'()+_,\-./:=?]",
)
_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_HEADER: Final = re.compile(rf"({_TOKEN}):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
# Browsers send Windows paths with plain backslashes, so a backslash only escapes a quote.
_PARAMETER: Final = re.compile(rf"""[ \t]*;[ \t]*({_TOKEN})=(?:({_TOKEN})|"((?:[^"\\]|\\"|\\(?!"))*)")""")
#: Content-Transfer-Encoding values that leave the content as it is.
_IDENTITY_ENCODINGS: Final = frozenset({"7bit", "8bit", "binary"})


@dataclass(frozen=True, slots=True)
class FormFile:
    """What a form says about its file.

    Attributes:
        filename: as sent, possibly with a path, or None.
        content_type: the part's own Content-Type, or None. S3 stores the form's field of that name instead.
    """

    filename: str | None
    content_type: str | None


@dataclass(frozen=True, slots=True)
class PartHeaders:
    """One part's headers: its field name in lower case, and what concerns a file."""

    name: str
    file: FormFile


def parse_boundary(content_type: str | None) -> bytes:
    """The boundary of a form with this Content-Type.

    Raises:
        S3Error: ``PreconditionFailed`` for no multipart form, ``MalformedPOSTRequest`` for no usable boundary.
    """
    media_type, _, _ = (content_type or "").partition(";")
    if content_type is None or media_type.strip().lower() != "multipart/form-data":
        raise S3Error(
            "PreconditionFailed",
            "At least one of the pre-conditions you specified did not hold",
            details=(("Condition", "Bucket POST must be of the enclosure-type multipart/form-data"),),
        )
    boundary = _parameters(content_type[len(media_type) :]).get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise malformed_form()
    return boundary.encode("ascii")


def parse_part_headers(block: str) -> PartHeaders:
    """Parse the header fields of one part, lines separated by CRLF.

    Raises:
        S3Error: ``MalformedPOSTRequest``.
    """
    headers: dict[str, str] = {}
    for line in block.split("\r\n"):
        match = _HEADER.fullmatch(line)
        if match is None or match[1].lower() in headers:
            raise malformed_form()
        headers[match[1].lower()] = match[2].rstrip(" \t")
    if headers.get("content-transfer-encoding", "binary").lower() not in _IDENTITY_ENCODINGS:
        raise malformed_form()
    disposition = headers.get("content-disposition", "")
    kind, _, _ = disposition.partition(";")
    parameters = _parameters(disposition[len(kind) :])
    name = parameters.get("name", "").lower()
    if kind.strip().lower() != "form-data" or not name:
        raise malformed_form()
    return PartHeaders(name, FormFile(parameters.get("filename"), headers.get("content-type")))


def _parameters(text: str) -> dict[str, str]:
    """The ``; name=value`` parameters of a header value; names in lower case, none twice."""
    parameters: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _PARAMETER.match(text, position)
        if match is None or match[1].lower() in parameters:
            raise malformed_form()
        parameters[match[1].lower()] = match[2] if match[2] is not None else match[3].replace('\\"', '"')
        position = match.end()
    return parameters


def malformed_form() -> S3Error:
    """The body is no well-formed form."""
    return S3Error("MalformedPOSTRequest", "The body of your POST request is not well-formed multipart/form-data.")
