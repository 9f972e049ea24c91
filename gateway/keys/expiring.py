"""Values that leave memory when their time is over, also when nobody asks for them again."""

import asyncio
from collections.abc import Callable
from typing import Generic, Literal, TypeVar

K = TypeVar("K")
V = TypeVar("V")

#: Why an entry was dropped without being asked to: its time was over, or a newer entry needed the room.
DropReason = Literal["age", "capacity"]


class ExpiringMap(Generic[K, V]):
    """A small map whose entries drop themselves. Belongs to one event loop.

    Secrets overwrite themselves with their last reference (:mod:`gateway.redact`), so dropping one is what it takes.

    Args:
        capacity: most entries held; the oldest makes room.
        dropped: told of every entry that the map drops by itself.
    """

    __slots__ = ("_capacity", "_dropped", "_entries")

    def __init__(self, capacity: int, dropped: Callable[[DropReason], None] | None = None) -> None:
        self._capacity = capacity
        self._dropped = dropped
        self._entries: dict[K, tuple[V, asyncio.TimerHandle]] = {}

    def put(self, key: K, value: V, seconds: float) -> None:
        """Hold ``value`` for ``seconds`` from now."""
        self.drop(key)
        if len(self._entries) >= self._capacity:
            self._drop_itself(next(iter(self._entries)), "capacity")
        timer = asyncio.get_running_loop().call_later(seconds, self._drop_itself, key, "age")
        self._entries[key] = (value, timer)

    def get(self, key: K) -> V | None:
        """The value, or None when there is none or its time is over."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        # The timer may be late when the loop is busy; its own due time decides.
        if asyncio.get_running_loop().time() >= entry[1].when():
            self._drop_itself(key, "age")
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

    def _drop_itself(self, key: K, reason: DropReason) -> None:
        self.drop(key)
        if self._dropped is not None:
            self._dropped(reason)
