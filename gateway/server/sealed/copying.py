"""CopyObject and UploadPartCopy with a sealed source, a sealed destination, or both.

A sealed object stays as it is when the destination has the same wrapping key: the server copies the stored bytes.
Everything else passes through the gateway.
"""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from email.utils import parsedate_to_datetime

from aiohttp import web

from gateway.crypto.sealed.geometry import MAX_SEALED_BYTES
from gateway.errors import S3Error
from gateway.modes.plan import Plan
from gateway.modes.shown_etag import shown_etag
from gateway.policy.choice import stored_rule
from gateway.policy.rules import ModeName
from gateway.s3.copied_metadata import METADATA_DIRECTIVE, copied_headers, replaces
from gateway.s3.copy_source_range import (
    COPY_SOURCE_RANGE,
    ByteRange,
    check_copy_source_range,
    parse_copy_source_range,
)
from gateway.s3.encryption_headers import ENCRYPTION_HEADERS
from gateway.s3.forwarding import forwarded_headers
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.part_list import parse_part_number
from gateway.s3.xml import render_copy_result
from gateway.server.handlers.call import Call, is_success
from gateway.server.handlers.multipart import require_part_proof
from gateway.server.handlers.refusal import Refusal, read_refusal
from gateway.server.handlers.stream_copy import CopyResult, Source, remove_version, source_tagging
from gateway.server.keep_alive import answer_in_time
from gateway.server.respond import forwarded_answer_headers
from gateway.server.sealed.copied import SOURCE_OWNER, CopiedObject, find_copied
from gateway.server.sealed.own_upload import UpstreamRefused, Written
from gateway.server.sealed.server_copy import copy_on_server
from gateway.server.sealed.stream_sealed import plain_body, stream_object_copy
from gateway.server.sealed.upload import SealedUpload, require_part_sealable, sealed_upload_of, write_part
from gateway.server.sealed.write_headers import (
    about_sealed_bytes,
    stored_write_conditions,
    written_headers,
)
from gateway.server.sealed.writing import note_sealed_object, wrapping_key_of
from gateway.upstream.request import UpstreamRequest

_QUOTE = '"'
_COPY_SOURCE_PREFIX = "x-amz-copy-source"
#: What makes a copy of an object onto itself a change. Source: Amazon S3's own refusal names them.
_CHANGES = frozenset({"x-amz-storage-class", "x-amz-website-redirect-location"})


async def copy_with_sealing(
    call: Call, source: Source, planned: Plan, on_success: Callable[[], None]
) -> web.StreamResponse | None:
    """Answer CopyObject; None when neither source nor destination is sealed.

    Args:
        call: the request.
        source: the source and its customer key.
        planned: the encryption that the new object gets.
        on_success: called when the new object is there and is not sealed.

    Raises:
        GatewayError: the source is not what it should be, a key is missing, the upstream failed, or an encryption was
            not proven.
    """
    if not _may_be_sealed(call, source, planned.mode):
        return None
    try:
        copied = await find_copied(call, source)
        if copied.layout is None and planned.mode is not ModeName.CSE and not _too_large(call, copied):
            return None
    except UpstreamRefused as refused:
        return refused.refusal.reply(call)
    _require_change(call, copied, planned)

    async def copy() -> web.Response:
        written = await _copy(call, copied, planned)
        if planned.mode is ModeName.CSE:
            note_sealed_object(call, None)
        else:
            on_success()
            call.services.sealed.layouts.forget(call.bucket, call.object_key)
        return _result(call, "CopyObjectResult", copied, written, sealed=planned.mode is ModeName.CSE)

    return await answer_in_time(call.http, call.exchange, _replying(call, copy()))


async def copy_sealed_part(call: Call, source: Source) -> web.StreamResponse:
    """Answer UploadPartCopy into an upload whose parts are sealed.

    Raises:
        GatewayError: as :func:`copy_with_sealing`.
    """
    upload = sealed_upload_of(call)
    part_number = parse_part_number(call.request.query.get("partNumber") or "")
    try:
        copied = await find_copied(call, source)
    except UpstreamRefused as refused:
        return refused.refusal.reply(call)
    wanted = _wanted_range(call, copied)
    require_part_sealable(part_number, _size_of(wanted))
    return await answer_in_time(
        call.http, call.exchange, _replying(call, _write_part(call, upload, copied, part_number, wanted))
    )


