"""What a request's head says about how its connection goes on, and the heads that are refused."""

from aiohttp import web
from aiohttp.web_protocol import ERROR

from gateway.errors import S3Error


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
