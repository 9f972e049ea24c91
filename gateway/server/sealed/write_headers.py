"""What goes upstream with sealed bytes, and what comes back: claims about the plaintext stay with the client."""

from collections.abc import Mapping
from typing import Final

from gateway.crypto.sealed.marker import MARKER, Marker
from gateway.errors import S3Error
from gateway.modes.shown_etag import shown_etag, stored_condition
from gateway.policy.rules import Existing
from gateway.s3.checksums import Algorithm
from gateway.s3.headers import Headers
from gateway.server.handlers.call import Call, is_success
from gateway.server.sealed.answers import shown_headers
from gateway.server.sealed.stored import StoredObject

_CHECKSUM_PREFIX: Final = "x-amz-checksum-"
CHECKSUM_TYPE: Final = "x-amz-checksum-type"
_ABOUT_PLAINTEXT: Final = frozenset({"content-md5", "x-amz-sdk-checksum-algorithm", "x-amz-mp-object-size"})
_WRITE_OFFSET: Final = "x-amz-write-offset-bytes"
_CONDITIONS: Final = ("if-match", "if-none-match")
#: What an answer may say of the size of the stored object.
_OBJECT_SIZE: Final = "x-amz-object-size"


def refuse_marker(received: Headers) -> None:
    """Refuse metadata that would make an object look sealed.

    Raises:
        S3Error: InvalidArgument.
    """
    if MARKER in received:
        raise S3Error(
            "InvalidArgument",
            f"The metadata entry {MARKER} is the gateway's own.",
            details=(("ArgumentName", MARKER),),
        )


def refuse_append(received: Headers) -> None:
    """Refuse to append to a sealed object: what is sealed can not grow.

    Raises:
        S3Error: NotImplemented.
    """
    if _WRITE_OFFSET in received:
        raise S3Error(
            "NotImplemented",
            "A header you provided implies functionality that is not implemented.",
            details=(("Header", _WRITE_OFFSET),),
        )


def about_sealed_bytes(headers: Headers) -> Headers:
    """Without whatever describes the plaintext's bytes: the server would compare it with the sealed ones."""
    return Headers.of(
        [
            field
            for field in headers.fields
            if field[0] not in _ABOUT_PLAINTEXT and not field[0].startswith(_CHECKSUM_PREFIX)
        ]
    )


def marked(headers: Headers, marker: Marker) -> Headers:
    """With the metadata entry of a sealed object."""
    return headers.replacing(((MARKER, marker.render()),))


def written_headers(answered: Headers, checksums: Mapping[Algorithm, str], *, whole_object: bool = False) -> Headers:
    """The header fields of the answer to a write: the client's own checksum, which was verified, and no other.

    Args:
        answered: the upstream's.
        checksums: what was verified.
        whole_object: whether an object was written, whose checksum S3 gives a type.
    """
    echoed = [(algorithm.header, value) for algorithm, value in checksums.items()]
    if echoed and whole_object:
        echoed.append((CHECKSUM_TYPE, "FULL_OBJECT"))
    length = [(name, value) for name, value in answered if name == "content-length"]
    return shown_headers(answered).without((_OBJECT_SIZE,)).replacing((*length, *echoed))


async def stored_write_conditions(call: Call, headers: Headers, encryption: Headers) -> Headers:
    """``headers`` with If-Match and If-None-Match in the server's terms; the server evaluates them, so they are atomic.

    Where objects that are not sealed may exist, an ETag may mean a sealed object or one that is not. The object itself
    tells; when it is replaced by one of the other kind at the same time, the server finds another ETag in any case.

    Args:
        call: the request.
        headers: what is going to be sent.
        encryption: the encryption header fields that a request about the object needs.
    """
    stated = [(name, value) for name in _CONDITIONS if (value := headers.get(name)) is not None]
    translated = [(name, stored_condition(value)) for name, value in stated]
    if translated == stated:
        return headers
    rule = call.authorized.rule
    if rule is not None and rule.existing is Existing.PLAINTEXT:
        stored = StoredObject(
            call.bucket,
            call.object_key,
            call.request.raw_object_key or "",
            version_id=call.request.query.get("versionId"),
            encryption=encryption,
        )
        if not await would_be_sealed(call, stored):
            return headers
    return headers.replacing(translated)


async def would_be_sealed(call: Call, stored: StoredObject) -> bool:
    """Whether the object that is there now is sealed; what is not there may be called either."""
    async with call.send_request(stored.head()) as answer:
        return not is_success(answer.status) or MARKER in answer.headers


def shown_result_etag(etag: str) -> str:
    """The ETag in a result document; some servers leave it out."""
    return shown_etag(etag) if etag.strip('"') else etag
