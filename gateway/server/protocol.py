"""One client connection of the data path: aiohttp's HTTP/1.1 protocol with this gateway's limits and errors.

aiohttp parses. This adds what it lacks: a bound on the whole header section, time-outs by sweep instead of timers, S3's
XML for whatever goes wrong before the pipeline, and a drain that lets uploads finish.
"""

import asyncio
import logging
from typing import Final

from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import ERROR

from gateway.errors import S3Error
from gateway.event_log import get_logger
from gateway.server.body_passage import READ_BUFFER_BYTES
from gateway.server.connection import ConnectionInfo, describe_connection, stream_transport
from gateway.server.early_answer import first_answer, internal_error
from gateway.server.limits import too_many_requests
from gateway.server.progress import WriteProgress, is_delivered
from gateway.server.request_head import (
    awaits_continue,
    header_too_large,
    is_refused_head,
    is_too_large,
    parsing_error,
)
from gateway.server.request_loop import RequestLoop
from gateway.server.serving import Serving
from gateway.server.turns import ReadingTurns

_log = get_logger("gateway.server.protocol")

#: An unread body up to this length is read and thrown away to keep the connection; for a longer one it is closed.
DISCARDED_BODY_BYTES: Final = 65_536

# aiohttp's own access log stays silent: the gateway writes one that holds no secrets.
_SILENT = logging.getLogger("gateway.server.aiohttp_access")
_SILENT.setLevel(logging.CRITICAL)
_AIOHTTP_LOG = logging.getLogger("gateway.server.aiohttp")
#: aiohttp's own timer per connection is out of the way: the sweep is quicker.
_NEVER_SECONDS: Final = 86_400.0


