"""From a raw HTTP request to an S3 request: which bucket, which object, which operation.

Paths and queries are kept byte for byte, because the client signed them as sent and S3 object keys may contain ``//``,
``..``, ``%2F`` and anything else; nothing here normalises.
"""

from dataclasses import dataclass, field

from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.query import Query


@dataclass(frozen=True, slots=True)
class RawRequest:
    """One HTTP request as the listener received it.

    Attributes:
        method: the method, upper case as sent.
        raw_path: the request target before ``?``, percent-encoded as sent.
        raw_query: the request target after ``?``, percent-encoded as sent; empty when there is none.
        headers: the header fields as sent.
        scheme: ``https`` or ``http`` on the client's hop, after any trusted balancer was asked.
        client_address: the client's IP address, or ``unix`` for a unix socket.
        request_id: the gateway's own id of this request, 16 characters.
    """

    method: str
    raw_path: str
    raw_query: str = field(repr=False)
    headers: Headers
    scheme: str
    client_address: str
    request_id: str


@dataclass(frozen=True, slots=True)
class S3Request:
    """A request whose S3 meaning is known. Made by :func:`parse_request` only.

    Attributes:
        raw: the request as received.
        operation: the S3 operation it asks for.
        bucket: the bucket's name, or None for ListBuckets.
        raw_object_key: the object key percent-encoded as sent, or None for bucket operations.
        object_key: the object key decoded (UTF-8, ``surrogateescape``), or None.
        query: the query parameters.
    """

    raw: RawRequest
    operation: Operation
    bucket: str | None
    raw_object_key: str | None
    object_key: str | None
    query: Query
