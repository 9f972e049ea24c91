"""Reading sealed objects: what is released, what is refused, and what it costs."""

from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.crypto.sealed.closing import PartTable
from gateway.crypto.sealed.envelope import Kind
from gateway.crypto.sealed.identity import alias_proof, location_of
from gateway.crypto.sealed.marker import Marker
from gateway.errors import IntegrityError, KeyUnavailable
from gateway.s3.headers import Headers
from gateway.server.sealed.layouts import Layout, LayoutCache
from gateway.server.sealed.opening import ObjectReader
from gateway.server.sealed.stored import ObjectChanged, StoredObject
from gateway.upstream.request import UpstreamRequest
from gateway.upstream.response import UpstreamResponse
from tests.server.sealed.sealed_objects import BUCKET, KEY, Counted, MemoryStore, Sealed, Sealer

CHUNK = 16_384
MIB = 2**20
STORED = StoredObject(BUCKET, KEY, KEY)


@dataclass
class Services:
    data_keys: Sealer
    layouts: LayoutCache


class Bench:
    """A reader, its store and its counters."""

    def __init__(self, sealer: Sealer, held: Sealed, *, capacity: int = 1000) -> None:
        self.counted = Counted()
        self.store = MemoryStore(held)
        self.services = Services(sealer, LayoutCache(capacity, self.counted))
        self.reader = ObjectReader(self.services, self.counted, self.store.fetch)

    async def layout(self, *, likely_multipart: bool = False) -> Layout:
        found = await self.reader.find(STORED, likely_multipart=likely_multipart)
        assert found.refusal is None
        assert found.layout is not None
        return found.layout

    async def read(self, first: int, last: int) -> bytes:
        layout = await self.layout()
        pieces = self.reader.plaintext(STORED, layout, first, last)
        return b"".join([piece async for piece in pieces])

    async def whole(self) -> bytes:
        async with self.store.fetch(STORED.get()) as answer:
            whole = await self.reader.whole(STORED, answer)
            assert whole is not None
            return b"".join([piece async for piece in whole.pieces])

    def asked(self) -> list[tuple[str | None, bool]]:
        """What was asked since the last time."""
        asked, self.store.requests = self.store.requests, []
        return asked


SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 4 * CHUNK, 4 * CHUNK + 1, 100_000]
#: The size of an object that is too large to be opened at once.
STREAMED = 4 * CHUNK + 100
SHAPES = [[0], [1], [CHUNK], [CHUNK, CHUNK, 1], [50_000, 50_000, 0], [CHUNK + 1, 5, 3 * CHUNK]]


@pytest.mark.parametrize("size", SIZES)
async def test_a_whole_object(size: int) -> None:
    sealer = Sealer()
    held = sealer.whole(size)
    bench = Bench(sealer, held)
    layout = await bench.layout()
    assert (layout.plaintext_bytes, layout.stored_bytes) == (size, len(held.stored))
    assert bench.asked() == [("bytes=0-567", False)]
    assert await bench.whole() == held.plaintext
    assert bench.asked() == [(None, False)]
    assert bench.counted.released == [size]
    assert bench.counted.faults == []


@pytest.mark.parametrize("sizes", SHAPES)
@pytest.mark.parametrize("likely", [False, True])
async def test_a_multipart_object(sizes: list[int], likely: bool) -> None:
    sealer = Sealer()
    held = sealer.multipart(sizes)
    bench = Bench(sealer, held)
    assert await bench.whole() == held.plaintext
    assert [pinned for _, pinned in bench.asked()] == [False, True]
    assert await bench.whole() == held.plaintext
    assert len(bench.asked()) == 1, "the part table is known"
    layout = await bench.layout(likely_multipart=likely)
    assert layout.plaintext_bytes == sum(sizes)
    assert len(bench.asked()) == 1
    fresh = Bench(sealer, held)
    assert await fresh.layout(likely_multipart=likely) == layout
    assert len(fresh.asked()) == (1 if likely else 2)


async def test_gaps_in_part_numbers_and_a_long_table() -> None:
    """A table that does not fit into the first suffix is asked for in two pieces."""
    sealer = Sealer()
    held = sealer.multipart({number * 3: number for number in range(1, 400)})
    bench = Bench(sealer, held)
    assert await bench.whole() == held.plaintext
    assert len(bench.asked()) == 3
    fresh = Bench(sealer, held)
    layout = await fresh.layout(likely_multipart=True)
    assert len(fresh.asked()) == 2
    assert layout.table is not None
    assert layout.table.part_count == 399


