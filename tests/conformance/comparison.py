"""When two answers are the same: status, the header fields that matter, and the body.

Ids, dates, buckets and hosts have to differ and are made equal.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import ParseError, fromstring

from tests.conformance.raw_client import Answer

#: The header fields that clients of S3 read. Beside them, every ``x-amz-meta-``, ``x-amz-checksum-``,
#: ``x-amz-object-lock-`` and ``x-amz-server-side-encryption`` field counts.
HEADERS_THAT_MATTER = (
    "accept-ranges",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "allow",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-range",
    "content-type",
    "etag",
    "expires",
    "last-modified",
    "location",
    "vary",
    "x-amz-abort-date",
    "x-amz-abort-rule-id",
    "x-amz-bucket-region",
    "x-amz-copy-source-version-id",
    "x-amz-delete-marker",
    "x-amz-expiration",
    "x-amz-missing-meta",
    "x-amz-mp-parts-count",
    "x-amz-replication-status",
    "x-amz-request-charged",
    "x-amz-restore",
    "x-amz-storage-class",
    "x-amz-tagging-count",
    "x-amz-version-id",
    "x-amz-website-redirect-location",
)
_PREFIXES_THAT_MATTER = ("x-amz-meta-", "x-amz-checksum-", "x-amz-object-lock-", "x-amz-server-side-encryption")

#: Elements that hold a moment; it has to be there in S3's form.
_DATES = frozenset({"LastModified", "CreationDate", "Initiated", "AbortDate", "ServerTime", "RequestTime"})
#: Elements that name a request, not its outcome.
_REQUEST_IDS = frozenset({"RequestId", "HostId"})
#: Elements that hold an id which the server made up; the same id has the same number throughout a case.
_MADE_UP = frozenset(
    {"UploadId", "VersionId", "NextVersionIdMarker", "VersionIdMarker", "NextUploadIdMarker", "UploadIdMarker",
     "DeleteMarkerVersionId", "NextContinuationToken", "ContinuationToken"}
)  # fmt: skip
#: What a signature error says about the request that was signed.
_SIGNED = frozenset({"AWSAccessKeyId", "StringToSign", "StringToSignBytes", "SignatureProvided", "CanonicalRequest",
                     "CanonicalRequestBytes"})  # fmt: skip
_MADE_UP_HEADERS = frozenset({"x-amz-version-id", "x-amz-copy-source-version-id"})

_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_ETAG = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(-[1-9][0-9]{0,4})?(?![0-9a-f-])")
_HTTP_DATE = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")


class Names:
    """What one side calls things: its buckets, its endpoint, the ids that were made up for it.

    Args:
        hide: replaces the names of buckets and of the host in a text.
        own_etags: whether ETags can not be the same on both sides; then only their form counts here.
    """

    def __init__(self, hide: Callable[[str], str], *, own_etags: bool = False) -> None:
        self._hide = hide
        self._own_etags = own_etags
        self._numbers: dict[str, int] = {}

    def plain(self, text: str) -> str:
        """``text`` without names that differ between the sides."""
        for made_up, number in self._numbers.items():
            text = text.replace(made_up, f"id-{number}")
        return self._hide(text)

    def made_up(self, text: str) -> str:
        """The number of an id."""
        if text in {"", "null"}:
            return text
        return f"id-{self._numbers.setdefault(text, len(self._numbers) + 1)}"

    def etag(self, text: str) -> str:
        """An ETag."""
        return _ETAG.sub("an-etag", text) if self._own_etags else self.plain(text)


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer in comparable form.

    Attributes:
        parts: what is compared, by name: ``status``, ``header:NAME``, ``body`` or, of XML, each element's path.
    """

    parts: dict[str, str]


def outcome(answer: Answer, names: Names, *, head: bool) -> Outcome:
    """The comparable form of an answer."""
    document = _document(answer.body)
    parts = {"status": str(answer.status)}
    for name in dict.fromkeys(name for name, _ in answer.headers):
        if name in HEADERS_THAT_MATTER or name.startswith(_PREFIXES_THAT_MATTER):
            parts[f"header:{name}"] = _header(name, answer.header(name) or "", names)
    if not head and (document is not None or not answer.body):
        # The length follows from the body; with ids in it, it may differ. http.client found it to be right.
        parts.pop("header:content-length", None)
    if document is None:
        parts["body"] = names.plain(repr(answer.body))
    else:
        parts.update(_elements(document, names))
    return Outcome(parts)


def differing(direct: Outcome, gateway: Outcome) -> dict[str, tuple[str | None, str | None]]:
    """What differs: part -> what the server said, what the gateway said."""
    return {
        part: (direct.parts.get(part), gateway.parts.get(part))
        for part in sorted({*direct.parts, *gateway.parts})
        if direct.parts.get(part) != gateway.parts.get(part)
    }


def _header(name: str, value: str, names: Names) -> str:
    if name in _MADE_UP_HEADERS:
        return names.made_up(value)
    if name == "etag":
        return names.etag(value)
    if name == "last-modified":
        return "a date" if _HTTP_DATE.fullmatch(value) else value
    return names.plain(value)


def _document(body: bytes) -> Element | None:
    if not body.lstrip().startswith(b"<"):
        return None
    try:
        root: Element = fromstring(body)
    except ParseError:
        return None
    return root


def _elements(root: Element, names: Names) -> Iterator[tuple[str, str]]:
    """Every element's path and text; repeated elements are numbered, attributes count."""

    def walk(element: Element, path: str) -> Iterator[tuple[str, str]]:
        yield path, _text(element, names)
        for name, value in sorted(element.attrib.items()):
            yield f"{path}@{name}", value
        seen: dict[str, int] = {}
        for child in _in_order(element):
            seen[child.tag] = seen.get(child.tag, 0) + 1
            number = f"[{seen[child.tag]}]" if seen[child.tag] > 1 else ""
            yield from walk(child, f"{path}/{_local(child.tag)}{number}")

    yield "namespace", root.tag.partition("}")[0] if "}" in root.tag else ""
    yield from walk(root, _local(root.tag))


def _in_order(element: Element) -> list[Element]:
    """The children. Those of DeleteObjects' result come in whatever order the objects went."""
    if _local(element.tag) != "DeleteResult":
        return list(element)
    return sorted(element, key=lambda child: child.findtext("{*}Key") or "")


def _text(element: Element, names: Names) -> str:
    text = (element.text or "").strip()
    tag = _local(element.tag)
    if tag in _REQUEST_IDS:
        return "an id"
    if tag in _SIGNED:
        return "as signed"
    if tag in _DATES and _ISO_DATE.fullmatch(text):
        return "a date"
    if tag in _MADE_UP:
        return names.made_up(text)
    if tag == "ETag":
        return names.etag(text)
    return names.plain(text)


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
