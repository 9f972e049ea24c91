"""One stored object as the readers of sealed objects ask for it, whoever sends the requests."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TypeAlias

from gateway.errors import S3Error
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.query import EMPTY_QUERY, Query
from gateway.upstream.body import EmptyBody
from gateway.upstream.request import UpstreamRequest
from gateway.upstream.response import UpstreamResponse

#: Sends one request upstream; the answer is valid inside the ``async with`` block.
Fetch: TypeAlias = Callable[[UpstreamRequest], AbstractAsyncContextManager[UpstreamResponse]]

_NO_FIELDS = Headers()


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object at the store.

    Attributes:
        bucket: the bucket's name.
        object_key: the decoded object key.
        raw_object_key: the object key as it goes into a path.
        version_id: the version asked for; None for the current one.
        encryption: the encryption header fields that every request about it needs, such as a customer key's.
        fields: further header fields that go with every request, such as ``x-amz-request-payer``.
        parameters: further query parameters, such as ``response-content-type``.
    """

    bucket: str
    object_key: str
    raw_object_key: str
    version_id: str | None = None
    encryption: Headers = _NO_FIELDS
    fields: Headers = _NO_FIELDS
    parameters: Query = EMPTY_QUERY

    def get(
        self,
        byte_range: str | None = None,
        *,
        etag: str | None = None,
        conditions: Headers = _NO_FIELDS,
    ) -> UpstreamRequest:
        """A GetObject request.

        Args:
            byte_range: the Range field, or None for the whole object.
            etag: the only ETag that the object may have; the server answers 412 when it has another.
            conditions: conditional header fields in the server's terms.
        """
        headers = self.fields.replacing(self.encryption).replacing(conditions)
        if etag is not None:
            headers = headers.replacing((("if-match", etag),))
        if byte_range is not None:
            headers = headers.replacing((("range", byte_range),))
        return self._request(Operation.GET_OBJECT, "GET", headers)

    def head(self, *, conditions: Headers = _NO_FIELDS) -> UpstreamRequest:
        """A HeadObject request.

        Args:
            conditions: conditional header fields in the server's terms.
        """
        headers = self.fields.replacing(self.encryption).replacing(conditions)
        return self._request(Operation.HEAD_OBJECT, "HEAD", headers)

    def _request(self, operation: Operation, method: str, headers: Headers) -> UpstreamRequest:
        query = self.parameters
        if self.version_id is not None:
            query = query.with_values((("versionId", self.version_id),))
        return UpstreamRequest(operation, method, self.bucket, self.raw_object_key, query, headers, EmptyBody())


class ObjectChanged(S3Error):
    """The object was overwritten between two requests that belong together."""

    def __init__(self) -> None:
        super().__init__(
            "ServiceUnavailable",
            "The object changed while it was read. Please try again.",
            headers=(("Retry-After", "1"),),
        )
