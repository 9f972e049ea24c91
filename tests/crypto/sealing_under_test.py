"""Values that several tests of the sealed format use."""

from gateway.crypto.sealed.envelope import Envelope, Kind
from gateway.crypto.sealed.identity import location_of
from gateway.redact import SecretBytes

DATA_KEY = SecretBytes(bytes(range(1, 33)))
OTHER_KEY = SecretBytes(bytes(range(2, 34)))
OBJECT_ID = bytes(range(16))
LOCATION = location_of("orders", "2026/11.csv")
WRAPPED = b"w" * 60
#: Around every border of chunks.
SIZES = (0, 1, 15, 16, 16_383, 16_384, 16_385, 32_767, 32_768, 32_769, 100_000)


def envelope(size: int, *, kind: Kind = Kind.WHOLE, number: int = 0) -> Envelope:
    return Envelope(kind, number, size, OBJECT_ID, LOCATION, "local:2026", WRAPPED)


def plaintext(size: int) -> bytes:
    """Bytes in which every chunk differs from every other."""
    return b"".join(n.to_bytes(4, "big") for n in range(size // 4 + 1))[:size]
