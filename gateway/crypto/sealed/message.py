"""Sealed messages: an envelope, followed by the plaintext in C2SP chunked-encryption, instance Cobblestone-256.

    key 32 || base nonce 12 || commitment 32
             = HKDF-Expand(SHA-512, data key, label || 0x00 || salt || context)
    label    = "c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM"
    context  = "sealgate/v1" || 0x00 || envelope
    message  = salt 24 || commitment 32 || chunks
    chunk i  = AES-256-GCM(key, nonce = base nonce XOR i, no additional data, up to 16 KiB of plaintext)

Whole messages stream through the implementation of the ``cryptography`` package. It can not begin in the middle, so
random access does the same steps chunk by chunk with its HKDF and AES-GCM.

Nothing here returns a byte of plaintext whose tag was not checked.

Source: https://c2sp.org/chunked-encryption
"""

import hmac
from dataclasses import dataclass, field
from typing import TypeAlias

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from gateway.crypto.sealed.envelope import Envelope
from gateway.crypto.sealed.faults import Fault
from gateway.crypto.sealed.geometry import (
    COMMITMENT_BYTES,
    ENVELOPE_BYTES,
    HEAD_BYTES,
    SALT_BYTES,
    SEALED_CHUNK_BYTES,
    ChunkSpan,
    sealed_chunk_size,
    sealed_size,
)
from gateway.errors import IntegrityError
from gateway.redact import SecretBytes

Buffer: TypeAlias = bytes | bytearray | memoryview

CONTEXT_LABEL = b"sealgate/v1\0"
_HKDF_LABEL = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0"
_KEY_BYTES = 32
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class MessageKeys:
    """What opens the chunks of one message whose commitment was checked.

    Attributes:
        aead: AES-256-GCM under the message's own key.
        base_nonce: combined with a chunk's number it gives the chunk's nonce.
    """

    aead: AESGCM = field(repr=False)
    base_nonce: int = field(repr=False)

    def open_chunk(self, number: int, sealed: Buffer) -> bytes:
        """The plaintext of chunk ``number``.

        Raises:
            IntegrityError: ``chunk``.
        """
        nonce = (self.base_nonce ^ number).to_bytes(_NONCE_BYTES, "big")
        try:
            return self.aead.decrypt(nonce, sealed, None)
        except InvalidTag:
            raise IntegrityError(Fault.CHUNK, "a chunk of it was changed or exchanged") from None


@dataclass(frozen=True, slots=True)
class MessageHead:
    """The first 568 bytes of a message.

    Attributes:
        envelope: what the message says about itself.
        data: all of them.
    """

    envelope: Envelope
    data: bytes = field(repr=False)

    @property
    def salt(self) -> bytes:
        """What makes the message's keys its own."""
        return self.data[ENVELOPE_BYTES : ENVELOPE_BYTES + SALT_BYTES]

    @property
    def commitment(self) -> bytes:
        """What proves, together with the data key, that envelope and salt are as they were written."""
        return self.data[ENVELOPE_BYTES + SALT_BYTES :]

    @property
    def context(self) -> bytes:
        """What the encryption of the message is bound to."""
        return CONTEXT_LABEL + self.data[:ENVELOPE_BYTES]

    @classmethod
    def parse(cls, data: Buffer) -> "MessageHead":
        """Read the head of a message. What it says is not authenticated before :meth:`unlock`.

        Args:
            data: exactly the first 568 bytes.

        Raises:
            IntegrityError: ``not_sealed``, ``version``, ``kind`` or ``envelope``.
        """
        data = bytes(data)
        envelope = Envelope.parse(data[:ENVELOPE_BYTES])
        if len(data) != HEAD_BYTES:
            raise IntegrityError(Fault.ENVELOPE, "the envelope is not complete")
        return cls(envelope, data)

    def unlock(self, data_key: SecretBytes) -> MessageKeys:
        """Check the commitment, which authenticates the envelope, and derive the message's keys.

        Raises:
            IntegrityError: ``commitment``.
        """
        derived = HKDFExpand(
            SHA512(),
            _KEY_BYTES + _NONCE_BYTES + COMMITMENT_BYTES,
            _HKDF_LABEL + self.salt + self.context,
        ).derive(data_key.reveal())
        if not hmac.compare_digest(derived[_KEY_BYTES + _NONCE_BYTES :], self.commitment):
            raise _commitment_fault()
        base_nonce = int.from_bytes(derived[_KEY_BYTES : _KEY_BYTES + _NONCE_BYTES], "big")
        return MessageKeys(AESGCM(derived[:_KEY_BYTES]), base_nonce)