async def copy_part_of_sealed(call: Call, source: Source, planned: Plan) -> web.StreamResponse | None:
    """Answer UploadPartCopy of a sealed source into an upload that is not sealed; None when the source is not.

    Raises:
        GatewayError: as :func:`copy_with_sealing`.
    """
    if not _may_be_sealed(call, source, ModeName.NONE):
        return None
    try:
        copied = await find_copied(call, source)
    except UpstreamRefused as refused:
        return refused.refusal.reply(call)
    if copied.layout is None:
        return None
    wanted = _wanted_range(call, copied)
    return await answer_in_time(call.http, call.exchange, _replying(call, _put_part(call, planned, copied, wanted)))


def _may_be_sealed(call: Call, source: Source, destination: ModeName) -> bool:
    """Whether source or destination may be sealed. A sealed object may have outlived the rule that it is under now."""
    services = call.services
    if destination is ModeName.CSE or services.sealed.data_keys.names or services.copies.reencrypts:
        return True
    rule = stored_rule(call.services.rules, source.place.bucket, source.place.object_key)
    return rule is not None and rule.mode is ModeName.CSE


def _too_large(call: Call, copied: CopiedObject) -> bool:
    """Whether an object has to be written in parts to get another encryption: one request takes up to 5 GiB."""
    return call.services.copies.reencrypts and copied.size > MAX_SEALED_BYTES


async def _replying(call: Call, work: Awaitable[web.Response]) -> web.Response:
    try:
        return await work
    except UpstreamRefused as refused:
        return refused.refusal.reply(call)


async def _copy(call: Call, copied: CopiedObject, planned: Plan) -> Written:
    """The new object."""
    headers = await _new_object_headers(call, copied, planned)
    wrong_version: str | None = None
    by_server = call.services.copies.by_server(Operation.COPY_OBJECT, planned.mode)
    if by_server and planned.mode is ModeName.CSE and _keeps_wrapping_key(call, copied):
        outcome = await copy_on_server(call, copied, planned, headers)
        if isinstance(outcome, Written):
            return outcome
        wrong_version = outcome.version_id
    tagging = await source_tagging(call, copied.source)
    written = await stream_object_copy(call, copied, planned, headers.replacing(tagging))
    if wrong_version is not None:
        await remove_version(call, wrong_version)
    return written


def _keeps_wrapping_key(call: Call, copied: CopiedObject) -> bool:
    """Whether the source is sealed with the wrapping key that a new object at the destination would be sealed with.

    Two keyrings may have different keys of one id. Then the id alone does not tell.
    """
    if copied.layout is None:
        return False
    data_keys = call.services.sealed.data_keys
    current = [name for name in data_keys.names if data_keys.is_current(name, copied.layout.wrapping_key)]
    return current == [wrapping_key_of(call)]


async def _new_object_headers(call: Call, copied: CopiedObject, planned: Plan) -> Headers:
    """The header fields of the new object: metadata from source or request, conditions in the server's terms."""
    headers = about_sealed_bytes(copied_headers(planned.headers, copied.headers)).without((SOURCE_OWNER,))
    if planned.mode is not ModeName.CSE:
        return headers
    encryption = Headers((name, value) for name, value in planned.headers if name in ENCRYPTION_HEADERS)
    return await stored_write_conditions(call, headers, encryption)


def _require_change(call: Call, copied: CopiedObject, planned: Plan) -> None:
    """Refuse a copy of an object onto itself that would change nothing, as S3 does.

    Raises:
        S3Error: InvalidRequest, in S3's words.
    """
    if call.services.copies.reencrypts:
        return
    place, requested = copied.source.place, call.request.raw.headers
    if (place.bucket, place.object_key) != (call.bucket, call.object_key) or place.version_id is not None:
        return
    if planned.mode is not ModeName.CSE or not _keeps_wrapping_key(call, copied):
        return
    replaced = replaces(requested, METADATA_DIRECTIVE)
    encrypted = any(name in ENCRYPTION_HEADERS for name, _ in planned.headers)
    if not replaced and not encrypted and _CHANGES.isdisjoint(requested.names()):
        raise S3Error(
            "InvalidRequest",
            "This copy request is illegal because it is trying to copy an object to itself without changing the "
            "object's metadata, storage class, website redirect location or encryption attributes.",
        )


