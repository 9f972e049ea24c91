"""Operations that pass through: signed again, otherwise as received."""

from aiohttp import web

from gateway.modes.plan import plan
from gateway.s3.forwarding import encryption_headers_of
from gateway.server.handlers.call import MAX_DOCUMENT_BYTES, Call
from gateway.server.handlers.upload_body import UploadBody, document
from gateway.server.respond import stream


async def forward(call: Call) -> web.StreamResponse:
    """Answer with whatever the upstream answers.

    Raises:
        GatewayError: the client's document is not what it claims, or the upstream failed.
    """
    return await forward_document(call, await document(call, MAX_DOCUMENT_BYTES))


async def forward_document(call: Call, body: UploadBody) -> web.StreamResponse:
    """The same with a document that was read already.

    Raises:
        GatewayError: the upstream failed.
    """
    planned = plan(call.authorized, encryption_headers_of(call.request.raw.headers)).adding(body.headers)
    async with call.send(planned, body.body, payload_sha256=body.payload_sha256) as answer:
        call.note_answer(answer)
        return await stream(call.http, call.exchange, answer)
