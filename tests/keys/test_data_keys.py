"""Limits that are exact, also under concurrency; one request for many callers; nothing held beyond its time."""

import asyncio
import collections
import gc
import secrets
import weakref
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import KeyUnavailable
from gateway.keys.data_keys import MAX_REFUSALS, DataKeyLimits, DataKeys
from gateway.keys.provider import DataKey, KeyProvider, WrappedKey
from gateway.keys.quota import QuotaExceeded
from gateway.redact import SecretBytes


class Counts:
    """Counts as the metrics do."""

    def __init__(self) -> None:
        self.seen: collections.Counter[str] = collections.Counter()

    def data_key_lookup(self, operation: str, *, hit: bool) -> None:
        self.seen[f"{operation} {'hit' if hit else 'miss'}"] += 1

    def data_key_evicted(self, reason: str) -> None:
        self.seen[reason] += 1


class TrackedBytes(SecretBytes):
    """Secret bytes whose end can be seen."""

    __slots__ = ("__weakref__",)


class MemoryProvider:
    """A provider that keeps its keys in memory, answers after a while, and fails when told to."""

    kind = "memory"
    scope = ""

    def __init__(self, scheme: str = "memory") -> None:
        self.current = f"{scheme}:1"
        self.seconds = 0.0
        self.failing: KeyUnavailable | None = None
        self.generated = 0
        self.unwrapped = 0
        self.keys: dict[tuple[str, bytes], bytes] = {}
        self.made: list[weakref.ref[TrackedBytes]] = []

    async def generate(self) -> DataKey:
        self.generated += 1
        await self._wait()
        key, wrapped = secrets.token_bytes(32), secrets.token_bytes(40)
        self.keys[self.current, wrapped] = key
        return DataKey(self._secret(key), self.current, wrapped)

    async def unwrap(self, wrapping_key: str, wrapped: bytes) -> SecretBytes:
        self.unwrapped += 1
        await self._wait()
        key = self.keys.get((wrapping_key, wrapped))
        if key is None:
            raise KeyUnavailable("not mine", code="AccessDenied")
        return self._secret(key)

    async def rewrap(self, wrapping_key: str, wrapped: bytes) -> WrappedKey:
        raise AssertionError("data keys in use are not rewrapped")

    def handles(self, wrapping_key: str) -> bool:
        return wrapping_key.partition(":")[0] == self.current.partition(":")[0]

    def version_of(self, wrapping_key: str, wrapped: bytes) -> str:
        return ""

    async def aclose(self) -> None:
        pass

    def _secret(self, key: bytes) -> SecretBytes:
        made = TrackedBytes(key)
        self.made.append(weakref.ref(made))
        return made

    async def _wait(self) -> None:
        await asyncio.sleep(self.seconds)
        if self.failing is not None:
            raise self.failing


Make = Callable[..., DataKeys]


@pytest.fixture
def provider() -> MemoryProvider:
    return MemoryProvider()


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
async def make(provider: MemoryProvider, counts: Counts) -> AsyncIterator[Make]:
    made = []

    def build(**limits: float) -> DataKeys:
        providers: dict[str, KeyProvider] = {"main": provider}
        made.append(DataKeys(providers, DataKeyLimits(**limits), counts))  # type: ignore[arg-type]  # ints and floats
        return made[-1]

    yield build
    for data_keys in made:
        await data_keys.aclose()


async def take(data_keys: DataKeys, number: int, size: int = 1) -> collections.Counter[bytes]:
    """How often each data key was given to this many concurrent callers."""
    taken = await asyncio.gather(*(data_keys.for_sealing("main", size) for _ in range(number)))
    return collections.Counter(data_key.wrapped for data_key in taken)


async def test_one_request_serves_many(make: Make, provider: MemoryProvider, counts: Counts) -> None:
    data_keys = make()
    provider.seconds = 0.01
    assert list((await take(data_keys, 100)).values()) == [100]
    assert list((await take(data_keys, 100)).values()) == [100]
    assert provider.generated == 1
    assert counts.seen == {"seal miss": 100, "seal hit": 100}


