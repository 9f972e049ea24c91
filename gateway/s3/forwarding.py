"""Which parts of a client's request go upstream: what describes the object, not what concerns the client's hop.

The gateway signs again, so the client's signature, its time and its payload framing end here. Source: RFC 9110, section
7.6.1 (fields that concern one connection); Amazon S3 API Reference, "Authenticating requests".
"""

from gateway.s3.content_encoding import stored_content_encoding
from gateway.s3.encryption_headers import ENCRYPTION_HEADERS
from gateway.s3.headers import Headers
from gateway.s3.hoist import AUTHENTICATION_PARAMETERS
from gateway.s3.query import Query

_CONNECTION = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade", "expect", "host", "content-length", "forwarded",
    }
)  # fmt: skip
_SIGNATURE = frozenset({"authorization", "date", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"})
#: Payload framing and claims are rendered anew for the body that really goes upstream.
_PAYLOAD = frozenset(
    {"content-encoding", "x-amz-decoded-content-length", "x-amz-trailer", "x-amz-sdk-checksum-algorithm"}
)
_DROPPED = _CONNECTION | _SIGNATURE | _PAYLOAD | ENCRYPTION_HEADERS

_SIGV2_PARAMETERS = frozenset({"AWSAccessKeyId", "Signature", "Expires"})


def forwarded_headers(received: Headers) -> Headers:
    """The client's header fields that go upstream, without encryption: that is decided by the modes.

    Fields that the ``Connection`` field names are dropped too, as RFC 9110 asks of every intermediary. Of the content
    encoding stays what is stored with the object; ``aws-chunked`` is not.
    """
    named = {token.strip().lower() for value in received.all("connection") for token in value.split(",")}
    dropped = _DROPPED | named if named else _DROPPED
    kept = Headers.of(
        [field for field in received.fields if field[0] not in dropped and not field[0].startswith("x-forwarded-")]
    )
    encoding = stored_content_encoding(received)
    return kept.replacing((("content-encoding", encoding),)) if encoding else kept


def encryption_headers_of(received: Headers) -> Headers:
    """The client's own encryption header fields."""
    return Headers.of([field for field in received.fields if field[0] in ENCRYPTION_HEADERS])


def forwarded_query(received: Query) -> Query:
    """The query without the parameters that authenticated the client."""
    if not received:
        return received
    proofs = {name for name in received.names() if name.lower() in AUTHENTICATION_PARAMETERS}
    return received.without(proofs | _SIGV2_PARAMETERS)
