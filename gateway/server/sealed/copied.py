"""The source of a copy that mode ``cse`` has to do with: what it is, and its plaintext."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from gateway.crypto.sealed.faults import Fault
from gateway.crypto.sealed.marker import MARKER
from gateway.errors import IntegrityError, UpstreamUnavailable
from gateway.modes.shown_etag import shown_etag
from gateway.policy.choice import stored_rule
from gateway.policy.rules import Existing, ModeName
from gateway.s3.copy_conditions import check_copy_conditions
from gateway.s3.headers import Headers
from gateway.s3.ranges import range_field
from gateway.server.handlers.call import Call, is_success
from gateway.server.handlers.refusal import read_refusal
from gateway.server.handlers.stream_copy import Source
from gateway.server.sealed.asking import etag_of, extent
from gateway.server.sealed.found import Found
from gateway.server.sealed.layouts import Layout
from gateway.server.sealed.opening import ObjectReader
from gateway.server.sealed.own_upload import UpstreamRefused
from gateway.server.sealed.stored import ObjectChanged, StoredObject

_REQUEST_PAYER = "x-amz-request-payer"
#: Whose bucket the source has to be in: in the copy's terms, and in those of a read.
SOURCE_OWNER = "x-amz-source-expected-bucket-owner"
_OWNER = "x-amz-expected-bucket-owner"

_NOT_SATISFIABLE = 416
_CHANGED = frozenset({404, 412, 416})


@dataclass(frozen=True, slots=True)
class CopiedObject:
    """An object that a copy reads.

    Attributes:
        source: its name, and the customer key that it is stored under.
        stored: how it is asked for.
        headers: the upstream's header fields about it, without the marker.
        etag: the upstream's ETag.
        size: bytes that clients see.
        layout: the layout of a sealed object; None for one that is not sealed.
    """

    source: Source
    stored: StoredObject
    headers: Headers
    etag: str
    size: int
    layout: Layout | None
    _call: Call = field(repr=False)
    _reader: ObjectReader = field(repr=False)

    @property
    def shown_etag(self) -> str:
        """The ETag as clients see it."""
        return self.etag if self.layout is None else shown_etag(self.etag)

    def pieces(self, first: int, last: int) -> AsyncGenerator[bytes, None]:
        """The bytes ``first`` to ``last``, inclusive, of this very object, verified when it is sealed.

        Nothing when ``last`` is before ``first``.

        Raises:
            GatewayError: a sealed object is not what it should be, it was overwritten, or the upstream failed.
        """
        if self.layout is None:
            return self._stored_pieces(first, last)
        return self._reader.plaintext(self.stored, self.layout, first, last)

    async def _stored_pieces(self, first: int, last: int) -> AsyncGenerator[bytes, None]:
        if last < first:
            return
        async with self._call.send_request(self.stored.get(range_field(first, last), etag=self.etag)) as answer:
            if answer.status in _CHANGED:
                raise ObjectChanged
            if not is_success(answer.status):
                raise UpstreamRefused(await read_refusal(answer))
            if etag_of(answer.headers) != self.etag or extent(answer) != (first, self.size):
                raise ObjectChanged
            missing = last - first + 1
            async with aclosing(answer.iter_chunks()) as chunks:
                async for chunk in chunks:
                    missing -= len(chunk)
                    yield chunk
            if missing:
                raise UpstreamUnavailable(
                    "the upstream server's answer is not the part of the object that was asked for"
                )


async def find_copied(call: Call, source: Source) -> CopiedObject:
    """What a copy reads, authenticated when it is sealed; the conditions of the copy hold.

    Raises:
        UpstreamRefused: there is no such object, or it may not be read.
        IntegrityError: it is not what a sealed object consists of, or not sealed where everything has to be.
        GatewayError: a condition does not hold, a key is missing, or the upstream failed.
    """
    place = source.place
    stored = StoredObject(
        bucket=place.bucket,
        object_key=place.object_key,
        raw_object_key=place.raw_object_key,
        version_id=place.version_id,
        encryption=source.read_headers(),
        fields=_read_fields(call.request.raw.headers),
    )
    reader = ObjectReader(call.services.sealed, call.services.metrics, call.send_request)
    found = await reader.find(stored)
    if found.refusal is not None:
        raise UpstreamRefused(found.refusal)
    if found.layout is None:
        with reader.reporting(stored):
            _require_plaintext_allowed(call, source)
        copied = await _plain(call, source, stored, found, reader)
    else:
        layout = found.layout
        headers = found.headers.without((MARKER,))
        copied = CopiedObject(source, stored, headers, layout.etag, layout.plaintext_bytes, layout, call, reader)
    modified = copied.headers.get("last-modified")
    check_copy_conditions(call.request.raw.headers, etag=copied.shown_etag, last_modified=modified)
    return copied


def _require_plaintext_allowed(call: Call, source: Source) -> None:
    """Refuse a source that is not sealed where everything has to be."""
    rule = stored_rule(call.services.rules, source.place.bucket, source.place.object_key)
    if rule is not None and rule.mode is ModeName.CSE and rule.existing is Existing.NONE:
        raise IntegrityError(Fault.NOT_SEALED, "it is not sealed, and the rule about it lets nothing else exist")


async def _plain(call: Call, source: Source, stored: StoredObject, found: Found, reader: ObjectReader) -> CopiedObject:
    """An object that is not sealed. The answer to a range of an empty one says nothing about it, so it is asked for."""
    headers = found.headers
    size = (headers.get("content-range") or "").rpartition("/")[2] or headers.get("content-length") or ""
    if found.status == _NOT_SATISFIABLE:
        async with call.send_request(stored.head()) as answer:
            if not is_success(answer.status) or answer.headers.get("content-length") != "0" or MARKER in answer.headers:
                raise ObjectChanged
            headers, size = answer.headers, "0"
    if not size.isdigit():
        raise UpstreamUnavailable("The upstream server did not state the size of the source of a copy.")
    return CopiedObject(source, stored, headers, etag_of(headers), int(size), None, call, reader)


def _read_fields(requested: Headers) -> Headers:
    """The header fields of a copy that go with every read of its source."""
    owner, payer = requested.get(SOURCE_OWNER), requested.get(_REQUEST_PAYER)
    fields = ((_OWNER, owner), (_REQUEST_PAYER, payer))
    return Headers((name, value) for name, value in fields if value is not None)