class MessageSealer:
    """Seals one message as its plaintext arrives.

    Args:
        data_key: 32 bytes; every message gets fresh keys from it by a random salt.
        envelope: what the message says about itself; its plaintext size is binding.
    """

    __slots__ = ("_encryptor", "_left", "_unsent")

    def __init__(self, data_key: SecretBytes, envelope: Envelope) -> None:
        self._unsent = envelope.render()
        self._encryptor = Cobblestone256Encryptor(data_key.reveal(), CONTEXT_LABEL + self._unsent)
        self._left = envelope.plaintext_bytes

    def update(self, plaintext: Buffer) -> bytes:
        """The stored bytes that can be given out after ``plaintext``; the first ones begin with the envelope.

        Raises:
            ValueError: there is more plaintext than the envelope says.
        """
        self._left -= len(plaintext)
        if self._left < 0:
            raise ValueError("there is more plaintext than the envelope says")
        return self._after_envelope(self._encryptor.update(plaintext))

    def finish(self) -> bytes:
        """The message's last stored bytes.

        Raises:
            ValueError: there was less plaintext than the envelope says.
        """
        if self._left:
            raise ValueError("there is not as much plaintext as the envelope says")
        return self._after_envelope(self._encryptor.finalize())

    def _after_envelope(self, sealed: bytes) -> bytes:
        if self._unsent:
            sealed, self._unsent = self._unsent + sealed, b""
        return sealed


class MessageOpener:
    """Opens one whole message as its stored bytes arrive.

    Args:
        data_key: the data key that the envelope's wrapped key stands for.
        head: the message's first 568 bytes.

    Raises:
        IntegrityError: ``commitment``.
    """

    __slots__ = ("_decryptor", "_left")

    def __init__(self, data_key: SecretBytes, head: MessageHead) -> None:
        self._decryptor = Cobblestone256Decryptor(data_key.reveal(), head.context)
        self._left = head.envelope.plaintext_bytes
        try:
            self._decryptor.update(head.data[ENVELOPE_BYTES:])
        except InvalidTag:
            raise _commitment_fault() from None

    def update(self, sealed: Buffer) -> bytes:
        """The verified plaintext that the stored bytes after the head bring.

        Raises:
            IntegrityError: ``chunk`` or ``size``; the opener is of no use afterwards.
        """
        try:
            plaintext = self._decryptor.update(sealed)
        except InvalidTag:
            raise IntegrityError(Fault.CHUNK, "a chunk of it was changed or exchanged") from None
        return self._counted(plaintext)

    def finish(self) -> bytes:
        """The rest of the verified plaintext, once every stored byte was given to :meth:`update`.

        Raises:
            IntegrityError: ``chunk`` or ``size``, also when the message was cut short.
        """
        try:
            plaintext = self._decryptor.finalize()
        except InvalidTag:
            raise IntegrityError(Fault.CHUNK, "its last chunk is missing, or was changed or extended") from None
        plaintext = self._counted(plaintext)
        if self._left:
            raise _size_fault()
        return plaintext

    def _counted(self, plaintext: bytes) -> bytes:
        self._left -= len(plaintext)
        if self._left < 0:
            raise _size_fault()
        return plaintext


