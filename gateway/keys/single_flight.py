"""Many callers that want the same thing share one request for it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from gateway.errors import KeyUnavailable

_CANCEL_AGAIN_SECONDS = 0.1

K = TypeVar("K")
V = TypeVar("V")


class SingleFlight(Generic[K, V]):
    """At most one piece of work per key at any time.

    The work runs in a task of its own, so a caller that is cancelled, such as one whose client went away, takes nothing
    from the others.
    """

    __slots__ = ("_tasks",)

    def __init__(self) -> None:
        self._tasks: dict[K, asyncio.Task[V]] = {}

    def start(self, key: K, work: Callable[[], Coroutine[Any, Any, V]]) -> asyncio.Task[V]:
        """The running work for ``key``, started now if there is none. Nobody needs to wait for it."""
        task = self._tasks.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(work())
            self._tasks[key] = task
            task.add_done_callback(lambda done: self._landed(key, done))
        return task

    async def run(self, key: K, work: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """The outcome of the work for ``key``.

        Raises:
            KeyUnavailable: the work failed, or was stopped by :meth:`aclose`.
        """
        task = self.start(key, work)
        await asyncio.wait((task,))
        if task.cancelled():
            raise KeyUnavailable("the gateway is shutting down")
        error = task.exception()
        if isinstance(error, KeyUnavailable):
            raise error.again()
        return task.result()

    def busy(self, key: K) -> bool:
        """Whether work for ``key`` is under way."""
        return key in self._tasks

    async def aclose(self) -> None:
        """Stop all work.

        A task is cancelled until it has ended: aiohttp turns a cancellation that meets its own time-out into a
        time-out, after which the work would go on.
        """
        while tasks := tuple(self._tasks.values()):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=_CANCEL_AGAIN_SECONDS)

    def _landed(self, key: K, task: asyncio.Task[V]) -> None:
        self._tasks.pop(key, None)
        if not task.cancelled():
            task.exception()  # retrieved here: work that nobody waits for must not warn when it fails
