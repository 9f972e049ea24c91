"""One attempt: one request sent, one answer received, and a connection that is given back or closed in every case."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from gateway.errors import UpstreamUnavailable
from gateway.s3.headers import Headers
from gateway.upstream.body import Body, BufferedBody, EmptyBody, StreamedBody
from gateway.upstream.connection import UpstreamConnection
from gateway.upstream.faults import (
    AnswerInvalid,
    CertificateRefused,
    ConnectionBroken,
    ConnectTimeout,
    HandshakeFailed,
    Unreachable,
)
from gateway.upstream.observer import UpstreamObserver
from gateway.upstream.pool import ConnectionPool
from gateway.upstream.request import UpstreamRequest
from gateway.upstream.request_head import render_head
from gateway.upstream.response import UpstreamResponse
from gateway.upstream.retry import Fault
from gateway.upstream.sending import Outgoing
from gateway.upstream.settings import UpstreamSettings
from gateway.upstream.signing import Framing
from gateway.upstream.urls import Location

#: An answer that nobody wants is read to its end up to this size, so that its connection can be used again.
MAX_DISCARDED_BYTES = 64 * 1024

#: Buffered bodies beyond this size are sent in pieces, so that a server that stops taking them is noticed. Up to it
#: they are handed over at once, which takes 7 % less CPU time for 64 KiB; a server that takes nothing meets the
#: time-out for its answer.
_SLICE_BYTES = 64 * 1024


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
        observer: UpstreamObserver,
        operation: str,
        started: float,
        response: UpstreamResponse,
        *,
        body_touched: bool,
    ) -> None:
        self.response = response
        self.body_touched = body_touched
        self._observer = observer
        self._operation = operation
        self._started = started
        self._closed = False
        observer.on_first_byte(operation, time.monotonic() - started)

    def close(self) -> None:
        """End the exchange. An answer that was not read to its end takes its connection with it."""
        if self._closed:
            return
        self._closed = True
        self.response.give_up()
        self._observer.on_request(self._operation, self.response.status, time.monotonic() - self._started)

    async def discard(self) -> None:
        """End the exchange without anybody reading the answer."""
        try:
            await self.response.peek(MAX_DISCARDED_BYTES)
        except UpstreamUnavailable:
            pass  # closing below is all that is left to do
        finally:
            self.close()


async def exchange(
    pool: ConnectionPool,
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
    data = _data(request.body)
    outgoing = Outgoing(data, framing.trailer) if isinstance(data, StreamedBody) else None
    connection: UpstreamConnection | None = None
    try:
        head = render_head(request.method, location.target, headers)
        connection = pool.take(location.origin) or await pool.connect(location.origin)
        incoming = connection.begin(bodiless=request.method == "HEAD")
        if outgoing is not None:
            await outgoing.send(connection, incoming, head, settings.idle_timeout_seconds)
        else:
            connection.write(head + data if isinstance(data, bytes) else head)
        if not incoming.settled:
            connection.sent(settings.first_byte_timeout_seconds)
        answer = await incoming.arrived()
    except BaseException as error:
        if connection is not None:
            connection.abort()
        observer.on_request(operation, "error", time.monotonic() - started)
        if isinstance(error, Exception):
            return _failure(error, outgoing)
        raise
    response = UpstreamResponse(answer, incoming, settings.idle_timeout_seconds)
    touched = outgoing is not None and outgoing.touched
    opened = Exchange(observer, operation, started, response, body_touched=touched)
    if outgoing is not None and not outgoing.complete and response.status < 300:
        opened.close()
        # An object that is stored without its last bytes was stored unverified.
        hasty = UpstreamUnavailable("the upstream server reported success before it had the whole body")
        return Failure(Fault.FINAL, hasty, body_touched=touched)
    return opened


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


def _failure(error: Exception, outgoing: Outgoing | None) -> Failure:
    """What went wrong with a request."""
    touched = outgoing is not None and outgoing.touched
    if outgoing is not None and outgoing.error is not None:
        return Failure(Fault.FINAL, outgoing.error, body_touched=touched)
    fault, message = _understood(error)
    if message is None:
        return Failure(fault, error, body_touched=touched)
    unavailable = UpstreamUnavailable(message, timed_out=isinstance(error, TimeoutError))
    unavailable.__cause__ = error
    return Failure(fault, unavailable, body_touched=touched)


def _understood(error: Exception) -> tuple[Fault, str | None]:
    """What a transport's error means for a request; no text for an error that is not the server's."""
    match error:
        case CertificateRefused():
            return Fault.FINAL, "the upstream server's certificate is not trusted"
        case HandshakeFailed():
            return Fault.FINAL, "no TLS connection to the upstream server came about"
        case Unreachable():
            return Fault.NOT_SENT, f"the upstream server can not be reached: {error}"
        case ConnectTimeout():
            return Fault.FINAL, "no connection to the upstream server came about in time"
        case TimeoutError():
            return Fault.FINAL, "the upstream server did not take the request or did not answer in time"
        case AnswerInvalid():
            return Fault.FINAL, "the upstream server's answer is not valid HTTP"
        case ConnectionBroken():
            return Fault.DISCONNECTED, "the upstream server closed the connection without an answer"
        case _:
            return Fault.FINAL, None