@pytest.mark.parametrize(("limit", "callers"), [(1, 20), (2, 20), (7, 50), (50, 50), (51, 50)])
async def test_messages(make: Make, provider: MemoryProvider, counts: Counts, limit: int, callers: int) -> None:
    """No data key seals one message more than allowed, and none fewer while there are callers."""
    data_keys = make(max_messages=limit)
    provider.seconds = 0.001
    taken = await take(data_keys, callers)
    assert max(taken.values()) == min(limit, callers)
    assert len(taken) == provider.generated == -(-callers // limit)
    assert counts.seen["messages"] == (0 if limit == 1 else callers // limit)


@pytest.mark.parametrize("limit", [1, 2])
async def test_a_key_of_its_own_for_everybody_is_asked_for_at_once(
    make: Make, provider: MemoryProvider, limit: int
) -> None:
    """With one message per key callers do not queue for each other's keys."""
    provider.seconds = 0.05
    data_keys = make(max_messages=limit)
    began = asyncio.get_running_loop().time()
    await take(data_keys, 20)
    seconds = asyncio.get_running_loop().time() - began
    assert (seconds < 0.4) is (limit == 1)


async def test_bytes(make: Make, provider: MemoryProvider, counts: Counts) -> None:
    data_keys = make(max_bytes=100)
    assert list((await take(data_keys, 9, 25)).values()) == [4, 4, 1]
    assert counts.seen["bytes"] == 2
    await data_keys.for_sealing("main", 76)  # does not fit beside the 25
    assert provider.generated == 4
    assert counts.seen["bytes"] == 3
    await data_keys.for_sealing("main", 24)
    assert provider.generated == 4
    assert counts.seen["bytes"] == 4


async def test_empty_messages_take_no_bytes(make: Make, provider: MemoryProvider) -> None:
    data_keys = make(max_bytes=1, max_messages=3)
    assert list((await take(data_keys, 3, 0)).values()) == [3]


async def test_a_message_beyond_the_limit_has_a_key_of_its_own(make: Make, provider: MemoryProvider) -> None:
    """And leaves the one in use for others."""
    data_keys = make(max_bytes=100)
    small = await data_keys.for_sealing("main", 10)
    big = await asyncio.gather(*(data_keys.for_sealing("main", 101) for _ in range(3)))
    again = await data_keys.for_sealing("main", 90)
    assert again is small
    assert len({small.wrapped, *(key.wrapped for key in big)}) == 4


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.lists(st.integers(0, 40), max_size=40),
    max_bytes=st.integers(1, 60),
    max_messages=st.integers(1, 8),
)
def test_no_limit_is_ever_passed(sizes: list[int], max_bytes: int, max_messages: int) -> None:
    async def seal() -> list[tuple[bytes, int]]:
        provider = MemoryProvider()
        provider.seconds = 0.0001
        data_keys = DataKeys({"main": provider}, DataKeyLimits(max_bytes=max_bytes, max_messages=max_messages))
        taken = await asyncio.gather(*(data_keys.for_sealing("main", size) for size in sizes))
        await data_keys.aclose()
        return [(key.wrapped, size) for key, size in zip(taken, sizes, strict=True)]

    by_key: dict[bytes, list[int]] = {}
    for wrapped, size in asyncio.run(seal()):
        by_key.setdefault(wrapped, []).append(size)
    for sealed in by_key.values():
        assert len(sealed) <= max_messages
        assert sum(sealed) <= max_bytes or len(sealed) == 1


async def test_age(make: Make, provider: MemoryProvider, counts: Counts) -> None:
    """The age counts from the request to the provider, and a key leaves memory without anybody asking."""
    data_keys = make(max_age_seconds=0.2)
    provider.seconds = 0.1
    first = (await data_keys.for_sealing("main", 1)).wrapped
    await asyncio.sleep(0.02)
    assert (await data_keys.for_sealing("main", 1)).wrapped == first
    await asyncio.sleep(0.1)
    assert counts.seen["age"] == 1
    assert (await data_keys.for_sealing("main", 1)).wrapped != first
    await asyncio.sleep(0.25)
    gc.collect()
    assert [made() for made in provider.made] == [None, None]


async def test_a_provider_slower_than_the_age(make: Make, provider: MemoryProvider) -> None:
    provider.seconds = 0.05
    with pytest.raises(KeyUnavailable, match="later than it may be used"):
        await make(max_age_seconds=0.01).for_sealing("main", 1)


async def test_rotation_is_followed_at_once(make: Make, provider: MemoryProvider) -> None:
    data_keys = make()
    before = await data_keys.for_sealing("main", 1)
    assert data_keys.is_current("main", before.wrapping_key)
    provider.current = "memory:2"
    assert not data_keys.is_current("main", before.wrapping_key)
    after = await data_keys.for_sealing("main", 1)
    assert (before.wrapping_key, after.wrapping_key) == ("memory:1", "memory:2")
    assert (await data_keys.for_opening(before.wrapping_key, before.wrapped)).reveal() == before.key.reveal()


async def test_what_was_sealed_is_opened_without_a_request(
    make: Make, provider: MemoryProvider, counts: Counts
) -> None:
    data_keys = make()
    data_key = await data_keys.for_sealing("main", 1)
    assert (await data_keys.for_opening(data_key.wrapping_key, data_key.wrapped)).reveal() == data_key.key.reveal()
    assert (provider.unwrapped, counts.seen["open hit"]) == (0, 1)


async def test_opening_is_one_request(make: Make, provider: MemoryProvider, counts: Counts) -> None:
    data_key = await provider.generate()
    provider.seconds = 0.01
    data_keys = make()
    opened = await asyncio.gather(*(data_keys.for_opening(data_key.wrapping_key, data_key.wrapped) for _ in range(50)))
    assert {bytes(key.reveal()) for key in opened} == {bytes(data_key.key.reveal())}
    assert provider.unwrapped == 1
    await data_keys.for_opening(data_key.wrapping_key, data_key.wrapped)
    assert counts.seen == {"open miss": 50, "open hit": 1}


async def test_opened_keys_are_held_by_uri_and_wrapped_key(make: Make, provider: MemoryProvider) -> None:
    """The same wrapped bytes under another URI are another question."""
    data_keys = make()
    data_key = await data_keys.for_sealing("main", 1)
    with pytest.raises(KeyUnavailable, match="not mine"):
        await data_keys.for_opening("memory:2", data_key.wrapped)
    with pytest.raises(KeyUnavailable, match="no configured wrapping key is 'other:1'") as caught:
        await data_keys.for_opening("other:1", data_key.wrapped)
    assert caught.value.code == "KMS.NotFoundException"


async def test_opened_keys_are_bounded_in_number_and_time(make: Make, provider: MemoryProvider, counts: Counts) -> None:
    data_keys = make(max_entries=3, max_age_seconds=0.1)
    made = [await provider.generate() for _ in range(5)]
    for data_key in made:
        await data_keys.for_opening(data_key.wrapping_key, data_key.wrapped)
    assert counts.seen["capacity"] == 2
    await asyncio.sleep(0.15)
    assert counts.seen["age"] == 3
    await data_keys.for_opening(made[-1].wrapping_key, made[-1].wrapped)
    assert provider.unwrapped == 6


@pytest.mark.parametrize("operation", ["generate", "unwrap"])
async def test_a_refusal_is_remembered_for_a_moment_only(
    make: Make, provider: MemoryProvider, counts: Counts, operation: str
) -> None:
    data_key = await provider.generate()
    provider.generated = 0
    data_keys = make()

    async def ask() -> None:
        if operation == "generate":
            await data_keys.for_sealing("main", 1)
        else:
            await data_keys.for_opening(data_key.wrapping_key, data_key.wrapped)

    provider.failing = KeyUnavailable("down")
    faults = await asyncio.gather(*(ask() for _ in range(20)), return_exceptions=True)
    assert {str(fault) for fault in faults} == {"down"}
    assert len({id(fault) for fault in faults}) == 20
    with pytest.raises(KeyUnavailable, match="down"):
        await ask()
    assert provider.generated + provider.unwrapped == 1
    provider.failing = None
    await asyncio.sleep(1.05)
    await ask()
    assert provider.generated + provider.unwrapped == 2


async def test_refusals_are_bounded(make: Make, provider: MemoryProvider) -> None:
    """The storage could name another wrapped key with every request."""
    data_keys = make()
    for number in range(MAX_REFUSALS + 10):
        with pytest.raises(KeyUnavailable):
            await data_keys.for_opening("memory:1", number.to_bytes(4, "big"))
    assert len(data_keys._refused) == MAX_REFUSALS


async def test_two_providers_with_one_id(counts: Counts) -> None:
    """Each is asked until one opens it."""
    first, second = MemoryProvider(), MemoryProvider()
    providers: dict[str, KeyProvider] = {"a": first, "b": second}
    data_keys = DataKeys(providers, DataKeyLimits(), counts)
    data_key = await second.generate()
    assert (await data_keys.for_opening(data_key.wrapping_key, data_key.wrapped)).reveal() == data_key.key.reveal()
    assert (first.unwrapped, second.unwrapped) == (1, 1)
    assert data_keys.names == {"a", "b"}
    await data_keys.aclose()


async def test_unwrapped_key_of_another_length(make: Make, provider: MemoryProvider) -> None:
    provider.keys["memory:1", b"w"] = bytes(16)
    with pytest.raises(KeyUnavailable, match="16 bytes instead of 32"):
        await make().for_opening("memory:1", b"w")


async def test_unknown_name(make: Make) -> None:
    with pytest.raises(KeyUnavailable, match="no wrapping key named 'other'"):
        await make().for_sealing("other", 1)


async def test_a_caller_that_leaves_takes_nothing_from_the_others(make: Make, provider: MemoryProvider) -> None:
    provider.seconds = 0.05
    data_keys = make(max_messages=2)
    first, second = (asyncio.ensure_future(data_keys.for_sealing("main", 1)) for _ in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    wrapped = (await second).wrapped
    assert (await data_keys.for_sealing("main", 1)).wrapped == wrapped
    assert provider.generated == 1


async def test_closing_forgets_everything(make: Make, provider: MemoryProvider) -> None:
    data_keys = make()
    await data_keys.for_sealing("main", 1)
    provider.seconds = 60
    provider.current = "memory:2"
    waiting = asyncio.ensure_future(data_keys.for_sealing("main", 1))
    await asyncio.sleep(0.01)
    await data_keys.aclose()
    with pytest.raises(KeyUnavailable, match="shutting down"):
        await waiting
    gc.collect()
    assert [made() for made in provider.made] == [None]


@pytest.mark.parametrize("name", ["max_age_seconds", "max_messages", "max_bytes", "max_entries"])
def test_limits_are_positive(name: str) -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        DataKeyLimits(**{name: 0})


async def test_observer_is_optional(provider: MemoryProvider) -> None:
    data_keys = DataKeys({"main": provider}, DataKeyLimits(max_messages=2))
    for _ in range(3):
        data_key = await data_keys.for_sealing("main", 1)
        await data_keys.for_opening(data_key.wrapping_key, data_key.wrapped)
    await data_keys.aclose()


async def test_a_quota_that_was_used_up_is_not_remembered() -> None:
    provider = MemoryProvider()
    data_keys = DataKeys({"a": provider}, DataKeyLimits(max_messages=1))
    data_key = await data_keys.for_sealing("a", 1)
    provider.failing = QuotaExceeded("full", code="SlowDown")
    for _ in range(3):
        with pytest.raises(KeyUnavailable):
            await data_keys.for_sealing("a", 1)
        with pytest.raises(KeyUnavailable):
            await data_keys.for_opening(provider.current, data_key.wrapped + b"other")
    assert (provider.generated, provider.unwrapped) == (4, 3)
    provider.failing = None
    await data_keys.for_sealing("a", 1)
    await data_keys.aclose()


async def test_a_herd_that_wants_one_cold_data_key_makes_one_request() -> None:
    provider = MemoryProvider()
    provider.seconds = 0.05
    data_key = await provider.generate()
    data_keys = DataKeys({"a": provider}, DataKeyLimits())
    opened = await asyncio.gather(*(data_keys.for_opening(data_key.wrapping_key, data_key.wrapped) for _ in range(500)))
    assert {bytes(key.reveal()) for key in opened} == {bytes(data_key.key.reveal())}
    assert provider.unwrapped == 1
    await data_keys.aclose()
