"""From plaintext to the body that goes upstream: sealed while it passes, its size known beforehand.

The last bytes of a sealed message come after the last bytes of its plaintext, so whoever withholds those until they
were verified withholds the end of the message too: what failed verification is never complete upstream.
"""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from gateway.crypto.sealed.envelope import OBJECT_ID_BYTES, Envelope, Kind
from gateway.crypto.sealed.geometry import MAX_PLAINTEXT_BYTES, MAX_SEALED_BYTES, sealed_size
from gateway.crypto.sealed.identity import location_of, upload_object_id
from gateway.crypto.sealed.message import MessageSealer
from gateway.errors import S3Error
from gateway.keys.data_keys import DataKeys
from gateway.server.handlers.upload_body import BUFFERED_BODY_BYTES
from gateway.server.sealed.staging import Draft
from gateway.upstream.body import Body, BufferedBody, StreamedBody

_OVERHEAD: Final = MAX_SEALED_BYTES - MAX_PLAINTEXT_BYTES


@dataclass(frozen=True, slots=True)
class SealingTarget:
    """What a message becomes part of.

    Attributes:
        wrapping_key: the configured name of the wrapping key.
        location: of the object.
        object_id: of the object.
        kind: what the message holds.
        part_number: of a part; 0 otherwise.
    """

    wrapping_key: str
    location: bytes
    object_id: bytes
    kind: Kind = Kind.WHOLE
    part_number: int = 0

    @classmethod
    def whole(cls, wrapping_key: str, bucket: str, object_key: str) -> "SealingTarget":
        """A new object that is written at once."""
        return cls(wrapping_key, location_of(bucket, object_key), secrets.token_bytes(OBJECT_ID_BYTES))

    @classmethod
    def part(cls, wrapping_key: str, bucket: str, object_key: str, upload_id: str, part_number: int) -> "SealingTarget":
        """A part of a multipart upload; ``upload_id`` is the upstream's."""
        location = location_of(bucket, object_key)
        return cls(wrapping_key, location, upload_object_id(upload_id), Kind.PART, part_number)


def require_sealable(plaintext_bytes: int) -> None:
    """Refuse what would not fit into one PutObject or UploadPart once it is sealed.

    Raises:
        S3Error: EntityTooLarge.
    """
    if plaintext_bytes > MAX_PLAINTEXT_BYTES:
        raise S3Error(
            "EntityTooLarge",
            "Your proposed upload exceeds the maximum allowed size: it is encrypted by the gateway, so the limit is "
            f"5 GiB less {_OVERHEAD} bytes of overhead.",
            details=(("ProposedSize", str(plaintext_bytes)), ("MaxSizeAllowed", str(MAX_PLAINTEXT_BYTES))),
        )


async def sealed_body(
    data_keys: DataKeys,
    target: SealingTarget,
    plaintext_bytes: int,
    pieces: AsyncIterator[bytes],
    draft: Draft | None = None,
) -> Body:
    """The sealed message as a body.

    A small one is read, and so verified, before this returns, and can be sent again. A larger one streams.

    Args:
        data_keys: gives the data key.
        target: what the message becomes part of.
        plaintext_bytes: the exact size of the plaintext.
        pieces: the plaintext; its last piece comes only when all of it is right.
        draft: gets the sealed bytes too.

    Raises:
        S3Error: EntityTooLarge; or whatever ``pieces`` raises.
        KeyUnavailable: there is no data key.
        UpstreamUnavailable: the draft does not take the bytes.
    """
    require_sealable(plaintext_bytes)
    data_key = await data_keys.for_sealing(target.wrapping_key, plaintext_bytes)
    envelope = Envelope(
        kind=target.kind,
        part_number=target.part_number,
        plaintext_bytes=plaintext_bytes,
        object_id=target.object_id,
        location=target.location,
        wrapping_key=data_key.wrapping_key,
        wrapped_data_key=data_key.wrapped,
    )
    sealed = _SealedPieces(MessageSealer(data_key.key, envelope), pieces, draft)
    if plaintext_bytes > BUFFERED_BODY_BYTES:
        return StreamedBody(sealed_size(plaintext_bytes), sealed)
    return BufferedBody(b"".join([piece async for piece in sealed]))


class _SealedPieces:
    """The stored bytes of one message, as its plaintext comes.

    Args:
        sealer: seals it.
        pieces: the plaintext.
        draft: gets the sealed bytes too.
    """

    __slots__ = ("_draft", "_ended", "_pieces", "_sealer")

    def __init__(self, sealer: MessageSealer, pieces: AsyncIterator[bytes], draft: Draft | None) -> None:
        self._sealer = sealer
        self._pieces = pieces
        self._draft = draft
        self._ended = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        sealed = b""
        while not sealed:
            if self._ended:
                raise StopAsyncIteration
            piece = await anext(self._pieces, None)
            try:
                if piece is None:
                    sealed = self._sealer.finish()
                    self._ended = True
                else:
                    sealed = self._sealer.update(piece)
            except ValueError as error:
                raise S3Error(
                    "IncompleteBody",
                    "You did not provide the number of bytes specified by the Content-Length HTTP header.",
                ) from error
        if self._draft is not None:
            await self._draft.write(sealed)
        return sealed
