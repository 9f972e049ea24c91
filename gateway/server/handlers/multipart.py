"""Multipart uploads: what an upload began with goes with each of its requests.

The gateway keeps no state between two requests of an upload; see ``modes/upload_id.py``.
"""

from dataclasses import replace

from aiohttp import web

from gateway.errors import S3Error, UpstreamUnavailable
from gateway.modes.plan import Plan, plan
from gateway.modes.registry import MODES, mode_shown_by
from gateway.modes.upload_id import (
    UPLOAD_ID,
    UploadId,
    customer_tag,
    kms_tag,
    upload_id_of,
    with_upstream_upload_id,
)
from gateway.policy.rules import KMS_MODES, EncryptionRule, ModeName
from gateway.s3.asked_encryption import CONTINUES_UPLOAD, asked_encryption
from gateway.s3.encryption_headers import COPY_SOURCE_CUSTOMER_HEADERS, SSE_C_KEY_MD5, SSE_KMS_KEY_ID
from gateway.s3.forwarding import encryption_headers_of
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.query import EMPTY_QUERY
from gateway.s3.xml import element_text, replace_text
from gateway.server.handlers.call import MAX_DOCUMENT_BYTES, Call, is_success, require_proof
from gateway.server.handlers.encryption import new_object_encryption
from gateway.server.handlers.refusal import pass_refusal
from gateway.server.handlers.upload_body import document, object_data
from gateway.server.handlers.write import note_written
from gateway.server.key_ring import ObjectKey
from gateway.server.respond import buffered, stream
from gateway.server.sealed.complete import complete_sealed_upload
from gateway.server.sealed.multipart import (
    abort_sealed_upload,
    create_sealed_upload,
    list_sealed_parts,
    upload_sealed_part,
)
from gateway.server.sealed.upload import is_sealed_upload
from gateway.server.sealed.write_headers import refuse_marker
from gateway.server.xml_answer import checked_xml
from gateway.upstream.body import EmptyBody
from gateway.upstream.request import UpstreamRequest
from gateway.upstream.response import UpstreamResponse

_PARTS = frozenset({Operation.UPLOAD_PART, Operation.UPLOAD_PART_COPY})


async def create_upload(call: Call) -> web.StreamResponse:
    """Answer CreateMultipartUpload; the id that the client gets names the encryption that its parts have to prove.

    Several servers say nothing about encryption in this answer, so silence is accepted here and not at the parts.

    Raises:
        GatewayError: the vault or the upstream failed, or the answer shows another encryption. No upload is left
            behind.
    """
    refuse_marker(call.request.raw.headers)
    if call.authorized.mode is ModeName.CSE:
        return await create_sealed_upload(call)
    encryption, object_key = await new_object_encryption(call)
    planned = plan(call.authorized, encryption)
    async with call.send(planned) as answer:
        call.note_answer(answer)
        if not is_success(answer.status):
            return await pass_refusal(call, answer)
        body = await answer.read(MAX_DOCUMENT_BYTES)
        upstream_id = element_text(body, "UploadId")
        if upstream_id is None:
            raise UpstreamUnavailable("The upstream server created a multipart upload without an id.")
        silent = mode_shown_by(answer.headers) is ModeName.NONE
        if not silent and not planned.proven_by(answer.headers):
            await _abort(call, upstream_id)
            require_proof(call, planned.mode, proven=False)
        asked = asked_encryption(call.authorized.requested)
        shown = replace(_shown_id(upstream_id, planned, object_key), asked=asked)
        body = replace_text(body, {"UploadId": shown.render()})
        return buffered(call.http, call.exchange, answer.status, answer.headers, body)


def _shown_id(upstream_id: str, planned: Plan, object_key: ObjectKey | None) -> UploadId:
    if object_key is not None:
        return UploadId(upstream_id, planned.mode, object_key.fingerprint, object_key.version)
    key_md5 = planned.headers.get(SSE_C_KEY_MD5)
    if key_md5 is not None:
        return UploadId(upstream_id, planned.mode, customer_tag(key_md5))
    return UploadId(upstream_id, planned.mode, kms_tag(planned.headers.get(SSE_KMS_KEY_ID)))


async def _abort(call: Call, upload_id: str) -> None:
    request = call.request
    abort = UpstreamRequest(
        operation=Operation.ABORT_MULTIPART_UPLOAD,
        method="DELETE",
        bucket=request.bucket,
        raw_object_key=request.raw_object_key,
        query=EMPTY_QUERY.with_values(((UPLOAD_ID, upload_id),)),
        headers=Headers(),
        body=EmptyBody(),
    )
    async with call.send_request(abort) as answer:
        await answer.read(MAX_DOCUMENT_BYTES)


async def upload_part(call: Call) -> web.StreamResponse:
    """Answer UploadPart; a part that does not prove its upload's encryption is an error.

    Raises:
        GatewayError: the body, the vault or the upstream failed, or the encryption was not proven.
    """
    refuse_foreign_upload(call)
    if is_sealed_upload(call):
        return await upload_sealed_part(call)
    body = await object_data(call)
    planned, _ = await plan_for_upload(call)
    planned = planned.adding(body.headers)
    async with call.send(planned, body.body, payload_sha256=body.payload_sha256) as answer:
        call.note_answer(answer)
        if not is_success(answer.status):
            return await pass_refusal(call, answer)
        require_part_proof(call, planned, answer)
        return await stream(call.http, call.exchange, answer)


