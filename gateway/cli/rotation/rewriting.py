"""One object gets the encryption that it shall have: a copy of it onto itself, as the gateway makes copies.

The copy is bound to the object that was looked at, twice. ``x-amz-copy-source-if-match`` binds what is read, and
``If-Match`` what is overwritten, which the server evaluates in one step with the write: a newer object of a client is
never overwritten. Whether a server does evaluate it is tried out first, with an ETag that no object has.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from gateway.cli.rotation.pace import Pace
from gateway.cli.rotation.protection import Gone, Protected
from gateway.cli.stored.source import SourceUnavailable
from gateway.crypto.sealed.geometry import MAX_SEALED_BYTES
from gateway.errors import ConfigError, GatewayError
from gateway.modes.shown_etag import shown_etag
from gateway.policy.rules import ModeName
from gateway.s3.copy_conditions import IF_MATCH as SOURCE_IF_MATCH
from gateway.s3.copy_source import CopySource
from gateway.s3.headers import Headers
from gateway.s3.operation import Operation
from gateway.s3.query import EMPTY_QUERY
from gateway.s3.xml import element_text, parse_error
from gateway.server.handlers.call import MAX_DOCUMENT_BYTES
from gateway.server.handlers.stream_copy import COPY_SOURCE
from gateway.server.private_gateway import PrivateGateway
from gateway.upstream.body import EmptyBody
from gateway.upstream.request import UpstreamRequest

#: No object has it: MD5 of nothing that anybody knows.
_NO_ETAG: Final = '"00000000000000000000000000000000"'
#: What CopyObject does not take from its source. Source: Amazon S3 API Reference, CopyObject.
_NOT_COPIED: Final = (
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
    "x-amz-object-lock-legal-hold",
)
_CHANGED: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})
_PASSING: Final = frozenset({500, 502, 503, 504})
_PASSING_CODES: Final = frozenset({"ServiceUnavailable", "SlowDown", "InternalError"})
_PAUSES: Final = (1.0, 2.0, 4.0)
_MISSING: Final = 404
_NO_CONDITIONS: Final = (
    "the store does not evaluate If-Match, so that a write of a client could be overwritten by an older object: "
    "stop the writers and use --without-if-match"
)  #: MinIO evaluates If-Match with the new customer key, which does not fit the object that is there.
_ADVICE: Final = " (where the store can not evaluate If-Match here: stop the writers and use --without-if-match)"
_BAD_REQUEST: Final = 400


#: From which encryption to which, and whether in parts: a server may copy some objects by itself, and leave others to
#: the gateway.
_Way: TypeAlias = tuple[frozenset[ModeName], ModeName, bool]


class Changed(GatewayError):
    """A client wrote the object meanwhile; it was left alone."""


class NotRewritten(GatewayError):
    """The copy failed. The object is as it was."""


@dataclass(frozen=True, slots=True)
class Content:
    """The plaintext of an object.

    Attributes:
        size: bytes.
        sha256: their SHA-256 in hexadecimal.
    """

    size: int
    sha256: str


class _Answer(NamedTuple):
    """What the store said to a copy.

    Attributes:
        status: of HTTP.
        code: of the error; empty for a success.
        message: of the error.
        etag: of the object that was written, as clients see it; empty when the answer does not say.
    """

    status: int
    code: str
    message: str = ""
    etag: str = ""


class Rewriter:
    """Copies objects onto themselves.

    Args:
        gateway: does it.
        transfer: limits the bytes that are read.
        unconditional: do not send If-Match: for servers that do not evaluate it, or refuse it always. What a client
            writes while its object is copied is then overwritten.
    """

    def __init__(self, gateway: PrivateGateway, transfer: Pace, *, unconditional: bool) -> None:
        self._gateway = gateway
        self._transfer = transfer
        self._unconditional = unconditional
        self._evaluates: set[_Way] = set()
        self._trying: dict[_Way, asyncio.Lock] = {}

    async def rewrite(self, found: Protected, mode: ModeName) -> str:
        """Write the object anew, with the encryption of its rule, which is of this mode.

        Returns:
            The ETag of what was written, as clients see it; empty when the store does not say.

        Raises:
            Changed: it is another object by now.
            NotRewritten: the copy failed.
            ConfigError: the server does not evaluate If-Match, and that was not allowed.
            GatewayError: the store gave no answer.
        """
        await self._transfer.take(found.stored_bytes)
        if self._unconditional:
            return await self._copy(found, None)
        way = frozenset(guard.mode for guard in found.guards), mode, found.stored_bytes > MAX_SEALED_BYTES
        async with self._trying.setdefault(way, asyncio.Lock()):
            written = None if way in self._evaluates else await self._tried_out(found, way)
        return await self._copy(found, _target_etag(found, mode)) if written is None else written

    async def content(self, found: Protected) -> Content:
        """Read an object to its end, as a client would.

        Raises:
            Changed: it is another object by now.
            SourceUnavailable: it can not be read.
            GatewayError: there is no answer, or it breaks off: something in it is not authentic.
        """
        await self._transfer.take(found.stored_bytes)
        headers = Headers((("if-match", _shown(found)),))
        async with self._gateway.ask(_request(found.place, Operation.GET_OBJECT, "GET", headers)) as answer:
            if answer.status in {412, _MISSING}:
                raise Changed("it was overwritten while it was read")
            if answer.status != 200:
                error = parse_error(await answer.read(MAX_DOCUMENT_BYTES))
                reason = f"HTTP {answer.status}" if error is None else f"{error.code}: {error.message}"
                raise SourceUnavailable(f"can not be read: {reason}")
            digest, size = hashlib.sha256(), 0
            async for chunk in answer.iter_chunks():
                digest.update(chunk)
                size += len(chunk)
        return Content(size, digest.hexdigest())

    async def _tried_out(self, found: Protected, way: _Way) -> str | None:
        """Copy under a condition that does not hold.

        Returns:
            The ETag of the copy when it was made all the same, None when it was refused. The server's own copy may
            evaluate less than its writes: then it is not used any more.
        """
        try:
            written = await self._copy(found, _NO_ETAG)
        except Changed:
            self._evaluates.add(way)
            return None
        copies, mode = self._gateway.services.copies, way[1]
        if copies.by_server(Operation.COPY_OBJECT, mode):
            copies.note_unproven(Operation.COPY_OBJECT, mode)
            return written
        raise ConfigError((_NO_CONDITIONS,))

    async def _copy(self, found: Protected, condition: str | None) -> str:
        """The ETag of what was written."""
        for pause in (*_PAUSES, None):
            answer = await self._answer(found, condition)
            if not answer.code:
                return answer.etag
            if answer.code in _CHANGED or answer.status == 412:
                raise Changed("it was overwritten meanwhile")
            if answer.status == _MISSING:
                raise Gone("it was deleted meanwhile")
            if answer.status not in _PASSING or pause is None:
                advice = _ADVICE if answer.status == _BAD_REQUEST and condition else ""
                raise NotRewritten(f"{answer.code}: {answer.message}{advice}")
            await asyncio.sleep(pause)
        raise AssertionError("internal error: the last attempt returns or raises")

    async def _answer(self, found: Protected, condition: str | None) -> _Answer:
        headers = [
            (COPY_SOURCE, found.place.render()),
            (SOURCE_IF_MATCH, _shown(found)),
            *((name, value) for name in _NOT_COPIED if (value := found.headers.get(name)) is not None),
        ]
        if condition is not None:
            headers.append(("if-match", condition))
        request = _request(found.place, Operation.COPY_OBJECT, "PUT", Headers(headers))
        async with self._gateway.ask(request) as answer:
            body = await answer.read(MAX_DOCUMENT_BYTES)
            error, status = parse_error(body), answer.status
            if error is None and status == 200:
                return _Answer(status, "", etag=element_text(body, "ETag") or "")
            if error is None:
                return _Answer(status, f"HTTP {status}")
            # An error that comes late has lost its status.
            late = status == 200 and error.code in _PASSING_CODES
            return _Answer(503 if late else status, error.code, error.message)


def is_named(found: Protected, etag: str) -> bool:
    """Whether the object has this ETag, as clients see it. Documents of some stores leave the quotes out."""
    return _shown(found).strip('"') == etag.strip('"')


def _shown(found: Protected) -> str:
    """The ETag of an object as clients see it."""
    return shown_etag(found.etag) if found.sealed else found.etag


def _target_etag(found: Protected, mode: ModeName) -> str:
    """The ETag of what is overwritten: where sealed objects are written it is translated, and nowhere else."""
    return _shown(found) if mode is ModeName.CSE else found.etag


def _request(place: CopySource, operation: Operation, method: str, headers: Headers) -> UpstreamRequest:
    return UpstreamRequest(operation, method, place.bucket, place.raw_object_key, EMPTY_QUERY, headers, EmptyBody())
