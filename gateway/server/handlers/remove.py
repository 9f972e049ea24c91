"""DeleteObject and DeleteObjects: conditions that name a shown ETag of a sealed object, in the server's terms.

Everything else about them passes through.
"""

import base64
from dataclasses import replace

from aiohttp import web

from gateway.errors import S3Error
from gateway.modes.plan import Plan, plan
from gateway.modes.shown_etag import stored_condition
from gateway.policy.choice import stored_rule
from gateway.policy.rules import Existing, ModeName
from gateway.s3.checksums import new_md5
from gateway.s3.deletion import ConditionalDeletion, conditional_deletions, with_etags
from gateway.s3.forwarding import encryption_headers_of
from gateway.s3.headers import Headers
from gateway.s3.query import encode_value
from gateway.server.handlers.call import MAX_DOCUMENT_BYTES, Call
from gateway.server.handlers.forward import forward
from gateway.server.handlers.judged_deletion import judge_deletion
from gateway.server.handlers.upload_body import UploadBody, document
from gateway.server.respond import stream
from gateway.server.sealed.stored import StoredObject
from gateway.server.sealed.write_headers import about_sealed_bytes, stored_write_conditions, would_be_sealed
from gateway.upstream.body import BufferedBody


async def remove_object(call: Call) -> web.StreamResponse:
    """Answer DeleteObject.

    Raises:
        GatewayError: the upstream failed.
    """
    rule = call.authorized.rule
    if rule is None or rule.mode is not ModeName.CSE:
        return await forward(call)
    planned = plan(call.authorized, encryption_headers_of(call.request.raw.headers))
    planned = replace(planned, headers=await stored_write_conditions(call, planned.headers, Headers()))
    async with call.send(planned) as answer:
        call.note_answer(answer)
        call.services.sealed.layouts.forget(call.bucket, call.object_key, call.request.query.get("versionId"))
        return await stream(call.http, call.exchange, answer)


async def remove_objects(call: Call) -> web.StreamResponse:
    """Answer DeleteObjects.

    Raises:
        GatewayError: the document is not what it claims, or the upstream failed.
    """
    body = await document(call, MAX_DOCUMENT_BYTES)
    planned = plan(call.authorized, encryption_headers_of(call.request.raw.headers)).adding(body.headers)
    judge, judged = call.authorized.judge, None
    if judge is not None:
        judged = judge_deletion(call, judge, body.data)
        if judged.body is None:
            return judged.answer_alone(call)
        planned, body = _with_document(planned, judged.body)
    planned, body = await _translated(call, planned, body)
    async with call.send(planned, body.body, payload_sha256=body.payload_sha256) as answer:
        call.note_answer(answer)
        return await (stream(call.http, call.exchange, answer) if judged is None else judged.answer(call, answer))


def _with_document(planned: Plan, data: bytes) -> tuple[Plan, UploadBody]:
    """The request with another document than the client's, which its checksums are not about."""
    digest = new_md5()
    digest.update(data)
    md5 = base64.b64encode(digest.digest()).decode("ascii")
    headers = about_sealed_bytes(planned.headers).replacing((("content-md5", md5),))
    return replace(planned, headers=headers), UploadBody(BufferedBody(data), Headers(), None)


async def _translated(call: Call, planned: Plan, body: UploadBody) -> tuple[Plan, UploadBody]:
    """The request with the server's ETags; untouched when it names none."""
    data = body.data
    try:
        named = conditional_deletions(data)
    except S3Error:
        return planned, body  # what is no document is the server's to refuse
    changes = [(deletion, etag) for deletion in named if (etag := await _stored_etag(call, deletion)) != deletion.etag]
    if not changes:
        return planned, body
    return _with_document(planned, with_etags(data, changes))


async def _stored_etag(call: Call, deletion: ConditionalDeletion) -> str:
    etag = stored_condition(deletion.etag)
    rule = stored_rule(call.services.rules, call.bucket, deletion.object_key)
    if etag == deletion.etag or rule is None or rule.mode is not ModeName.CSE:
        return deletion.etag
    if rule.existing is Existing.PLAINTEXT:
        raw_object_key = encode_value(deletion.object_key)
        stored = StoredObject(call.bucket, deletion.object_key, raw_object_key, version_id=deletion.version_id)
        if not await would_be_sealed(call, stored):
            return deletion.etag
    return etag
