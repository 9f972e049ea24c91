"""CompleteMultipartUpload of a sealed upload: the object gets its closing, and exactly the parts that the client named.

The closing can not be uploaded before: only now is it known which parts the object has. It is uploaded as one more
part, behind a last part below 5 MiB as one part with it. Then the server completes the upload as it would without the
gateway, so the object appears all at once and under the client's conditions.
"""

from typing import Final

from aiohttp import web

from gateway.crypto.sealed.closing import seal_closing
from gateway.crypto.sealed.marker import Marker
from gateway.errors import GatewayError, S3Error, UpstreamUnavailable
from gateway.keys.provider import DataKey
from gateway.modes.shown_etag import shown_etag
from gateway.modes.upload_id import UPLOAD_ID
from gateway.s3.checksums import NOT_VALUES
from gateway.s3.forwarding import forwarded_query
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.part_list import NamedPart, StoredPart, parse_completion, parse_parts, render_completion
from gateway.s3.query import EMPTY_QUERY
from gateway.s3.xml import element_text, error_code, parse_error, render_completed, replace_text
from gateway.s3.xml_edit import Removed, edit_text
from gateway.server.handlers.call import MAX_DOCUMENT_BYTES, Call, is_success
from gateway.server.handlers.refusal import Refusal, read_refusal
from gateway.server.handlers.upload_body import document
from gateway.server.keep_alive import answer_in_time
from gateway.server.respond import buffered
from gateway.server.sealed.closing_upload import ClosingUpload
from gateway.server.sealed.completion import Completion, plan_completion
from gateway.server.sealed.layouts import Layout
from gateway.server.sealed.multipart import upload_headers
from gateway.server.sealed.opening import ObjectReader
from gateway.server.sealed.own_upload import UpstreamRefused
from gateway.server.sealed.stored import StoredObject
from gateway.server.sealed.upload import SealedUpload, sealed_upload_of
from gateway.server.sealed.write_headers import shown_result_etag, stored_write_conditions, written_headers
from gateway.server.sealed.writing import note_sealed_object
from gateway.server.xml_answer import MAX_RESULT_BYTES
from gateway.upstream.body import BufferedBody

_PAGE_PARTS: Final = "1000"
_OBJECT_SIZE: Final = "x-amz-mp-object-size"
_CHECKSUM_PREFIX: Final = "x-amz-checksum-"
_NOT_FOUND: Final = 404
#: What the answer to a repeated completion takes from the one about its object.
_REPEATED_FIELDS: Final = frozenset(
    {"date", "server", "x-amz-id-2", "x-amz-request-id", "x-amz-server-side-encryption", "x-amz-version-id"}
)


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
            extra = await ClosingUpload(self._upload, self._shown_id).add(completion, closing)
            return await self._complete(completion, closing, data_key, extra)
        except UpstreamRefused as refused:
            completed = await self._completed_before(named) if refused.refusal.status == _NOT_FOUND else None
            return completed or refused.refusal.reply(self._call)

    async def _completed_before(self, named: tuple[NamedPart, ...]) -> web.Response | None:
        """The same answer once more, for a client that did not get it the first time, as S3 gives it.

        The object itself tells which upload it came from, and which parts it has.
        """
        call = self._call
        stored = StoredObject(
            call.bucket, call.object_key, call.request.raw_object_key or "", encryption=self._upload.encryption
        )
        reader = ObjectReader(self._sealed, call.services.metrics, call.send_request)
        try:
            found = await reader.find(stored, likely_multipart=True)
        except GatewayError:
            return None  # that there is no such upload says more
        layout = found.layout
        if layout is None or layout.table is None or layout.object_id != self._upload.target(0).object_id:
            return None
        if [part.number for part in layout.table.parts()] != [part.number for part in named]:
            return None
        body = render_completed(
            location=self._location(), bucket=call.bucket, object_key=call.object_key, etag=shown_etag(layout.etag)
        )
        headers = Headers((name, value) for name, value in found.headers if name in _REPEATED_FIELDS)
        return buffered(call.http, call.exchange, 200, headers.replacing((("content-type", "application/xml"),)), body)

    async def _stored_parts(self) -> list[StoredPart]:
        """Every part of the upload, page by page."""
        found: list[StoredPart] = []
        marker: str | None = "0"
        while marker is not None:
            query = EMPTY_QUERY.with_values((("max-parts", _PAGE_PARTS), ("part-number-marker", marker)))
            async with self._call.send_request(self._upload.request(Operation.LIST_PARTS, query=query)) as answer:
                self._call.note_answer(answer)
                if not is_success(answer.status):
                    raise UpstreamRefused(_about_upload(await read_refusal(answer)))
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
                raise UpstreamRefused(await read_refusal(answer))
            body = await answer.read(MAX_RESULT_BYTES)
            status, headers = answer.status, answer.headers
        error = parse_error(body)
        if error is not None:
            call.exchange.note_late_failure(error.code)
            return buffered(call.http, call.exchange, status, headers, body)
        await self._note_completed(completion, closing, data_key, element_text(body, "ETag") or "")
        return buffered(call.http, call.exchange, status, written_headers(headers, {}), self._shown_result(body))

    def _shown_result(self, body: bytes) -> bytes:
        location = self._location()

        def shown(path: tuple[str, ...], text: str) -> str | Removed | None:
            if path[-1].startswith("Checksum"):
                return Removed.ELEMENT
            return {"Location": location, "ETag": shown_result_etag(text)}.get(path[-1])

        return edit_text(body, shown)

    def _location(self) -> str:
        http = self._call.http
        return f"{self._call.request.raw.scheme}://{http.headers.get('Host', '')}{http.raw_path.partition('?')[0]}"

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


def _about_upload(refusal: Refusal) -> Refusal:
    """A refusal of ListParts as one of CompleteMultipartUpload: Ceph RGW calls an upload that is gone a missing key."""
    if error_code(refusal.body) != "NoSuchKey":
        return refusal
    return Refusal(refusal.status, refusal.headers, replace_text(refusal.body, {"Code": "NoSuchUpload"}))


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
