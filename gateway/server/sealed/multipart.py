"""Multipart uploads under a ``cse`` rule: begun, filled part by part, listed and given up.

For their completion see :mod:`gateway.server.sealed.complete`.
"""

from dataclasses import replace
from typing import Final

from aiohttp import web

from gateway.crypto.sealed.geometry import plaintext_size
from gateway.crypto.sealed.marker import Marker
from gateway.errors import S3Error, UpstreamUnavailable
from gateway.modes.plan import plan
from gateway.modes.shown_etag import shown_etag
from gateway.modes.upload_id import UPLOAD_ID, UploadId, wrapping_key_tag
from gateway.policy.rules import ModeName
from gateway.s3.asked_encryption import asked_encryption
from gateway.s3.checksums import Algorithm
from gateway.s3.forwarding import forwarded_headers, forwarded_query
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.part_list import StoredPart, parse_part_number, parse_parts, show_parts
from gateway.s3.xml import element_text, replace_text
from gateway.server.client_body import ClientBody, ReceivedBody
from gateway.server.handlers.call import MAX_DOCUMENT_BYTES, Call, is_success
from gateway.server.handlers.encryption import new_object_encryption
from gateway.server.handlers.refusal import Refusal, pass_refusal
from gateway.server.respond import buffered, stream
from gateway.server.sealed.completion import client_part
from gateway.server.sealed.upload import SealedUpload, require_part_sealable, sealed_upload_of, write_part
from gateway.server.sealed.write_headers import CHECKSUM_TYPE, about_sealed_bytes, marked, written_headers
from gateway.server.sealed.writing import wrapping_key_of
from gateway.upstream.body import EmptyBody
from gateway.upstream.request import UpstreamRequest

_NOT_FOUND: Final = 404
_CHECKSUM_ALGORITHM: Final = "x-amz-checksum-algorithm"
_COMPOSITE, _FULL_OBJECT = "COMPOSITE", "FULL_OBJECT"
#: Source: Amazon S3 User Guide, "Checking object integrity", table of algorithms and checksum types.
_TYPES: Final = {
    Algorithm.CRC32: (_COMPOSITE, _FULL_OBJECT),
    Algorithm.CRC32C: (_COMPOSITE, _FULL_OBJECT),
    Algorithm.CRC64NVME: (_FULL_OBJECT,),
    Algorithm.SHA1: (_COMPOSITE,),
    Algorithm.SHA256: (_COMPOSITE,),
}


async def create_sealed_upload(call: Call) -> web.StreamResponse:
    """Answer CreateMultipartUpload; the id that the client gets says that all parts are sealed, and with which key.

    Raises:
        GatewayError: the checksum asked for does not exist, or the upstream failed.
    """
    checksum = _requested_checksum(call.request.raw.headers)
    encryption, _ = await new_object_encryption(call)
    planned = plan(call.authorized, encryption)
    request = UpstreamRequest(
        operation=Operation.CREATE_MULTIPART_UPLOAD,
        method="POST",
        bucket=call.request.bucket,
        raw_object_key=call.request.raw_object_key,
        query=planned.query,
        headers=marked(about_sealed_bytes(planned.headers), Marker()),
        body=EmptyBody(),
    )
    async with call.send_request(request) as answer:
        call.note_answer(answer)
        if not is_success(answer.status):
            return await pass_refusal(call, answer)
        body = await answer.read(MAX_DOCUMENT_BYTES)
        upstream_id = element_text(body, "UploadId")
        if not upstream_id:
            raise UpstreamUnavailable("The upstream server created a multipart upload without an id.")
        asked = asked_encryption(call.authorized.requested)
        shown = UploadId(upstream_id, ModeName.CSE, wrapping_key_tag(wrapping_key_of(call)), asked=asked)
        body = replace_text(body, {"UploadId": shown.render()})
        headers = written_headers(answer.headers, {}).replacing(checksum)
        return buffered(call.http, call.exchange, answer.status, headers, body)


