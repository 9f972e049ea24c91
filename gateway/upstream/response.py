"""The answer of the upstream while it is read."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator

import aiohttp

from gateway.errors import UpstreamUnavailable
from gateway.s3.content_encoding import stored_content_encoding
from gateway.s3.headers import Headers


class UpstreamResponse:
    """One answer. It is valid inside ``async with client.send(...)`` only.

    Attributes:
        status: the HTTP status.
        headers: the header fields; without ``aws-chunked`` in Content-Encoding, which some servers store with an object
            although it was the framing of its upload.
    """

    def __init__(self, response: aiohttp.ClientResponse, silence_seconds: float | None = None) -> None:
        self.status: int = response.status
        self.headers = _without_framing(Headers(response.headers.items()))
        self._content = response.content
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

    async def _receive(self) -> bytes:
        """The next bytes from the connection; empty at the end."""
        try:
            # What is there already needs no time-out. Without this, 3 % of the CPU time of a GET, large or small, goes
            # into setting timers.
            if chunk := self._content.read_nowait():
                return chunk
            if self._content.at_eof():
                return b""
            # aiohttp's own time-out ends with its parser: framing that can not be parsed would be waited on for ever.
            async with asyncio.timeout(self._silence_seconds):
                return await self._content.readany()
        except TimeoutError as error:
            raise UpstreamUnavailable("the upstream server stopped sending its answer", timed_out=True) from error
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamUnavailable("the upstream server broke its answer off") from error

    def __repr__(self) -> str:
        return f"UpstreamResponse(status={self.status}, headers={self.headers!r})"


def _without_framing(headers: Headers) -> Headers:
    if "content-encoding" not in headers:
        return headers
    encoding = stored_content_encoding(headers)
    kept = headers.without(("content-encoding",))
    return kept if encoding is None else kept.replacing((("content-encoding", encoding),))
