"""How many requests per second a key service gets from all workers of one machine together.

The generic cell rate algorithm: a request is due one interval after the one before, and may come early by a few
intervals. In no second, wherever it begins, are there more requests than the limit. The few numbers that this takes are
in a file that the workers share, changed under a lock that the system releases when a worker dies.

Writes have a small part of the limit to themselves, so that they never starve; from the rest they take only while it is
not in demand. So reads go first. A service that throttles halves the rate, at most once a second, and it grows back.

Source: ITU-T I.371, annex A, "Generic cell rate algorithm"; AWS Builders' Library, "Fairness in multi-tenant systems".
"""

import asyncio
import fcntl
import math
import mmap
import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: Part of the limit that is given out in a second. The rest is for requests that are under way when the second begins:
#: they count where they arrive, and a busy machine or network may let them arrive late.
HEADROOM: Final = 0.85
#: Most requests of one process under way.
MOST_PLACES: Final = 8
#: Part of what is used that only writes take.
WRITE_SHARE: Final = 0.1
#: Part of a second's requests that may come at once.
BURST: Final = 0.1
#: A service that throttles gets at least this part of the rate.
LOWEST_RATE: Final = 0.05
#: How much of the rate comes back in a second.
RECOVERY_PER_SECOND: Final = 0.05
#: Shortest time between two halvings: throttled answers come in crowds.
HALVING_SECONDS: Final = 1.0
#: No request is due later than this from now at the full rate: an interval lasts a second at most, a burst about one.
_FURTHEST_SECONDS: Final = 3.0

#: The numbers of a state. Times are those of CLOCK_MONOTONIC, which all processes of a machine see alike.
_STATE: Final = struct.Struct("=dddd")
#: What a new file holds.
_NEW: Final = bytes(_STATE.size)


@dataclass(slots=True)
class _State:
    """What is shared.

    Attributes:
        common_due: when the next request is due in the part for everybody.
        write_due: the same in the writes' part.
        rate: the part of the rate that was used when it was last halved.
        halved: when that was.
    """

    common_due: float
    write_due: float
    rate: float
    halved: float

    def rate_at(self, now: float) -> float:
        """The part of the rate that is used now."""
        return min(1.0, self.rate + (now - self.halved) * RECOVERY_PER_SECOND)


@dataclass(frozen=True, slots=True)
class _Lane:
    """One part of the limit.

    Attributes:
        interval: seconds from one request to the next at the full rate.
        burst: how many may come at once.
    """

    interval: float
    burst: int

    @classmethod
    def of(cls, limit: float) -> "_Lane":
        """The lane in which no second has more than ``limit`` requests, 1 or more of them.

        With a limit that is no whole number, a second has one request more now and then.
        """
        burst = max(1, int(limit * BURST))
        # A second begins with the burst at most, and then has the requests that fall due inside it.
        return cls(1 / (limit - burst + 1), burst)


def _parts(used: float) -> tuple[float, float]:
    """Requests per second that everybody may make, and those that only writes may make, 0 when that is below 1."""
    write = used * WRITE_SHARE
    return (used - write, write) if write >= 1 else (used, 0.0)


