"""Which parts an object has, where its closing goes, and what the client knows of an upload in between."""

import random
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.crypto.sealed.geometry import MAX_PARTS, MIN_PART_BYTES, sealed_size
from gateway.errors import S3Error
from gateway.s3.part_list import NamedPart, StoredPart
from gateway.server.sealed.completion import Completion, client_part, plan_completion
from gateway.server.sealed.staging import OwnPart

_BIG = sealed_size(MIN_PART_BYTES)


def stored(number: int, plaintext_bytes: int = MIN_PART_BYTES, etag: str | None = None) -> StoredPart:
    return StoredPart(number, f'"{etag or f"e{number}"}"', sealed_size(plaintext_bytes))


def named(*parts: StoredPart) -> list[NamedPart]:
    return [NamedPart(part.number, part.etag) for part in parts]


def refused(parts: list[NamedPart], there: list[StoredPart], own: list[OwnPart] | None = None) -> tuple[str, int | str]:
    with pytest.raises(S3Error) as caught:
        plan_completion(parts, there, own or [], "shown id")
    details = dict(caught.value.details)
    assert details.get("UploadId", "shown id") == "shown id"
    return caught.value.code, details.get("PartNumber", "")


def where(completion: Completion) -> tuple[list[int], int | None, int]:
    tail = None if completion.tail is None else completion.tail.number
    return [number for number, _ in completion.kept], tail, completion.extra_number


@pytest.mark.parametrize(
    ("there", "chosen", "expected"),
    [
        # A large last part stays, and the closing follows it.
        ([stored(1)], [1], ([1], None, 2)),
        ([stored(1), stored(2), stored(5)], [1, 2, 5], ([1, 2, 5], None, 6)),
        ([stored(1), stored(2), stored(3)], [1, 2], ([1, 2], None, 4)),
        ([stored(9_999)], [9_999], ([9_999], None, 10_000)),
        # A small one is uploaded again: in its place when the object has all parts, else behind all of them.
        ([stored(1), stored(2, 0)], [1, 2], ([1], 2, 2)),
        ([stored(1, 7)], [1], ([], 1, 1)),
        ([stored(10_000, 7)], [10_000], ([], 10_000, 10_000)),
        ([stored(1), stored(2, 7), stored(3)], [1, 2], ([1], 2, 4)),
        ([stored(1), stored(2, 7)], [2], ([], 2, 3)),
        ([stored(9_999, 7), stored(10_000, 7)], [9_999], ([], 9_999, 9_999)),
    ],
)
def test_the_closing_goes_where_no_part_is_lost(
    there: list[StoredPart], chosen: list[int], expected: tuple[list[int], int | None, int]
) -> None:
    completion = plan_completion(named(*(part for part in there if part.number in chosen)), there, [], "id")
    assert where(completion) == expected
    assert [part.number for part in completion.table.parts()] == chosen


def test_there_has_to_be_a_number_left_behind_a_large_last_part() -> None:
    there = [stored(9_999), stored(10_000, 7)]
    assert refused(named(there[0]), there) == ("InvalidRequest", "")


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([NamedPart(2, '"e2"')], ("InvalidPart", "2")),
        ([NamedPart(1, '"other"')], ("InvalidPart", "1")),
        ([NamedPart(3, '"e3"')], ("InvalidPart", "3")),
        ([NamedPart(4, '"e4"'), NamedPart(5, '"e5"')], ("EntityTooSmall", "4")),
    ],
)
def test_what_is_not_there_or_too_small_is_refused(parts: list[NamedPart], expected: tuple[str, str]) -> None:
    there = [stored(1), StoredPart(3, '"e3"', sealed_size(0) - 1), stored(4, MIN_PART_BYTES - 1), stored(5)]
    assert refused(parts, there) == expected


@pytest.mark.parametrize("etag", ['"abc-1"', "abc-1", '"abc"', "abc"])
def test_a_part_is_named_by_its_shown_etag_or_by_the_servers(etag: str) -> None:
    there = [stored(1, etag="abc")]
    assert plan_completion([NamedPart(1, etag)], there, (), "u").kept == ((1, '"abc"'),)
    with pytest.raises(S3Error) as refused:
        plan_completion([NamedPart(1, "abc-2")], there, (), "u")
    assert ("ETag", "abc-2") in refused.value.details


def test_etags_are_compared_without_quotes() -> None:
    assert where(plan_completion([NamedPart(1, "e1")], [stored(1)], [], "id")) == ([1], None, 2)


