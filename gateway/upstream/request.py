"""A request to the upstream, before it is addressed and signed."""

from dataclasses import dataclass

from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.query import Query
from gateway.upstream.body import Body


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """What to ask the upstream.

    Attributes:
        operation: the S3 operation; it decides whether the request may be repeated.
        method: the HTTP method.
        bucket: the bucket's name, or None for the service itself.
        raw_object_key: the object key, percent-encoded; None for the bucket or the service.
        query: the query parameters.
        headers: the header fields. ``Host``, those of the connection, of the signature and of the payload's framing are
            set by the client and need not be here.
        body: the body.
        payload_sha256: the body's SHA-256 in hexadecimal when it is known beforehand; it is then signed.
    """

    operation: Operation
    method: str
    bucket: str | None
    raw_object_key: str | None
    query: Query
    headers: Headers
    body: Body
    payload_sha256: str | None = None
