"""The answer of the upstream while it is read."""

from collections import deque
from collections.abc import AsyncGenerator

from gateway.errors import UpstreamUnavailable
from gateway.s3.content_encoding import stored_content_encoding
from gateway.s3.headers import Headers
from gateway.upstream.answer_head import AnswerHead
from gateway.upstream.faults import AnswerInvalid, ConnectionBroken
from gateway.upstream.incoming import Incoming


class UpstreamResponse:
    """One answer. It is valid inside ``async with client.send(...)`` only.

    Attributes:
        status: the HTTP status.
        headers: the header fields; without ``aws-chunked`` in Content-Encoding, which some servers store with an object
            although it was the framing of its upload.
    """

    def __init__(self, head: AnswerHead, incoming: Incoming, silence_seconds: float) -> None:
        self.status = head.status
        self.headers = _without_framing(head.headers)
        self._incoming = incoming
        self._silence_seconds = silence_seconds
        self._ahead: deque[bytes] = deque()

    async def iter_chunks(self) -> AsyncGenerator[bytes, None]:
        """The body as it arrives. While nobody asks for more, no more than a small buffer is taken from the server.

        Raises:
            UpstreamUnavailable: the server went silent, or the body ended before its announced end.
        """
        while self._ahead:
            yield self._ahead.popleft()
        while chunk := await self._receive():
            yield chunk

    async def read(self, limit: int) -> bytes:
        """The whole body.

        Args:
            limit: the most bytes to accept.

        Raises:
            UpstreamUnavailable: as :meth:`iter_chunks`, and when the body is longer than ``limit``.
        """
        chunks = []
        size = 0
        async for chunk in self.iter_chunks():
            chunks.append(chunk)
            size += len(chunk)
            if size > limit:
                raise UpstreamUnavailable(f"the upstream server's answer is longer than {limit} bytes")
        return b"".join(chunks)

    async def peek(self, limit: int) -> bytes:
        """The body's beginning, which stays to be read: all of it when it is at most ``limit`` bytes, else some more.

        Raises:
            UpstreamUnavailable: as :meth:`iter_chunks`.
        """
        size = sum(map(len, self._ahead))
        while size <= limit and (chunk := await self._receive()):
            self._ahead.append(chunk)
            size += len(chunk)
        return b"".join(self._ahead)

    def give_up(self) -> None:
        """Nobody reads on: an answer that has not arrived whole takes its connection with it."""
        self._incoming.give_up()

    async def _receive(self) -> bytes:
        """The next bytes from the connection; empty at the end."""
        try:
            return await self._incoming.piece(self._silence_seconds)
        except TimeoutError as error:
            raise UpstreamUnavailable("the upstream server stopped sending its answer", timed_out=True) from error
        except (ConnectionBroken, AnswerInvalid) as error:
            raise UpstreamUnavailable("the upstream server broke its answer off") from error

    def __repr__(self) -> str:
        return f"UpstreamResponse(status={self.status}, headers={self.headers!r})"


def _without_framing(headers: Headers) -> Headers:
    if "content-encoding" not in headers:
        return headers
    encoding = stored_content_encoding(headers)
    kept = headers.without(("content-encoding",))
    return kept if encoding is None else kept.replacing((("content-encoding", encoding),))
