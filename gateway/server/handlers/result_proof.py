"""The encryption of a new object, asked of the object itself, for servers that do not state it in their answer."""

from gateway.modes.plan import Plan
from gateway.s3.encryption_headers import CUSTOMER_HEADERS
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.query import EMPTY_QUERY
from gateway.server.handlers.call import Call, is_success
from gateway.upstream.body import EmptyBody
from gateway.upstream.request import UpstreamRequest


async def proven_by_head(call: Call, planned: Plan, *, etag: str | None, version_id: str | None) -> bool:
    """Whether HEAD shows that the object just written has the encryption that ``planned`` asked for.

    Args:
        call: the request that wrote it.
        planned: what was asked for.
        etag: the new object's ETag; an object that somebody else wrote in between proves nothing.
        version_id: the new object's version, where there are versions.
    """
    version = () if version_id is None else (("versionId", version_id),)
    request = UpstreamRequest(
        operation=Operation.HEAD_OBJECT,
        method="HEAD",
        bucket=call.request.bucket,
        raw_object_key=call.request.raw_object_key,
        query=EMPTY_QUERY.with_values(version),
        headers=Headers((name, value) for name, value in planned.headers if name in CUSTOMER_HEADERS),
        body=EmptyBody(),
    )
    async with call.send_request(request) as answer:
        return (
            is_success(answer.status)
            and etag is not None
            and (answer.headers.get("etag") or "").strip('"') == etag.strip('"')
            and planned.proven_by(answer.headers)
        )
