"""CompleteMultipartUpload of a sealed upload: the object gets its closing, and exactly the parts that the client named.

The closing can not be uploaded before: only now is it known which parts the object has. It is uploaded as one more
part, behind a last part below 5 MiB as one part with it. Then the server completes the upload as it would without the
gateway, so the object appears all at once and under the client's conditions.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from aiohttp import web

from gateway.crypto.sealed.closing import seal_closing
from gateway.crypto.sealed.envelope import Kind
from gateway.crypto.sealed.faults import Fault
from gateway.crypto.sealed.geometry import HEAD_BYTES
from gateway.crypto.sealed.marker import Marker
from gateway.crypto.sealed.message import MessageHead, MessageOpener
from gateway.errors import IntegrityError, S3Error, UpstreamUnavailable
from gateway.keys.provider import DataKey
from gateway.modes.upload_id import UPLOAD_ID
from gateway.s3.checksums import NOT_VALUES, new_md5
from gateway.s3.forwarding import forwarded_query
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.part_list import NamedPart, StoredPart, parse_completion, parse_parts, render_completion
from gateway.s3.query import EMPTY_QUERY
from gateway.s3.xml import element_text, parse_error
from gateway.s3.xml_edit import Removed, edit_text
from gateway.server.handlers.call import MAX_DOCUMENT_BYTES, Call, is_success
from gateway.server.handlers.refusal import Refusal, read_refusal
from gateway.server.handlers.upload_body import BUFFERED_BODY_BYTES, document
from gateway.server.keep_alive import answer_in_time
from gateway.server.respond import buffered
from gateway.server.sealed.completion import Completion, invalid_part, plan_completion
from gateway.server.sealed.layouts import Layout
from gateway.server.sealed.multipart import upload_headers
from gateway.server.sealed.staging import OwnPart, StagedPart
from gateway.server.sealed.upload import SealedUpload, sealed_upload_of
from gateway.server.sealed.write_headers import shown_result_etag, stored_write_conditions, written_headers
from gateway.server.sealed.writing import note_sealed_object
from gateway.server.xml_answer import MAX_RESULT_BYTES
from gateway.upstream.body import Body, BufferedBody, StreamedBody

_PAGE_PARTS: Final = "1000"
_OBJECT_SIZE: Final = "x-amz-mp-object-size"
_CHECKSUM_PREFIX: Final = "x-amz-checksum-"


class _Refused(Exception):
    """The upstream's refusal is the client's answer."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__()
        self.refusal = refusal


async def complete_sealed_upload(call: Call) -> web.StreamResponse:
    """Answer CompleteMultipartUpload.

    Raises:
        GatewayError: the document names other parts than there are, or the key provider, the staging store or the
            upstream failed. There is no object then, and the upload is as it was.
    """
    upload = sealed_upload_of(call)
    _refuse_checksum_values(call.request.raw.headers)
    body = await document(call, MAX_DOCUMENT_BYTES)
    named = parse_completion(body.body.data if isinstance(body.body, BufferedBody) else b"")
    return await answer_in_time(call.http, call.exchange, _Completing(upload).answer(named))


