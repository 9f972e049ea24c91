"""The staging store: sealed parts that S3 will not give back before the end of their upload.

A part below 5 MiB can only be the last one. The closing of its object has to follow it, and S3 takes a small part in
last place only, so on CompleteMultipartUpload the part is uploaded once more with the closing behind it. Its sealed
bytes are kept here until then. Whoever reads the store sees ciphertext, and names that are hashes.
"""

import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from typing import Final, Protocol

from gateway.s3.part_list import StoredPart

_ETAG_HASH_DIGITS: Final = 32
#: The largest record of a part of the gateway's own, bytes.
MAX_RECORD_BYTES: Final = 8 * 1024


@dataclass(frozen=True, slots=True)
class StagedUpload:
    """The upload that something is kept for.

    Attributes:
        bucket: the bucket's name.
        object_key: the decoded object key.
        upload_id: the upstream server's upload id.
    """

    bucket: str
    object_key: str
    upload_id: str

    @property
    def name(self) -> str:
        """64 hexadecimal digits, another one for each upload."""
        digest = hashlib.sha256(b"sealgate staging")
        for text in (self.bucket, self.object_key, self.upload_id):
            data = text.encode("utf-8", "surrogateescape")
            digest.update(len(data).to_bytes(4, "big") + data)
        return digest.hexdigest()


def part_name(part_number: int, etag: str) -> str:
    """The name of one upload of one part: no bytes that a client or a server chose are in it.

    Args:
        part_number: 1 to 10,000.
        etag: the upstream's ETag of the part, with or without quotes.
    """
    bare = etag.strip('"').encode("utf-8", "surrogateescape")
    return f"{part_number:05d}-{hashlib.sha256(bare).hexdigest()[:_ETAG_HASH_DIGITS]}"


@dataclass(frozen=True, slots=True)
class OwnPart:
    """A part that the gateway uploads to complete an upload.

    Attributes:
        number: its part number.
        stored_bytes: its stored size.
        etag: the upstream's ETag of it; None in a record that is made before there is one, in case it gets lost.
        replaced: the client's own part that it takes the place of; None when there was none of that number.
    """

    number: int
    stored_bytes: int
    etag: str | None
    replaced: StoredPart | None = None

    @property
    def name(self) -> str:
        """The record's name."""
        if self.etag is not None:
            return part_name(self.number, self.etag)
        return "pending-" + part_name(self.number, "" if self.replaced is None else self.replaced.etag)

    def is_at(self, part: StoredPart) -> bool:
        """Whether the upstream lists this part."""
        if part.number != self.number or part.stored_bytes != self.stored_bytes:
            return False
        if self.etag is not None:
            return part.etag.strip('"') == self.etag.strip('"')
        return self.replaced is not None and part.etag.strip('"') != self.replaced.etag.strip('"')

    def render(self) -> bytes:
        """The record."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def parse(cls, data: bytes) -> "OwnPart":
        """Read a record.

        Raises:
            ValueError: it is none.
        """
        try:
            fields = json.loads(data)
            replaced = fields.pop("replaced")
            return cls(**fields, replaced=None if replaced is None else StoredPart(**replaced))
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise ValueError("this is no record of a part") from error


@dataclass(frozen=True, slots=True)
class StagedPart:
    """The sealed bytes of one part.

    Attributes:
        size: bytes.
        pieces: the bytes, once.
    """

    size: int
    pieces: AsyncIterator[bytes]


class Draft(Protocol):
    """The sealed bytes of a part while it is uploaded. Nobody sees them before :meth:`publish`."""

    async def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            UpstreamUnavailable: the store does not take them.
        """

    async def publish(self, etag: str) -> None:
        """Keep the bytes as the part that the upstream gave this ETag; they survive a crash from here on.

        Raises:
            UpstreamUnavailable: the store does not keep them.
        """

    async def discard(self) -> None:
        """Forget the bytes, unless they were published. May be called at any time, any number of times."""


class Staging(Protocol):
    """Where sealed parts are kept. Several processes may use one store at the same time."""

    async def draft(self, upload: StagedUpload, part_number: int, size: int) -> Draft:
        """Begin to keep a part of ``size`` bytes.

        Raises:
            UpstreamUnavailable: the store does not work.
        """

    async def part(self, upload: StagedUpload, part_number: int, etag: str) -> StagedPart | None:
        """The sealed bytes of a part under exactly this ETag, or None.

        Raises:
            UpstreamUnavailable: the store does not work.
        """

    async def note_own(self, upload: StagedUpload, part: OwnPart) -> None:
        """Remember that a part of the upload is the gateway's own and none that a client sent.

        Raises:
            UpstreamUnavailable: the store does not work.
        """

    async def own_parts(self, upload: StagedUpload) -> tuple[OwnPart, ...]:
        """Every part of the upload that is, or was, the gateway's own.

        Raises:
            UpstreamUnavailable: the store does not work.
        """

    async def clear(self, upload: StagedUpload) -> None:
        """Forget everything about an upload. What can not be removed now is swept later."""

    async def sweep(self, maximum_age_seconds: float) -> int:
        """Remove uploads that nothing was kept for within this time, and drafts that were given up.

        Returns:
            How many were removed.
        """

    async def aclose(self) -> None:
        """Stop using the store."""
