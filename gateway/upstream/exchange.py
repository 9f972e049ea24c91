"""One attempt: one request sent, one answer received, and a connection that is given back or closed in every case."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
from multidict import CIMultiDict

from gateway.errors import UpstreamUnavailable
from gateway.s3.headers import Headers
from gateway.upstream.body import Body, BufferedBody, EmptyBody, StreamedBody
from gateway.upstream.observer import UpstreamObserver
from gateway.upstream.request import UpstreamRequest
from gateway.upstream.response import UpstreamResponse
from gateway.upstream.retry import Fault
from gateway.upstream.sending import Outgoing
from gateway.upstream.session import ConnectionBroken, break_off
from gateway.upstream.settings import UpstreamSettings
from gateway.upstream.signing import Framing
from gateway.upstream.urls import Location

#: An answer that nobody wants is read to its end up to this size, so that its connection can be used again.
MAX_DISCARDED_BYTES = 64 * 1024

#: Buffered bodies beyond this size are sent in pieces. Up to it they fit into the buffers of every connection, so that
#: a server that takes nothing meets the time-out for its answer.
_SLICE_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that brought no answer.

    Attributes:
        fault: how it failed.
        error: what the caller of the client gets if there is no further attempt.
        body_touched: whether a byte of the body was asked for.
    """

    fault: Fault
    error: Exception
    body_touched: bool


class Exchange:
    """A request that was sent and is being answered.

    Attributes:
        response: the answer.
        body_touched: whether a byte of the body was asked for.
    """

    def __init__(
        self,
        settings: UpstreamSettings,
        observer: UpstreamObserver,
        operation: str,
        started: float,
        answer: aiohttp.ClientResponse,
        outgoing: Outgoing | None,
    ) -> None:
        self.response = UpstreamResponse(answer, settings.idle_timeout_seconds)
        self.body_touched = outgoing is not None and outgoing.touched
        self._observer = observer
        self._operation = operation
        self._started = started
        self._answer = answer
        self._outgoing = outgoing
        self._closed = False
        observer.on_first_byte(operation, time.monotonic() - started)
        _limit_silence(answer, settings.idle_timeout_seconds)

    async def close(self) -> None:
        """End the exchange. An answer that was not read to its end takes its connection with it."""
        if self._closed:
            return
        self._closed = True
        connection = self._answer.connection
        if connection is not None:  # the end was not read; otherwise the connection is back in the pool by now
            break_off(connection.transport)
            self._answer.close()
        if self._outgoing is not None:
            self._outgoing.stop()
            await self._outgoing.settled()
        self._observer.on_request(self._operation, self.response.status, time.monotonic() - self._started)

    async def discard(self) -> None:
        """End the exchange without anybody reading the answer."""
        try:
            await self.response.peek(MAX_DISCARDED_BYTES)
        except UpstreamUnavailable:
            pass  # closing below is all that is left to do
        finally:
            await self.close()


async def exchange(
    session: aiohttp.ClientSession,
    settings: UpstreamSettings,
    observer: UpstreamObserver,
    request: UpstreamRequest,
    framing: Framing,
    location: Location,
    headers: Headers,
) -> Exchange | Failure:
    """Send ``request`` once and wait for the head of the answer."""
    operation = request.operation.value
    started = time.monotonic()
    outgoing: Outgoing | None = None
    fields = CIMultiDict(headers.fields)
    try:
        data = _data(request.body)
        if isinstance(data, StreamedBody):
            async with asyncio.timeout(None) as deadline:
                outgoing = Outgoing(
                    data,
                    framing.trailer,
                    deadline=deadline,
                    stall_seconds=settings.idle_timeout_seconds,
                    answer_seconds=settings.first_byte_timeout_seconds,
                )
                try:
                    answer = await session.request(
                        request.method, location.url, headers=fields, data=outgoing, allow_redirects=False
                    )
                finally:
                    outgoing.stop()
        else:
            answer = await session.request(
                request.method, location.url, headers=fields, data=data, allow_redirects=False
            )
    except BaseException as error:
        observer.on_request(operation, "error", time.monotonic() - started)
        if outgoing is not None:
            await outgoing.settled()
        if isinstance(error, Exception):
            return _failure(error, outgoing)
        raise
    opened = Exchange(settings, observer, operation, started, answer, outgoing)
    if outgoing is not None and not outgoing.complete:
        return await _answered_early(opened, outgoing)
    return opened


async def _answered_early(opened: Exchange, outgoing: Outgoing) -> Exchange | Failure:
    """An answer that came before the end of the body: a refusal is one, a success is not.

    An object that is stored without its last bytes was stored unverified. When the body's source failed at the same
    time, that failure is the outcome.
    """
    try:
        await outgoing.settled()
        error = outgoing.error
        if error is None and opened.response.status >= 300:
            return opened
    except BaseException:
        await opened.close()
        raise
    await opened.close()
    if error is None:
        error = UpstreamUnavailable("the upstream server reported success before it had the whole body")
    return Failure(Fault.FINAL, error, body_touched=outgoing.touched)


def _data(body: Body) -> bytes | StreamedBody | None:
    """How a body is handed over: at once or in pieces."""
    match body:
        case StreamedBody():
            return body
        case BufferedBody(data):
            return data if len(data) <= _SLICE_BYTES else StreamedBody(len(data), _slices(data))
        case EmptyBody():
            return None


async def _slices(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), _SLICE_BYTES):
        yield data[start : start + _SLICE_BYTES]


def _limit_silence(answer: aiohttp.ClientResponse, seconds: float) -> None:
    """From here on the time-out is the one between two pieces of an answer, not the one before its head."""
    connection = answer.connection
    if connection is not None and connection.protocol is not None:
        connection.protocol.read_timeout = seconds


def _failure(error: Exception, outgoing: Outgoing | None) -> Failure:
    """What went wrong with a request."""
    touched = outgoing is not None and outgoing.touched
    if outgoing is not None and outgoing.error is not None:
        return Failure(Fault.FINAL, outgoing.error, body_touched=touched)
    fault, message = _understood(error)
    if message is None:
        return Failure(fault, error, body_touched=touched)
    unavailable = UpstreamUnavailable(message, timed_out=isinstance(error, TimeoutError))
    # aiohttp's error about an answer holds the header fields of the request, and its repr shows them.
    unavailable.__cause__ = None if isinstance(error, aiohttp.ClientResponseError) else error
    return Failure(fault, unavailable, body_touched=touched)


def _understood(error: Exception) -> tuple[Fault, str | None]:
    """Aiohttp's errors of a request in this project's terms; no text for an error that is not the server's."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return Fault.FINAL, "the upstream server's certificate is not trusted"
        case aiohttp.ClientSSLError():
            return Fault.FINAL, "no TLS connection to the upstream server came about"
        case aiohttp.ClientConnectorError():
            reason = error.os_error.strerror or type(error.os_error).__name__
            return Fault.NOT_SENT, f"the upstream server can not be reached: {reason}"
        case aiohttp.ConnectionTimeoutError():
            return Fault.FINAL, "no connection to the upstream server came about in time"
        case TimeoutError():
            return Fault.FINAL, "the upstream server did not take the request or did not answer in time"
        case aiohttp.ClientResponseError():
            return Fault.FINAL, "the upstream server's answer is not valid HTTP"
        case ConnectionBroken() | aiohttp.ClientError() | OSError():
            return Fault.DISCONNECTED, "the upstream server closed the connection without an answer"
        case _:
            return Fault.FINAL, None
