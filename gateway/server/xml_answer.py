"""Successes that may turn out to be errors: S3 sends 200 early and the outcome with the last byte.

CompleteMultipartUpload and the copies answer 200 at once, keep the connection alive with white space, and end with
either a result or an ``Error`` element. Source: Amazon S3 API Reference, CompleteMultipartUpload and CopyObject.
"""

from collections.abc import AsyncIterator, Callable

from aiohttp import web

from gateway.errors import UpstreamUnavailable
from gateway.s3.xml import parse_error, replace_text
from gateway.server.exchange import Exchange
from gateway.server.respond import buffered, stream
from gateway.upstream.response import UpstreamResponse

#: The largest result document, bytes; S3's own have less than 2 KiB.
MAX_RESULT_BYTES = 64 * 1024

_PROLOG_END = b"?>"


async def checked_xml(
    http: web.BaseRequest, exchange: Exchange, answer: UpstreamResponse, on_success: Callable[[], None], scheme: str
) -> web.StreamResponse:
    """Pass on an answer whose body decides, and call ``on_success`` when it is a result.

    White space that keeps the connection alive is passed on as it comes.
    """
    if "content-length" in answer.headers:
        body = _judged(http, exchange, await answer.read(MAX_RESULT_BYTES), on_success, scheme)
        return buffered(http, exchange, answer.status, answer.headers, body)
    return await stream(http, exchange, answer, _kept_alive(http, exchange, answer, on_success, scheme))


async def _kept_alive(
    http: web.BaseRequest, exchange: Exchange, answer: UpstreamResponse, on_success: Callable[[], None], scheme: str
) -> AsyncIterator[bytes]:
    held = b""
    prolog_sent = False
    async for chunk in answer.iter_chunks():
        held += chunk
        if len(held) > MAX_RESULT_BYTES:
            raise UpstreamUnavailable("The upstream server's result is too long.")
        if not prolog_sent and held.startswith(b"<?xml") and _PROLOG_END in held:
            prolog, _, held = held.partition(_PROLOG_END)
            prolog_sent = True
            yield prolog + _PROLOG_END
        if held and not held.strip():
            yield held
            held = b""
    yield _judged(http, exchange, held, on_success, scheme)


def _judged(
    http: web.BaseRequest, exchange: Exchange, body: bytes, on_success: Callable[[], None], scheme: str
) -> bytes:
    """The result document as the client gets it."""
    error = parse_error(body)
    if error is not None:
        exchange.note_late_failure(error.code)
        return body
    on_success()
    location = f"{scheme}://{http.headers.get('Host', '')}{http.raw_path.partition('?')[0]}"
    return replace_text(body, {"Location": location})
