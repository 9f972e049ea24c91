"""Copies through the gateway that read or write sealed bytes: plaintext is read, verified, and written anew.

The bytes pass at constant memory; the destination appears only when the source was read and verified to its end.
"""

import asyncio
import itertools
from collections.abc import AsyncGenerator
from contextlib import aclosing

from gateway.crypto.sealed.closing import PartTable, seal_closing
from gateway.crypto.sealed.geometry import MAX_PLAINTEXT_BYTES, MAX_SEALED_BYTES
from gateway.crypto.sealed.marker import Marker
from gateway.errors import UpstreamUnavailable
from gateway.modes.plan import Plan
from gateway.policy.rules import ModeName
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.query import EMPTY_QUERY
from gateway.server.handlers.call import Call, is_success, require_proof
from gateway.server.handlers.refusal import read_refusal
from gateway.server.handlers.upload_body import BUFFERED_BODY_BYTES
from gateway.server.sealed.copied import CopiedObject
from gateway.server.sealed.own_upload import OwnUpload, UpstreamRefused, Written, own_upload
from gateway.server.sealed.sealing import SealingTarget, sealed_body
from gateway.server.sealed.write_headers import marked
from gateway.server.sealed.writing import wrapping_key_of
from gateway.upstream.body import Body, BufferedBody, StreamedBody
from gateway.upstream.request import UpstreamRequest

#: The most plaintext that one PutObject takes, sealed and as it is, bytes.
MOST_SEALED, MOST_PLAIN = MAX_PLAINTEXT_BYTES, MAX_SEALED_BYTES
#: The least size of the parts that an object too large for one PutObject is written in, bytes.
PART_BYTES = 64 * 1024 * 1024
#: The most parts of such an object; S3 allows 10,000, one of which is the closing.
_MOST_PARTS = 9_000
#: A part that the server did not take because a connection broke is read and sent again.
_ATTEMPTS_PER_PART = 3


async def stream_object_copy(call: Call, copied: CopiedObject, planned: Plan, headers: Headers) -> Written:
    """Write the source's plaintext as a new object.

    Args:
        call: the request.
        copied: the source.
        planned: the encryption that the new object gets.
        headers: its header fields.

    Raises:
        UpstreamRefused: the upstream does not take it.
        GatewayError: the source is not what it should be, the upstream failed, or an encryption was not proven.
    """
    call.services.metrics.copy_streamed(call.request.operation)
    sealing = planned.mode is ModeName.CSE
    if copied.size <= (MOST_SEALED if sealing else MOST_PLAIN):
        return await _put_object(call, copied, planned, headers)
    if sealing:
        return await _upload_sealed(call, copied, headers)
    return await _upload(call, copied, planned, headers)


async def plain_body(pieces: AsyncGenerator[bytes, None], size: int) -> Body:
    """Plaintext as a body; a small one is read before this returns, and can be sent again."""
    if size <= BUFFERED_BODY_BYTES:
        return BufferedBody(b"".join([piece async for piece in pieces]))
    return StreamedBody(size, pieces)


def part_ranges(size: int) -> list[tuple[int, int]]:
    """First and last byte of each part of a large object; they are of about the same size."""
    count = max(1, min(size // PART_BYTES, _MOST_PARTS))
    bounds = [size * part // count for part in range(count + 1)]
    return [(first, end - 1) for first, end in itertools.pairwise(bounds)]


async def _put_object(call: Call, copied: CopiedObject, planned: Plan, headers: Headers) -> Written:
    size = copied.size
    async with aclosing(copied.pieces(0, size - 1)) as pieces:
        if planned.mode is ModeName.CSE:
            target = SealingTarget.whole(wrapping_key_of(call), call.bucket, call.object_key)
            body = await sealed_body(call.services.sealed.data_keys, target, size, pieces)
            headers = marked(headers, Marker(size))
        else:
            body = await plain_body(pieces, size)
        request = UpstreamRequest(
            operation=Operation.PUT_OBJECT,
            method="PUT",
            bucket=call.request.bucket,
            raw_object_key=call.request.raw_object_key,
            query=EMPTY_QUERY,
            headers=headers,
            body=body,
        )
        async with call.send_request(request) as answer:
            call.note_answer(answer)
            if not is_success(answer.status):
                raise UpstreamRefused(await read_refusal(answer))
            require_proof(call, planned.mode, proven=planned.proven_by(answer.headers))
            if planned.mode is ModeName.CSE:
                call.services.metrics.sealed(size)
            return Written(answer.headers.get("etag") or "", answer.headers)


async def _upload(call: Call, copied: CopiedObject, planned: Plan, headers: Headers) -> Written:
    """An object that is not sealed, in parts."""
    async with own_upload(call, headers) as upload:
        for number, (first, last) in enumerate(part_ranges(copied.size), 1):
            written = await _put_part(upload, copied, number, first, last, sealing=None)
            require_proof(call, planned.mode, proven=planned.proven_by(written.headers))
        return await upload.complete()


async def _upload_sealed(call: Call, copied: CopiedObject, headers: Headers) -> Written:
    """A sealed object in parts, with the closing behind them."""
    name, data_keys = wrapping_key_of(call), call.services.sealed.data_keys
    async with own_upload(call, marked(headers, Marker())) as upload:
        sizes = []
        for number, (first, last) in enumerate(part_ranges(copied.size), 1):
            await _put_part(upload, copied, number, first, last, sealing=name)
            sizes.append((number, last - first + 1))
        table = PartTable.of(sizes)
        target = SealingTarget.part(name, call.bucket, call.object_key, upload.upload_id, len(sizes) + 1)
        data_key = await data_keys.for_sealing(name, len(table.render()))
        closing = seal_closing(
            data_key.key, target.object_id, target.location, data_key.wrapping_key, data_key.wrapped, table
        )
        await upload.put(len(sizes) + 1, BufferedBody(closing))
        call.services.metrics.sealed(len(table.render()))
        return await upload.complete()


async def _put_part(
    upload: OwnUpload, copied: CopiedObject, number: int, first: int, last: int, *, sealing: str | None
) -> Written:
    """Read one range and write it as a part, sealed with the wrapping key of this name or as it is."""
    call, size = upload.call, last - first + 1
    for attempt in range(_ATTEMPTS_PER_PART):
        try:
            async with aclosing(copied.pieces(first, last)) as pieces:
                if sealing is None:
                    return await upload.put(number, await plain_body(pieces, size))
                target = SealingTarget.part(sealing, call.bucket, call.object_key, upload.upload_id, number)
                body = await sealed_body(call.services.sealed.data_keys, target, size, pieces)
                written = await upload.put(number, body)
                call.services.metrics.sealed(size)
                return written
        except UpstreamUnavailable:
            if attempt == _ATTEMPTS_PER_PART - 1:
                raise
            await asyncio.sleep(2.0**attempt)
    raise AssertionError("internal error: a part was neither written nor refused")
