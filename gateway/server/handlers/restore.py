"""RestoreObject: back from an archive, in place.

A request may also ask S3 to write what it restores, or selects, to another bucket with an encryption of its own. Where
a rule limits what clients choose that gets around it. Source: Amazon S3 API Reference, RestoreObject.
"""

from aiohttp import web

from gateway.policy.authorize import require_explicit
from gateway.s3.xml import local_name, parse_xml
from gateway.server.handlers.call import MAX_DOCUMENT_BYTES, Call
from gateway.server.handlers.forward import forward_document
from gateway.server.handlers.upload_body import document

#: Elements of a request that makes S3 write elsewhere.
_ELSEWHERE = frozenset({"OutputLocation", "SelectParameters"})


async def restore_object(call: Call) -> web.StreamResponse:
    """Answer RestoreObject.

    Raises:
        PolicyDenied: it would write elsewhere, and no policy allows that.
        GatewayError: the client's document is not what it claims, or the upstream failed.
    """
    body = await document(call, MAX_DOCUMENT_BYTES)
    if body.data and any(local_name(element) in _ELSEWHERE for element in parse_xml(body.data).iter()):
        require_explicit(call.authorized, call.services.rules)
    return await forward_document(call, body)
