"""``sealgate inspect``: what stored bytes say about themselves, without keys, and so without proof."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import typer

from gateway.cli.stored.naming import Found, Named, found, shown
from gateway.cli.stored.opening import Place, read_closing
from gateway.cli.stored.running import run_command
from gateway.cli.stored.source import StoredSource
from gateway.crypto.sealed.envelope import Envelope, Kind
from gateway.crypto.sealed.faults import Fault
from gateway.crypto.sealed.geometry import CHUNK_BYTES, HEAD_BYTES, TRAILER_BYTES, sealed_size
from gateway.crypto.sealed.identity import location_of
from gateway.crypto.sealed.message import MessageHead
from gateway.errors import IntegrityError


@dataclass(frozen=True, slots=True)
class Message:
    """One message of an object.

    Attributes:
        offset: where it begins in the stored object.
        envelope: what it says; not authenticated.
    """

    offset: int
    envelope: Envelope

    @property
    def stored_bytes(self) -> int:
        """Its stored size, by what it says."""
        return sealed_size(self.envelope.plaintext_bytes)

    def as_dict(self) -> dict[str, Any]:
        """Plain values; bytes in hexadecimal."""
        envelope = self.envelope
        return {
            "offset": self.offset,
            "stored_bytes": self.stored_bytes,
            "kind": envelope.kind.name.lower(),
            "part_number": envelope.part_number or None,
            "plaintext_bytes": envelope.plaintext_bytes,
            "chunks": envelope.plaintext_bytes // CHUNK_BYTES + 1,
            "object_id": envelope.object_id.hex(),
            "location": envelope.location.hex(),
            "wrapping_key": envelope.wrapping_key,
            "wrapped_data_key": envelope.wrapped_data_key.hex(),
        }


class Inspection:
    """What was found; filled as far as the bytes can be understood.

    Attributes:
        stored_bytes: the size of the stored object.
        marker: its metadata entry.
        place: where it is stored, if that is known.
        parts: the messages from the front: one of a whole object, or the first parts.
        more_parts: whether there are further parts that were not looked at.
        closing: the closing of a multipart object.
        fault: what can not be; None when nothing is conspicuous.
    """

    def __init__(self, stored: Found, place: Place | None) -> None:
        self.stored_bytes = stored.source.stored_bytes
        self.marker = stored.marker
        self.place = place
        self.parts: list[Message] = []
        self.more_parts = False
        self.closing: Message | None = None
        self.fault: IntegrityError | None = None

    @property
    def plaintext_bytes(self) -> int | None:
        """The size of the plaintext; None when not all parts were looked at."""
        if self.more_parts or self.fault is not None:
            return None
        return sum(message.envelope.plaintext_bytes for message in self.parts)

    @property
    def sealed_for_place(self) -> bool | None:
        """Whether the location is that of the place; None when no place is known."""
        last = self.closing or (self.parts[0] if self.parts else None)
        if self.place is None or last is None:
            return None
        return last.envelope.location == location_of(self.place.bucket, self.place.object_key)

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "verified": False,
            "stored_bytes": self.stored_bytes,
            "plaintext_bytes": self.plaintext_bytes,
            "marker": self.marker,
            "sealed_for_this_place": self.sealed_for_place,
            "messages": [message.as_dict() for message in self.parts],
            "more_parts": self.more_parts,
            "closing": None if self.closing is None else self.closing.as_dict(),
            "fault": None if self.fault is None else {"name": self.fault.fault, "message": self.fault.message},
        }


def run(named: Named, *, max_parts: int, as_json: bool) -> int:
    """Print what stored bytes say, and return the exit status: 1 when they can not be a sealed object."""
    return run_command(named.source, _printed(named, max_parts, as_json=as_json))


async def _printed(named: Named, max_parts: int, *, as_json: bool) -> int:
    async with found(named) as stored:
        inspection = await inspect(stored, named.place, max_parts)
    if as_json:
        typer.echo(json.dumps(inspection.as_dict(), indent=2))
    else:
        for line in _lines(inspection):
            typer.echo(line)
    return 0 if inspection.fault is None else 1


async def inspect(stored: Found, place: Place | None, max_parts: int) -> Inspection:
    """What stored bytes say about themselves.

    Args:
        stored: the bytes.
        place: where they are stored; None when that is not known.
        max_parts: how many parts are looked at, each of which is a request to the store.

    Raises:
        GatewayError: the bytes can not be read.
    """
    inspection = Inspection(stored, place)
    try:
        first = await _message(stored.source, 0)
        inspection.parts.append(first)
        if first.envelope.kind is Kind.WHOLE:
            if first.stored_bytes != inspection.stored_bytes:
                raise IntegrityError(Fault.SIZE, "its stored size is not the one that its envelope says")
        else:
            await _multipart(inspection, stored.source, max_parts)
    except IntegrityError as error:
        inspection.fault = error
    return inspection


async def _multipart(inspection: Inspection, source: StoredSource, max_parts: int) -> None:
    if inspection.parts[0].envelope.kind is not Kind.PART:
        raise IntegrityError(Fault.KIND, "it begins with a closing")
    closing = await read_closing(source)
    end = source.stored_bytes - TRAILER_BYTES - len(closing)
    inspection.closing = Message(end, MessageHead.parse(closing[:HEAD_BYTES]).envelope)
    if inspection.closing.envelope.kind is not Kind.CLOSING:
        raise IntegrityError(Fault.KIND, "there is another message where its closing belongs")
    async for part in _parts(source, inspection.parts[0], end):
        if len(inspection.parts) == max_parts:
            inspection.more_parts = True
            return
        inspection.parts.append(part)


async def _parts(source: StoredSource, part: Message, end: int) -> AsyncIterator[Message]:
    """The parts behind the first one."""
    while part.offset + part.stored_bytes < end:
        following = await _message(source, part.offset + part.stored_bytes)
        if following.envelope.kind is not Kind.PART:
            raise IntegrityError(Fault.KIND, "there is another message where a part belongs")
        if following.envelope.part_number <= part.envelope.part_number:
            raise IntegrityError(Fault.PART, "its parts are not in order")
        part = following
        yield part
    if part.offset + part.stored_bytes != end:
        raise IntegrityError(Fault.SIZE, "its last part does not end where its closing begins")


async def _message(source: StoredSource, offset: int) -> Message:
    data = await source.read(offset, min(HEAD_BYTES, source.stored_bytes - offset))
    return Message(offset, MessageHead.parse(data).envelope)


def _lines(inspection: Inspection) -> Iterator[str]:
    yield f"stored bytes     {inspection.stored_bytes:,}"
    if inspection.marker is not None:
        yield f"marker           {shown(inspection.marker)}"
    if inspection.parts:
        yield from _object_lines(inspection)
    if inspection.fault is not None:
        yield f"fault            {inspection.fault.fault}: {inspection.fault.message}"
    else:
        yield "Nothing of this is proven: only `sealgate open` and `sealgate verify`, which have the keys, can do that."


def _object_lines(inspection: Inspection) -> Iterator[str]:
    last = inspection.closing or inspection.parts[0]
    size = inspection.plaintext_bytes
    yield f"plaintext bytes  {'not known, there are more parts' if size is None else f'{size:,}'}"
    yield f"object           {'whole' if inspection.closing is None else 'multipart'}"
    yield f"wrapping key     {last.envelope.wrapping_key}"
    yield f"object id        {last.envelope.object_id.hex()}"
    yield f"location         {last.envelope.location.hex()}{_place_note(inspection)}"
    if inspection.closing is None:
        return
    yield f"closing          {last.stored_bytes:,} bytes at {last.offset:,}"
    for part in inspection.parts:
        envelope = part.envelope
        yield (
            f"part {envelope.part_number:<11} {envelope.plaintext_bytes:,} bytes, stored {part.stored_bytes:,} "
            f"at {part.offset:,}, {envelope.wrapping_key}"
        )
    if inspection.more_parts:
        yield "                 more parts follow; --parts shows them"


def _place_note(inspection: Inspection) -> str:
    match inspection.sealed_for_place:
        case None:
            return ""
        case True:
            return ", which is this place"
        case _:
            return ", which is not this place; a copy needs its alias proof"
