"""What is measured: which requests, how large, over how many connections."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB
_NAMES: Final = {1 * KIB: "1 KiB", 64 * KIB: "64 KiB", 1 * MIB: "1 MiB", 16 * MIB: "16 MiB", 256 * MIB: "256 MiB"}


class Kind(Enum):
    """What one request does."""

    PUT = "PUT"
    GET = "GET"
    #: As today's SDKs upload: ``aws-chunked`` with a CRC-32 behind the data, which the gateway verifies.
    PUT_TRAILER = "PUT with trailing CRC-32"
    RANGE = "GET of 64 KiB inside"
    LIST = "LIST of 1,000 keys"
    MULTIPART = "multipart PUT"
    FIRST_BYTE = "first byte of GET"


@dataclass(frozen=True, slots=True)
class Load:
    """Requests of one kind.

    Attributes:
        kind: what each does.
        size: bytes of the object; of the whole answer for a list.
        connections: how many at a time, each with one request after the other.
    """

    kind: Kind
    size: int
    connections: int

    @property
    def name(self) -> str:
        if self.kind is Kind.LIST:
            return str(self.kind.value)
        return f"{self.kind.value} {_NAMES[self.size]}"

    @property
    def payload_bytes(self) -> int:
        """Bytes of object data that one request moves."""
        match self.kind:
            case Kind.LIST:
                return 0
            case Kind.RANGE:
                return 64 * KIB
            case _:
                return self.size

    @property
    def is_long(self) -> bool:
        """Whether one round takes seconds, however short it is meant to be: large objects and many handshakes do."""
        return self.payload_bytes >= _LONG_BYTES or self.connections >= _LONG_CONNECTIONS


_LONG_BYTES: Final = 64 * MIB
_LONG_CONNECTIONS: Final = 128
_SIMPLE = (Kind.PUT, Kind.GET)
#: Sixteen or more transfers of 256 MiB at a time take longer than they teach: four keep every proxy busy.
FULL: Final = (
    *(Load(kind, size, count) for size in (KIB, 64 * KIB, MIB) for kind in _SIMPLE for count in (1, 16, 128)),
    *(Load(kind, 256 * MIB, count) for kind in _SIMPLE for count in (1, 4)),
    Load(Kind.PUT_TRAILER, KIB, 16),
    Load(Kind.PUT_TRAILER, MIB, 16),
    Load(Kind.RANGE, 256 * MIB, 16),
    Load(Kind.LIST, 0, 16),
    Load(Kind.MULTIPART, 256 * MIB, 4),
    Load(Kind.FIRST_BYTE, KIB, 1),
    Load(Kind.FIRST_BYTE, MIB, 1),
)
QUICK: Final = (
    *(Load(kind, KIB, 16) for kind in _SIMPLE),
    *(Load(kind, 256 * MIB, 1) for kind in _SIMPLE),
    Load(Kind.FIRST_BYTE, KIB, 1),
)
#: With a real store, whose own work is the larger part.
REALISTIC: Final = (
    *(Load(kind, size, 16) for size in (KIB, MIB) for kind in _SIMPLE),
    *(Load(kind, 16 * MIB, 4) for kind in _SIMPLE),
)