async def upload_sealed_part(call: Call) -> web.StreamResponse:
    """Answer UploadPart.

    Raises:
        GatewayError: the body, the key provider, the staging store or the upstream failed. There is no such part then.
    """
    upload = sealed_upload_of(call)
    part_number = parse_part_number(call.request.query.get("partNumber") or "")
    client = ClientBody(call.authorized.verified, ReceivedBody(call.http, call.exchange))
    size = client.claims.payload_size
    require_part_sealable(part_number, size)
    headers = upload_headers(upload)
    written = await write_part(upload, part_number, size, client.pieces(), headers)
    if isinstance(written, Refusal):
        return written.reply(call)
    checksums = {} if client.payload is None else client.payload.checksums
    return buffered(call.http, call.exchange, 200, written_headers(written, checksums), b"")


def upload_headers(upload: SealedUpload) -> Headers:
    """The header fields of a request about an upload, without what is about the plaintext's bytes."""
    forwarded = forwarded_headers(upload.call.request.raw.headers)
    return about_sealed_bytes(forwarded).replacing(upload.encryption)


async def list_sealed_parts(call: Call) -> web.StreamResponse:
    """Answer ListParts: the client's own parts, with the sizes that they had.

    Raises:
        GatewayError: the staging store or the upstream failed.
    """
    upload = sealed_upload_of(call)
    own = await call.services.sealed.staging.own_parts(upload.staged)
    request = upload.request(
        Operation.LIST_PARTS, query=forwarded_query(call.request.query), headers=upload_headers(upload)
    )
    async with call.send_request(request) as answer:
        call.note_answer(answer)
        if not is_success(answer.status):
            return await pass_refusal(call, answer)
        body = await answer.read(MAX_DOCUMENT_BYTES)
        listed = {(part.number, part.etag) for part in parse_parts(body).parts}

        def shown(part: StoredPart) -> StoredPart | None:
            known = client_part(part, own)
            if known is None or (known != part and (known.number, known.etag) in listed):
                return None
            size = plaintext_size(known.stored_bytes)
            return replace(
                known, etag=shown_etag(known.etag), stored_bytes=known.stored_bytes if size is None else size
            )

        body = show_parts(body, upload_id=call.request.query.get(UPLOAD_ID) or "", shown=shown)
        return buffered(call.http, call.exchange, answer.status, written_headers(answer.headers, {}), body)


async def abort_sealed_upload(call: Call) -> web.StreamResponse:
    """Answer AbortMultipartUpload; what was staged for the upload is forgotten.

    Raises:
        GatewayError: the upstream failed.
    """
    upload = sealed_upload_of(call)
    request = upload.request(
        Operation.ABORT_MULTIPART_UPLOAD, query=forwarded_query(call.request.query), headers=upload_headers(upload)
    )
    async with call.send_request(request) as answer:
        call.note_answer(answer)
        if is_success(answer.status) or answer.status == _NOT_FOUND:
            await call.services.sealed.staging.clear(upload.staged)
        if not is_success(answer.status):
            return await pass_refusal(call, answer)
        return await stream(call.http, call.exchange, answer)


def _requested_checksum(received_headers: Headers) -> Headers:
    """The checksum that the client is going to send with each part, as S3 repeats it.

    Raises:
        S3Error: InvalidRequest, in S3's words.
    """
    name, type_ = received_headers.get(_CHECKSUM_ALGORITHM), received_headers.get(CHECKSUM_TYPE)
    if name is None:
        if type_ is None:
            return Headers()
        raise S3Error(
            "InvalidRequest",
            "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
        )
    algorithm = next((known for known in Algorithm if known.value == name.upper()), None)
    if algorithm is None:
        raise S3Error(
            "InvalidRequest",
            "Checksum algorithm provided is unsupported. Please try again with any of the valid types: "
            "[CRC32, CRC32C, CRC64NVME, SHA1, SHA256]",
        )
    chosen = _TYPES[algorithm][0] if type_ is None else type_.upper()
    if chosen not in (_COMPOSITE, _FULL_OBJECT):
        raise S3Error("InvalidRequest", "Value for x-amz-checksum-type header is invalid.")
    if chosen not in _TYPES[algorithm]:
        raise S3Error(
            "InvalidRequest",
            f"The {chosen} checksum type cannot be used with the {algorithm.value.lower()} checksum algorithm.",
        )
    return Headers(((_CHECKSUM_ALGORITHM, algorithm.value), (CHECKSUM_TYPE, chosen)))
