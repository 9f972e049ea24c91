"""DeleteObjects where policies decide about each object: those that may not be removed become errors of their own."""

from dataclasses import dataclass

from aiohttp import web

from gateway.policy.permission import Judge, PolicyDenied
from gateway.s3.delete_document import (
    DeleteDocument,
    Deletion,
    DeletionError,
    parse_delete_document,
    render_delete_document,
    render_result,
    result_with_errors,
)
from gateway.server.handlers.call import MAX_DOCUMENT_BYTES, Call, is_success
from gateway.server.respond import buffered, stream
from gateway.upstream.response import UpstreamResponse


@dataclass(frozen=True, slots=True)
class JudgedDeletion:
    """A DeleteObjects document after the policies looked at it.

    Attributes:
        body: the document that is left; None when nothing is.
        errors: the objects that may not be removed.
    """

    body: bytes | None
    errors: tuple[DeletionError, ...]

    async def answer(self, call: Call, answer: UpstreamResponse) -> web.StreamResponse:
        """The server's answer, with an error for each object that was held back.

        Raises:
            GatewayError: the upstream failed.
        """
        if not self.errors or not is_success(answer.status):
            return await stream(call.http, call.exchange, answer)
        body = result_with_errors((await answer.read(MAX_DOCUMENT_BYTES)).strip(), self.errors)
        return buffered(call.http, call.exchange, answer.status, answer.headers, body)

    def answer_alone(self, call: Call) -> web.Response:
        """The answer when nothing was left to ask the server."""
        body = render_result(self.errors)
        call.exchange.bytes_out += len(body)
        return web.Response(status=200, body=body, headers={"Content-Type": "application/xml"})


def judge_deletion(call: Call, judge: Judge, body: bytes) -> JudgedDeletion:
    """Ask the policies about every object of a document.

    Raises:
        S3Error: MalformedXML, for anything that could be read in two ways.
    """
    document = parse_delete_document(body)
    kept: list[Deletion] = []
    errors: list[DeletionError] = []
    for deletion in document.deletions:
        try:
            permission = judge.permit_deletion(deletion.object_key, deletion.version_id)
            kept.append(deletion)
        except PolicyDenied as denied:
            permission = denied.permission
            call.exchange.note_permission(permission)
            errors.append(DeletionError(deletion, denied.code, denied.message))
        call.services.metrics.policies.decision(permission.effect, permission.counted_as)
    left = render_delete_document(DeleteDocument(document.quiet, tuple(kept))) if kept else None
    return JudgedDeletion(left, tuple(errors))
