"""Sealed objects put into a store without any gateway, by what the format says."""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.crypto.sealed.closing import PartTable, seal_closing
from gateway.crypto.sealed.envelope import Envelope, Kind
from gateway.crypto.sealed.identity import location_of
from gateway.crypto.sealed.marker import Marker
from gateway.crypto.sealed.message import seal_message
from gateway.keys.local import LocalKeyProvider
from gateway.keys.provider import DataKey
from lab.s3_server import S3Client
from lab.sealing import keyring_in

METADATA = "sealgate"


@dataclass(frozen=True, slots=True)
class Stored:
    """One sealed object.

    Attributes:
        data: what clients should see.
        stored: what the store holds.
        etag: the store's ETag, quotes included.
        part_sizes: the sizes of its parts; none for a whole object.
        version_id: its version, in a bucket that keeps them.
    """

    data: bytes = field(repr=False)
    stored: bytes = field(repr=False)
    etag: str
    part_sizes: tuple[int, ...] = ()
    version_id: str | None = None


class SealedStore:
    """Seals and stores.

    Args:
        direct: a client straight to the store.
        directory: where the gateway's keyring is.
    """

    def __init__(self, direct: S3Client, directory: Path) -> None:
        self.direct = direct
        self._provider = LocalKeyProvider.open(keyring_in(directory))

    def data_key(self) -> DataKey:
        return asyncio.run(self._provider.generate())

    def put(self, bucket: str, key: str, data: bytes, **options: Any) -> Stored:
        """An object of one PutObject; ``options`` are boto3's."""
        sealed = _message(self.data_key(), Kind.WHOLE, 0, data, secrets.token_bytes(16), location_of(bucket, key))
        return self.put_stored(bucket, key, data, sealed, marker=Marker(len(data), None).render(), **options)

    def put_stored(
        self, bucket: str, key: str, data: bytes, stored: bytes, *, marker: str | None, **options: Any
    ) -> Stored:
        """These bytes, whatever they are, with this marker."""
        metadata = options.pop("Metadata", {}) | ({} if marker is None else {METADATA: marker})
        put = self.direct.put_object(Bucket=bucket, Key=key, Body=stored, Metadata=metadata, **options)
        return Stored(data, stored, put["ETag"], version_id=put.get("VersionId"))

    def put_parts(self, bucket: str, key: str, parts: Sequence[bytes], **options: Any) -> Stored:
        """A multipart object; every part has a data key of its own, and the closing is a part of its own."""
        object_id, location = secrets.token_bytes(16), location_of(bucket, key)
        sealed = [
            _message(self.data_key(), Kind.PART, number, part, object_id, location)
            for number, part in enumerate(parts, 1)
        ]
        sizes = tuple(len(part) for part in parts)
        table = PartTable.of(list(enumerate(sizes, 1)))
        data_key = self.data_key()
        closing = seal_closing(data_key.key, object_id, location, data_key.wrapping_key, data_key.wrapped, table)
        metadata = options.pop("Metadata", {}) | {METADATA: Marker(None, None).render()}
        where = {"Bucket": bucket, "Key": key}
        upload_id = self.direct.create_multipart_upload(**where, Metadata=metadata, **options)["UploadId"]
        upload = where | {"UploadId": upload_id}
        customer = {name: value for name, value in options.items() if name.startswith("SSECustomer")}
        listed = [
            {
                "PartNumber": number,
                "ETag": self.direct.upload_part(**upload, PartNumber=number, Body=body, **customer)["ETag"],
            }
            for number, body in enumerate(_uploaded(sealed, closing), 1)
        ]
        self.direct.complete_multipart_upload(**upload, MultipartUpload={"Parts": listed})
        head = self.direct.head_object(**where, **customer)  # RGW does not say the ETag before
        return Stored(b"".join(parts), b"".join([*sealed, closing]), head["ETag"], sizes, head.get("VersionId"))


def _uploaded(sealed: list[bytes], closing: bytes) -> list[bytes]:
    """A last part that is too small for a part in the middle goes up together with the closing."""
    if len(sealed[-1]) < 5 * 2**20:
        return [*sealed[:-1], sealed[-1] + closing]
    return [*sealed, closing]


def _message(data_key: DataKey, kind: Kind, number: int, data: bytes, object_id: bytes, location: bytes) -> bytes:
    envelope = Envelope(kind, number, len(data), object_id, location, data_key.wrapping_key, data_key.wrapped)
    return seal_message(data_key.key, envelope, data)
