"""The body that a client sends: read with backpressure, verified while it passes, its end withheld until then.

An upload becomes visible upstream with its last byte. The last piece is therefore released only after every signature,
checksum and length that the client stated was found right; when one is wrong the upstream request is broken off and no
object appears.
"""

from collections import deque
from collections.abc import AsyncIterator

from aiohttp import web

from gateway.errors import S3Error
from gateway.s3.authenticate import VerifiedRequest
from gateway.s3.operation import Operation
from gateway.s3.payload import PayloadClaims, PayloadReader, VerifiedPayload, parse_claims
from gateway.server.exchange import Exchange

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
#: Most bytes that are passed on at once. Every stage on the way upstream may hold a copy of a piece, in every upload:
#: pieces are small when there are many requests. Large ones take 8 % less CPU time with 16 uploads of 1 MiB at a time,
#: and up to 1.5 MiB more memory for each upload that the upstream takes slowly.
_LARGE_PIECE_BYTES = 262_144
_PIECE_BYTES = 65_536
_FEW_REQUESTS = 32


class ClientBody:
    """The body of one request.

    Args:
        verified: who sent it, and how its payload is signed.
        source: the bytes as they come in; nothing was taken yet.
    """

    def __init__(self, verified: VerifiedRequest, source: AsyncIterator[bytes]) -> None:
        self._verified = verified
        self._source = source
        operation = verified.request.operation
        self.claims: PayloadClaims = parse_claims(
            verified.request.raw.headers,
            verified.content_sha256,
            requires_length=operation.info.takes_body,
            covers_body=operation is not Operation.COMPLETE_MULTIPART_UPLOAD,
        )
        self.payload: VerifiedPayload | None = None

    async def read(self, limit: int) -> bytes:
        """The whole verified body.

        Args:
            limit: bytes; a longer body is refused before it is read.

        Raises:
            S3Error: the body is too long, or not what its claims say.
        """
        if self.claims.payload_size > limit:
            raise S3Error(
                "EntityTooLarge",
                "Your proposed upload exceeds the maximum allowed size.",
                details=(("ProposedSize", str(self.claims.payload_size)), ("MaxSizeAllowed", str(limit))),
            )
        return b"".join([piece async for piece in self.pieces()])

    def pieces(self) -> AsyncIterator[bytes]:
        """The body's pieces in order; the last one only after the whole body was verified.

        Raises:
            S3Error: the body is not what its claims say; while the iteration goes on.
        """
        return _VerifiedPieces(self, PayloadReader(self.claims, self._verified.chunk_signer), self._source)


class _VerifiedPieces:
    """The pieces of one body, one of them always withheld until the end was found right.

    An object, like the others on the way of a body: the event loop keeps a list of all generators that were begun.
    """

    __slots__ = ("_body", "_held", "_reader", "_source")

    def __init__(self, body: ClientBody, reader: PayloadReader, source: AsyncIterator[bytes]) -> None:
        self._body = body
        self._reader = reader
        self._source = source
        self._held: deque[bytes] = deque()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while self._body.payload is None and len(self._held) < 2:
            data = await anext(self._source, None)
            if data is None:
                self._body.payload = self._reader.finish()
            else:
                self._held += self._reader.feed(data)
        if not self._held:
            raise StopAsyncIteration
        return self._held.popleft()


class ReceivedBody:
    """The body as the client sends it, which it is told to do once somebody asks, if it waits for that.

    Args:
        http: the request; its body has not been read.
        exchange: counts the bytes read.
    """

    __slots__ = ("_accepted", "_exchange", "_http")

    def __init__(self, http: web.BaseRequest, exchange: Exchange) -> None:
        self._http = http
        self._exchange = exchange
        self._accepted = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """The next bytes, as soon as there are some."""
        if not self._accepted:
            self._accepted = True
            await accept_body(self._http)
        data = await self._http.content.read(self._exchange.piece_bytes)
        if not data:
            raise StopAsyncIteration
        self._exchange.bytes_in += len(data)
        return data


def piece_bytes(requests_in_flight: int) -> int:
    """How much of a body to pass on at once.

    Args:
        requests_in_flight: of this process, the one with the body included.
    """
    return _LARGE_PIECE_BYTES if requests_in_flight <= _FEW_REQUESTS else _PIECE_BYTES


async def accept_body(http: web.BaseRequest) -> None:
    """Answer ``Expect: 100-continue``, once identity and policy allowed the request.

    Source: RFC 9110, section 10.1.1.
    """
    if http.content.is_eof() or http.headers.get("Expect", "").lower() != "100-continue":
        return
    await http.writer.write(_CONTINUE)
    http.writer.output_size = 0
