"""Operations that make no sense of ciphertext, or would store something of the client's in the clear."""

from aiohttp import web

from gateway.errors import S3Error
from gateway.policy.rules import ModeName
from gateway.server.handlers.call import Call
from gateway.server.handlers.forward import forward


async def refuse_on_ciphertext(call: Call) -> web.StreamResponse:
    """Answer SelectObjectContent and GetObjectTorrent, which read content, and PutObjectAnnotation, which writes some.

    Raises:
        S3Error: NotImplemented, under a ``cse`` rule.
        GatewayError: the upstream failed.
    """
    rule = call.authorized.rule
    if rule is not None and rule.mode is ModeName.CSE:
        raise S3Error(
            "NotImplemented",
            f"{call.request.operation.value} can not be served: the gateway encrypts this object, and the server must "
            "see ciphertext only.",
        )
    return await forward(call)