def require_part_proof(call: Call, planned: Plan, answer: UpstreamResponse) -> None:
    """Refuse a part that does not prove the encryption of its upload.

    Raises:
        S3Error: NotImplemented.
    """
    upload_id = upload_id_of(call.request.query)
    require_proof(call, upload_id.mode, proven=part_is_proven(upload_id, planned, answer))


def part_is_proven(upload_id: UploadId, planned: Plan, answer: UpstreamResponse) -> bool:
    """Whether the answer to a part shows the encryption that its upload began with."""
    if upload_id.mode is ModeName.SSE_C:
        return MODES[ModeName.SSE_C].proven_by(planned.headers, answer.headers)
    return upload_id.proven_by(answer.headers)


async def plan_for_upload(call: Call) -> tuple[Plan, ObjectKey | None]:
    """The plan of a request about an upload, with the key that the upload began with.

    Raises:
        KeyUnavailable: the vault did not give the key.
        S3Error: the upload can not be continued through this gateway.
    """
    upload_id = upload_id_of(call.request.query)
    call.exchange.mode = upload_id.mode
    refuse_foreign_upload(call)
    object_key = await call.services.key_ring.for_upload(upload_id, call.bucket, call.object_key)
    if object_key is None:
        _require_clients_key(call, upload_id)
        encryption = encryption_headers_of(call.request.raw.headers).without(COPY_SOURCE_CUSTOMER_HEADERS)
    else:
        encryption = Headers(object_key.headers().render())
    query = with_upstream_upload_id(call.request.query, upload_id)
    return plan(call.authorized, encryption, query), object_key


def refuse_foreign_upload(call: Call) -> None:
    """Refuse to continue an upload that did not begin through the gateway, where the rule asks for encryption.

    The id of one that did says what its parts have to prove. A bare id was begun directly at the server, or was read
    from ListMultipartUploads; nothing shows how it is encrypted, and some servers store a part under any key that
    comes. A rule that is enforced, or whose objects are sealed, goes on with its own encryption only: whoever writes
    another one into an id gets no further. Tags and content type were told when the upload began, so it may be under
    any rule that asks for them.

    Raises:
        S3Error: NoSuchUpload.
    """
    possible = call.authorized.possible
    if call.request.operation not in CONTINUES_UPLOAD or not possible:
        return
    mode = upload_id_of(call.request.query).mode
    if not any(_goes_on(rule, mode) for rule in possible):
        raise S3Error(
            "NoSuchUpload",
            "The specified upload does not exist under this id. Use the upload id that the gateway returned for "
            "CreateMultipartUpload: it names the encryption that the upload began with.",
        )


def _goes_on(rule: EncryptionRule, mode: ModeName) -> bool:
    """Whether an upload that began with ``mode`` may be under a rule."""
    if rule.mode is ModeName.NONE or mode is rule.mode:
        return True
    if mode is ModeName.NONE or rule.enforce or rule.mode is ModeName.CSE:
        return False
    return not rule.refuse_others or (bool(rule.allowed_kms_keys) and mode in KMS_MODES)


def _require_clients_key(call: Call, upload_id: UploadId) -> None:
    """Refuse a part whose customer key is not the one that its upload began with.

    S3 refuses it as well, but some servers store such a part, and the object can then never be read. Source: Amazon S3
    API Reference, UploadPart.

    Raises:
        S3Error: InvalidRequest, in S3's words.
    """
    if call.request.operation not in _PARTS or upload_id.mode is ModeName.NONE:
        return
    customer = call.authorized.requested.customer
    if (customer is not None) != (upload_id.mode is ModeName.SSE_C):
        raise S3Error(
            "InvalidRequest",
            "The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate "
            "encryption parameters.",
        )
    if customer is not None and customer_tag(customer.key_md5) != upload_id.tag:
        raise S3Error("InvalidRequest", "The provided encryption parameters did not match the ones used originally.")


async def complete_upload(call: Call) -> web.StreamResponse:
    """Answer CompleteMultipartUpload.

    Raises:
        GatewayError: the document, the vault or the upstream failed.
    """
    refuse_foreign_upload(call)
    if is_sealed_upload(call):
        return await complete_sealed_upload(call)
    body = await document(call, MAX_DOCUMENT_BYTES)
    upload_id = upload_id_of(call.request.query)
    planned, object_key = await plan_for_upload(call)
    planned = planned.adding(body.headers)

    def completed() -> None:
        note_written(call, upload_id.mode, object_key)

    async with call.send(planned, body.body, payload_sha256=body.payload_sha256) as answer:
        call.note_answer(answer)
        if not is_success(answer.status):
            return await pass_refusal(call, answer)
        require_proof(call, upload_id.mode, proven=not upload_id.contradicted_by(answer.headers))
        return await checked_xml(call.http, call.exchange, answer, completed, call.request.raw.scheme)


async def about_upload(call: Call) -> web.StreamResponse:
    """Answer ListParts and AbortMultipartUpload; the client sees the upload id that it sent.

    Raises:
        GatewayError: the vault or the upstream failed.
    """
    if is_sealed_upload(call):
        listing = call.request.operation is Operation.LIST_PARTS
        return await (list_sealed_parts(call) if listing else abort_sealed_upload(call))
    upload_id = upload_id_of(call.request.query)
    planned, _ = await plan_for_upload(call)
    async with call.send(planned) as answer:
        call.note_answer(answer)
        if not is_success(answer.status) or upload_id.mode is ModeName.NONE:
            return await stream(call.http, call.exchange, answer)
        body = await answer.read(MAX_DOCUMENT_BYTES)
        if body:
            body = replace_text(body, {"UploadId": upload_id.render()})
        return buffered(call.http, call.exchange, answer.status, answer.headers, body)
