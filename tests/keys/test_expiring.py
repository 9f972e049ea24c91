import asyncio
import time

from gateway.keys.expiring import ExpiringMap


async def test_an_entry_drops_itself() -> None:
    held: ExpiringMap[str, int] = ExpiringMap(10)
    held.put("a", 1, 0.05)
    held.put("b", 2, 60)
    assert (held.get("a"), held.get("b"), held.get("c")) == (1, 2, None)
    await asyncio.sleep(0.1)
    assert (held.get("a"), len(held)) == (None, 1)


async def test_a_late_timer_does_not_lengthen_a_life() -> None:
    held: ExpiringMap[str, int] = ExpiringMap(10)
    held.put("a", 1, 0.01)
    time.sleep(0.05)  # noqa: ASYNC251 - the loop has to be blocked
    assert held.get("a") is None


async def test_putting_again_starts_anew() -> None:
    held: ExpiringMap[str, int] = ExpiringMap(10)
    held.put("a", 1, 0.05)
    held.put("a", 2, 60)
    await asyncio.sleep(0.1)
    assert held.get("a") == 2


async def test_the_oldest_makes_room() -> None:
    held: ExpiringMap[int, int] = ExpiringMap(2)
    for number in range(4):
        held.put(number, number, 60)
    assert [held.get(number) for number in range(4)] == [None, None, 2, 3]
    held.keep_only(frozenset({3, 9}))
    assert [held.get(number) for number in range(4)] == [None, None, None, 3]
    held.drop(3)
    held.drop(3)
    assert len(held) == 0


async def test_what_drops_by_itself_is_told() -> None:
    told: list[str] = []
    held: ExpiringMap[int, int] = ExpiringMap(2, told.append)
    held.put(1, 1, 0.01)
    held.put(1, 1, 0.01)
    held.put(2, 2, 60)
    held.drop(2)
    held.put(2, 2, 60)
    assert told == []
    held.put(3, 3, 0.01)
    assert told == ["capacity"]
    await asyncio.sleep(0.05)
    assert told == ["capacity", "age"]
    held.put(4, 4, 0.01)
    time.sleep(0.05)  # noqa: ASYNC251 - the loop has to be blocked
    assert held.get(4) is None
    await asyncio.sleep(0.01)
    assert told == ["capacity", "age", "age"]