class RateBucket:
    """The requests per second of one key service. Belongs to one process; the file makes it one for all of them.

    Args:
        limit_per_second: most requests in any second, at least 1.
        path: the file that the processes share; None for a process that is alone.
        clock: the time in seconds.
        processes: how many share the file.

    Attributes:
        places: one for each request of this process that may be under way. All processes together have no more than
            the headroom, so that however late requests arrive, no second of the service has more than the limit. Below
            seven requests per second and process there is one place all the same.

    Raises:
        OSError: the file can not be opened.
        ValueError: the limit is below 1.
    """

    def __init__(
        self,
        limit_per_second: float,
        path: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        processes: int = 1,
    ) -> None:
        if not limit_per_second >= 1:
            raise ValueError("a limit of at least one request per second is needed")
        used = max(1.0, limit_per_second * HEADROOM)
        if sum(map(math.ceil, _parts(used))) > limit_per_second:
            used = float(int(used))
        headroom = round(limit_per_second - used, 6)
        self.places = asyncio.Semaphore(min(MOST_PLACES, max(1, int(headroom / processes))))
        common, write = _parts(used)
        self._write_lane = _Lane.of(write) if write else None
        self._lane = _Lane.of(common)
        self._clock = clock
        self._descriptor: int | None = None
        self._memory: mmap.mmap | bytearray = bytearray(_STATE.size)
        if path is not None:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            os.ftruncate(self._descriptor, _STATE.size)
            self._memory = mmap.mmap(self._descriptor, _STATE.size)

    def take_read(self) -> float:
        """Take a request for a read: 0 when it may be made now, else the seconds after which to ask again."""
        with self._state() as (state, now):
            return self._read(state, now, take=True)

    def take_write(self) -> float:
        """Take a request for a write: 0 when it may be made now, else the seconds after which to ask again."""
        with self._state() as (state, now):
            return self._write(state, now, take=True)

    def read_wait(self) -> float:
        """What :meth:`take_read` would say now; nothing is taken."""
        with self._state() as (state, now):
            return self._read(state, now, take=False)

    def write_wait(self) -> float:
        """What :meth:`take_write` would say now; nothing is taken."""
        with self._state() as (state, now):
            return self._write(state, now, take=False)

    def throttled(self) -> None:
        """Note that the service wanted fewer requests."""
        with self._state() as (state, now):
            rate = state.rate_at(now)
            if rate == 1.0 or now - state.halved >= HALVING_SECONDS:
                state.rate, state.halved = max(LOWEST_RATE, rate / 2), now

    @property
    def rate(self) -> float:
        """The part of the rate that is used at present, 0.05 to 1."""
        with self._state() as (state, now):
            return state.rate_at(now)

    def close(self) -> None:
        """Let go of the file. It stays for the other processes."""
        if isinstance(self._memory, mmap.mmap):
            self._memory.close()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _read(self, state: _State, now: float, *, take: bool) -> float:
        return self._common(state, now, self._lane.burst, take=take)

    def _write(self, state: _State, now: float, *, take: bool) -> float:
        lane = self._write_lane
        if lane is None:
            return self._common(state, now, self._lane.burst, take=take)
        interval = lane.interval / state.rate_at(now)
        early = state.write_due - now - (lane.burst - 1) * interval
        if early <= 0:
            if take:
                state.write_due = max(state.write_due, now) + interval
            return 0.0
        # Only what reads leave: half of the burst is kept for them.
        return min(early, self._common(state, now, (self._lane.burst + 1) // 2, take=take))

    def _common(self, state: _State, now: float, burst: int, *, take: bool) -> float:
        interval = self._lane.interval / state.rate_at(now)
        early = state.common_due - now - (burst - 1) * interval
        if early <= 0:
            if take:
                state.common_due = max(state.common_due, now) + interval
            return 0.0
        return early

    @contextmanager
    def _state(self) -> Iterator[tuple[_State, float]]:
        """The state, which is kept when the block ends; nobody else sees or changes it meanwhile."""
        if self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            now = self._clock()
            state = self._sound(bytes(self._memory[: _STATE.size]), now)
            yield state, now
            _STATE.pack_into(self._memory, 0, state.common_due, state.write_due, state.rate, state.halved)
        finally:
            if self._descriptor is not None:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def _sound(self, data: bytes, now: float) -> _State:
        """The state, or a new one for a new file and for what can not be right: from before a restart, a torn write."""
        if data == _NEW:
            return _State(now, now, 1.0, now)
        state = _State(*_STATE.unpack(data))
        furthest = now + _FURTHEST_SECONDS / LOWEST_RATE
        values = (state.common_due, state.write_due, state.rate, state.halved)
        sound = (
            all(math.isfinite(value) for value in values)
            and max(state.common_due, state.write_due) <= furthest
            and LOWEST_RATE <= state.rate <= 1.0
            and state.halved <= now
        )
        # As if a second's requests had just been made: what was there is not known, and the limit holds in any case.
        return state if sound else _State(now + 1.0, now + 1.0, 1.0, now)