class ChunkOpener:
    """Opens a range of one message as the stored bytes of its chunks arrive.

    Truncation can not pass for a shorter message: the size comes from an authenticated envelope, and fixes the
    number and length of every chunk.

    Args:
        keys: the message's keys.
        message_plaintext_bytes: the authenticated plaintext size of the message.
        span: the chunks that are going to come, and the range that is asked for.
    """

    __slots__ = ("_keys", "_last_chunk", "_last_chunk_bytes", "_next_chunk", "_pending", "_skip", "_wanted")

    def __init__(self, keys: MessageKeys, message_plaintext_bytes: int, span: ChunkSpan) -> None:
        self._keys = keys
        self._next_chunk = span.first_chunk
        self._last_chunk = span.last_chunk
        self._last_chunk_bytes = sealed_chunk_size(message_plaintext_bytes, span.last_chunk)
        self._skip = span.skip
        self._wanted = span.plaintext_bytes
        #: The beginning of a chunk whose rest has not come yet.
        self._pending = bytearray()

    def update(self, sealed: Buffer) -> bytes:
        """The verified plaintext, cut to the range, that these stored bytes bring.

        Raises:
            IntegrityError: ``chunk``, or ``size`` when there are bytes after the last chunk.
        """
        view = memoryview(sealed)
        opened: list[Buffer] = []
        if self._pending:
            missing = self._next_chunk_bytes() - len(self._pending)
            self._pending += view[:missing]
            view = view[missing:]
            if len(self._pending) < self._next_chunk_bytes():
                return b""
            opened.append(self._open(self._pending))
            self._pending = bytearray()
        position = 0
        while self._next_chunk <= self._last_chunk and len(view) - position >= self._next_chunk_bytes():
            end = position + self._next_chunk_bytes()
            opened.append(self._open(view[position:end]))
            position = end
        if self._next_chunk <= self._last_chunk:
            self._pending += view[position:]
        elif position < len(view):
            raise _size_fault()
        return _joined(opened)

    def finish(self) -> bytes:
        """Check that every chunk came; there is no plaintext left to return.

        Raises:
            IntegrityError: ``chunk`` when stored bytes are missing.
        """
        if self._next_chunk <= self._last_chunk:
            raise IntegrityError(Fault.CHUNK, "chunks of it are missing")
        return b""

    def _next_chunk_bytes(self) -> int:
        return SEALED_CHUNK_BYTES if self._next_chunk < self._last_chunk else self._last_chunk_bytes

    def _open(self, sealed: Buffer) -> Buffer:
        plaintext: Buffer = self._keys.open_chunk(self._next_chunk, sealed)
        self._next_chunk += 1
        if self._skip or len(plaintext) > self._wanted:
            plaintext = memoryview(plaintext)[self._skip : self._skip + self._wanted]
            self._skip = 0
        self._wanted -= len(plaintext)
        return plaintext


def seal_message(data_key: SecretBytes, envelope: Envelope, plaintext: Buffer) -> bytes:
    """A whole sealed message, envelope included.

    Raises:
        ValueError: the plaintext has another size than the envelope says.
    """
    sealer = MessageSealer(data_key, envelope)
    return sealer.update(plaintext) + sealer.finish()


def open_message(data_key: SecretBytes, sealed: Buffer) -> bytes:
    """The plaintext of a whole sealed message, envelope included. The caller checks what the envelope says.

    Raises:
        IntegrityError: something about the bytes does not hold.
    """
    view = memoryview(sealed)
    head = MessageHead.parse(view[:HEAD_BYTES])
    opener = MessageOpener(data_key, head)
    if len(view) != sealed_size(head.envelope.plaintext_bytes):
        raise _size_fault()
    return opener.update(view[HEAD_BYTES:]) + opener.finish()


def _joined(pieces: list[Buffer]) -> bytes:
    if len(pieces) == 1:
        # Without a copy, unless it was cut.
        return bytes(pieces[0])
    return b"".join(pieces)


def _commitment_fault() -> IntegrityError:
    return IntegrityError(Fault.COMMITMENT, "its envelope was changed, or it was sealed with another data key")


def _size_fault() -> IntegrityError:
    return IntegrityError(Fault.SIZE, "it has another size than its envelope says")
