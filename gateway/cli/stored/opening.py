"""Opens stored bytes without a gateway: what a copy of them and the wrapping keys are enough for.

The steps are those of docs/format.md, "Reading an object". The place of an object is checked where it is known.
"""

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass

from gateway.cli.stored.source import ReadableSource, StoredSource
from gateway.crypto.sealed.closing import PartTable, closing_size_in_trailer, open_closing
from gateway.crypto.sealed.envelope import Envelope, Kind
from gateway.crypto.sealed.faults import Fault
from gateway.crypto.sealed.geometry import HEAD_BYTES, SUFFIX_BYTES, TRAILER_BYTES, sealed_size
from gateway.crypto.sealed.identity import alias_fits, location_of
from gateway.crypto.sealed.marker import Marker
from gateway.crypto.sealed.message import ChunkOpener, MessageHead, MessageOpener
from gateway.errors import IntegrityError
from gateway.redact import SecretBytes
from gateway.server.sealed.authentication import OpeningKeys, check_place
from gateway.server.sealed.layouts import Layout
from gateway.server.sealed.segments import Opener, Segment, StoredBytes, opened, segments, whole_segments


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object is stored, or was when its bytes were copied.

    Attributes:
        bucket: the bucket's name.
        object_key: the object key.
    """

    bucket: str
    object_key: str


async def examine(
    source: StoredSource, keys: OpeningKeys, *, place: Place | None = None, marker: Marker | None = None
) -> Layout:
    """The authenticated layout of an object.

    Args:
        source: its stored bytes.
        keys: gives the data keys.
        place: where it is stored; None leaves its location unchecked.
        marker: what its metadata entry says; its size is checked, and its alias proof used.

    Raises:
        IntegrityError: it is not what a sealed object consists of.
        GatewayError: a data key is not available, or the bytes can not be read.
    """
    head = MessageHead.parse(await source.read(0, min(HEAD_BYTES, source.stored_bytes)))
    if head.envelope.kind is Kind.CLOSING:
        raise IntegrityError(Fault.KIND, "it begins with a closing")
    if head.envelope.kind is Kind.WHOLE:
        layout = await _whole(source, keys, place, marker, head)
    else:
        layout = await _multipart(source, keys, place, marker)
    if marker is not None and marker.plaintext_bytes not in {None, layout.plaintext_bytes}:
        raise IntegrityError(Fault.MARKER, "the metadata entry that marks it says another size")
    return layout


async def plaintext(
    source: StoredSource, keys: OpeningKeys, layout: Layout, wanted: tuple[int, int] | None = None
) -> AsyncGenerator[bytes, None]:
    """The verified plaintext of an object, piece by piece.

    Args:
        source: its stored bytes.
        keys: gives the data keys.
        layout: its layout.
        wanted: the first and the last byte of a range inside the object; None for all of it.

    Raises:
        IntegrityError: stored bytes were changed. What was given out before is authentic.
        GatewayError: a data key is not available, or the bytes can not be read.
    """
    if wanted is None:
        messages: Iterable[Segment] = whole_segments(layout)
        first, last = 0, (layout.stored_bytes if layout.table is None else layout.table.stored_bytes) - 1
    else:
        ranged = segments(layout, *wanted, known_head=lambda number: number == 0)
        messages, first, last = ranged, ranged[0].first, ranged[-1].last

    async def unlock(segment: Segment, brought: bytes | None) -> Opener:
        head = layout.head
        if brought is not None:
            head = MessageHead.parse(brought)
        elif head is None:
            head = MessageHead.parse(await source.read(segment.message_at, HEAD_BYTES))
        data_key = await _data_key(keys, head.envelope)
        opener: Opener
        if segment.span is None:
            opener = MessageOpener(data_key, head)
        else:
            opener = ChunkOpener(head.unlock(data_key), segment.plaintext_bytes, segment.span)
        check_place(head.envelope, segment.number, segment.plaintext_bytes, layout)
        return opener

    async with (
        aclosing(source.stream(first, last)) as stored,
        aclosing(opened(StoredBytes(stored, first), messages, unlock)) as pieces,
    ):
        async for piece in pieces:
            yield piece


async def _whole(
    source: StoredSource, keys: OpeningKeys, place: Place | None, marker: Marker | None, head: MessageHead
) -> Layout:
    envelope = head.envelope
    data_key = await _data_key(keys, envelope)
    head.unlock(data_key)
    _check_location(envelope, place, marker, data_key)
    if sealed_size(envelope.plaintext_bytes) != source.stored_bytes:
        raise IntegrityError(Fault.SIZE, "its stored size is not the one that its envelope says")
    return _layout(source, envelope, envelope.plaintext_bytes, head, None)


async def _multipart(source: StoredSource, keys: OpeningKeys, place: Place | None, marker: Marker | None) -> Layout:
    closing = await read_closing(source)
    envelope = MessageHead.parse(closing[:HEAD_BYTES]).envelope
    data_key = await _data_key(keys, envelope)
    table = open_closing(data_key, closing)
    _check_location(envelope, place, marker, data_key)
    if table.stored_bytes + len(closing) + TRAILER_BYTES != source.stored_bytes:
        raise IntegrityError(Fault.SIZE, "its stored size is not the one that its part table says")
    return _layout(source, envelope, table.plaintext_bytes, None, table)


async def read_closing(source: ReadableSource) -> bytes:
    """The closing of a multipart object, not authenticated.

    Raises:
        IntegrityError: ``trailer``.
        GatewayError: the bytes can not be read.
    """
    first = max(0, source.stored_bytes - SUFFIX_BYTES)
    end = await source.read(first, source.stored_bytes - first)
    added = closing_size_in_trailer(end[-TRAILER_BYTES:]) + TRAILER_BYTES
    if added > source.stored_bytes:
        raise IntegrityError(Fault.TRAILER, "its trailer announces more than there is")
    if added > len(end):
        end = await source.read(source.stored_bytes - added, added - len(end)) + end
    return end[-added:-TRAILER_BYTES]


async def _data_key(keys: OpeningKeys, envelope: Envelope) -> SecretBytes:
    return await keys.for_opening(envelope.wrapping_key, envelope.wrapped_data_key)


def _check_location(envelope: Envelope, place: Place | None, marker: Marker | None, data_key: SecretBytes) -> None:
    if place is None:
        return
    here = location_of(place.bucket, place.object_key)
    alias = None if marker is None else marker.alias
    if envelope.location == here or (alias is not None and alias_fits(alias, data_key, envelope.object_id, here)):
        return
    raise IntegrityError(Fault.LOCATION, "it was sealed for another bucket or object key")


def _layout(
    source: StoredSource, envelope: Envelope, plaintext_bytes: int, head: MessageHead | None, table: PartTable | None
) -> Layout:
    return Layout(
        etag=source.etag,
        stored_bytes=source.stored_bytes,
        plaintext_bytes=plaintext_bytes,
        object_id=envelope.object_id,
        location=envelope.location,
        wrapping_key=envelope.wrapping_key,
        wrapped_data_key=envelope.wrapped_data_key,
        head=head,
        table=table,
    )
