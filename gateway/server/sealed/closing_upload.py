"""The part that ends a sealed multipart object: its closing, behind the bytes of a last part below 5 MiB."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from gateway.crypto.sealed.envelope import Kind
from gateway.crypto.sealed.faults import Fault
from gateway.crypto.sealed.geometry import HEAD_BYTES
from gateway.crypto.sealed.message import MessageHead, MessageOpener
from gateway.errors import IntegrityError, S3Error, UpstreamUnavailable
from gateway.modes.shown_etag import shown_etag
from gateway.s3.checksums import new_md5
from gateway.s3.operation import Operation
from gateway.s3.part_list import StoredPart
from gateway.s3.query import EMPTY_QUERY
from gateway.server.handlers.call import is_success
from gateway.server.handlers.refusal import read_refusal
from gateway.server.handlers.upload_body import BUFFERED_BODY_BYTES
from gateway.server.sealed.completion import Completion, invalid_part
from gateway.server.sealed.own_upload import UpstreamRefused
from gateway.server.sealed.staging import OwnPart, StagedPart
from gateway.server.sealed.upload import SealedUpload
from gateway.upstream.body import Body, BufferedBody, StreamedBody


class ClosingUpload:
    """Uploads the part that ends the object.

    Args:
        upload: the upload.
        shown_id: the upload id that the client knows.
    """

    def __init__(self, upload: SealedUpload, shown_id: str) -> None:
        self._upload = upload
        self._call = upload.call
        self._sealed = upload.call.services.sealed
        self._shown_id = shown_id

    async def add(self, completion: Completion, closing: bytes) -> str:
        """Upload it; its ETag comes back.

        Args:
            completion: what becomes of the upload.
            closing: closing and trailer.

        Raises:
            S3Error: InvalidPart, when the bytes of the last part are not in the staging store.
            UpstreamRefused: the upstream does not take the part.
            GatewayError: the staging store, the key provider or the upstream failed.
        """
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
            shown_etag(tail.etag),
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
                raise UpstreamRefused(await read_refusal(answer))
            etag = answer.headers.get("etag")
            if not etag:
                raise UpstreamUnavailable("the upstream server took a part without giving its ETag")
        if etag != expected.etag:
            await self._sealed.staging.note_own(self._upload.staged, replace(expected, etag=etag))
        return etag


def _usual_etag(body: Body) -> str | None:
    """The ETag that most servers give to a part: its MD5. None when the bytes are not here yet."""
    if not isinstance(body, BufferedBody):
        return None
    digest = new_md5()
    digest.update(body.data)
    return f'"{digest.digest().hex()}"'
