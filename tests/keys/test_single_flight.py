import asyncio
import contextlib

import pytest

from gateway.errors import KeyUnavailable
from gateway.keys.single_flight import SingleFlight
from gateway.keys.vault_error import VaultError, VaultResult


async def test_one_piece_of_work_per_key() -> None:
    flights: SingleFlight[str, int] = SingleFlight()
    runs = 0

    async def work() -> int:
        nonlocal runs
        runs += 1
        await asyncio.sleep(0.01)
        return runs

    assert await asyncio.gather(*(flights.run("a", work) for _ in range(10))) == [1] * 10
    assert set(await asyncio.gather(flights.run("a", work), flights.run("b", work))) == {3}
    assert not flights.busy("a")


async def test_each_caller_gets_its_own_exception() -> None:
    flights: SingleFlight[str, int] = SingleFlight()

    async def work() -> int:
        await asyncio.sleep(0)
        raise VaultError("no", VaultResult.DENIED)

    faults = await asyncio.gather(*(flights.run("a", work) for _ in range(5)), return_exceptions=True)
    assert len({id(fault) for fault in faults}) == 5
    assert {(str(fault), getattr(fault, "code", None)) for fault in faults} == {("no", "AccessDenied")}


async def test_work_that_nobody_waits_for_goes_on() -> None:
    flights: SingleFlight[str, None] = SingleFlight()
    done = asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0.01)
        done.set()

    only = asyncio.ensure_future(flights.run("a", work))
    await asyncio.sleep(0)
    only.cancel()
    await asyncio.wait_for(done.wait(), 1)


async def test_closing_stops_the_work_and_tells_those_who_wait() -> None:
    flights: SingleFlight[str, None] = SingleFlight()
    waiting = asyncio.ensure_future(flights.run("a", lambda: asyncio.sleep(60)))
    await asyncio.sleep(0)
    await flights.aclose()
    with pytest.raises(KeyUnavailable, match="shutting down"):
        await waiting
    await flights.aclose()


async def test_an_unexpected_exception_reaches_the_caller() -> None:
    flights: SingleFlight[str, None] = SingleFlight()

    async def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await flights.run("a", work)


async def test_closing_stops_work_that_swallows_a_cancellation() -> None:
    """As aiohttp does when its own time-out comes at the same moment."""
    flights: SingleFlight[str, None] = SingleFlight()

    async def work() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(60)

    flights.start("a", work)
    await asyncio.sleep(0)
    await asyncio.wait_for(flights.aclose(), 5)
    assert not flights.busy("a")
