"""Answers that take long: the connection is kept alive with white space, as S3 does for copies.

Clients give up after a minute of silence. Source: Amazon S3 API Reference, CopyObject: the answer may begin with 200 OK
and end with an error in its body.
"""

import asyncio
from collections.abc import Awaitable

from aiohttp import web

from gateway.errors import GatewayError, as_s3_error
from gateway.s3.xml import parse_error
from gateway.server.early_answer import early_answer
from gateway.server.exchange import Exchange

#: Silence that every client bears, in seconds.
QUIET_SECONDS = 10.0

_PROLOG_END = b"?>"


async def answer_in_time(
    http: web.BaseRequest, exchange: Exchange, work: Awaitable[web.Response], quiet_seconds: float = QUIET_SECONDS
) -> web.StreamResponse:
    """The outcome of ``work``; when it takes long, as the end of a 200 answer that began with white space.

    Args:
        http: the client's request.
        exchange: learns of an error that comes too late for a status.
        work: ends with an XML answer.
        quiet_seconds: how long nothing is sent.

    Raises:
        GatewayError: ``work`` failed before anything was sent.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=quiet_seconds)
        if done:
            return task.result()
        response = web.StreamResponse(headers={"Content-Type": "application/xml"})
        await response.prepare(http)
        await response.write(b'<?xml version="1.0" encoding="UTF-8"?>')
        while not (await asyncio.wait({task}, timeout=quiet_seconds))[0]:
            await response.write(b"\n")
        await response.write(_late(http, exchange, task))
        await response.write_eof()
        return response
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _late(http: web.BaseRequest, exchange: Exchange, task: asyncio.Future[web.Response]) -> bytes:
    """The document of an outcome, without its prolog: that is out already."""
    try:
        outcome = task.result()
    except GatewayError as error:
        answer = as_s3_error(error)
        outcome = early_answer(answer, http.method, http.raw_path.partition("?")[0], exchange.request_id)
    body = outcome.body if isinstance(outcome.body, bytes) else b""
    error_answer = parse_error(body)
    if error_answer is not None:
        exchange.note_late_failure(error_answer.code)
    return body.partition(_PROLOG_END)[2] if body.startswith(b"<?xml") else body
