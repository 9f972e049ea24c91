"""Sealed bytes made step by step from docs/format.md, with any field set to anything: for vectors and attacks.

Independent of the package: nothing is imported from it, and the random values of a real writer come from a counter.
"""

import hashlib
import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

WHOLE, PART, CLOSING = 0, 1, 2
CHUNK = 16_384


class Counter:
    """Bytes that look random and are the same each time.

    Args:
        seed: another seed, other bytes.
    """

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._drawn = 0

    def draw(self, size: int) -> bytes:
        self._drawn += 1
        return hashlib.shake_256(f"sealgate vectors {self._seed} {self._drawn}".encode()).digest(size)


@dataclass(frozen=True, slots=True)
class RawEnvelope:
    """An envelope whose every field can be wrong."""

    kind: int = WHOLE
    part_number: int = 0
    plaintext_bytes: int = 0
    object_id: bytes = bytes(16)
    location: bytes = bytes(32)
    uri: bytes = b"local:x"
    wrapped: bytes = b"w"
    magic: bytes = b"sealgate"
    version: int = 1
    length: int = 512
    uri_bytes: int | None = None
    wrapped_bytes: int | None = None
    padding_end: bytes = b""

    def render(self) -> bytes:
        fixed = struct.pack(">8sBBHIQ", *self._numbers()) + self.object_id + self.location
        lengths = (
            len(self.uri) if self.uri_bytes is None else self.uri_bytes,
            len(self.wrapped) if self.wrapped_bytes is None else self.wrapped_bytes,
        )
        data = fixed + struct.pack(">HH", *lengths) + self.uri + self.wrapped
        return data.ljust(512 - len(self.padding_end), b"\0") + self.padding_end

    def _numbers(self) -> tuple[bytes, int, int, int, int, int]:
        return self.magic, self.version, self.kind, self.length, self.part_number, self.plaintext_bytes


def body(data_key: bytes, envelope: bytes, plaintext: bytes, salt: bytes) -> list[bytes]:
    """Salt with commitment, and then each chunk."""
    info = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0" + salt + b"sealgate/v1\0" + envelope
    derived = HKDFExpand(SHA512(), 76, info).derive(data_key)
    cipher, base = AESGCM(derived[:32]), int.from_bytes(derived[32:44], "big")
    pieces = [salt + derived[44:]]
    for number in range(len(plaintext) // CHUNK + 1):
        nonce = (base ^ number).to_bytes(12, "big")
        pieces.append(cipher.encrypt(nonce, plaintext[CHUNK * number : CHUNK * (number + 1)], None))
    return pieces


def table(*runs: tuple[int, int, int], total: int | None = None, count: int | None = None) -> bytes:
    """A part table of (first number, count, size) runs."""
    data = struct.pack(">I", len(runs) if count is None else count)
    for run in runs:
        data += struct.pack(">IIQ", *run)
    return data + struct.pack(">Q", sum(parts * size for _, parts, size in runs) if total is None else total)


def trailer(closing_bytes: int, *, magic: bytes = b"sealgate", reserved: int = 0) -> bytes:
    return struct.pack(">8sII", magic, closing_bytes, reserved)


def location(bucket: str, object_key: str) -> bytes:
    names = [name.encode() for name in (bucket, object_key)]
    return hashlib.sha256(b"".join(struct.pack(">H", len(name)) + name for name in names)).digest()


def upload_object_id(upload_id: str) -> bytes:
    return hashlib.sha256(b"sealgate upload" + upload_id.encode()).digest()[:16]


def alias_proof(data_key: bytes, object_id: bytes, place: bytes) -> bytes:
    key = HKDFExpand(SHA512(), 32, b"sealgate/v1 alias" + object_id).derive(data_key)
    return hmac.digest(key, place + object_id, "sha256")


@dataclass(slots=True)
class RawSealer:
    """Makes the messages of one object.

    Attributes:
        counter: where salts, keys and nonces come from.
        object_id: of all messages.
        place: the location in all envelopes.
        uri: the wrapping key's URI.
        wrapping_key: 32 bytes.
        data_key: 32 bytes; made when first needed.
    """

    counter: Counter
    object_id: bytes
    place: bytes
    uri: str
    wrapping_key: bytes
    data_key: bytes = b""
    wrapped: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.data_key = self.data_key or self.counter.draw(32)
        nonce = self.counter.draw(12)
        key_id = self.uri.removeprefix("local:").encode()
        self.wrapped = nonce + AESGCM(self.wrapping_key).encrypt(nonce, self.data_key, key_id)

    def envelope(self, kind: int, number: int, size: int) -> RawEnvelope:
        return RawEnvelope(kind, number, size, self.object_id, self.place, self.uri.encode(), self.wrapped)

    def pieces(self, envelope: RawEnvelope, plaintext: bytes) -> list[bytes]:
        """Envelope, salt with commitment, and each chunk."""
        rendered = envelope.render()
        return [rendered, *body(self.data_key, rendered, plaintext, self.counter.draw(24))]

    def message(self, place: int, number: int, plaintext: bytes, **changed: object) -> bytes:
        """A message of the kind ``place``; ``changed`` fields of its envelope are wrong, and authentic."""
        envelope = replace(self.envelope(place, number, len(plaintext)), **changed)  # type: ignore[arg-type] # of any type
        return b"".join(self.pieces(envelope, plaintext))

    def whole(self, plaintext: bytes, **changed: object) -> bytes:
        return self.message(WHOLE, 0, plaintext, **changed)

    def part(self, number: int, plaintext: bytes, **changed: object) -> bytes:
        return self.message(PART, number, plaintext, **changed)

    def closing(self, table: bytes, **changed: object) -> bytes:
        """A closing with its trailer."""
        message = self.message(CLOSING, 0, table, **changed)
        return message + trailer(len(message))

    def multipart(self, parts: Sequence[tuple[int, bytes]]) -> bytes:
        """A whole multipart object, without merging runs longer than they are: consecutive equal sizes are one."""
        runs: list[tuple[int, int, int]] = []
        for number, plaintext in parts:
            if runs and runs[-1][0] + runs[-1][1] == number and runs[-1][2] == len(plaintext):
                runs[-1] = (runs[-1][0], runs[-1][1] + 1, len(plaintext))
            else:
                runs.append((number, 1, len(plaintext)))
        return b"".join(self.part(*part) for part in parts) + self.closing(table(*runs))
