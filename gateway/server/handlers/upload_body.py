"""From the client's verified body to the body that goes upstream."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from gateway.s3.checksums import Algorithm
from gateway.s3.headers import Headers
from gateway.server.client_body import ClientBody, ReceivedBody
from gateway.server.handlers.call import Call
from gateway.upstream.body import Body, BufferedBody, EmptyBody, StreamedBody

#: Bodies up to this size are verified as a whole before the upstream sees a byte; they can be sent again. Bytes.
BUFFERED_BODY_BYTES = 64 * 1024
_NO_FIELDS = Headers()


@dataclass(frozen=True, slots=True)
class UploadBody:
    """A body ready to be sent.

    Attributes:
        body: the body.
        headers: the checksum of it that is known by now.
        payload_sha256: its SHA-256 in hexadecimal, when the client stated it.
    """

    body: Body
    headers: Headers
    payload_sha256: str | None

    @property
    def data(self) -> bytes:
        """The bytes of a document; empty without a body, and for one that streams."""
        return self.body.data if isinstance(self.body, BufferedBody) else b""


async def object_data(call: Call, source: AsyncIterator[bytes] | None = None) -> UploadBody:
    """The data of an object or a part; small ones are read and verified at once, others stream.

    Args:
        call: the request.
        source: where the data come from, when that is not the request's body.

    Raises:
        S3Error: the client's claims about the body are malformed, or a small body is not what they say.
    """
    client = ClientBody(call.authorized.verified, source or ReceivedBody(call.http, call.exchange))
    if client.claims.payload_size <= BUFFERED_BODY_BYTES:
        return await _read(client, BUFFERED_BODY_BYTES)
    claims = client.claims
    streamed = StreamedBody(claims.payload_size, client.pieces(), claims.trailer)
    return UploadBody(streamed, _NO_FIELDS, claims.content_sha256.digest)


async def document(call: Call, limit: int) -> UploadBody:
    """A whole document (XML), read and verified; empty for operations without a body.

    Args:
        call: the request.
        limit: bytes.

    Raises:
        S3Error: it is too long, or not what its claims say.
    """
    if not call.request.operation.info.takes_body:
        return UploadBody(EmptyBody(), _NO_FIELDS, None)
    return await _read(ClientBody(call.authorized.verified, ReceivedBody(call.http, call.exchange)), limit)


async def _read(client: ClientBody, limit: int) -> UploadBody:
    data = await client.read(limit)
    claims = client.claims
    value = None
    if claims.trailer is not None and client.payload is not None:
        value = client.payload.checksums[claims.trailer]
    headers = _described(claims.trailer, value)
    return UploadBody(BufferedBody(data), headers, claims.content_sha256.digest)


def _described(algorithm: Algorithm | None, value: str | None) -> Headers:
    """A checksum that came in a trailer and is known now goes upstream as a header field."""
    return _NO_FIELDS if algorithm is None or value is None else Headers(((algorithm.header, value),))