def _wanted_range(call: Call, copied: CopiedObject) -> ByteRange:
    """The bytes of the source that a part is made of; those of an empty source end before they begin.

    Raises:
        S3Error: InvalidArgument, or InvalidRequest when the source is too large for one part.
    """
    value = call.request.raw.headers.get(COPY_SOURCE_RANGE)
    if value is None:
        if copied.size > MAX_SEALED_BYTES:
            raise S3Error(
                "InvalidRequest",
                "The specified copy source is larger than the maximum allowable size for a copy source: "
                f"{MAX_SEALED_BYTES}",
            )
        return ByteRange(0, copied.size - 1)
    wanted = parse_copy_source_range(value)
    check_copy_source_range(wanted, copied.size)
    return wanted


def _size_of(wanted: ByteRange) -> int:
    return wanted.last - wanted.first + 1


async def _write_part(
    call: Call, upload: SealedUpload, copied: CopiedObject, part_number: int, wanted: ByteRange
) -> web.Response:
    """A sealed part."""
    call.services.metrics.copy_streamed(call.request.operation)
    headers = _part_headers(about_sealed_bytes(forwarded_headers(call.request.raw.headers)))
    async with aclosing(copied.pieces(wanted.first, wanted.last)) as pieces:
        size = _size_of(wanted)
        written = await write_part(upload, part_number, size, pieces, headers.replacing(upload.encryption))
    if isinstance(written, Refusal):
        raise UpstreamRefused(written)
    return _result(call, "CopyPartResult", copied, Written(written.get("etag") or "", written), sealed=True)


async def _put_part(call: Call, planned: Plan, copied: CopiedObject, wanted: ByteRange) -> web.Response:
    """A part that is not sealed, of a sealed source."""
    call.services.metrics.copy_streamed(call.request.operation)
    async with aclosing(copied.pieces(wanted.first, wanted.last)) as pieces:
        request = UpstreamRequest(
            operation=Operation.UPLOAD_PART,
            method="PUT",
            bucket=call.request.bucket,
            raw_object_key=call.request.raw_object_key,
            query=planned.query,
            headers=_part_headers(about_sealed_bytes(planned.headers)),
            body=await plain_body(pieces, _size_of(wanted)),
        )
        async with call.send_request(request) as answer:
            call.note_answer(answer)
            if not is_success(answer.status):
                raise UpstreamRefused(await read_refusal(answer))
            require_part_proof(call, planned, answer)
            written = Written(answer.headers.get("etag") or "", answer.headers)
            return _result(call, "CopyPartResult", copied, written, sealed=False)


def _part_headers(headers: Headers) -> Headers:
    """The header fields of an UploadPart that stands for an UploadPartCopy."""
    return Headers(
        (name, value) for name, value in headers if not name.startswith(_COPY_SOURCE_PREFIX) and name != SOURCE_OWNER
    )


def _result(call: Call, element: CopyResult, copied: CopiedObject, written: Written, *, sealed: bool) -> web.Response:
    """S3's answer to a copy. The ETags of sealed objects and parts are translated."""
    date = written.headers.get("date")
    modified = written.modified or (call.services.now() if date is None else parsedate_to_datetime(date))
    etag = f'"{written.etag.strip(_QUOTE)}"'  # some servers leave the quotes out here
    etag = shown_etag(etag) if sealed else etag
    body = render_copy_result(element, etag=etag, last_modified=modified)
    answered = written_headers(written.headers, {}).without(("etag", "content-length", "content-type"))
    headers = forwarded_answer_headers(answered)
    headers["Content-Type"] = "application/xml"
    version = copied.headers.get("x-amz-version-id")
    if version is not None:
        headers["x-amz-copy-source-version-id"] = version
    call.exchange.bytes_out += len(body)
    return web.Response(status=200, body=body, headers=headers)