class GatewayProtocol(RequestLoop):
    """One connection.

    Args:
        server: aiohttp's server object; it calls :meth:`serve` for each request.
        serving: the process's limits and counters.
        listener: the listener's name.
        connection: what is known about the connection; the transport is asked when None.
    """

    __slots__ = (
        "_body_timed_out",
        "_connection",
        "_draining",
        "_head_bytes",
        "_head_refused",
        "_head_since",
        "_idle_since",
        "_listener",
        "_received_at",
        "_request",
        "_resting",
        "_serving",
        "_turns",
        "_unanswered",
        "_wire",
        "_write_progress",
    )

    def __init__(
        self, server: web.Server, serving: Serving, listener: str, connection: ConnectionInfo | None = None
    ) -> None:
        limits = serving.limits
        self._missing_bytes, self._parser_limits = 0, limits
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=_NEVER_SECONDS,
            logger=_AIOHTTP_LOG,
            access_log=_SILENT,
            max_line_size=limits.max_header_bytes,
            max_field_size=limits.max_header_bytes,
            max_headers=limits.max_header_count,
            lingering_time=limits.linger_seconds,
            read_bufsize=READ_BUFFER_BYTES,
            auto_decompress=False,
        )
        self._serving = serving
        self._listener = listener
        self._connection = connection
        self._wire: asyncio.Transport | None = None
        self._turns = ReadingTurns()
        self._write_progress = WriteProgress()
        # Requests parsed but not answered; aiohttp hands each to serve() a little later. Then the one being served.
        self._unanswered = 0
        self._request: web.BaseRequest | None = None
        self._draining = False
        # The header section on its way: since when (None between requests), its bytes, and whether it was refused.
        self._head_since: float | None = None
        self._head_bytes = 0
        self._head_refused = False
        # The body of the newest request, and when bytes last came.
        self._body: StreamReader = EMPTY_PAYLOAD
        self._body_timed_out = False
        self._received_at = 0.0
        self._idle_since = 0.0
        # Whether the sweep has nothing to look for, unless something comes.
        self._resting = False

    # ----------------------------------------------------------------------------------------- what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Register the connection; the clock of its first header section starts."""
        transport = stream_transport(transport)
        super().connection_made(transport)
        self._wire = transport
        self._turns.begin(transport)
        self._head_since = self._received_at = self._loop.time()
        if self._connection is None:
            self._connection = describe_connection(transport, self._listener)
        if self._serving.table.add(self):
            self._serving.metrics.connection_opened(self._connection.tls_version)
        else:
            self._serving.metrics.shed("connections")
            transport.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the connection; a request being served is cancelled."""
        self._wire = None
        self._serving.table.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Let aiohttp parse, and see what came of it."""
        if self._head_refused:
            return
        in_body = not self._body.is_eof()
        queued = len(self._messages)
        super().data_received(data)
        if self._resting:
            self._watch_again()
        self._received_at = self._loop.time()
        if len(self._messages) > queued:
            self._unanswered += len(self._messages) - queued
            self._note_message()
        elif data and not in_body:
            self._note_head(len(data))

    def _note_message(self) -> None:
        """A header section is complete, or could not be parsed."""
        message, body = self._messages[-1]
        if not isinstance(message, RawRequestMessage):
            # The parser gave up. aiohttp would leave the reader of an unfinished body waiting for ever.
            self._head_refused = True
            if not self._body.is_eof():
                self._break_body(S3Error("IncompleteBody", "The request body could not be parsed."))
        else:
            self.let_pass(message, body)
        self._body = body
        if not body.is_eof():
            self._turns.take(False)
        self._body_timed_out = False
        self._head_since = None
        self._head_bytes = 0

    def _note_head(self, size: int) -> None:
        """More of a header section came, and it is not complete."""
        if self._head_since is None:
            self._head_since = self._received_at
        self._turns.take(False)
        self._head_bytes += size
        if self._head_bytes > self._serving.limits.max_header_bytes:
            self._head_refused = True
            self._unanswered += 1
            self._messages.append((ERROR, EMPTY_PAYLOAD))
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(None)

    def _break_body(self, error: S3Error) -> None:
        """Whoever reads the body gets ``error``; nothing more of it is waited for."""
        self._lingering_time = 0.0
        self._body.set_exception(error)

    # ----------------------------------------------------------------------------------------------- what aiohttp calls

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, whole: a place among the concurrent requests is kept until the last byte is written."""
        self._request = request
        try:
            response = await self._answer(request)
            if not self.may_keep_alive(request):
                response.force_close()
            return response
        finally:
            self._request = None

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        admission = self._serving.admission
        try:
            self._check_head(request)
            connection = self.connection_of(request)
        except S3Error as error:
            refused = first_answer(error, request)
            refused.force_close()
            return refused
        late = admission.refuses(self._turns.seconds_waited())
        if late or (not admission.enter() and not await self._wait_for_place(request)):
            self._serving.metrics.shed("requests")
            return first_answer(too_many_requests(), request)
        try:
            response = await self._serving.handler.handle(request, connection)
            await response.prepare(request)
            await response.write_eof()
            return response
        finally:
            admission.leave()

    async def _wait_for_place(self, request: web.BaseRequest) -> bool:
        """Wait for a place among the concurrent requests; False when there was none in time.

        What of a body is not here yet stays with the client until then: waiting requests hold little memory.
        """
        held_back = not request.content.is_eof() and not self._reading_paused
        if held_back:
            self.pause_reading()
        admitted = await self._serving.admission.wait()
        if held_back and self._wire is not None:
            self.resume_reading()
        return admitted

    def connection_of(self, request: web.BaseRequest) -> ConnectionInfo:
        """What is known about the connection as ``request`` came over it.

        Raises:
            S3Error: the request must not come this way.
        """
        del request
        if self._connection is None:
            raise AssertionError("internal error: a request before its connection")
        return self._connection

    def _check_head(self, request: web.BaseRequest) -> None:
        """Refuse what the parser lets through.

        Raises:
            S3Error: the header section is too long, or the request is not for an S3 server.
        """
        limit = self._serving.limits.max_header_bytes
        if is_too_large(request, limit):
            self._serving.metrics.bad_request("header_too_large")
            raise header_too_large(limit)
        if request.method == "CONNECT":
            self._serving.metrics.bad_request("connect")
            raise S3Error("MethodNotAllowed", "The specified method is not allowed against this resource.")

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer; after a header section that was refused, give the client a moment to read it.

        Closing while the rest of the header section is still arriving would reset the connection, and the reset can
        overtake the answer. What arrives is thrown away.
        """
        result = await super().finish_response(request, resp, start_time)
        self._unanswered -= 1
        self._idle_since = self._loop.time()
        self._turns.take(True)
        if self._head_since is not None:
            self._head_since = self._idle_since
        if is_refused_head(request):
            await asyncio.sleep(self._serving.limits.linger_seconds)
        return result

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """S3's XML for a request that could not be parsed, or for a fault of this program."""
        refused = parsing_error(status, exc, message, self._serving.limits.max_header_bytes)
        if refused is not None:
            error, reason = refused
            self._serving.metrics.bad_request(reason)
        else:
            error = internal_error()
            # A client that went away in the middle is no fault, and nobody reads the answer.
            if self._wire is not None and not isinstance(exc, ConnectionError):
                _log.error("request_failed", exc_info=exc, listener=self._listener)
        if request.writer.output_size > 0:
            # The answer has begun, so its end must not look like one.
            self.abort()
            raise ConnectionResetError("the answer was broken off")
        response = first_answer(error, request)
        response.force_close()
        return response

    def may_keep_alive(self, request: web.BaseRequest) -> bool:
        """Whether another request can follow ``request`` on this connection, as things are now.

        An answer before the end of the body leaves the rest of it in the way. A short rest is skipped; a long one, or
        one that the client may or may not send because it waits for ``100 Continue``, ends the connection (RFC 9110,
        sections 9.3 and 10.1.1).
        """
        if self._draining or self._head_refused or self._upgraded:
            return False
        body = request.content
        if body.is_eof():
            return True
        length = request.content_length
        if length is None or self._body_timed_out or awaits_continue(request):
            return False
        return length - body.total_bytes <= DISCARDED_BODY_BYTES

    # ------------------------------------------------------------------------------------------------ TrackedConnection

    def sweep(self, now: float) -> None:
        """End the connection when it exceeded a time-out; ``now`` is the event loop's time in seconds."""
        if self._wire is None:
            return
        limits, metrics = self._serving.limits, self._serving.metrics
        if self._end_if_delivered():
            return
        if self.writing_paused or self._wire.is_closing():
            if self._write_progress.seconds_stalled(self._wire, now) > limits.idle_seconds:
                metrics.connection_timed_out("reader")
                self._wire.abort()
            return
        self._write_progress.reset()
        if self._request is not None:
            self._sweep_body(self._request, now)
        elif self._unanswered:
            return
        elif self._head_since is not None:
            if now - self._head_since > limits.header_seconds and not self._turns.is_awaited():
                metrics.connection_timed_out("header")
                self._wire.abort()
        elif now - self._idle_since > limits.idle_seconds and not self._turns.is_awaited():
            metrics.connection_timed_out("idle")
            self.force_close()
        else:
            self._resting = True
            self._serving.table.rest(self, self._idle_since + limits.idle_seconds)

    def _watch_again(self) -> None:
        self._resting = False
        self._serving.table.wake(self)

    def _end_if_delivered(self) -> bool:
        """End a connection that is being closed, once its client has everything.

        TLS would go on to wait for the client's farewell, which clients with a pool of idle connections never send.
        """
        if self._wire is not None and self._wire.is_closing() and is_delivered(self._wire):
            self._wire.abort()
            return True
        return False

    def _sweep_body(self, request: web.BaseRequest, now: float) -> None:
        """A body that stalls fails with S3's RequestTimeout; if that does not end the request, the connection does."""
        body = request.content
        if body.is_eof() or self._reading_paused or awaits_continue(request):
            self._received_at = now  # nothing to wait for: complete, held back by us, or not asked for yet
        elif now - self._received_at > self._serving.limits.body_seconds:
            if self._body_timed_out:
                self.abort()
                return
            self._body_timed_out = True
            self._received_at = now
            self._serving.metrics.connection_timed_out("body")
            # Source: Amazon S3 API Reference, "Error responses".
            message = "Your socket connection to the server was not read from or written to within the timeout period."
            self._break_body(S3Error("RequestTimeout", message))

    def finish(self) -> None:
        """End the connection as soon as it is not in the middle of a request."""
        self._draining = True
        self._watch_again()
        if not self._unanswered and not self._head_bytes and not self._turns.is_awaited():
            self.force_close()
            self._end_if_delivered()

    def abort(self) -> None:
        """End the connection at once; a request being served is cancelled."""
        if self._wire is not None:
            self._wire.abort()
