"""What is kept of objects: by ETag, and within bounds."""

import pytest

from gateway.crypto.sealed.closing import PartTable
from gateway.crypto.sealed.message import MessageHead
from gateway.server.sealed.layouts import PLAIN, Layout, LayoutCache
from tests.server.sealed.sealed_objects import Counted, Sealer

_HEAD = MessageHead.parse(Sealer().whole(10).stored[:568])


def layout(etag: str = '"1"', *, table: PartTable | None = None) -> Layout:
    return Layout(
        etag=etag,
        stored_bytes=594,
        plaintext_bytes=10,
        object_id=bytes(16),
        location=bytes(32),
        wrapping_key="local:test",
        wrapped_data_key=b"wrapped",
        head=None if table is not None else _HEAD,
        table=table,
    )


def irregular(parts: int) -> PartTable:
    return PartTable.of([(number, number) for number in range(1, parts + 1)])


def test_entries_belong_to_an_etag() -> None:
    counted = Counted()
    cache = LayoutCache(10, counted)
    assert cache.get("b", "k", '"1"') is None
    cache.put("b", "k", '"1"', layout())
    cache.put("b", "k", '"2"', PLAIN)
    assert cache.get("b", "k", '"1"') == layout()
    assert cache.get("b", "k", '"2"') is PLAIN
    for other in (("b", "k", '"3"'), ("c", "k", '"1"'), ("b", "l", '"1"'), ("bk", "", '"1"'), ("", "bk", '"1"')):
        assert cache.get(*other) is None
    assert counted.lookups == [False, True, True, *[False] * 5]


def test_what_an_object_was_last() -> None:
    cache = LayoutCache(10)
    cache.note_latest("b", "k", None, '"1"')
    assert cache.latest("b", "k") is None
    assert not cache.expects_sealed("b", "k")
    cache.put("b", "k", '"1"', layout())
    assert cache.latest("b", "k") == layout()
    assert cache.latest("b", "k", "v1") is None
    assert cache.expects_sealed("b", "k")
    cache.note_latest("b", "k", "v1", '"1"')
    assert cache.latest("b", "k", "v1") == layout()
    cache.put("b", "k", '"2"', PLAIN)
    cache.note_latest("b", "k", None, '"2"')
    assert cache.latest("b", "k") is PLAIN
    assert not cache.expects_sealed("b", "k")
    cache.forget("b", "k")
    assert cache.latest("b", "k") is None
    assert cache.latest("b", "k", "v1") == layout()


def test_heads_of_parts() -> None:
    cache = LayoutCache(10)
    cache.put_part_head("b", "k", '"1"', 2, _HEAD)
    assert cache.part_head("b", "k", '"1"', 2) == _HEAD
    assert cache.part_head("b", "k", '"1"', 1) is None
    assert cache.part_head("b", "k", '"2"', 2) is None


def test_what_was_used_least_recently_makes_room() -> None:
    cache = LayoutCache(3)
    for number in range(3):
        cache.put("b", f"{number}", '"1"', layout())
    assert cache.get("b", "0", '"1"') is not None
    cache.put("b", "3", '"1"', layout())
    assert cache.get("b", "1", '"1"') is None
    assert [cache.get("b", f"{number}", '"1"') is not None for number in (0, 2, 3)] == [True] * 3
    assert len(cache) == 3


def test_nothing_is_kept_without_capacity() -> None:
    cache = LayoutCache(0)
    cache.put("b", "k", '"1"', layout())
    assert (len(cache), cache.weight) == (0, 0)


def test_large_part_tables_count_for_what_they_take() -> None:
    cache = LayoutCache(1000, max_weight=1_000_000)
    for number in range(50):
        cache.put("b", f"{number}", '"1"', layout(table=irregular(1000)))
        assert cache.weight <= 1_000_000
    assert 2 <= len(cache) <= 4
    before = len(cache)
    cache.put("b", "huge", '"1"', layout(table=irregular(10_000)))
    assert cache.get("b", "huge", '"1"') is None, "one entry does not push out all others"
    assert len(cache) == before


def test_the_weight_is_right_after_every_change() -> None:
    cache = LayoutCache(5)
    for turn in range(20):
        cache.put("b", f"{turn % 3}", '"1"', layout(table=irregular(turn + 1)))
        cache.put_part_head("b", "k", '"1"', turn % 4 + 1, _HEAD)
        cache.note_latest("b", "k", None, f'"{turn}"')
        cache.forget("b", "k")
    for number in range(5):
        cache.put("b", f"plain{number}", '"1"', PLAIN)
    only_plain = LayoutCache(5)
    for number in range(5):
        only_plain.put("b", f"{number}", '"1"', PLAIN)
    assert cache.weight == only_plain.weight


@pytest.mark.parametrize("key", ["\udcff\udcfe", "x" * 1024, ""])
def test_odd_keys(key: str) -> None:
    cache = LayoutCache(5)
    cache.put("b", key, '"1"', PLAIN)
    assert cache.get("b", key, '"1"') is PLAIN