class _Completing:
    """One CompleteMultipartUpload.

    Args:
        upload: the upload.
    """

    def __init__(self, upload: SealedUpload) -> None:
        self._upload = upload
        self._call = upload.call
        self._sealed = upload.call.services.sealed
        self._shown_id = upload.call.request.query.get(UPLOAD_ID) or ""

    async def answer(self, named: tuple[NamedPart, ...]) -> web.Response:
        """Do it."""
        try:
            stored = await self._stored_parts()
            own = await self._sealed.staging.own_parts(self._upload.staged)
            completion = plan_completion(named, stored, own, self._shown_id)
            _check_object_size(self._call.request.raw.headers, completion)
            data_key = await self._sealed.data_keys.for_sealing(
                self._upload.wrapping_key, len(completion.table.render())
            )
            closing = self._closing(completion, data_key)
            extra = await self._add_closing(completion, closing)
            return await self._complete(completion, closing, data_key, extra)
        except _Refused as refused:
            return refused.refusal.reply(self._call)

    async def _stored_parts(self) -> list[StoredPart]:
        """Every part of the upload, page by page."""
        found: list[StoredPart] = []
        marker: str | None = "0"
        while marker is not None:
            query = EMPTY_QUERY.with_values((("max-parts", _PAGE_PARTS), ("part-number-marker", marker)))
            async with self._call.send_request(self._upload.request(Operation.LIST_PARTS, query=query)) as answer:
                self._call.note_answer(answer)
                if not is_success(answer.status):
                    raise _Refused(await read_refusal(answer))
                page = parse_parts(await answer.read(MAX_DOCUMENT_BYTES))
            found += page.parts
            if page.next_marker == marker:
                raise UpstreamUnavailable("the upstream server lists the same parts again and again")
            marker = page.next_marker
        return found

    def _closing(self, completion: Completion, data_key: DataKey) -> bytes:
        target = self._upload.target(0)
        return seal_closing(
            data_key.key, target.object_id, target.location, data_key.wrapping_key, data_key.wrapped, completion.table
        )

    async def _add_closing(self, completion: Completion, closing: bytes) -> str:
        """Upload the part that ends the object; its ETag comes back."""
        tail = completion.tail
        if tail is None:
            return await self._put_extra(completion, len(closing), BufferedBody(closing))
        staging = self._sealed.staging
        staged = await staging.part(self._upload.staged, tail.number, tail.etag)
        if staged is None or staged.size != tail.stored_bytes:
            raise self._lost(tail)
        self._call.services.metrics.staging("get")
        async with aclosing(self._tail_and_closing(completion, tail, staged, closing)) as pieces:
            size = staged.size + len(closing)
            if size <= BUFFERED_BODY_BYTES:
                return await self._put_extra(completion, size, BufferedBody(b"".join([data async for data in pieces])))
            return await self._put_extra(completion, size, StreamedBody(size, pieces))

    async def _tail_and_closing(
        self, completion: Completion, tail: StoredPart, staged: StagedPart, closing: bytes
    ) -> AsyncGenerator[bytes, None]:
        """The staged bytes, and the closing behind them once they were found to be what was sealed."""
        opener: MessageOpener | None = None
        ahead = b""
        try:
            async for piece in staged.pieces:
                if opener is not None:
                    opener.update(piece)
                    yield piece
                    continue
                ahead += piece
                if len(ahead) >= HEAD_BYTES:
                    opener = await self._opener(completion, tail, ahead[:HEAD_BYTES])
                    opener.update(ahead[HEAD_BYTES:])
                    yield ahead
            if opener is None:
                raise IntegrityError(Fault.SIZE, "the staged part is not complete")
            opener.finish()
        except IntegrityError as error:
            self._call.services.metrics.integrity_failure(error.fault)
            raise self._lost(tail) from error
        yield closing

    async def _opener(self, completion: Completion, tail: StoredPart, data: bytes) -> MessageOpener:
        head = MessageHead.parse(data)
        envelope, target = head.envelope, self._upload.target(tail.number)
        stated = (envelope.kind, envelope.part_number, envelope.object_id, envelope.location, envelope.plaintext_bytes)
        if stated != (Kind.PART, tail.number, target.object_id, target.location, completion.tail_bytes):
            raise IntegrityError(Fault.PART, "another part was staged in its place")
        data_key = await self._sealed.data_keys.for_opening(envelope.wrapping_key, envelope.wrapped_data_key)
        return MessageOpener(data_key, head)

    def _lost(self, tail: StoredPart) -> S3Error:
        return invalid_part(
            tail.number,
            tail.etag,
            self._shown_id,
            "The gateway does not have the bytes of this last part any more. Please upload it again.",
        )

    async def _put_extra(self, completion: Completion, size: int, body: Body) -> str:
        """Upload the last part. It is recorded before, so that a crash leaves none that nobody knows."""
        number = completion.extra_number
        expected = OwnPart(number, size, _usual_etag(body), completion.replaced)
        if expected.etag is not None or expected.replaced is not None:
            await self._sealed.staging.note_own(self._upload.staged, expected)
        query = EMPTY_QUERY.with_values((("partNumber", str(number)),))
        request = self._upload.request(Operation.UPLOAD_PART, query=query, body=body)
        async with self._call.send_request(request) as answer:
            self._call.note_answer(answer)
            if not is_success(answer.status):
                raise _Refused(await read_refusal(answer))
            etag = answer.headers.get("etag")
            if not etag:
                raise UpstreamUnavailable("the upstream server took a part without giving its ETag")
        if etag != expected.etag:
            await self._sealed.staging.note_own(self._upload.staged, replace(expected, etag=etag))
        return etag

    async def _complete(self, completion: Completion, closing: bytes, data_key: DataKey, extra: str) -> web.Response:
        call = self._call
        parts = (*completion.kept, (completion.extra_number, extra))
        request = self._upload.request(
            Operation.COMPLETE_MULTIPART_UPLOAD,
            query=forwarded_query(call.request.query),
            headers=await stored_write_conditions(call, upload_headers(self._upload), self._upload.encryption),
            body=BufferedBody(render_completion(parts)),
        )
        async with call.send_request(request) as answer:
            call.note_answer(answer)
            if not is_success(answer.status):
                raise _Refused(await read_refusal(answer))
            body = await answer.read(MAX_RESULT_BYTES)
            status, headers = answer.status, answer.headers
        error = parse_error(body)
        if error is not None:
            call.exchange.note_late_failure(error.code)
            return buffered(call.http, call.exchange, status, headers, body)
        await self._note_completed(completion, closing, data_key, element_text(body, "ETag") or "")
        return buffered(call.http, call.exchange, status, written_headers(headers, {}), self._shown_result(body))

    def _shown_result(self, body: bytes) -> bytes:
        http = self._call.http
        location = f"{self._call.request.raw.scheme}://{http.headers.get('Host', '')}{http.raw_path.partition('?')[0]}"

        def shown(path: tuple[str, ...], text: str) -> str | Removed | None:
            if path[-1].startswith("Checksum"):
                return Removed.ELEMENT
            return {"Location": location, "ETag": shown_result_etag(text)}.get(path[-1])

        return edit_text(body, shown)

    async def _note_completed(self, completion: Completion, closing: bytes, data_key: DataKey, etag: str) -> None:
        call, table = self._call, completion.table
        call.services.metrics.sealed(len(table.render()))
        note_sealed_object(call, None)
        target = self._upload.target(0)
        if etag.strip('"'):
            quoted = f'"{etag.strip(chr(34))}"'
            layout = Layout(
                etag=quoted,
                stored_bytes=table.stored_bytes + len(closing),
                plaintext_bytes=table.plaintext_bytes,
                object_id=target.object_id,
                location=target.location,
                wrapping_key=data_key.wrapping_key,
                wrapped_data_key=data_key.wrapped,
                head=None,
                table=table,
                marker=Marker().render(),
            )
            self._sealed.layouts.put(call.bucket, call.object_key, quoted, layout)
            self._sealed.layouts.note_latest(call.bucket, call.object_key, None, quoted)
        await self._sealed.staging.clear(self._upload.staged)


def _usual_etag(body: Body) -> str | None:
    """The ETag that most servers give to a part: its MD5. None when the bytes are not here yet."""
    if not isinstance(body, BufferedBody):
        return None
    digest = new_md5()
    digest.update(body.data)
    return f'"{digest.digest().hex()}"'


def _refuse_checksum_values(received: Headers) -> None:
    """Refuse a checksum of the whole object: parts pass through different gateways, and none sees all of them.

    Raises:
        S3Error: NotImplemented.
    """
    for name in received.names():
        if name.startswith(_CHECKSUM_PREFIX) and name not in NOT_VALUES:
            raise S3Error(
                "NotImplemented",
                "The checksum of a whole object can not be verified when it is encrypted by the gateway; those of its "
                "parts were. Complete the upload without it.",
                details=(("Header", name),),
            )


def _check_object_size(received: Headers, completion: Completion) -> None:
    """Compare the size that the client expects, if it says so.

    Raises:
        S3Error: InvalidRequest.
    """
    stated = received.get(_OBJECT_SIZE)
    if stated is not None and stated != str(completion.table.plaintext_bytes):
        raise S3Error(
            "InvalidRequest",
            f"The provided '{_OBJECT_SIZE}' header does not match what was computed.",
        )
