"""Copies of sealed objects by the server: the stored bytes stay as they are, and so does the wrapping key.

The envelope of the copy still names the source's location. The alias proof in the copy's metadata says that this object
may be read at the new one as well; nobody without the data key can make it.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qsl

from gateway.crypto.sealed.identity import alias_proof, location_of
from gateway.crypto.sealed.marker import MARKER, Marker
from gateway.modes.plan import Plan
from gateway.s3.copied_metadata import METADATA_DIRECTIVE, TAGGING_DIRECTIVE, parse_tagging, replaces
from gateway.s3.copy_conditions import IF_MATCH
from gateway.s3.copy_source_range import COPY_SOURCE_RANGE
from gateway.s3.encryption_headers import CUSTOMER_HEADERS
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.xml import element_text
from gateway.server.handlers.call import MAX_DOCUMENT_BYTES, Call, is_success
from gateway.server.handlers.refusal import cannot_copy
from gateway.server.handlers.stream_copy import source_tagging
from gateway.server.sealed.copied import CopiedObject
from gateway.server.sealed.own_upload import WRITE_CONDITIONS, UpstreamRefused, Written, own_upload, read_result
from gateway.server.sealed.stored import ObjectChanged, StoredObject
from gateway.upstream.body import EmptyBody
from gateway.upstream.request import UpstreamRequest

#: How much of a multipart object the server copies in one request: S3 allows 5 GiB, and takes time for it. Bytes.
RANGE_BYTES = 1024**3
#: Requests of one copy at a time.
RANGES_AT_A_TIME = 4

_BAD_REQUEST = 400
_PRECONDITION_FAILED = 412
#: The client may write here and not read, or somebody has removed the copy: no reason to make it again.
_NOT_TO_BE_SEEN = frozenset({403, 404})


@dataclass(frozen=True, slots=True)
class NotCopied:
    """The server did not make the copy, or made one that is not right.

    Attributes:
        version_id: the version that has to go when the right one is there; None when there is none.
    """

    version_id: str | None = None


async def copy_on_server(call: Call, copied: CopiedObject, planned: Plan, headers: Headers) -> Written | NotCopied:
    """Let the server copy a sealed object whose wrapping key is the destination's.

    Args:
        call: the request.
        copied: the source; sealed.
        planned: what goes upstream.
        headers: the new object's header fields.

    Returns:
        The copy; or, when this server can not make it, that it has to be streamed.

    Raises:
        UpstreamRefused: the server refuses the copy for a reason of the client's.
        GatewayError: a key is missing, or the upstream failed.
    """
    layout = copied.layout
    if layout is None:
        raise AssertionError("internal error: the server was to copy what is not sealed")
    # Ceph RGW 16 decodes this name twice and aborts on a bare percent sign: it never reaches a server here.
    if layout.table is not None and "%" in copied.source.place.object_key:
        return NotCopied()
    marker = Marker(layout.plaintext_bytes if layout.table is None else None, await _alias(call, copied))
    headers = headers.replacing(((MARKER, marker.render()),))
    try:
        if layout.table is None:
            written = await _copy_whole(call, copied, planned, headers)
        else:
            written = await _copy_parts(call, copied, headers, layout.stored_bytes)
    except UpstreamRefused as refused:
        if _is_server_limit(call, copied, refused.refusal.status):
            return NotCopied()
        if refused.refusal.status == _PRECONDITION_FAILED and not WRITE_CONDITIONS & headers.names():
            raise ObjectChanged from refused
        raise
    new = _new_object(call, planned, written)
    proven, version = await _shows(call, new, written, marker, layout.stored_bytes), new.version_id
    if not proven:
        call.services.copies.note_unproven(Operation.COPY_OBJECT, planned.mode)
        call.services.metrics.copy_unproven(planned.mode)
    elif await _has_tags(call, copied, new):
        return written
    return NotCopied(None if version == "null" else version)


def copy_ranges(stored_bytes: int) -> list[tuple[int, int]]:
    """First and last byte of each part that a stored object is copied in; none but the only one is small."""
    count = max(1, stored_bytes // RANGE_BYTES)
    bounds = [stored_bytes * part // count for part in range(count + 1)]
    return [(first, end - 1) for first, end in itertools.pairwise(bounds)]


async def _alias(call: Call, copied: CopiedObject) -> bytes | None:
    """The proof that the object may live at its new place; None when it was sealed for it."""
    layout = copied.layout
    if layout is None:
        return None
    here = location_of(call.bucket, call.object_key)
    if layout.location == here:
        return None
    data_key = await call.services.sealed.data_keys.for_opening(layout.wrapping_key, layout.wrapped_data_key)
    return alias_proof(data_key, layout.object_id, here)


async def _copy_whole(call: Call, copied: CopiedObject, planned: Plan, headers: Headers) -> Written:
    """CopyObject, with the metadata that the copy shall have: the marker is among them."""
    directives = [(METADATA_DIRECTIVE, "REPLACE")]
    tagging = planned.headers.get(TAGGING_DIRECTIVE)
    if tagging is not None:
        directives.append((TAGGING_DIRECTIVE, tagging))
    request = UpstreamRequest(
        operation=Operation.COPY_OBJECT,
        method="PUT",
        bucket=call.request.bucket,
        raw_object_key=call.request.raw_object_key,
        query=planned.query,
        headers=headers.replacing((*directives, *_pinned(copied))),
        body=EmptyBody(),
    )
    async with call.send_request(request) as answer:
        call.note_answer(answer)
        body = await read_result(answer)
        return Written(element_text(body, "ETag") or "", answer.headers, _time(element_text(body, "LastModified")))


def _time(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError:
        return None


async def _copy_parts(call: Call, copied: CopiedObject, headers: Headers, stored_bytes: int) -> Written:
    """A multipart upload of the same bytes, so that the copy's ETag counts parts as well."""
    headers = headers.replacing(await source_tagging(call, copied.source))
    ranges = copy_ranges(stored_bytes)
    free = asyncio.Semaphore(RANGES_AT_A_TIME)
    async with own_upload(call, headers) as upload:

        async def copy(number: int, first: int, last: int) -> None:
            # S3 takes a range of a large object only; without one, the size does not matter.
            some = () if len(ranges) == 1 else ((COPY_SOURCE_RANGE, f"bytes={first}-{last}"),)
            async with free:
                await upload.copy(number, Headers((*_pinned(copied), *some)))

        await _all(copy(number, first, last) for number, (first, last) in enumerate(ranges, 1))
        return await upload.complete()


