"""Which key version an object was last read or written with: a hint that saves trying the others.

The hint may be wrong, when somebody else overwrote the object; the reader then tries the other versions.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable

#: Objects remembered; about 300 bytes each, whatever the length of their names.
DEFAULT_CAPACITY = 50_000
#: How long an object is remembered.
DEFAULT_TTL_SECONDS = 3600.0


class VersionCache:
    """A bounded map from (bucket, object key) to key version; the least recently used makes room.

    Args:
        capacity: most objects remembered; 0 remembers nothing.
        ttl_seconds: longest time an object is remembered.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        capacity: int = DEFAULT_CAPACITY,
        ttl_seconds: float = DEFAULT_TTL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._capacity = capacity
        self._ttl_seconds = ttl_seconds
        self._clock = clock
        self._entries: OrderedDict[bytes, tuple[int, float]] = OrderedDict()

    def recall(self, bucket: str, object_key: str) -> int | None:
        """The version remembered, or None."""
        name = _digest(bucket, object_key)
        entry = self._entries.get(name)
        if entry is None:
            return None
        version, expires_at = entry
        if self._clock() >= expires_at:
            del self._entries[name]
            return None
        self._entries.move_to_end(name)
        return version

    def remember(self, bucket: str, object_key: str, version: int) -> None:
        """Note that ``version`` is the one of this object."""
        name = _digest(bucket, object_key)
        self._entries[name] = (version, self._clock() + self._ttl_seconds)
        self._entries.move_to_end(name)
        while len(self._entries) > self._capacity:
            self._entries.popitem(last=False)

    def forget(self, bucket: str, object_key: str) -> None:
        """Forget the object, because it was deleted or its version did not fit."""
        self._entries.pop(_digest(bucket, object_key), None)

    def __len__(self) -> int:
        return len(self._entries)


def _digest(bucket: str, object_key: str) -> bytes:
    """A short name for an object: 1,024-byte keys would make the cache's size unpredictable."""
    data = bucket.encode("utf-8", "surrogateescape")
    digest = hashlib.blake2b(len(data).to_bytes(2, "big") + data, digest_size=16)
    digest.update(object_key.encode("utf-8", "surrogateescape"))
    return digest.digest()
