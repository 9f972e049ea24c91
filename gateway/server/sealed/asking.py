"""Small ranged reads: the answer's head, where in the object its bytes are, and the bytes."""

import re
from dataclasses import dataclass, field

from gateway.errors import UpstreamUnavailable
from gateway.s3.headers import Headers
from gateway.server.handlers.refusal import Refusal, read_refusal
from gateway.server.sealed.stored import Fetch, ObjectChanged
from gateway.upstream.request import UpstreamRequest
from gateway.upstream.response import UpstreamResponse

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})", re.ASCII)
_LENGTH = re.compile(r"[0-9]{1,19}", re.ASCII)
_CHANGED = frozenset({404, 412})


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a small read.

    Attributes:
        status: the HTTP status.
        headers: its header fields.
        first: where in the object the bytes begin.
        stored_bytes: the size of the stored object.
        data: the bytes.
        refusal: set instead of the last three when there is no object to read.
    """

    status: int
    headers: Headers
    first: int = 0
    stored_bytes: int = 0
    data: bytes = field(default=b"", repr=False)
    refusal: Refusal | None = None

    @property
    def etag(self) -> str:
        """The object's ETag."""
        return etag_of(self.headers)


def etag_of(headers: Headers) -> str:
    """The ETag of an answer.

    Raises:
        UpstreamUnavailable: it has none, so no second request could be held to the same object.
    """
    etag = headers.get("etag")
    if not etag:
        raise UpstreamUnavailable("the upstream server's answer has no ETag")
    return etag


def extent(answer: UpstreamResponse) -> tuple[int, int]:
    """Where in the stored object a successful answer's body begins, and the size of the stored object.

    Raises:
        UpstreamUnavailable: the answer does not say.
    """
    if answer.status == 206:
        stated = _CONTENT_RANGE.fullmatch(answer.headers.get("content-range") or "")
        if stated is not None:
            return int(stated[1]), int(stated[3])
    else:
        length = answer.headers.get("content-length") or ""
        if _LENGTH.fullmatch(length) is not None:
            return 0, int(length)
    raise UpstreamUnavailable("the upstream server's answer does not say what part of the object it is")


async def ask(fetch: Fetch, request: UpstreamRequest, limit: int) -> Answered:
    """Send a ranged read of at most ``limit`` bytes. A server that ignores the range gives the object's first bytes.

    Raises:
        UpstreamUnavailable: the answer is no usable one.
    """
    async with fetch(request) as answer:
        if not 200 <= answer.status < 300:
            return Answered(answer.status, answer.headers, refusal=await read_refusal(answer))
        first, stored_bytes = extent(answer)
        data = (await answer.peek(limit))[:limit]
        return Answered(answer.status, answer.headers, first, stored_bytes, data)


async def ask_again(fetch: Fetch, request: UpstreamRequest, first: int, size: int) -> bytes:
    """A further ranged read of an object, held to its ETag by the request: exactly ``size`` bytes from ``first`` on.

    Raises:
        ObjectChanged: the object is another one by now.
        UpstreamUnavailable: the answer is no usable one.
    """
    answered = await ask(fetch, request, size)
    if answered.refusal is not None:
        if answered.status in _CHANGED:
            raise ObjectChanged
        raise UpstreamUnavailable(f"the upstream server answered {answered.status} to a further part of an object")
    if answered.etag != request.headers.get("if-match"):
        raise ObjectChanged
    if answered.first != first or len(answered.data) != size:
        raise UpstreamUnavailable("the upstream server's answer is not the part of the object that was asked for")
    return answered.data