@settings(max_examples=60)
@given(st.data())
async def test_every_range(data: st.DataObject) -> None:
    sealer = Sealer(seed=data.draw(st.integers(0, 10)))
    sizes = st.sampled_from([0, 1, 5, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
    shape = data.draw(st.one_of(sizes.filter(bool), st.lists(sizes, min_size=1, max_size=5).filter(any)))
    held = sealer.whole(shape) if isinstance(shape, int) else sealer.multipart(shape)
    bench = Bench(sealer, held, capacity=data.draw(st.sampled_from([0, 1000])))
    for _ in range(3):
        first = data.draw(st.integers(0, len(held.plaintext) - 1))
        last = data.draw(st.integers(first, len(held.plaintext) - 1))
        assert await bench.read(first, last) == held.plaintext[first : last + 1]
    assert bench.store.open == 0


@pytest.mark.parametrize("multipart", [False, True])
async def test_what_a_range_costs(multipart: bool) -> None:
    sealer = Sealer()
    held = sealer.multipart([MIB] * 4) if multipart else sealer.whole(4 * MIB)
    bench = Bench(sealer, held)
    layout = await bench.layout()
    found_for = 568
    for turn in range(2):
        bench.asked()
        bench.store.most_open, bench.store.announced_bytes = 0, 0
        first = 2 * MIB + 112_345
        pieces = bench.reader.plaintext(STORED, layout, first, first + 65_535)
        assert b"".join([piece async for piece in pieces]) == held.plaintext[first : first + 65_536]
        requests = 2 if multipart and turn == 0 else 1
        asked = bench.asked()
        assert len(asked) == requests
        assert all(pinned for _, pinned in asked)
        assert bench.store.most_open == requests, "both at once"
        # Together with what finding it cost.
        assert bench.store.announced_bytes <= 96 * 1024 - found_for


async def test_a_range_over_several_parts_is_one_request() -> None:
    sealer = Sealer()
    held = sealer.multipart([100_000] * 5)
    bench = Bench(sealer, held)
    layout = await bench.layout()
    bench.asked()
    pieces = bench.reader.plaintext(STORED, layout, 0, 450_000)
    assert b"".join([piece async for piece in pieces]) == held.plaintext[:450_001]
    assert len(bench.asked()) == 1
    # The head of part 5 came along, and so did that of part 1.
    pieces = bench.reader.plaintext(STORED, layout, 480_000, 499_999)
    assert b"".join([piece async for piece in pieces]) == held.plaintext[480_000:]
    assert len(bench.asked()) == 1


async def test_an_object_that_is_not_sealed() -> None:
    sealer = Sealer()
    for stored in (b"", b"x", b"y" * 5000):
        bench = Bench(sealer, Sealed(stored, stored, ""))
        bench.store.marker = None
        for likely in (False, True):
            found = await bench.reader.find(STORED, likely_multipart=likely)
            assert (found.layout, found.refusal) == (None, None)
        async with bench.store.fetch(STORED.get()) as answer:
            assert await bench.reader.whole(STORED, answer) is None
            assert b"".join([chunk async for chunk in answer.iter_chunks()]) == stored
        assert bench.counted.faults == []


async def test_a_condition_that_does_not_hold_is_a_refusal() -> None:
    sealer = Sealer()
    bench = Bench(sealer, sealer.whole(10))
    conditions = Headers((("if-none-match", bench.store.etag),))
    found = await bench.reader.find(STORED, conditions=conditions)
    assert found.refusal is not None
    assert found.refusal.status == 304
    layout = await bench.layout()
    async with bench.reader.stretch(STORED, layout, 0, 5, conditions=conditions) as stretch:
        assert stretch.refusal is not None
        assert stretch.refusal.status == 304


async def test_an_object_that_changes_is_noticed() -> None:
    sealer = Sealer()
    bench = Bench(sealer, sealer.multipart([40_000, 40_000]))
    layout = await bench.layout()
    bench.store.put(sealer.whole(80_000))
    with pytest.raises(ObjectChanged):
        [piece async for piece in bench.reader.plaintext(STORED, layout, 0, 10)]
    with pytest.raises(ObjectChanged):
        [piece async for piece in bench.reader.plaintext(STORED, layout, 70_000, 70_010)]
    assert (await bench.layout()).table is None
    assert bench.store.open == 0


async def test_an_object_that_changes_between_head_and_closing_is_asked_for_again() -> None:
    sealer = Sealer()
    first, second = sealer.multipart([40_000]), sealer.multipart([50_000])
    bench = Bench(sealer, first)
    count = 0

    def fetch(request: UpstreamRequest) -> AbstractAsyncContextManager[UpstreamResponse]:
        nonlocal count
        count += 1
        if count == 2:
            bench.store.put(second)
        return bench.store.fetch(request)

    reader = ObjectReader(bench.services, bench.counted, fetch)
    found = await reader.find(STORED)
    assert found.layout is not None
    assert found.layout.plaintext_bytes == 50_000
    assert bench.counted.faults == []


async def test_reading_stops_with_its_reader() -> None:
    sealer = Sealer()
    bench = Bench(sealer, sealer.multipart([MIB, MIB]))
    layout = await bench.layout()
    async with bench.reader.stretch(STORED, layout, 300_000, 2 * MIB - 1) as stretch:
        async with aclosing(stretch.pieces) as pieces:
            released = len(await anext(pieces))
        assert bench.counted.released == [released]
    assert bench.store.open == 0
    assert bench.store.bytes_out < 2 * MIB


# ------------------------------------------------------------------------------------------------------------- attacks


async def fault_of(sealer: Sealer, held: Sealed, *, read: str) -> str:
    """The fault that a read ends with; it was counted once, and nothing stays open."""
    bench = Bench(sealer, held)
    try:
        await _read(bench, held, read)
    except KeyUnavailable:
        return "key"
    except IntegrityError as error:
        fault = str(error.fault)
    else:
        raise AssertionError("the read succeeded")
    assert bench.counted.faults == [fault]
    assert bench.store.open == 0
    return fault


async def _read(bench: Bench, held: Sealed, read: str) -> None:
    if read == "whole":
        await bench.whole()
    elif read == "find":
        await bench.layout()
    else:
        first = max(0, len(held.plaintext) - 10) if read == "end" else 0
        await bench.read(first, min(first + 9, len(held.plaintext) - 1))


@pytest.mark.parametrize("read", ["find", "whole", "start", "end"])
async def test_another_name(read: str) -> None:
    elsewhere = Sealer(key="another/key")
    for held in (elsewhere.whole(100), elsewhere.multipart([100, 100])):
        assert await fault_of(elsewhere, held, read=read) == "location"


@pytest.mark.parametrize("read", ["find", "whole", "start", "end"])
async def test_an_alias_proof_allows_another_name(read: str) -> None:
    elsewhere = Sealer(key="another/key")
    here = location_of(BUCKET, KEY)
    for held in (elsewhere.whole(100), elsewhere.multipart([100, 100])):
        worked = 0
        for data_key in elsewhere.keys.values():
            marker = Marker(len(held.plaintext), alias_proof(data_key, elsewhere.object_id, here)).render()
            proven = Sealed(held.plaintext, held.stored, marker)
            bench = Bench(elsewhere, proven)
            try:
                assert await bench.whole() == held.plaintext
            except IntegrityError as error:
                assert error.fault == "location"  # noqa: PT017 - only the key of the message itself proves it
            else:
                worked += 1
                assert await bench.read(0, 9) == held.plaintext[:10]
        assert worked == 1


@pytest.mark.parametrize("read", ["find", "whole", "start", "end"])
@pytest.mark.parametrize(
    ("marker", "fault"), [(None, "marker"), ("", "marker"), ("v2", "marker"), ("v1;size=101", "marker")]
)
async def test_the_marker(marker: str | None, fault: str, read: str) -> None:
    sealer = Sealer()
    for held in (sealer.whole(100), sealer.multipart([50, 50])):
        bench = Bench(sealer, held)
        bench.store.marker = marker
        with pytest.raises(IntegrityError) as caught:
            await (bench.whole() if read == "whole" else bench.layout())
        assert caught.value.fault == fault


@pytest.mark.parametrize("marker", [None, "v1;size=7", "v1;size=50000;alias=" + "A" * 43])
async def test_another_marker_beside_the_same_bytes_is_another_object(marker: str | None) -> None:
    """What is known of an object holds for the ETag and for the marker that its proof was in."""
    sealer = Sealer()
    for held in (sealer.whole(50_000), sealer.multipart([20_000, 30_000])):
        bench = Bench(sealer, held)
        layout = await bench.layout()
        bench.store.marker = marker
        with pytest.raises(ObjectChanged):
            [piece async for piece in bench.reader.plaintext(STORED, layout, 30_000, 30_009)]


async def test_a_plain_object_with_a_marker() -> None:
    sealer = Sealer()
    plain = Sealed(b"p" * 5000, b"p" * 5000, "v1;size=5000")
    assert await fault_of(sealer, plain, read="find") == "not_sealed"
    assert await fault_of(sealer, plain, read="whole") == "not_sealed"


@pytest.mark.parametrize("likely", [False, True])
async def test_every_truncation_and_extension(likely: bool) -> None:
    sealer = Sealer()
    for held in (sealer.whole(CHUNK + 100), sealer.whole(STREAMED), sealer.multipart([CHUNK, CHUNK + 5, 7])):
        size = len(held.stored)
        lengths = {0, 1, 8, 511, 512, 567, 568, 569, size // 2, size - CHUNK, size - 17, size - 16, size - 1}
        for stored in [held.stored[:length] for length in lengths] + [held.stored + b"\0", held.stored * 2]:
            bench = Bench(sealer, Sealed(held.plaintext, stored, held.marker))
            if not stored:
                # Nothing is left of it: it is not sealed, and the rule says what that means.
                found = await bench.reader.find(STORED, likely_multipart=likely)
                assert found.layout is None
                continue
            with pytest.raises(IntegrityError):
                await bench.layout(likely_multipart=likely)
            with pytest.raises(IntegrityError):
                await bench.whole()


async def test_every_flipped_region() -> None:
    """No flipped bit gives a wrong byte, whatever is read; what lies outside of what is read may be flipped."""
    sealer = Sealer()
    for held in (sealer.whole(CHUNK + 100), sealer.whole(STREAMED), sealer.multipart([CHUNK, 100])):
        for position in [
            *range(0, 700, 7),
            *range(700, len(held.stored), 997),
            *range(len(held.stored) - 40, len(held.stored)),
        ]:
            flipped = bytearray(held.stored)
            flipped[position] ^= 0x40
            changed = Sealed(held.plaintext, bytes(flipped), held.marker)
            assert await fault_of(sealer, changed, read="whole"), position
            bench = Bench(sealer, changed)
            try:
                assert await bench.read(0, 9) == held.plaintext[:10]
            except (IntegrityError, KeyUnavailable):
                pass
            else:
                assert position > CHUNK


async def test_an_object_that_was_read_before_is_verified_again() -> None:
    """What is known of an object saves work, not the proof of any byte."""
    sealer = Sealer()
    held = sealer.whole(CHUNK + 100)
    bench = Bench(sealer, held)
    assert await bench.whole() == held.plaintext
    known = bench.services.layouts.known(BUCKET, KEY)
    assert await bench.whole() == held.plaintext
    assert bench.services.layouts.known(BUCKET, KEY) is known
    for position in [*range(0, 700, 7), *range(700, len(held.stored), 997), len(held.stored) - 1]:
        flipped = bytearray(held.stored)
        flipped[position] ^= 0x40
        bench.store.stored = bytes(flipped)
        with pytest.raises((IntegrityError, KeyUnavailable)):
            await bench.whole()
    for stored in (held.stored[:-1], held.stored[:600], held.stored + b"\0"):
        bench.store.stored = stored
        with pytest.raises(IntegrityError):
            await bench.whole()
    bench.store.stored = held.stored
    for marker in (None, "v2", "v1;size=7"):
        bench.store.marker = marker
        with pytest.raises(IntegrityError) as caught:
            await bench.whole()
        assert caught.value.fault == "marker"


async def test_a_whole_read_checks_the_end_again() -> None:
    """The closing is known from before; still nothing behind the parts may be different."""
    sealer = Sealer()
    held = sealer.multipart([20_000, 30_000])
    bench = Bench(sealer, held)
    await bench.layout()
    table = PartTable.of([(1, 20_000), (2, 30_000)])
    parts = held.stored[: table.stored_bytes]
    other, foreign = Sealer(seed=99), Sealer(key="else")
    other.keys = foreign.keys = sealer.keys
    foreign.object_id = sealer.object_id
    flipped = bytearray(held.stored)
    flipped[-1] ^= 1
    for stored, fault in (
        (bytes(flipped), "trailer"),
        (parts + other.closing(table), "object_id"),
        (parts + foreign.closing(table), "location"),
        (parts + sealer.closing(PartTable.of([(1, 20_000), (3, 30_000)])), "closing"),
        (parts + sealer.closing(table)[::-1], "trailer"),
    ):
        bench.store.stored = stored
        with pytest.raises(IntegrityError) as caught:
            await bench.whole()
        assert caught.value.fault == fault
    bench.store.stored = held.stored
    assert await bench.whole() == held.plaintext


@pytest.mark.parametrize("shape", [STREAMED, 8 * CHUNK, [STREAMED, STREAMED]], ids=str)
async def test_the_end_is_held_back_until_everything_was_verified(shape: int | list[int]) -> None:
    """What was released before the fault is right, and is not all: nobody takes it for the object."""
    sealer = Sealer()
    held = sealer.whole(shape) if isinstance(shape, int) else sealer.multipart(shape)
    bench = Bench(sealer, held)
    await bench.layout()
    bench.store.stored = held.stored[:-1] + bytes([held.stored[-1] ^ 1])
    released = bytearray()

    async def receive() -> None:
        async with bench.store.fetch(STORED.get()) as answer:
            whole = await bench.reader.whole(STORED, answer)
            assert whole is not None
            async for piece in whole.pieces:
                released.extend(piece)

    with pytest.raises(IntegrityError):
        await receive()
    assert len(released) < len(held.plaintext)
    assert held.plaintext.startswith(released)


async def test_parts_that_are_not_in_their_place() -> None:
    sealer = Sealer()
    one, two = (sealer.message(Kind.PART, number, bytes([number]) * 50_000) for number in (1, 2))
    table = sealer.closing(PartTable.of([(1, 50_000), (2, 50_000)]))
    plaintext = bytes([1]) * 50_000 + bytes([2]) * 50_000

    def held(*messages: bytes) -> Sealed:
        return Sealed(plaintext, b"".join(messages), "v1")

    bench = Bench(sealer, held(one, two, table))
    assert await bench.whole() == plaintext
    other = Sealer(seed=99)
    other.keys = sealer.keys
    foreign = other.message(Kind.PART, 2, bytes(50_000))
    elsewhere = Sealer(key="else")
    elsewhere.keys, elsewhere.object_id = sealer.keys, sealer.object_id
    moved = elsewhere.message(Kind.PART, 2, bytes(50_000))
    whole = sealer.message(Kind.WHOLE, 0, bytes(50_000))
    for second, fault in ((one, "part"), (foreign, "object_id"), (moved, "location"), (whole, "kind")):
        for read in ("whole", "end"):
            assert await fault_of(sealer, held(one, second, table), read=read) == fault
    assert await fault_of(sealer, held(two, one, table), read="whole") == "part"
    assert await fault_of(sealer, held(two, one, table), read="end") == "part"
    assert await fault_of(sealer, held(one, table), read="find") == "size"
    assert await fault_of(sealer, held(one, two, two, table), read="find") == "size"
    assert await fault_of(sealer, held(table, one, two), read="find") == "kind"
    assert await fault_of(sealer, held(one, two), read="find") == "trailer"
    longer = sealer.closing(PartTable.of([(1, 50_000), (3, 50_000)]))
    assert await fault_of(sealer, held(one, two, longer), read="end") == "part"
    # A whole object in front of a closing is a whole object of a wrong size.
    assert await fault_of(sealer, held(whole, two, table), read="find") == "size"


async def test_the_end_of_the_last_message_is_checked_before_the_last_byte_is_released() -> None:
    """The last chunk of this object is empty: all bytes came before it."""
    sealer = Sealer()
    held = sealer.whole(64 * CHUNK)
    flipped = held.stored[:-1] + bytes([held.stored[-1] ^ 1])
    bench = Bench(sealer, Sealed(held.plaintext, flipped, held.marker))
    received = b""

    async def receive() -> None:
        nonlocal received
        async with bench.store.fetch(STORED.get()) as answer:
            whole = await bench.reader.whole(STORED, answer)
            assert whole is not None
            async for piece in whole.pieces:
                received += piece

    with pytest.raises(IntegrityError):
        await receive()
    assert received
    assert len(received) < len(held.plaintext)
    assert held.plaintext.startswith(received)
