"""Opens stored objects, written from docs/format.md alone; shares no code with the gateway."""

import base64
import hashlib
import hmac
import re
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

MARKER = re.compile(r"v1(;size=(0|[1-9][0-9]{0,15}))?(;alias=([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]))?")


def check(holds: object, fault: str) -> None:
    if not holds:
        raise ValueError(fault)


def aes_gcm(key: bytes, nonce: bytes, sealed: bytes, associated: bytes, fault: str) -> bytes:
    try:
        return AESGCM(key).decrypt(nonce, sealed, associated)
    except InvalidTag:
        raise ValueError(fault) from None


def message_size(n: int) -> int:
    return 568 + n + 16 * (n // 16384 + 1)


class Message:
    def __init__(self, data: bytes, *kinds: int) -> None:
        check(data[:8] == b"sealgate", "not_sealed")
        check(len(data) >= 568, "envelope")
        version, self.kind, length, self.number, self.size = struct.unpack(">BBHIQ", data[8:24])
        check(version == 1, "version")
        check(self.kind in kinds, "kind")
        self.object_id, self.location, a, b = struct.unpack(">16s32sHH", data[24:76])
        self.uri, self.wrapped = data[76 : 76 + a], data[76 + a : 76 + a + b]
        check(length == 512 and a and b and a + b <= 436 and self.size <= 5363470776, "envelope")
        check(1 <= self.number <= 10000 if self.kind == 1 else self.number == 0, "envelope")
        check(all(0x21 <= byte <= 0x7E for byte in self.uri) and not any(data[76 + a + b : 512]), "envelope")
        self.data, self.stored_size = data[: message_size(self.size)], message_size(self.size)

    def authenticate(self, keys: dict[str, bytes]) -> None:
        wrapping_key, key_id = keys.get(self.uri.decode(), b""), self.uri.removeprefix(b"local:")
        check(wrapping_key, "key_unavailable")
        self.data_key = aes_gcm(wrapping_key, self.wrapped[:12], self.wrapped[12:], key_id, "key_unavailable")
        info = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0" + self.data[512:536]
        derived = HKDFExpand(SHA512(), 76, info + b"sealgate/v1\0" + self.data[:512]).derive(self.data_key)
        check(hmac.compare_digest(derived[44:], self.data[536:568]), "commitment")
        self.key, self.base_nonce = derived[:32], int.from_bytes(derived[32:44], "big")

    def plaintext(self) -> bytes:
        nonces = {568 + 16400 * i: (self.base_nonce ^ i).to_bytes(12, "big") for i in range(self.size // 16384 + 1)}
        return b"".join(aes_gcm(self.key, n, self.data[at:][:16400], b"", "chunk") for at, n in nonces.items())


def read_table(data: bytes) -> list[tuple[int, int]]:
    runs, after, previous = list(struct.iter_unpack(">IIQ", data[4:-8])), 1, None
    for first, count, size in runs:
        fits = after <= first <= 10001 - count < 10001 and size <= 5363470776
        check(fits and (first, size) != (after, previous), "closing")
        after, previous = first + count, size
    check(data[:4] + data[-8:] == struct.pack(">IQ", len(runs), sum(n * size for _, n, size in runs)), "closing")
    return [(number, size) for first, count, size in runs for number in range(first, first + count)]


def open_object(stored: bytes, keys: dict[str, bytes], place: list[bytes], marker: str = "v1") -> bytes:
    stated = MARKER.fullmatch(marker) or [""] * 5
    check(stated[0], "marker")
    message, table, expected = Message(stored, 0, 1), list[tuple[int, int]](), len(stored)
    if message.kind == 1:
        magic, expected, zero = struct.unpack(">8sII", stored[-16:])
        possible = expected in {message_size(12 + 16 * runs) for runs in range(1, 10001)}
        check(magic == b"sealgate" and zero == 0 and possible and expected + 16 <= len(stored), "trailer")
        message = Message(stored[-16 - expected : -16], 2)
    message.authenticate(keys)
    if message.kind == 2:
        check(message.stored_size == expected, "size")
        table = read_table(message.plaintext())
    here = hashlib.sha256(b"".join(struct.pack(">H", len(name)) + name for name in place)).digest()
    alias_key = HKDFExpand(SHA512(), 32, b"sealgate/v1 alias" + message.object_id).derive(message.data_key)
    proof = hmac.digest(alias_key, here + message.object_id, "sha256")
    alias = base64.urlsafe_b64decode((stated[4] or "") + "=")
    check(not place or message.location == here or hmac.compare_digest(alias, proof), "location")
    trailer_size, parts_size = 8 * message.kind, sum(message_size(size) for _, size in table)
    check(parts_size + message.stored_size + trailer_size == len(stored), "size")
    plaintext, offset = b"" if message.kind == 2 else message.plaintext(), 0
    for number, size in table:
        part = Message(stored[offset:][: message_size(size)], 1)
        part.authenticate(keys)
        check(part.object_id == message.object_id, "object_id")
        check(part.location == message.location, "location")
        check((part.number, part.size) == (number, size), "part")
        plaintext, offset = plaintext + part.plaintext(), offset + part.stored_size
    check(stated[2] in {None, str(len(plaintext))}, "marker")
    return plaintext
