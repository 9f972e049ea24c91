"""CopyObject and UploadPartCopy: by the server where it proves the encryption, otherwise streamed through the gateway.

Servers differ: some refuse to copy encrypted sources, some copy and silently ignore the encryption that was asked
for, some encrypt and do not say so. The client sees one behaviour.
"""

from collections.abc import Callable

from aiohttp import web

from gateway.modes.plan import Plan, plan
from gateway.modes.upload_id import upload_id_of
from gateway.policy.choice import stored_rule
from gateway.policy.rules import ModeName
from gateway.s3.copy_source import CopySource, parse_copy_source
from gateway.s3.xml import element_text, parse_error
from gateway.server.handlers.call import Call, is_success
from gateway.server.handlers.copy_source_key import find_source_key
from gateway.server.handlers.encryption import new_object_encryption
from gateway.server.handlers.multipart import part_is_proven, plan_for_upload, refuse_foreign_upload
from gateway.server.handlers.refusal import Refusal, cannot_copy, pass_refusal
from gateway.server.handlers.result_proof import proven_by_head
from gateway.server.handlers.stream_copy import COPY_SOURCE, Source, remove_version, stream_object, stream_part
from gateway.server.handlers.write import note_written
from gateway.server.keep_alive import answer_in_time
from gateway.server.respond import buffered
from gateway.server.sealed.copying import copy_part_of_sealed, copy_sealed_part, copy_with_sealing
from gateway.server.sealed.upload import is_sealed_upload
from gateway.server.sealed.write_headers import refuse_marker
from gateway.server.xml_answer import MAX_RESULT_BYTES, checked_xml
from gateway.upstream.response import UpstreamResponse

_BAD_REQUEST = 400


async def copy_object(call: Call) -> web.StreamResponse:
    """Answer CopyObject.

    Raises:
        GatewayError: the vault or the upstream failed, or the encryption of the copy was not proven.
    """
    refuse_marker(call.request.raw.headers)
    source = await _source(call)
    encryption, object_key = await new_object_encryption(call)
    planned = plan(call.authorized, encryption)

    def written() -> None:
        note_written(call, planned.mode, object_key)

    sealed = await copy_with_sealing(call, source, planned, written)
    if sealed is not None:
        return sealed
    unproven_version: str | None = None
    by_server = call.services.copies.by_server(call.request.operation, planned.mode)
    if by_server and not _leaves_encryption(call, source, planned):
        outcome = await _copy_object_on_server(call, source, planned, written)
        if isinstance(outcome, web.StreamResponse):
            return outcome
        unproven_version = outcome

    async def streamed() -> web.Response:
        response = await stream_object(call, source, planned)
        if is_success(response.status):
            written()
            if unproven_version is not None:
                await remove_version(call, unproven_version)
        return response

    return await answer_in_time(call.http, call.exchange, streamed())


async def upload_part_copy(call: Call) -> web.StreamResponse:
    """Answer UploadPartCopy.

    Raises:
        GatewayError: the vault or the upstream failed, or the encryption of the part was not proven.
    """
    refuse_foreign_upload(call)
    source = await _source(call)
    if is_sealed_upload(call):
        return await copy_sealed_part(call, source)
    upload_id = upload_id_of(call.request.query)
    planned, _ = await plan_for_upload(call)
    sealed = await copy_part_of_sealed(call, source, planned)
    if sealed is not None:
        return sealed
    copies = call.services.copies
    # Ceph RGW 16 decodes this one header twice and aborts on a bare percent sign: such a name never reaches a server
    # here.
    if copies.by_server(call.request.operation, upload_id.mode) and "%" not in source.place.object_key:
        async with call.send(planned.adding(source.copy_headers())) as answer:
            call.note_answer(answer)
            if is_success(answer.status) and part_is_proven(upload_id, planned, answer):
                return await checked_xml(call.http, call.exchange, answer, _nothing, call.request.raw.scheme)
            if is_success(answer.status):
                copies.note_unproven(call.request.operation, upload_id.mode)
            elif not (cannot_copy(answer.status) or _may_be_server_limit(source, answer)):
                return await pass_refusal(call, answer)
    return await answer_in_time(call.http, call.exchange, stream_part(call, source, planned))


def _nothing() -> None:
    """A part is not an object yet."""


async def _source(call: Call) -> Source:
    place = parse_copy_source(call.request.raw.headers.get(COPY_SOURCE) or "")
    return Source(place, await find_source_key(call, place))


async def _copy_object_on_server(
    call: Call, source: Source, planned: Plan, on_success: Callable[[], None]
) -> web.StreamResponse | str | None:
    """Ask the server to copy.

    Returns:
        The client's answer; or, when the copy has to be streamed, the version id of a copy that the server made without
        the encryption it was asked for, or None.
    """
    async with call.send(planned.adding(source.copy_headers())) as answer:
        call.note_answer(answer)
        if is_success(answer.status):
            if planned.proven_by(answer.headers):
                return await checked_xml(call.http, call.exchange, answer, on_success, call.request.raw.scheme)
            return await _silent_success(call, planned, answer, on_success)
        if (
            cannot_copy(answer.status)
            or _may_be_server_limit(source, answer)
            or _refuses_self_copy(call, source.place, planned, answer)
        ):
            return None
        return await pass_refusal(call, answer)


def _leaves_encryption(call: Call, source: Source, planned: Plan) -> bool:
    """Whether the copy goes from a rule that encrypts to one that does not, where no answer could prove anything.

    MinIO answers such a copy with success, keeps parts of the source's encryption with it, and can not read it any
    more.
    """
    rule = stored_rule(call.services.rules, source.place.bucket, source.place.object_key)
    return planned.mode is ModeName.NONE and rule is not None and rule.mode is not ModeName.NONE


def _may_be_server_limit(source: Source, answer: UpstreamResponse) -> bool:
    """Whether a refusal may only mean that the server does not take the source's key in a copy, as Ceph does not."""
    return answer.status == _BAD_REQUEST and source.customer is not None


def _refuses_self_copy(call: Call, place: CopySource, planned: Plan, answer: UpstreamResponse) -> bool:
    """Whether the server took a change of encryption for no change at all. On S3 such a copy is legal."""
    onto_itself = (place.bucket, place.object_key) == (call.bucket, call.object_key)
    return answer.status == _BAD_REQUEST and onto_itself and planned.mode is not ModeName.NONE


async def _silent_success(
    call: Call, planned: Plan, answer: UpstreamResponse, on_success: Callable[[], None]
) -> web.StreamResponse | str | None:
    """A copy whose answer does not state its encryption: the copy itself is asked, and else made again."""
    body = await answer.read(MAX_RESULT_BYTES)
    if parse_error(body) is not None:
        return Refusal(answer.status, answer.headers, body).reply(call)
    version = answer.headers.get("x-amz-version-id")
    if await proven_by_head(call, planned, etag=element_text(body, "ETag"), version_id=version):
        on_success()
        return buffered(call.http, call.exchange, answer.status, answer.headers, body)
    call.services.copies.note_unproven(call.request.operation, planned.mode)
    call.services.metrics.copy_unproven(planned.mode)
    return None if version == "null" else version
