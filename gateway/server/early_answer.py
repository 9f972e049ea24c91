"""Errors that are answered before the pipeline sees a request: bad HTTP, plain HTTP, too many requests."""

import os
from collections.abc import Sequence
from email.utils import formatdate
from http import HTTPStatus

from aiohttp import web

from gateway.errors import S3Error
from gateway.s3.xml import render_error
from gateway.server.request_head import is_refused_head

SERVER_NAME = "Sealgate"
_HOST_ID = "c2VhbGdhdGU="


def new_request_id() -> str:
    """A request id for an answer that the gateway gives by itself; as long as those of S3."""
    return os.urandom(8).hex().upper()


def internal_error() -> S3Error:
    """S3's answer for a fault of the server itself."""
    return S3Error("InternalError", "We encountered an internal error. Please try again.")


def early_answer(error: S3Error, method: str, path: str, request_id: str) -> web.Response:
    """The answer as aiohttp sends it; whether the connection stays open is the caller's decision."""
    fields, body = _answer(error, path, request_id)
    return web.Response(status=error.status, headers=fields, body=None if method == "HEAD" else body)


def first_answer(error: S3Error, request: web.BaseRequest) -> web.Response:
    """The same for a request that nobody looked at yet."""
    response = early_answer(error, request.method, request.raw_path.partition("?")[0], new_request_id())
    if is_refused_head(request):
        # Sent as HTTP/1.0, whose default it is; said all the same, because clients look at the field.
        response.headers["Connection"] = "close"
    return response


def render_early_answer(error: S3Error, method: str, path: str, request_id: str) -> bytes:
    """The answer as bytes, for connections that no HTTP library reads. The connection ends after it."""
    fields, body = _answer(error, path, request_id)
    fields += (
        ("Content-Length", str(len(body))),
        ("Date", formatdate(usegmt=True)),
        ("Connection", "close"),
    )
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    status = f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\n"
    return (status + head + "\r\n").encode("ascii") + (b"" if method == "HEAD" else body)


def _answer(error: S3Error, path: str, request_id: str) -> tuple[tuple[tuple[str, str], ...], bytes]:
    body = render_error(
        code=error.code,
        message=error.message,
        resource=path,
        request_id=request_id,
        host_id=_HOST_ID,
        details=error.details,
    )
    fields: Sequence[tuple[str, str]] = (
        ("Content-Type", "application/xml"),
        ("Server", SERVER_NAME),
        ("x-amz-request-id", request_id),
        ("x-amz-id-2", _HOST_ID),
        *error.headers,
    )
    return tuple(fields), body
