"""ListObjects, ListObjectsV2 and ListObjectVersions where objects are sealed: clients see the sizes of their own bytes.

The size of an object that one PutObject stored follows from its stored size. A multipart object says how many parts it
has only inside its closing, so it is looked up once; what is known of it is kept by bucket, object key and ETag.
"""

import asyncio
from collections.abc import Iterator
from urllib.parse import quote

from aiohttp import web

from gateway.crypto.sealed.geometry import plaintext_size, sealed_size
from gateway.errors import GatewayError, UpstreamUnavailable
from gateway.event_log import get_logger
from gateway.modes.plan import plan
from gateway.modes.shown_etag import counts_parts, shown_etag
from gateway.policy.choice import stored_rules
from gateway.policy.rules import Existing, ModeName
from gateway.s3.forwarding import encryption_headers_of
from gateway.s3.headers import Headers
from gateway.s3.listing import Correction, ListedObject, correct_listing, parse_listing
from gateway.server.handlers.call import Call, is_success
from gateway.server.handlers.forward import forward
from gateway.server.respond import buffered, stream
from gateway.server.sealed.layouts import Layout
from gateway.server.sealed.opening import ObjectReader
from gateway.server.sealed.stored import StoredObject

#: The largest listing that is edited, bytes: 1,000 entries with keys of 1,024 bytes, each byte as ``%XX``, and owners.
MAX_LISTING_BYTES = 16 * 1024 * 1024
#: Objects that one listing looks up at a time.
LOOKUPS_AT_A_TIME = 16

_SMALLEST_BYTES = sealed_size(0)
# To look them up in their classes for each of 1,000 entries takes 4 % of the time of a listing.
_CSE = ModeName.CSE
_NONE = Existing.NONE
#: Header fields of a listing that go with every look-up too.
_READ_FIELDS = frozenset({"x-amz-request-payer", "x-amz-expected-bucket-owner"})

_log = get_logger("gateway.server.sealed.listing")


async def list_objects(call: Call) -> web.StreamResponse:
    """Answer a listing; that of a bucket without ``cse`` rules passes through.

    Raises:
        GatewayError: the upstream failed.
    """
    if not any(rule.mode is ModeName.CSE and rule.matches_bucket(call.bucket) for rule in call.services.rules):
        return await forward(call)
    async with call.send(plan(call.authorized, encryption_headers_of(call.request.raw.headers))) as answer:
        call.note_answer(answer)
        if not is_success(answer.status):
            return await stream(call.http, call.exchange, answer)
        body = await answer.read(MAX_LISTING_BYTES)
    corrections = await _Corrector(call).corrections(parse_listing(body))
    return buffered(call.http, call.exchange, answer.status, answer.headers, correct_listing(body, corrections))


class _Corrector:
    """What clients see of the entries of one listing."""

    def __init__(self, call: Call) -> None:
        self._bucket = call.bucket
        self._rule_of = stored_rules(call.services.rules, call.bucket)
        self._fields = Headers(field for field in call.request.raw.headers if field[0] in _READ_FIELDS)
        self._layouts = call.services.sealed.layouts
        self._reader = ObjectReader(call.services.sealed, call.services.metrics, call.send_request)
        self._found: list[Correction] = []
        self._failures: list[GatewayError] = []

    async def corrections(self, entries: list[ListedObject]) -> list[Correction]:
        unknown = [entry for entry in entries if not self._settled(entry)]
        if unknown:
            await self._look_up(unknown)
        return self._found

    def _settled(self, entry: ListedObject) -> bool:
        """Whether nothing has to be asked about an entry."""
        rule = self._rule_of(entry.object_key)
        if rule is None or rule.mode is not _CSE or entry.stored_bytes is None:
            return True
        # Everything here is sealed, and one PutObject stored it: its size follows from the stored size.
        if rule.existing is _NONE and not counts_parts(entry.etag):
            size = plaintext_size(entry.stored_bytes)
            if size is not None:
                self._show(entry, size)
            return True
        if entry.stored_bytes < _SMALLEST_BYTES:
            return True
        known = self._layouts.get(self._bucket, entry.object_key, _quoted(entry.etag))
        if isinstance(known, Layout):
            self._show(entry, known.plaintext_bytes)
        return known is not None

    async def _look_up(self, unknown: list[ListedObject]) -> None:
        waiting = iter(unknown)
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(LOOKUPS_AT_A_TIME, len(unknown))):
                workers.create_task(self._work(waiting))
        if self._failures:
            # Their stored sizes are shown: one damaged object must not hide all others.
            _log.warning(
                "sizes in a listing could not be found",
                bucket=self._bucket,
                objects=len(self._failures),
                first=str(self._failures[0]),
            )

    async def _work(self, waiting: Iterator[ListedObject]) -> None:
        for entry in waiting:
            try:
                await self._ask(entry)
            except GatewayError as error:
                self._failures.append(error)
                self._show(entry, None)

    async def _ask(self, entry: ListedObject) -> None:
        stored = StoredObject(
            bucket=self._bucket,
            object_key=entry.object_key,
            raw_object_key=quote(entry.object_key, safe="/-_.~", errors="surrogateescape"),
            version_id=entry.version_id,
            fields=self._fields,
        )
        found = await self._reader.find(stored, likely_multipart=counts_parts(entry.etag))
        if found.layout is not None:
            # An object that was overwritten after the listing was made has another size.
            same = found.layout.etag == _quoted(entry.etag)
            self._show(entry, found.layout.plaintext_bytes if same else None)
        elif found.refusal is not None:
            # Archived, or removed in between.
            self._failures.append(UpstreamUnavailable(f"the upstream server answered {found.refusal.status}"))
            self._show(entry, None)

    def _show(self, entry: ListedObject, size: int | None) -> None:
        self._found.append(Correction(entry, size, shown_etag(entry.etag) if entry.etag else ""))


def _quoted(etag: str) -> str:
    return etag if etag.startswith('"') else f'"{etag}"'
