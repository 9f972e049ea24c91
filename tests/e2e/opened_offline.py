"""Stored bytes opened without the gateway: what it wrote is what the format says, whoever reads it."""

import asyncio
from dataclasses import dataclass
from typing import Any

from gateway.crypto.sealed.closing import PartTable, closing_size_in_trailer, open_closing
from gateway.crypto.sealed.envelope import Envelope, Kind
from gateway.crypto.sealed.geometry import ENVELOPE_BYTES, TRAILER_BYTES, sealed_size
from gateway.crypto.sealed.identity import location_of
from gateway.crypto.sealed.message import open_message
from gateway.keys.local import LocalKeyProvider
from gateway.redact import SecretBytes
from lab.s3_server import S3Client
from lab.sealing import keyring_in
from tests.e2e.stage import Stage


@dataclass(frozen=True, slots=True)
class Opened:
    """A stored object.

    Attributes:
        plaintext: its content.
        head: the store's own answer to HEAD.
        envelopes: of all messages, the closing's last.
        table: the parts of a multipart object.
    """

    plaintext: bytes
    head: dict[str, Any]
    envelopes: tuple[Envelope, ...]
    table: PartTable | None


def open_stored(stage: Stage, bucket: str, key: str, **arguments: Any) -> Opened:
    """The object in the store; every message is in its place and of one object."""
    stored, head = _stored(stage.direct, bucket, key, arguments)
    provider = LocalKeyProvider.open(keyring_in(stage.sealing))
    if Envelope.parse(stored[:ENVELOPE_BYTES]).kind is Kind.WHOLE:
        envelope, plaintext = _message(provider, stored)
        assert (envelope.part_number, envelope.location) == (0, location_of(bucket, key))
        assert head["Metadata"]["sealgate"] == f"v1;size={len(plaintext)}"
        return Opened(plaintext, head, (envelope,), None)
    assert head["Metadata"]["sealgate"] == "v1"
    closing_start = len(stored) - TRAILER_BYTES - closing_size_in_trailer(stored[-TRAILER_BYTES:])
    closing = stored[closing_start:-TRAILER_BYTES]
    last = Envelope.parse(closing[:ENVELOPE_BYTES])
    table = open_closing(_data_key(provider, last), closing)
    assert table.stored_bytes == closing_start
    messages = [
        (part.number, *_message(provider, stored[part.sealed_offset : part.sealed_offset + part.sealed_bytes]))
        for part in table.parts()
    ]
    for number, envelope, _ in messages:
        assert (envelope.kind, envelope.part_number) == (Kind.PART, number)
        assert (envelope.object_id, envelope.location) == (last.object_id, location_of(bucket, key))
    assert last.location == location_of(bucket, key)
    plaintext = b"".join(data for _, _, data in messages)
    return Opened(plaintext, head, (*(envelope for _, envelope, _ in messages), last), table)


def _stored(direct: S3Client, bucket: str, key: str, arguments: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    head: dict[str, Any] = direct.head_object(Bucket=bucket, Key=key, **arguments)
    data: bytes = direct.get_object(Bucket=bucket, Key=key, **arguments)["Body"].read()
    assert len(data) == head["ContentLength"]
    return data, head


def _message(provider: LocalKeyProvider, sealed: bytes) -> tuple[Envelope, bytes]:
    envelope = Envelope.parse(sealed[:ENVELOPE_BYTES])
    plaintext = open_message(_data_key(provider, envelope), sealed)
    assert len(sealed) == sealed_size(len(plaintext))
    return envelope, plaintext


def _data_key(provider: LocalKeyProvider, envelope: Envelope) -> SecretBytes:
    return asyncio.run(provider.unwrap(envelope.wrapping_key, envelope.wrapped_data_key))
