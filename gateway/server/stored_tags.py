"""The tags of a stored object."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from gateway.errors import S3Error
from gateway.s3.copy_source import CopySource
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.query import EMPTY_QUERY
from gateway.upstream.body import EmptyBody
from gateway.upstream.request import UpstreamRequest
from gateway.upstream.response import UpstreamResponse

#: The largest document that is read, bytes: ten tags with 128 and 256 characters, each of them escaped.
_MAX_BYTES: Final = 256 * 1024
#: What servers answer for an object without tags, or when they know no tags at all.
_WITHOUT_TAGS: Final = frozenset({404, 405, 501})

#: Sends a request upstream.
Send = Callable[[UpstreamRequest], AbstractAsyncContextManager[UpstreamResponse]]


async def tagging_document(send: Send, place: CopySource) -> bytes:
    """The answer to GetObjectTagging; empty for an object without tags.

    Raises:
        S3Error: AccessDenied, when they can not be read.
        GatewayError: the upstream failed.
    """
    version = () if place.version_id is None else (("versionId", place.version_id),)
    request = UpstreamRequest(
        operation=Operation.GET_OBJECT_TAGGING,
        method="GET",
        bucket=place.bucket,
        raw_object_key=place.raw_object_key,
        query=EMPTY_QUERY.with_values((*version, ("tagging", None))),
        headers=Headers(),
        body=EmptyBody(),
    )
    async with send(request) as answer:
        body = await answer.read(_MAX_BYTES)
        if 200 <= answer.status < 300:
            return body
        if answer.status in _WITHOUT_TAGS:
            return b""
        # Whoever may not read the tags may not copy a tagged object on S3 either; dropping them would be silent loss.
        raise S3Error("AccessDenied", "The tags of the source object can not be read.")
