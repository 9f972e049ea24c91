"""The envelope: 512 bytes in the clear that say what a sealed message is and which wrapping key opens it.

The whole envelope is the context of the message's encryption, so the key commitment authenticates every byte of it.
Until that was checked, nothing that an envelope says is to be believed.
"""

import re
import struct
from dataclasses import dataclass
from enum import IntEnum

from gateway.crypto.sealed.faults import Fault
from gateway.crypto.sealed.geometry import ENVELOPE_BYTES, MAX_PARTS, MAX_PLAINTEXT_BYTES
from gateway.errors import IntegrityError

MAGIC = b"sealgate"
FORMAT_VERSION = 1
OBJECT_ID_BYTES = 16
LOCATION_BYTES = 32

#: Magic, version, kind, envelope length, part number, plaintext size, object id, location, two lengths.
_FIXED = struct.Struct(">8sBBHIQ16s32sHH")
#: What is left for the wrapping key's URI and the wrapped data key together.
MAX_KEY_FIELDS_BYTES = ENVELOPE_BYTES - _FIXED.size
#: Visible ASCII: a URI needs no more, and nothing in it can look like something else.
_URI = re.compile(rb"[!-~]+")


class Kind(IntEnum):
    """What a message holds."""

    WHOLE = 0
    PART = 1
    CLOSING = 2


_KINDS = frozenset(Kind)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What one sealed message says about itself.

    Attributes:
        kind: what the message holds.
        part_number: 1 to 10,000 for a part; 0 otherwise.
        plaintext_bytes: the size of the message's plaintext.
        object_id: 16 bytes, the same in all messages of one object.
        location: 32 bytes, the hash of the bucket and object key that the object was sealed for.
        wrapping_key: the URI of the key that wraps the data key, such as ``local:2026-01``.
        wrapped_data_key: the data key as the key provider wrapped it.

    Raises:
        ValueError: a value is none that an envelope can state.
    """

    kind: Kind
    part_number: int
    plaintext_bytes: int
    object_id: bytes
    location: bytes
    wrapping_key: str
    wrapped_data_key: bytes

    def __post_init__(self) -> None:
        fault = _fault_of(self)
        if fault is not None:
            raise ValueError(fault)

    def render(self) -> bytes:
        """The envelope's 512 bytes."""
        uri = self.wrapping_key.encode("ascii")
        fixed = _FIXED.pack(
            MAGIC,
            FORMAT_VERSION,
            self.kind,
            ENVELOPE_BYTES,
            self.part_number,
            self.plaintext_bytes,
            self.object_id,
            self.location,
            len(uri),
            len(self.wrapped_data_key),
        )
        return (fixed + uri + self.wrapped_data_key).ljust(ENVELOPE_BYTES, b"\0")

    @classmethod
    def parse(cls, data: bytes | bytearray | memoryview) -> "Envelope":
        """Read an envelope. What it says is not authenticated yet.

        Args:
            data: exactly the 512 bytes.

        Raises:
            IntegrityError: ``not_sealed``, ``version``, ``kind`` or ``envelope``.
        """
        data = bytes(data)
        if not data.startswith(MAGIC):
            raise IntegrityError(Fault.NOT_SEALED, "it does not begin with an envelope")
        if len(data) != ENVELOPE_BYTES:
            raise IntegrityError(Fault.ENVELOPE, "the envelope is not complete")
        _, version, kind, length, number, plaintext_bytes, object_id, location, uri_bytes, wrapped_bytes = (
            _FIXED.unpack_from(data)
        )
        if version != FORMAT_VERSION:
            raise IntegrityError(Fault.VERSION, f"format version {version} is not known")
        if kind not in _KINDS:
            raise IntegrityError(Fault.KIND, f"messages of kind {kind} are not known")
        end = _FIXED.size + uri_bytes + wrapped_bytes
        if length != ENVELOPE_BYTES or end > ENVELOPE_BYTES:
            raise IntegrityError(Fault.ENVELOPE, "a length in the envelope is impossible")
        if any(data[end:]):
            raise IntegrityError(Fault.ENVELOPE, "the envelope's padding is not zero")
        uri = data[_FIXED.size : _FIXED.size + uri_bytes]
        wrapped = data[_FIXED.size + uri_bytes : end]
        try:
            # latin-1 never fails and keeps bytes beyond ASCII apart, which the constructor refuses.
            return cls(Kind(kind), number, plaintext_bytes, object_id, location, uri.decode("latin-1"), wrapped)
        except ValueError as error:
            raise IntegrityError(Fault.ENVELOPE, str(error)) from None


def _fault_of(envelope: Envelope) -> str | None:
    uri = envelope.wrapping_key.encode("utf-8", "surrogateescape")
    numbers = range(1, MAX_PARTS + 1) if envelope.kind is Kind.PART else range(1)
    if envelope.part_number not in numbers:
        return "the envelope's part number is impossible"
    if not 0 <= envelope.plaintext_bytes <= MAX_PLAINTEXT_BYTES:
        return "the envelope's plaintext size is impossible"
    if len(envelope.object_id) != OBJECT_ID_BYTES or len(envelope.location) != LOCATION_BYTES:
        return "the envelope's object id or location has a wrong size"
    if not _URI.fullmatch(uri):
        return "the envelope's wrapping key is no URI"
    if not envelope.wrapped_data_key:
        return "the envelope has no wrapped data key"
    if len(uri) + len(envelope.wrapped_data_key) > MAX_KEY_FIELDS_BYTES:
        return "the wrapping key's URI and the wrapped data key do not fit into an envelope"
    return None