def test_a_part_sent_again_that_a_server_still_lists_may_be_named() -> None:
    there = [stored(1, etag="old"), stored(1, MIN_PART_BYTES + 1, "new"), stored(2, 7)]
    for chosen, size in ((there[0], MIN_PART_BYTES), (there[1], MIN_PART_BYTES + 1)):
        completion = plan_completion(named(chosen, there[2]), there, [], "id")
        assert (completion.kept, completion.table.plaintext_bytes) == (((1, chosen.etag),), size + 7)


# ---------------------------------------------------------------------------------------------------- the gateway's own


def test_the_gateways_own_part_is_none_of_the_clients_and_is_used_again() -> None:
    there = [stored(1), StoredPart(2, '"own"', 700)]
    own = [OwnPart(2, 700, '"own"')]
    assert client_part(there[1], own) is None
    assert where(plan_completion(named(there[0]), there, own, "id")) == ([1], None, 2)
    assert refused(named(*there), there, own) == ("InvalidPart", "2")


def test_a_part_that_the_client_sent_under_the_same_number_is_its_own() -> None:
    there = [stored(1), stored(2, 7)]
    own = [OwnPart(2, 700, '"own"'), OwnPart(2, there[1].stored_bytes, '"own"')]
    assert client_part(there[1], own) == there[1]
    assert where(plan_completion(named(*there), there, own, "id")) == ([1], 2, 2)


@pytest.mark.parametrize("etag", ['"own"', None], ids=["recorded", "crashed before it was recorded"])
def test_a_replaced_tail_is_still_the_clients(etag: str | None) -> None:
    tail = stored(2, 7)
    there = [stored(1), StoredPart(2, '"own"', 5000)]
    own = [OwnPart(2, 5000, etag, tail)]
    assert client_part(there[1], own) == tail
    completion = plan_completion(named(there[0], tail), there, own, "id")
    assert where(completion) == ([1], 2, 2)
    assert completion.replaced == completion.tail == tail
    assert refused(named(there[1]), there, own) == ("InvalidPart", "2")
    assert refused(named(tail, stored(3)), [*there, stored(3)], own) == ("EntityTooSmall", "2")
    again = stored(2, 8, "again")
    assert client_part(again, own) == again
    assert where(plan_completion(named(there[0], again), [there[0], again], own, "id")) == ([1], 2, 2)


def test_what_was_recorded_for_certain_counts_before_what_was_expected() -> None:
    tail, own = stored(2, 7), StoredPart(2, '"own"', 5000)
    records = [OwnPart(2, 5000, None, tail), OwnPart(2, 5000, '"own"')]
    assert client_part(own, records) is None
    assert client_part(own, records[::-1]) is None


@given(
    st.dictionaries(st.integers(1, MAX_PARTS), st.sampled_from([0, 7, MIN_PART_BYTES - 1, MIN_PART_BYTES, 10**7])),
    st.randoms(use_true_random=False),
)
def test_any_list_is_refused_or_becomes_exactly_its_parts(sizes: dict[int, int], chance: random.Random) -> None:
    there = [stored(number, size) for number, size in sizes.items()]
    chosen = [part for part in sorted(there, key=lambda part: part.number) if chance.random() < 0.8]
    if not chosen:
        return
    completion = code = None
    try:
        completion = plan_completion(named(*chosen), there, [], "id")
    except S3Error as error:
        code = error.code
    if completion is None:
        small = [part for part in chosen[:-1] if part.stored_bytes < _BIG]
        full = set(range(chosen[-1].number + 1, MAX_PARTS + 1)) <= set(sizes)
        assert (code == "EntityTooSmall" and small) or (code == "InvalidRequest" and full)
        return
    assert [(part.number, part.plaintext_bytes) for part in completion.table.parts()] == [
        (part.number, sizes[part.number]) for part in chosen
    ]
    listed = [number for number, _ in chain(completion.kept, [(completion.extra_number, "")])]
    assert listed == sorted(set(listed))
    assert all(sizes[number] >= MIN_PART_BYTES for number, _ in completion.kept)
    lost = {completion.extra_number} & set(sizes)
    assert lost <= ({completion.tail.number} if completion.tail is not None else set())
    tail = [] if completion.tail is None else [completion.tail.number]
    assert [number for number, _ in completion.kept] + tail == [part.number for part in chosen]
