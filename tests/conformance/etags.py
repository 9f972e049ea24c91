"""ETags that have to differ between the sides are compared with each other instead: an object has one at a time.

What a PUT, a copy or a completed upload answered is what GET, HEAD, GetObjectAttributes and listings show.
"""

from collections.abc import Iterator
from urllib.parse import parse_qs, unquote

from defusedxml.ElementTree import ParseError, fromstring

from tests.conformance.raw_client import Answer

_SHOWN_BY = frozenset({200, 206, 304})


class Etags:
    """What one side has said of its objects."""

    def __init__(self) -> None:
        #: By path and version; an empty version is the newest.
        self._known: dict[tuple[str, str], str] = {}

    def note(self, method: str, target: str, answer: Answer) -> None:
        """Learn from an answer, and compare it with what is known.

        Raises:
            AssertionError: it shows another ETag.
        """
        raw_path, _, raw_query = target.partition("?")
        path = unquote(raw_path)
        query = {name: values[0] for name, values in parse_qs(raw_query, keep_blank_values=True).items()}
        is_object = path.count("/") > 1 and not path.endswith("/")
        if method in {"PUT", "POST", "DELETE"}:
            self._forget(path, is_object=is_object)
            if is_object and answer.status == 200 and method != "DELETE" and not query.keys() - {"uploadId", "x-id"}:
                self._learn(path, answer)
        elif is_object and answer.status in _SHOWN_BY and not query.keys() & {"tagging", "acl", "uploadId", "torrent"}:
            self._compare((path, query.get("versionId", "")), answer.header("etag") or _text(answer, "ETag"))
        elif not is_object and method == "GET" and answer.status == 200:
            for name, version, etag in _listed(answer, decode=query.get("encoding-type") == "url"):
                key = (f"{path.rstrip('/')}/{name}", version)
                if key in self._known:
                    self._compare(key, etag)

    def _forget(self, path: str, *, is_object: bool) -> None:
        """What a write may have changed; versions stay what they are."""
        for key in [key for key in self._known if not key[1] and (key[0] == path or not is_object)]:
            del self._known[key]

    def _learn(self, path: str, answer: Answer) -> None:
        etag = answer.header("etag") or _text(answer, "ETag")
        if etag:
            self._known[path, ""] = etag.strip('"')
            version = answer.header("x-amz-version-id")
            if version:
                self._known[path, version] = etag.strip('"')

    def _compare(self, key: tuple[str, str], etag: str | None) -> None:
        if not etag:
            return
        known = self._known.setdefault(key, etag.strip('"'))
        assert etag.strip('"') == known, f"{key}: ETag {etag}, and {known} before"


def _text(answer: Answer, element: str) -> str | None:
    try:
        return str(fromstring(answer.body).findtext(f"{{*}}{element}") or "") or None
    except ParseError:
        return None


def _listed(answer: Answer, *, decode: bool) -> Iterator[tuple[str, str, str]]:
    """Key, version and ETag of every entry."""
    try:
        root = fromstring(answer.body)
    except ParseError:
        return
    for kind in ("Contents", "Version"):
        for entry in root.findall(f"{{*}}{kind}"):
            key, etag = entry.findtext("{*}Key") or "", entry.findtext("{*}ETag") or ""
            yield unquote(key) if decode else key, entry.findtext("{*}VersionId") or "", etag
