"""The one place that reads sealed objects, whoever asks: clients, copies, listings and the command line.

Sizes and part tables are authenticated before anything is said about them, and every byte before it is given out.
Requests that belong together name the same ETag, so an object that is overwritten in between is noticed.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, contextmanager, suppress

from gateway.crypto.sealed.geometry import HEAD_BYTES, SUFFIX_BYTES, sealed_size
from gateway.crypto.sealed.marker import MARKER
from gateway.crypto.sealed.message import ChunkOpener, MessageHead, MessageOpener
from gateway.errors import IntegrityError, UpstreamUnavailable
from gateway.event_log import get_logger
from gateway.s3.headers import Headers
from gateway.s3.ranges import range_field
from gateway.server.handlers.refusal import read_refusal
from gateway.server.sealed.asking import Answered, ask, ask_again, etag_of, extent
from gateway.server.sealed.authentication import Authenticator, check_place
from gateway.server.sealed.found import Found, OpenedAtOnce, ReadingMetrics, ReadingServices, Stretch, Whole
from gateway.server.sealed.layouts import Layout
from gateway.server.sealed.segments import (
    Opener,
    Segment,
    StoredBytes,
    opened,
    segments,
    whole_segments,
)
from gateway.server.sealed.stored import Fetch, ObjectChanged, StoredObject
from gateway.upstream.response import UpstreamResponse

#: What is left of an answer that is of no use is read up to this size, so that the connection can be used again, bytes.
MAX_DRAINED_BYTES = 256 * 1024

#: A whole object of at most 64 KiB is opened at once: its message's keys are derived once, and nothing waits for a next
#: piece. A GET of 1 KiB takes 8 % less CPU time.
_SMALL_STORED_BYTES = sealed_size(64 * 1024)
_ATTEMPTS = 2
_PRECONDITION_FAILED = 412
_RANGE_NOT_SATISFIABLE = 416
_NO_CONDITIONS = Headers()

_log = get_logger("gateway.server.sealed.opening")


class ObjectReader:
    """Reads sealed objects.

    Args:
        sealed: data keys and layouts.
        metrics: counts what is released and what is refused.
        fetch: sends requests upstream.
    """

    def __init__(self, sealed: ReadingServices, metrics: ReadingMetrics, fetch: Fetch) -> None:
        self._layouts = sealed.layouts
        self._metrics = metrics
        self._fetch = fetch
        self._authenticator = Authenticator(sealed.data_keys, sealed.layouts, fetch)

    async def find(
        self, stored: StoredObject, *, conditions: Headers = _NO_CONDITIONS, likely_multipart: bool = False
    ) -> Found:
        """What an object is: one small request, and a second one for a multipart object that is not known yet.

        Args:
            stored: the object.
            conditions: conditional header fields in the server's terms; they go with the first request.
            likely_multipart: ask for the object's end first, which then is the only request.

        Raises:
            GatewayError: it is not what a sealed object consists of, a key is missing, or the upstream failed.
        """
        for _ in range(_ATTEMPTS):
            try:
                with self.reporting(stored):
                    return await self._find(stored, conditions, likely_multipart=likely_multipart)
            except ObjectChanged:
                continue
        raise ObjectChanged

    async def whole(self, stored: StoredObject, answer: UpstreamResponse) -> Whole | None:
        """The object in a successful answer to a GET of all of it; None when it is not sealed.

        No byte of the answer is lost to the caller when it is not sealed.

        Raises:
            ObjectChanged: it was overwritten since; a new GET is needed.
            GatewayError: as :meth:`find`.
        """
        with self.reporting(stored):
            _, stored_bytes = extent(answer)
            if stored_bytes <= _SMALL_STORED_BYTES:
                at_once = await self._authenticator.by_all(stored, answer.headers, await answer.peek(stored_bytes))
                if at_once is not None:
                    self._metrics.opened(len(at_once[1]))
                    return Whole(at_once[0], OpenedAtOnce(at_once[1]))
            beginning = (await answer.peek(HEAD_BYTES))[:HEAD_BYTES]
            layout = await self._authenticator.by_beginning(stored, answer.headers, stored_bytes, beginning)
        if layout is None:
            return None
        size = layout.plaintext_bytes
        return Whole(layout, self._released(stored, layout, answer, 0, whole_segments(layout), size, None, whole=True))

    def stretch(
        self, stored: StoredObject, layout: Layout, first: int, last: int, *, conditions: Headers = _NO_CONDITIONS
    ) -> AbstractAsyncContextManager[Stretch]:
        """A range of plaintext in one request, pinned to the layout's ETag, and the head of its part beside it.

        The pieces are valid inside the ``async with`` block.

        Args:
            stored: the object.
            layout: its layout.
            first: the first byte; inside the object.
            last: the last byte, inclusive; inside the object.
            conditions: further conditions in the server's terms; not If-Match, which is taken.

        Raises:
            ObjectChanged: the object has another ETag by now.
            GatewayError: as :meth:`find`.
        """
        return self._stretch(stored, layout, first, last, conditions)

    async def plaintext(
        self, stored: StoredObject, layout: Layout, first: int, last: int
    ) -> AsyncGenerator[bytes, None]:
        """The verified plaintext bytes ``first`` to ``last``, inclusive; nothing when ``last`` is before ``first``.

        Raises:
            ObjectChanged: the object has another ETag by now.
            GatewayError: as :meth:`find`.
        """
        if last < first:
            return
        async with self._stretch(stored, layout, first, last, _NO_CONDITIONS) as found:
            if found.refusal is not None:
                raise UpstreamUnavailable(f"the upstream server answered {found.refusal.status} to a read")
            async for piece in found.pieces:
                yield piece

    @contextmanager
    def reporting(self, stored: StoredObject) -> Iterator[None]:
        """Counts and logs an integrity failure that happens inside."""
        try:
            yield
        except IntegrityError as error:
            self._metrics.integrity_failure(error.fault)
            _log.warning(
                "a stored object is not released",
                bucket=stored.bucket,
                object_key=stored.object_key,
                version_id=stored.version_id,
                fault=str(error.fault),
                reason=error.message,
            )
            raise

    async def _find(self, stored: StoredObject, conditions: Headers, *, likely_multipart: bool) -> Found:
        if likely_multipart:
            answered = await ask(self._fetch, stored.get(f"bytes=-{SUFFIX_BYTES}", conditions=conditions), SUFFIX_BYTES)
            if answered.refusal is not None:
                return _refused(answered)
            if answered.first + len(answered.data) == answered.stored_bytes:
                layout = await self._authenticator.by_end(
                    stored, answered.headers, answered.stored_bytes, answered.data
                )
                if layout is not None:
                    return Found(answered.status, answered.headers, layout, None)
        head = stored.get(range_field(0, HEAD_BYTES - 1), conditions=conditions)
        answered = await ask(self._fetch, head, HEAD_BYTES)
        if answered.refusal is not None:
            return _refused(answered)
        if answered.first:
            raise UpstreamUnavailable("the upstream server's answer is not the part of the object that was asked for")
        layout = await self._authenticator.by_beginning(stored, answered.headers, answered.stored_bytes, answered.data)
        return Found(answered.status, answered.headers, layout, None)

    @asynccontextmanager
    async def _stretch(
        self, stored: StoredObject, layout: Layout, first: int, last: int, conditions: Headers
    ) -> AsyncIterator[Stretch]:
        known: MessageHead | None = None

        def is_known(number: int) -> bool:
            nonlocal known
            known = self._known_head(stored, layout, number)
            return known is not None

        wanted = segments(layout, first, last, known_head=is_known)
        begin, end = wanted[0], wanted[-1]
        head: asyncio.Future[MessageHead] | MessageHead | None = known
        if head is None and not begin.brings_head:
            head = asyncio.create_task(self._head(stored, layout, begin))
        try:
            request = stored.get(range_field(begin.first, end.last), etag=layout.etag, conditions=conditions)
            async with self._fetch(request) as answer:
                if not 200 <= answer.status < 300:
                    yield await _refused_stretch(answer)
                    return
                if not _is_of(layout, answer.headers) or extent(answer) != (begin.first, layout.stored_bytes):
                    raise ObjectChanged
                released = self._released(stored, layout, answer, begin.first, wanted, last - first + 1, head)
                async with aclosing(released) as pieces:
                    yield Stretch(answer.headers, pieces)
        finally:
            if isinstance(head, asyncio.Future):
                head.cancel()
                await asyncio.gather(head, return_exceptions=True)

    def _known_head(self, stored: StoredObject, layout: Layout, number: int) -> MessageHead | None:
        if number == 0:
            return layout.head
        return self._layouts.part_head(stored.bucket, stored.object_key, layout.etag, number)

    async def _head(self, stored: StoredObject, layout: Layout, segment: Segment) -> MessageHead:
        """The head of a part of which later chunks are read."""
        at = segment.message_at
        request = stored.get(range_field(at, at + HEAD_BYTES - 1), etag=layout.etag)
        return MessageHead.parse(await ask_again(self._fetch, request, at, HEAD_BYTES))

    async def _released(
        self,
        stored: StoredObject,
        layout: Layout,
        answer: UpstreamResponse,
        position: int,
        wanted: Iterable[Segment],
        plaintext_bytes: int,
        first_head: asyncio.Future[MessageHead] | MessageHead | None,
        *,
        whole: bool = False,
    ) -> AsyncGenerator[bytes, None]:
        """The verified plaintext of an answer's body; counted, also when it is not read to its end.

        The piece that completes the ``plaintext_bytes`` is given out when nothing failed until the end. So whoever
        received everything knows that everything was verified: the end of the last message, and that of a whole object.
        The others are given out as they come: held until the next one is there, they would take 3 % more CPU time, and
        256 KiB more memory for each slow reader.
        """

        async def unlock(segment: Segment, brought: bytes | None) -> Opener:
            if brought is not None:
                head = MessageHead.parse(brought)
            elif isinstance(first_head, MessageHead):
                head = first_head
            elif first_head is not None:
                head = await first_head
            else:
                raise AssertionError("internal error: chunks without a head")
            return await self._unlocked(stored, layout, segment, head)

        released = 0
        last = b""
        try:
            with self.reporting(stored):
                async with aclosing(answer.iter_chunks()) as chunks:
                    source = StoredBytes(chunks, position)
                    async with aclosing(opened(source, wanted, unlock)) as pieces:
                        async for piece in pieces:
                            if released + len(piece) >= plaintext_bytes:
                                last = piece
                            else:
                                released += len(piece)
                                yield piece
                    if whole and layout.table is not None:
                        end = await source.exactly(layout.stored_bytes - layout.table.stored_bytes)
                        await self._authenticator.check_end(layout, end)
                    if last:
                        released += len(last)
                        yield last
                    await _drain(chunks)
        finally:
            self._metrics.opened(released)

    async def _unlocked(self, stored: StoredObject, layout: Layout, segment: Segment, head: MessageHead) -> Opener:
        """What opens a segment, after the head was authenticated and found to be in its place."""
        data_key = await self._authenticator.keys(head.envelope)
        opener: Opener
        if segment.span is None:
            opener = MessageOpener(data_key, head)
        else:
            opener = ChunkOpener(head.unlock(data_key), segment.plaintext_bytes, segment.span)
        check_place(head.envelope, segment.number, segment.plaintext_bytes, layout)
        if segment.number and segment.span is not None:
            self._layouts.put_part_head(stored.bucket, stored.object_key, layout.etag, segment.number, head)
        return opener


def _is_of(layout: Layout, answered: Headers) -> bool:
    """Whether an answer is about the object that a layout is of."""
    return etag_of(answered) == layout.etag and answered.get(MARKER) == layout.marker


def _refused(answered: Answered) -> Found:
    # No range fits into an empty object. It is there, and it is not sealed.
    refusal = None if answered.status == _RANGE_NOT_SATISFIABLE else answered.refusal
    return Found(answered.status, answered.headers, None, refusal)


async def _refused_stretch(answer: UpstreamResponse) -> Stretch:
    refusal = await read_refusal(answer)
    if refusal.status in {_PRECONDITION_FAILED, _RANGE_NOT_SATISFIABLE}:
        raise ObjectChanged
    return Stretch(answer.headers, _nothing(), refusal)


async def _nothing(pieces: Iterable[bytes] = ()) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        yield piece


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    """Read the small rest of an answer, if there is one, so that its connection can be used again."""
    left = MAX_DRAINED_BYTES
    with suppress(UpstreamUnavailable):
        async for chunk in chunks:
            left -= len(chunk)
            if left < 0:
                return
