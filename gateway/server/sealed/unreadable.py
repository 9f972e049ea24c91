"""Operations for which the server itself would have to understand an object's content."""

from aiohttp import web

from gateway.errors import S3Error
from gateway.policy.rules import ModeName
from gateway.server.handlers.call import Call
from gateway.server.handlers.forward import forward


async def refuse_on_ciphertext(call: Call) -> web.StreamResponse:
    """Answer SelectObjectContent and GetObjectTorrent, which make no sense of ciphertext.

    Raises:
        S3Error: NotImplemented, under a ``cse`` rule.
        GatewayError: the upstream failed.
    """
    rule = call.authorized.rule
    if rule is not None and rule.mode is ModeName.CSE:
        raise S3Error(
            "NotImplemented",
            f"{call.request.operation.value} can not be served: the gateway encrypts this object, and the server sees "
            "ciphertext only.",
        )
    return await forward(call)
