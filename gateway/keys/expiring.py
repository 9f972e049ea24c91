"""Values that leave memory when their time is over, also when nobody asks for them again."""

import asyncio
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class ExpiringMap(Generic[K, V]):
    """A small map whose entries drop themselves. Belongs to one event loop.

    Python can not overwrite a string or bytes object; dropping the last reference is what can be done.

    Args:
        capacity: most entries held; the oldest makes room.
    """

    __slots__ = ("_capacity", "_entries")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: dict[K, tuple[V, asyncio.TimerHandle]] = {}

    def put(self, key: K, value: V, seconds: float) -> None:
        """Hold ``value`` for ``seconds`` from now."""
        self.drop(key)
        if len(self._entries) >= self._capacity:
            self.drop(next(iter(self._entries)))
        self._entries[key] = (value, asyncio.get_running_loop().call_later(seconds, self.drop, key))

    def get(self, key: K) -> V | None:
        """The value, or None when there is none or its time is over."""
        entry = self._entries.get(key)
        # The timer may be late when the loop is busy; its own due time decides.
        if entry is None or asyncio.get_running_loop().time() >= entry[1].when():
            return None
        return entry[0]

    def drop(self, key: K) -> None:
        """Forget one entry."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            entry[1].cancel()

    def keep_only(self, keys: frozenset[K]) -> None:
        """Forget every entry that is not in ``keys``."""
        for key in tuple(self._entries):
            if key not in keys:
                self.drop(key)

    def __len__(self) -> int:
        return len(self._entries)
