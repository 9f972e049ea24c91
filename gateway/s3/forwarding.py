"""Which parts of a client's request go upstream: all that describe the object, none that belong to the client's own hop.

The gateway signs again, so the client's signature, its time and its payload framing end here. Source: RFC 9110, section
7.6.1 (fields that concern one connection); Amazon S3 API Reference, "Authenticating requests".
"""

from gateway.s3.encryption_headers import ENCRYPTION_HEADERS
from gateway.s3.headers import Headers
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
_DROPPED = _CONNECTION | _SIGNATURE | _PAYLOAD

_CHECKSUM_PREFIX = "x-amz-checksum-"
_CLAIM_ABOUT_BODY = frozenset({"content-md5"})
#: Not values of a body but settings of an upload or a question about an answer.
_CHECKSUM_SETTINGS = frozenset({"x-amz-checksum-mode", "x-amz-checksum-type", "x-amz-checksum-algorithm"})

_AUTHENTICATION_PARAMETERS = frozenset(
    {
        "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature",
        "X-Amz-Security-Token", "X-Amz-Content-Sha256", "AWSAccessKeyId", "Signature", "Expires",
    }
)  # fmt: skip


def forwarded_headers(received: Headers) -> Headers:
    """The client's header fields that go upstream, without encryption: that is decided by the modes.

    Fields that the ``Connection`` field names are dropped too, as RFC 9110 asks of every intermediary.
    """
    named = {token.strip().lower() for value in received.all("connection") for token in value.split(",")}
    dropped = _DROPPED | ENCRYPTION_HEADERS | named
    return Headers((name, value) for name, value in received if name not in dropped and not name.startswith("x-forwarded-"))


def without_body_claims(headers: Headers) -> Headers:
    """A copy without the claims about a body, for a request whose body is not the client's."""
    return Headers(
        (name, value)
        for name, value in headers
        if name not in _CLAIM_ABOUT_BODY and (not name.startswith(_CHECKSUM_PREFIX) or name in _CHECKSUM_SETTINGS)
    )


def encryption_headers_of(received: Headers) -> Headers:
    """The client's own encryption header fields."""
    return Headers((name, value) for name, value in received if name in ENCRYPTION_HEADERS)


def forwarded_query(received: Query) -> Query:
    """The query without the parameters that authenticated the client."""
    return received.without(_AUTHENTICATION_PARAMETERS)
