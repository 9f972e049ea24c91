"""Many objects, some at a time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from gateway.errors import GatewayError

T = TypeVar("T")


async def work_through(
    items: AsyncIterator[T], work: Callable[[T], Awaitable[None]], concurrency: int, stop: asyncio.Event | None = None
) -> None:
    """Do ``work`` for each item. When the items end with an error, what is under way is finished first.

    Args:
        items: what to work on; taken as fast as it is worked through.
        work: handles its own failures; any error of it ends everything.
        concurrency: how many at a time.
        stop: when set, nothing further is begun.

    Raises:
        GatewayError: whatever ``items`` or ``work`` raised.
    """
    waiting: asyncio.Queue[T | None] = asyncio.Queue(concurrency)

    async def take() -> None:
        while (item := await waiting.get()) is not None:
            if stop is None or not stop.is_set():
                await work(item)

    async def give() -> GatewayError | None:
        fault = None
        try:
            async for item in items:
                if stop is not None and stop.is_set():
                    break
                await waiting.put(item)
        except GatewayError as error:
            fault = error
        for _ in range(concurrency):
            await waiting.put(None)
        return fault

    try:
        async with asyncio.TaskGroup() as group:
            giving = group.create_task(give())
            for _ in range(concurrency):
                group.create_task(take())
    except* GatewayError as errors:
        raise _first(errors) from None
    fault = giving.result()
    if fault is not None:
        raise fault


def _first(errors: BaseExceptionGroup[GatewayError]) -> GatewayError:
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
