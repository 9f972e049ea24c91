"""What a request's head says about how its connection goes on, and the heads that are refused."""

from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import ERROR

from gateway.errors import S3Error

#: What aiohttp's parser says when there are more header fields than allowed.
_TOO_MANY_FIELDS: Final = "Too many headers received"


def awaits_continue(request: web.BaseRequest) -> bool:
    """Whether the client holds its body back until ``100 Continue``, which it was not sent."""
    return (
        request.headers.get("Expect", "").lower() == "100-continue"
        and request.content.total_bytes == 0
        and request.writer.buffer_size == 0
    )


def is_refused_head(request: web.BaseRequest) -> bool:
    """Whether ``request`` only stands for a head that was never complete or not parsed."""
    return request.method == ERROR.method


def is_too_large(request: web.BaseRequest, limit: int) -> bool:
    """Whether request target and header fields together take more than ``limit`` bytes."""
    size = len(request.raw_path) + sum([len(name) + len(value) + 4 for name, value in request.raw_headers])
    return is_refused_head(request) or size > limit


def header_too_large(limit: int) -> S3Error:
    """S3's answer to a header section over ``limit`` bytes, or with too many fields."""
    return S3Error(
        "RequestHeaderSectionTooLarge",
        "The request header and query parameters used to make the request exceed the maximum allowed size.",
        details=(("MaxSizeAllowed", str(limit)),),
    )


def parsing_error(
    status: int, exception: BaseException | None, message: str | None, limit: int
) -> tuple[S3Error, str] | None:
    """S3's answer to what aiohttp's parser refused, and what metrics call it; None when something else went wrong.

    Args:
        status: that aiohttp would answer.
        exception: that came of it.
        message: the parser's, which is not shown: it quotes the request, and with it signatures and keys.
        limit: longest header section in bytes.
    """
    if isinstance(exception, LineTooLong) or (status == HTTPStatus.BAD_REQUEST and message == _TOO_MANY_FIELDS):
        return header_too_large(limit), "header_too_large"
    if status == HTTPStatus.BAD_REQUEST:
        return S3Error("BadRequest", "An error occurred when parsing the HTTP request."), "not_http"
    return None
