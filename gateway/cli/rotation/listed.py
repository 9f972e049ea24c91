"""The objects below a prefix, and their versions, as the store lists them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, unquote_to_bytes
from xml.etree.ElementTree import Element

from gateway.cli.stored.s3_source import S3Location
from gateway.cli.stored.source import SourceUnavailable
from gateway.s3.copy_source import CopySource
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.query import EMPTY_QUERY
from gateway.s3.xml import parse_error, parse_xml
from gateway.server.sealed.stored import Fetch
from gateway.upstream.body import EmptyBody
from gateway.upstream.request import UpstreamRequest

_MAX_PAGE_BYTES = 16 * 1024 * 1024

Marks = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """One object, or one version of it.

    Attributes:
        place: bucket, object key and version.
        etag: the store's ETag, quotes included.
        modified: when it was written, in seconds since 1970; 0 when the store does not say.
        is_latest: whether it is what a read without a version gives.
    """

    place: CopySource
    etag: str
    modified: int
    is_latest: bool = True


async def listed_objects(ask: Fetch, location: S3Location) -> AsyncIterator[Listed]:
    """Every object below a prefix.

    Raises:
        SourceUnavailable: they can not be listed.
        GatewayError: the store gave no answer.
    """
    marks: Marks = ()
    while True:
        query = (("list-type", "2"), *marks)
        root = await _page(ask, Operation.LIST_OBJECTS_V2, location, query)
        for entry in root.iterfind("{*}Contents"):
            yield _listed(location.bucket, entry, version_id=None, is_latest=True)
        following = root.findtext("{*}NextContinuationToken")
        if root.findtext("{*}IsTruncated") != "true" or not following:
            return
        marks = (("continuation-token", following),)


async def listed_versions(ask: Fetch, location: S3Location) -> AsyncIterator[Listed]:
    """Every version of every object below a prefix; delete markers are none.

    Raises:
        SourceUnavailable: they can not be listed.
        GatewayError: the store gave no answer.
    """
    marks: Marks = ()
    while True:
        root = await _page(ask, Operation.LIST_OBJECT_VERSIONS, location, (("versions", ""), *marks))
        for entry in root.iterfind("{*}Version"):
            is_latest = entry.findtext("{*}IsLatest") == "true"
            yield _listed(location.bucket, entry, entry.findtext("{*}VersionId") or None, is_latest=is_latest)
        following = root.findtext("{*}NextKeyMarker")
        if root.findtext("{*}IsTruncated") != "true" or not following:
            return
        version = root.findtext("{*}NextVersionIdMarker")
        # What is encoded in the answer is not in the next request's parameter, which is encoded by itself.
        marks = (("key-marker", _decoded(following)), *((("version-id-marker", version),) if version else ()))


async def _page(ask: Fetch, operation: Operation, location: S3Location, query: Marks) -> Element:
    parameters = (*query, ("encoding-type", "url"), ("prefix", location.object_key))
    request = UpstreamRequest(
        operation, "GET", location.bucket, None, EMPTY_QUERY.with_values(parameters), Headers(), EmptyBody()
    )
    async with ask(request) as answer:
        body = await answer.read(_MAX_PAGE_BYTES)
        if not 200 <= answer.status < 300:
            error = parse_error(body)
            reason = f"HTTP {answer.status}" if error is None else f"{error.code}: {error.message}"
            raise SourceUnavailable(f"s3://{location.bucket}/{location.object_key} can not be listed: {reason}")
    return parse_xml(body, _MAX_PAGE_BYTES)


def _listed(bucket: str, entry: Element, version_id: str | None, *, is_latest: bool) -> Listed:
    object_key = _decoded(entry.findtext("{*}Key") or "")
    place = CopySource(bucket, quote(object_key, safe="/-_.~", errors="surrogateescape"), object_key, version_id)
    etag = (entry.findtext("{*}ETag") or "").strip()
    return Listed(place, etag, _seconds(entry.findtext("{*}LastModified") or ""), is_latest)


def _decoded(text: str) -> str:
    """A name in a listing with ``encoding-type=url``. S3 writes a space as ``+``, others as ``%20``."""
    return unquote_to_bytes(text.replace("+", " ")).decode("utf-8", "surrogateescape")


def _seconds(text: str) -> int:
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except ValueError:
        return 0
