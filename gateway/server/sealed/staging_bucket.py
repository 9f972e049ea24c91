"""The requests that a staging store in a bucket is made of."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.errors import S3Error, UpstreamUnavailable
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.query import EMPTY_QUERY, Query, encode_value
from gateway.s3.xml import MAX_ERROR_BYTES, parse_error, parse_xml
from gateway.upstream.body import Body, EmptyBody
from gateway.upstream.client import UpstreamClient
from gateway.upstream.refreshing import CredentialSource
from gateway.upstream.request import UpstreamRequest
from gateway.upstream.response import UpstreamResponse

_LISTING_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class StagedFile:
    """One object of the store.

    Attributes:
        object_key: its whole object key.
        modified: when it was written.
    """

    object_key: str
    modified: datetime


class StagingBucket:
    """One bucket of the upstream server.

    Args:
        upstream: the server.
        credentials: what every request is signed with.
        name: the bucket's name.
    """

    def __init__(self, upstream: UpstreamClient, credentials: CredentialSource, name: str) -> None:
        self._upstream = upstream
        self._credentials = credentials
        self._name = name

    async def put(self, object_key: str, body: Body) -> None:
        """Write one object.

        Raises:
            UpstreamUnavailable: it was not written.
        """
        async with self._ask(Operation.PUT_OBJECT, object_key, body=body):
            pass

    async def get(self, object_key: str, limit: int) -> bytes | None:
        """The content of a small object, or None when there is none.

        Raises:
            UpstreamUnavailable: the bucket can not be read.
        """
        try:
            async with self._ask(Operation.GET_OBJECT, object_key) as answer:
                return await answer.read(limit)
        except _Missing:
            return None

    async def content(self, object_key: str) -> AsyncIterator[bytes]:
        """The content of an object that is there.

        Raises:
            UpstreamUnavailable: it can not be read.
        """
        async with self._ask(Operation.GET_OBJECT, object_key) as answer:
            async for chunk in answer.iter_chunks():
                yield chunk

    async def delete(self, object_key: str) -> None:
        """Remove one object, if it is there.

        Raises:
            UpstreamUnavailable: it was not removed.
        """
        with suppress(_Missing):
            async with self._ask(Operation.DELETE_OBJECT, object_key):
                pass

    async def list(self, prefix: str) -> list[StagedFile]:
        """Every object whose key begins with ``prefix``.

        Raises:
            UpstreamUnavailable: the bucket can not be listed.
        """
        found: list[StagedFile] = []
        more: tuple[tuple[str, str], ...] = ()
        while True:
            query = EMPTY_QUERY.with_values((("list-type", "2"), ("prefix", prefix), *more))
            async with self._ask(Operation.LIST_OBJECTS_V2, None, query=query) as answer:
                page, token = _parse_listing(await answer.read(_LISTING_BYTES))
            found += page
            if token is None:
                return found
            more = (("continuation-token", token),)

    @asynccontextmanager
    async def _ask(
        self,
        operation: Operation,
        object_key: str | None,
        *,
        query: Query = EMPTY_QUERY,
        body: Body | None = None,
    ) -> AsyncIterator[UpstreamResponse]:
        """The answer to one request, a success.

        Raises:
            UpstreamUnavailable: it was refused; :class:`_Missing` when there is no such object.
        """
        request = UpstreamRequest(
            operation=operation,
            method=operation.info.method,
            bucket=self._name,
            raw_object_key=None if object_key is None else encode_value(object_key),
            query=query,
            headers=Headers(),
            body=EmptyBody() if body is None else body,
        )
        try:
            async with self._upstream.send(request, self._credentials) as answer:
                if not 200 <= answer.status < 300:
                    raise await _refused(answer)
                yield answer
        except S3Error as error:
            raise UpstreamUnavailable(f"the staging bucket can not be used: {error.message}") from error


class _Missing(UpstreamUnavailable):
    """There is no such object."""


async def _refused(answer: UpstreamResponse) -> UpstreamUnavailable:
    found = parse_error(await answer.read(MAX_ERROR_BYTES))
    code = "" if found is None else found.code
    if code == "NoSuchKey":
        return _Missing("the staging bucket lacks an object")
    return UpstreamUnavailable(f"the staging bucket refuses a request: {answer.status} {code}".rstrip())


def _parse_listing(body: bytes) -> tuple[list[StagedFile], str | None]:
    root = parse_xml(body, _LISTING_BYTES)
    found = [
        StagedFile(entry.findtext("{*}Key") or "", datetime.fromisoformat(entry.findtext("{*}LastModified") or ""))
        for entry in root.iterfind("{*}Contents")
    ]
    truncated = (root.findtext("{*}IsTruncated") or "").strip() == "true"
    return found, (root.findtext("{*}NextContinuationToken") or None) if truncated else None
