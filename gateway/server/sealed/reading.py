"""One read of one sealed object for a client, from its conditions and ranges to the answer."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from aiohttp import web

from gateway.crypto.sealed.envelope import MAGIC
from gateway.crypto.sealed.faults import Fault
from gateway.crypto.sealed.marker import MARKER
from gateway.errors import IntegrityError
from gateway.modes.plan import plan
from gateway.modes.shown_etag import counts_parts
from gateway.policy.rules import ModeName
from gateway.s3.forwarding import forwarded_headers, forwarded_query
from gateway.s3.headers import Headers
from gateway.s3.object_attributes import MAX_PARTS, OBJECT_ATTRIBUTES, PART_NUMBER_MARKER
from gateway.s3.operation import Operation
from gateway.s3.xml import parse_error
from gateway.server.handlers.call import Call, is_success
from gateway.server.handlers.refusal import Refusal, read_refusal
from gateway.server.respond import buffered, forwarded_answer_headers, send_chunks, stream
from gateway.server.sealed.answers import shown_headers
from gateway.server.sealed.attributes import attributes_answer
from gateway.server.sealed.conditions import (
    CONDITIONS,
    beside_pin,
    depend_on_sealing,
    range_applies,
    stored_conditions,
)
from gateway.server.sealed.found import Found
from gateway.server.sealed.layouts import PLAIN, Layout
from gateway.server.sealed.opening import MAX_DRAINED_BYTES, ObjectReader
from gateway.server.sealed.selection import Selected, Selection, requested_selection
from gateway.server.sealed.stored import Fetch, ObjectChanged, StoredObject
from gateway.upstream.request import UpstreamRequest
from gateway.upstream.response import UpstreamResponse

#: Fields and parameters of the client's request that do not go along with the requests made here. What a client accepts
#: as an encoding is for its own bytes: a server must not encode ciphertext.
_NOT_ALONG = CONDITIONS | {
    "range", "if-range", "x-amz-checksum-mode", "accept-encoding", OBJECT_ATTRIBUTES, MAX_PARTS, PART_NUMBER_MARKER,
}  # fmt: skip
_PARAMETERS_NOT_ALONG = ("versionId", "partNumber", "attributes", "x-id")

_PRECONDITION_FAILED = 412
_RANGE_NOT_SATISFIABLE = 416


class SealedRead:
    """One read of one object, with one set of encryption header fields.

    Args:
        call: the request.
        encryption: the encryption header fields to send.
        must_be_sealed: whether an object that is not sealed is refused.
    """

    def __init__(self, call: Call, encryption: Headers, *, must_be_sealed: bool) -> None:
        request = call.request
        headers = forwarded_headers(request.raw.headers)
        self._call = call
        self._encryption = encryption
        self._must_be_sealed = must_be_sealed
        self._headers = headers
        self._conditions = stored_conditions(headers)
        self._layouts = call.services.sealed.layouts
        self._fetch = _fetching(call)
        self._reader = ObjectReader(call.services.sealed, call.services.metrics, self._fetch)
        self._stored = StoredObject(
            bucket=call.bucket,
            object_key=call.object_key,
            raw_object_key=request.raw_object_key or "",
            version_id=request.query.get("versionId"),
            encryption=encryption,
            fields=headers.without(_NOT_ALONG),
            parameters=forwarded_query(request.query).without(_PARAMETERS_NOT_ALONG),
        )

    async def serve(self) -> web.StreamResponse | Refusal:
        """Ask for the object and answer; once more from the start when it changed in between."""
        try:
            return await self._serve()
        except ObjectChanged:
            self._layouts.forget(self._stored.bucket, self._stored.object_key, self._stored.version_id)
        return await self._serve()

    async def take_over(self, answer: UpstreamResponse) -> web.StreamResponse | Refusal:
        """Go on with an answer that carries the marker. Only that to a plain GET of all of the object is of use."""
        whole = answer.status == 200 and self._call.request.operation is Operation.GET_OBJECT
        if whole and self._selection() is None and not depend_on_sealing(self._headers):
            try:
                return await self._deliver_whole(answer)
            except ObjectChanged:
                self._layouts.forget(self._stored.bucket, self._stored.object_key, self._stored.version_id)
        await _discard(answer)
        return await self.serve()

    async def was_misjudged(self, answer: UpstreamResponse) -> bool:
        """Whether a refusal is about a sealed object: the server compared a shown ETag, or a size that is not shown."""
        by_etag = answer.status == _PRECONDITION_FAILED and depend_on_sealing(self._headers)
        if not by_etag and answer.status != _RANGE_NOT_SATISFIABLE:
            return False
        if not self._call.services.sealed.data_keys.names:
            return False
        async with self._call.send_request(self._stored.head()) as head:
            return is_success(head.status) and MARKER in head.headers

    async def check_plain(self, answer: UpstreamResponse) -> None:
        """See that an object without the marker is no sealed one that lost it.

        Raises:
            IntegrityError: its first bytes are those of a sealed object.
            ObjectChanged: it was overwritten in between.
        """
        stored, etag = self._stored, answer.headers.get("etag") or ""
        if self._layouts.get(stored.bucket, stored.object_key, etag) is PLAIN:
            return
        if answer.headers.get("content-length") == "0" and answer.status == 200:
            return
        if answer.status == 200 and self._call.request.operation is Operation.GET_OBJECT:
            if (await answer.peek(len(MAGIC))).startswith(MAGIC):
                self._refuse(Fault.MARKER, "the metadata entry that marks it is missing")
            self._layouts.put(stored.bucket, stored.object_key, etag, PLAIN)
            return
        found = await self._reader.find(stored)
        if found.refusal is not None or found.layout is not None or found.headers.get("etag") != etag:
            raise ObjectChanged

    async def _serve(self) -> web.StreamResponse | Refusal:
        match self._call.request.operation:
            case Operation.GET_OBJECT_ATTRIBUTES:
                return await self._attributes()
            case Operation.HEAD_OBJECT:
                return await self._head()
        selection = self._selection()
        return await self._whole() if selection is None else await self._partial(selection)

    def _selection(self) -> Selection | None:
        return requested_selection(self._headers.get("range"), self._call.request.query.get("partNumber"))

    # ------------------------------------------------------------------------------------------------ the operations

    async def _whole(self) -> web.StreamResponse | Refusal:
        async with self._fetch(self._stored.get(conditions=self._conditions)) as answer:
            if not is_success(answer.status):
                return _shown(await read_refusal(answer))
            return await self._deliver_whole(answer)

    async def _deliver_whole(self, answer: UpstreamResponse) -> web.StreamResponse | Refusal:
        whole = await self._reader.whole(self._stored, answer)
        if whole is None:
            return await self._plain()
        async with aclosing(whole.pieces) as pieces:
            size = ("content-length", str(whole.layout.plaintext_bytes))
            return await self._deliver(200, self._answer_headers(answer.headers, size), pieces)

    async def _partial(self, selection: Selection) -> web.StreamResponse | Refusal:
        known = self._known()
        if known is not None:
            layout, conditions = known
            selected = selection.within(layout)
            if isinstance(selected, Selected) and selected.size:
                return await self._deliver_stretch(layout, selected, conditions)
        # What is known may be out of date: an error must not come from it.
        found = await self._find(selection)
        if found.refusal is not None:
            return _shown(found.refusal)
        if found.layout is None:
            return await self._plain()
        condition = self._headers.get("if-range")
        if condition is not None and not range_applies(condition, found.headers):
            return await self._whole()
        selected = selection.within(found.layout)
        if not isinstance(selected, Selected):
            raise selected
        if not selected.size:
            self._note()
            return self._without_body(selected.status, found.headers, *selected.fields())
        return await self._deliver_stretch(found.layout, selected, Headers())

    async def _deliver_stretch(
        self, layout: Layout, selected: Selected, conditions: Headers
    ) -> web.StreamResponse | Refusal:
        stretch = self._reader.stretch(self._stored, layout, selected.first, selected.last, conditions=conditions)
        async with stretch as found:
            if found.refusal is not None:
                return _shown(found.refusal)
            headers = self._answer_headers(found.headers, *selected.fields())
            return await self._deliver(selected.status, headers, found.pieces)

    async def _head(self) -> web.StreamResponse | Refusal:
        selection = self._selection()
        found = await self._find(selection)
        if found.refusal is not None:
            return await self._head_of_archived(found.refusal)
        if found.layout is None:
            return await self._plain()
        condition = self._headers.get("if-range")
        if selection is None or (condition is not None and not range_applies(condition, found.headers)):
            self._note()
            size = ("content-length", str(found.layout.plaintext_bytes))
            return self._without_body(200, found.headers, size)
        selected = selection.within(found.layout)
        if not isinstance(selected, Selected):
            raise selected
        self._note()
        return self._without_body(selected.status, found.headers, *selected.fields())

    async def _head_of_archived(self, refusal: Refusal) -> web.StreamResponse | Refusal:
        """S3 does not give out bytes of an archived object, but says whether it is being restored.

        The size is not stated unless it was authenticated before: the bytes that would prove it can not be had.
        """
        error = parse_error(refusal.body)
        if error is None or error.code != "InvalidObjectState":
            return _shown(refusal)
        async with self._fetch(self._stored.head(conditions=self._conditions)) as answer:
            marker, etag = answer.headers.get(MARKER), answer.headers.get("etag") or ""
            if not is_success(answer.status) or marker is None:
                return _shown(refusal)
            layout = self._layouts.get(self._stored.bucket, self._stored.object_key, etag)
            self._note()
            if not isinstance(layout, Layout) or layout.marker != marker:
                return self._without_body(200, answer.headers)
            return self._without_body(200, answer.headers, ("content-length", str(layout.plaintext_bytes)))

    async def _attributes(self) -> web.StreamResponse | Refusal:
        found = await self._find(None)
        if found.refusal is not None:
            return _shown(found.refusal)
        if found.layout is None:
            return await self._plain()
        answer = attributes_answer(self._call, self._headers, found.layout, found.headers)
        self._note()
        return answer

    async def _plain(self) -> web.StreamResponse | Refusal:
        """An object that is not sealed: refused, or passed on as it is."""
        if self._must_be_sealed:
            self._refuse(Fault.NOT_SEALED, "it is not sealed, and nothing else may exist here")
        call = self._call
        rule = call.authorized.rule
        async with call.send(plan(call.authorized, self._encryption)) as answer:
            call.note_answer(answer)
            if not is_success(answer.status):
                return await read_refusal(answer)
            if MARKER in answer.headers:
                raise ObjectChanged
            if rule is not None and rule.mode is ModeName.CSE and "etag" in answer.headers:
                await self.check_plain(answer)
            return await stream(call.http, call.exchange, answer)

    # ------------------------------------------------------------------------------------------------- what they share

    async def _find(self, selection: Selection | None) -> Found:
        """What the object is, asked in the way that is likely to need one request only."""
        stated = self._conditions.get("if-match") or ""
        later_part = selection is not None and (selection.part_number or 1) > 1
        return await self._reader.find(
            self._stored, conditions=self._conditions, likely_multipart=later_part or counts_parts(stated)
        )

    def _known(self) -> tuple[Layout, Headers] | None:
        """The layout that the object had last, and the conditions to send beside its ETag, if the two go together."""
        if "if-range" in self._headers:
            return None
        layout = self._layouts.latest(self._stored.bucket, self._stored.object_key, self._stored.version_id)
        if not isinstance(layout, Layout):
            return None
        conditions = beside_pin(self._conditions, layout.etag)
        return None if conditions is None else (layout, conditions)

    def _answer_headers(self, answered: Headers, *fields: tuple[str, str]) -> Headers:
        self._note()
        return shown_headers(answered).replacing((("accept-ranges", "bytes"), *fields))

    async def _deliver(self, status: int, headers: Headers, pieces: AsyncIterator[bytes]) -> web.StreamResponse:
        """Answer with verified plaintext. The first piece is there before the answer begins.

        So what is wrong with the beginning, or with all of a small object, becomes an error that clients understand.
        """
        http, exchange = self._call.http, self._call.exchange
        return await send_chunks(http, exchange, status, forwarded_answer_headers(headers), pieces)

    def _without_body(self, status: int, answered: Headers, *fields: tuple[str, str]) -> web.Response:
        headers = shown_headers(answered).replacing((("accept-ranges", "bytes"), *fields))
        return buffered(self._call.http, self._call.exchange, status, headers, b"")

    def _note(self) -> None:
        self._call.exchange.mode = ModeName.CSE
        self._call.services.metrics.object_read(ModeName.CSE)

    def _refuse(self, fault: Fault, message: str) -> None:
        with self._reader.reporting(self._stored):
            raise IntegrityError(fault, message)


def _fetching(call: Call) -> Fetch:
    """Sends requests for ``call``. Not a method: what it is of would never be freed without the garbage collector."""

    @asynccontextmanager
    async def fetch(request: UpstreamRequest) -> AsyncIterator[UpstreamResponse]:
        async with call.send_request(request) as answer:
            call.note_answer(answer)
            yield answer

    return fetch


def _shown(refusal: Refusal) -> Refusal:
    return Refusal(refusal.status, shown_headers(refusal.headers), refusal.body)


async def _discard(answer: UpstreamResponse) -> None:
    """Read an answer that is of no use when it is small, so that its connection can be used again."""
    length = answer.headers.get("content-length") or ""
    if length.isdecimal() and int(length) <= MAX_DRAINED_BYTES:
        await answer.peek(MAX_DRAINED_BYTES)