async def _all(work: Iterable[Awaitable[None]]) -> None:
    """Wait for everything; the first failure ends the rest."""
    tasks = [asyncio.ensure_future(task) for task in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _pinned(copied: CopiedObject) -> tuple[tuple[str, str], ...]:
    """The header fields that name the source: the very object that was authenticated."""
    return (*copied.source.copy_headers(), (IF_MATCH, copied.etag))


def _is_server_limit(call: Call, copied: CopiedObject, status: int) -> bool:
    """Whether a refusal may only mean that the server has no copy for this, or takes it for no change at all."""
    place = copied.source.place
    onto_itself = (place.bucket, place.object_key) == (call.bucket, call.object_key)
    return cannot_copy(status) or (status == _BAD_REQUEST and (onto_itself or copied.source.customer is not None))


def _new_object(call: Call, planned: Plan, written: Written) -> StoredObject:
    return StoredObject(
        bucket=call.bucket,
        object_key=call.object_key,
        raw_object_key=call.request.raw_object_key or "",
        version_id=written.headers.get("x-amz-version-id"),
        encryption=Headers((name, value) for name, value in planned.headers if name in CUSTOMER_HEADERS),
    )


async def _shows(call: Call, new: StoredObject, written: Written, marker: Marker, stored_bytes: int) -> bool:
    """Whether the copy has the marker that it was given; without it, it could not be read."""
    async with call.send_request(new.head()) as answer:
        if answer.status in _NOT_TO_BE_SEEN:
            return True
        if not is_success(answer.status):
            return False
        if (answer.headers.get("etag") or "").strip('"') != written.etag.strip('"'):
            return True  # somebody wrote another object since: there is nothing left to look at
        if answer.headers.get(MARKER) != marker.render():
            return False
        return answer.headers.get("content-length") == str(stored_bytes)


async def _has_tags(call: Call, copied: CopiedObject, new: StoredObject) -> bool:
    """Whether the copy has the tags that it shall have. Ceph RGW 16 forgets them when metadata are replaced."""
    if replaces(call.request.raw.headers, TAGGING_DIRECTIVE):
        expected = len(parse_qsl(call.request.raw.headers.get("x-amz-tagging") or "", keep_blank_values=True))
    else:
        # S3 says it to whoever may read the tags, which is who may copy them.
        count = copied.headers.get("x-amz-tagging-count") or ""
        expected = int(count) if count.isdigit() else 0
    if not expected:
        return True
    request = UpstreamRequest(
        operation=Operation.GET_OBJECT_TAGGING,
        method="GET",
        bucket=call.request.bucket,
        raw_object_key=call.request.raw_object_key,
        query=new.get().query.with_values((("tagging", None),)),
        headers=Headers(),
        body=EmptyBody(),
    )
    async with call.send_request(request) as answer:
        body = await answer.read(MAX_DOCUMENT_BYTES)
        # Whoever may write tags without reading them is believed to have written them.
        return not is_success(answer.status) or len(parse_tagging(body)) == expected
