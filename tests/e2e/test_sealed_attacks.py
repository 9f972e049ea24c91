"""Whoever holds the bucket changes stored bytes: every read of them is an error before a wrong byte leaves.

The objects are written through the gateway, changed at the store itself, and read in every way there is. A read that
ends cleanly has to be the truth (:mod:`tests.e2e.sealed_reads`), whatever was done; reading the whole object never ends
cleanly after a change.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import pytest
from botocore.exceptions import ClientError

from tests.e2e.sealed_bytes import (
    CHUNK,
    ENVELOPE,
    HEAD,
    SEALED_CHUNK,
    TAG,
    TRAILER,
    Message,
    flipped,
    joined,
    message_at,
    multipart_of,
    written,
)
from tests.e2e.sealed_reads import FEW_READINGS, READINGS, Outcome, Reading, Truth, copied, copied_as_part, fetch
from tests.e2e.stage import CSE, ENFORCED_CSE, NONE, Stage

_MIB = 2**20
_PART = 5 * _MIB
_MARKER = "sealgate"


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as the store has it.

    Attributes:
        data: its bytes.
        marker: its marker in the metadata; None when there is none.
    """

    data: bytes = field(repr=False)
    marker: str | None


@dataclass(frozen=True, slots=True)
class Victim:
    """An object to attack, and others that were written like it.

    Attributes:
        key: its key.
        truth: what clients get.
        stored: what the store has.
        earlier: an older object under the same key, of the same size and parts.
        elsewhere: an object under another key, of the same size and parts.
    """

    key: str
    truth: Truth
    stored: Stored
    earlier: Stored
    elsewhere: Stored


Attack = Callable[[Victim], Stored]


# ------------------------------------------------------------------------------------------------- objects to attack


def _read_stored(stage: Stage, key: str, encryption: str = CSE) -> Stored:
    answer = stage.direct.get_object(Bucket=stage.bucket(encryption), Key=key)
    return Stored(answer["Body"].read(), answer["Metadata"].get(_MARKER))


def _write_stored(stage: Stage, key: str, stored: Stored, encryption: str = CSE) -> None:
    metadata = {} if stored.marker is None else {_MARKER: stored.marker}
    stage.direct.put_object(Bucket=stage.bucket(encryption), Key=key, Body=stored.data, Metadata=metadata)


def _put(stage: Stage, key: str, data: bytes) -> Stored:
    stage.client.put_object(Bucket=stage.bucket(CSE), Key=key, Body=data)
    return _read_stored(stage, key)


def _upload(stage: Stage, key: str, data: bytes, sizes: tuple[int, ...]) -> Stored:
    upload = {"Bucket": stage.bucket(CSE), "Key": key}
    upload["UploadId"] = stage.client.create_multipart_upload(**upload)["UploadId"]
    parts, start = [], 0
    for number, size in enumerate(sizes, 1):
        etag = stage.client.upload_part(**upload, PartNumber=number, Body=data[start : start + size])["ETag"]
        parts.append({"PartNumber": number, "ETag": etag})
        start += size
    stage.client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    return _read_stored(stage, key)


def _victim(stage: Stage, name: str, sizes: tuple[int, ...], write: Callable[[str, bytes], Stored]) -> Victim:
    size = sum(sizes)
    earlier, elsewhere, data = (random.Random(f"{name} {of}").randbytes(size) for of in ("earlier", "else", "now"))
    key = f"attacked/{name}"
    return Victim(
        key=key,
        earlier=write(key, earlier),
        elsewhere=write(f"{key}, another", elsewhere),
        stored=write(key, data),
        truth=Truth(data, sizes if len(sizes) > 1 else ()),
    )


@pytest.fixture(scope="module")
def small(stage: Stage) -> Victim:
    """Seven chunks, the last one shorter."""
    return _victim(stage, "small", (100_000,), partial(_put, stage))


@pytest.fixture(scope="module", params=[0, 1, CHUNK - 1, CHUNK, 2 * CHUNK])
def bordering(request: pytest.FixtureRequest, stage: Stage) -> Victim:
    """Sizes around those of a chunk."""
    return _victim(stage, f"{request.param} bytes", (request.param,), partial(_put, stage))


#: Parts of equal size with a small tail, and of different sizes with none.
_PARTS = {"tail": (_PART, _PART, 70_000), "no tail": (_PART, _PART + 1)}


@pytest.fixture(scope="module", params=["tail", pytest.param("no tail", marks=pytest.mark.slow)])
def parted(request: pytest.FixtureRequest, stage: Stage) -> Victim:
    """An object of several parts."""
    sizes = _PARTS[request.param]
    return _victim(stage, f"parts, {request.param}", sizes, lambda key, data: _upload(stage, key, data, sizes))


# ------------------------------------------------------------------------------------------------------------ attacks


def _with(change: Callable[[bytes], bytes]) -> Attack:
    return lambda victim: replace(victim.stored, data=change(victim.stored.data))


def _flip(position: int) -> Attack:
    return _with(lambda data: flipped(data, position))


def _forge(start: int, value: bytes) -> Attack:
    return _with(lambda data: written(data, start, value))


def _cut(length: int) -> Attack:
    return _with(lambda data: data[:length])


def _as(*pieces: bytes) -> Attack:
    return _with(lambda _: joined(pieces))


def _marked(change: Callable[[Victim], str | None]) -> Attack:
    return lambda victim: replace(victim.stored, marker=change(victim))


def _message_attacks(message: Message, name: str = "") -> Iterator[tuple[str, Attack]]:
    """A bit in everything that a message consists of, and false values in its envelope."""
    start, size = message.start, message.plaintext_bytes
    for place, position in message.places():
        if position < message.end:
            yield f"flip {name}{place}", _flip(position)
    forged = {
        "version 2": (8, b"\x02"),
        "version 0": (8, b"\x00"),
        **{f"kind {kind}": (9, bytes([kind])) for kind in (0, 1, 2, 255)},
        "envelope length 0": (10, bytes(2)),
        "envelope length 256": (10, (256).to_bytes(2)),
        "envelope length 768": (10, (768).to_bytes(2)),
        **{f"part number {number}": (12, number.to_bytes(4)) for number in (0, 1, 2, 3, 10_000, 2**32 - 1)},
        **{
            f"size {claimed}": (16, claimed.to_bytes(8))
            for claimed in {size + 1, max(0, size - 1), size + CHUNK, max(0, size - CHUNK), 0, 2**64 - 1}
        },
        "no location": (40, bytes(32)),
        "no object id": (24, bytes(16)),
        "no wrapping key": (72, bytes(2)),
        "long wrapping key": (72, b"\xff\xff"),
        "long wrapped data key": (74, b"\xff\xff"),
        "zero salt": (ENVELOPE, bytes(24)),
        "zero commitment": (ENVELOPE + 24, bytes(32)),
    }
    for claim, (offset, value) in forged.items():
        yield f"forge {name}{claim}", _forge(start + offset, value)


def _cuts(stored: bytes, borders: set[int]) -> Iterator[tuple[str, Attack]]:
    """Truncated at every border and beside it."""
    lengths = {border + beside for border in borders for beside in (-1, 0, 1)}
    for length in sorted(length for length in lengths if 0 <= length < len(stored)):
        yield f"truncate to {length}", _cut(length)


def _extensions(victim: Victim) -> Iterator[tuple[str, Attack]]:
    data = victim.stored.data
    for name, more in {
        "a byte": b"\0",
        "a tag": bytes(TAG),
        "a chunk": bytes(SEALED_CHUNK),
        "its own end": data[-SEALED_CHUNK:],
        "itself": data,
        "a trailer": b"sealgate" + len(data).to_bytes(4) + bytes(4),
    }.items():
        yield f"extend by {name}", _as(data, more)
    yield "prepend a byte", _with(lambda stored: b"\0" + stored)
    yield "prepend its head", _with(lambda stored: stored[:HEAD] + stored)


def _whole_attacks(victim: Victim) -> Iterator[tuple[str, Attack]]:
    """On an object of one PutObject."""
    stored = victim.stored.data
    message = message_at(stored, 0)
    chunks = message.chunk_starts
    yield from _message_attacks(message)
    yield from _cuts(stored, {0, 8, ENVELOPE, HEAD - 32, HEAD, *chunks, len(stored) - TAG, len(stored)})
    yield from _extensions(victim)
    yield "only the head and a trailer", _with(lambda data: data[:HEAD] + b"sealgate" + HEAD.to_bytes(4) + bytes(4))
    for name, other in {"earlier": victim.earlier.data, "elsewhere": victim.elsewhere.data}.items():
        yield f"envelope of {name}", _as(other[:ENVELOPE], stored[ENVELOPE:])
        yield f"head of {name}", _as(other[:HEAD], stored[HEAD:])
        yield f"salt of {name}", _as(stored[:ENVELOPE], other[ENVELOPE:HEAD], stored[HEAD:])
        for start in sorted({chunks[0], chunks[-1]}):
            end = start + SEALED_CHUNK
            yield f"chunk at {start} of {name}", _as(stored[:start], other[start:end], stored[end:])
    yield "another object", lambda v: v.elsewhere


def _chunk_attacks(victim: Victim) -> Iterator[tuple[str, Attack]]:
    """On the order of chunks, where there are several."""
    stored = victim.stored.data
    pieces = [stored[start : start + SEALED_CHUNK] for start in message_at(stored, 0).chunk_starts]
    head = stored[:HEAD]
    orders = {
        "swap the first two chunks": [pieces[1], pieces[0], *pieces[2:]],
        "swap the last two chunks": [*pieces[:-2], pieces[-1], pieces[-2]],
        "drop the first chunk": pieces[1:],
        "drop a middle chunk": [*pieces[:3], *pieces[4:]],
        "drop the last chunk": pieces[:-1],
        "repeat the first chunk": [pieces[0], *pieces],
        "repeat the first in place of the second": [pieces[0], pieces[0], *pieces[2:]],
        "repeat the last chunk": [*pieces, pieces[-1]],
    }
    for name, order in orders.items():
        yield name, _as(head, *order)


def _parts_attacks(victim: Victim) -> Iterator[tuple[str, Attack]]:
    """On an object of several parts, its closing and its trailer."""
    stored = victim.stored.data
    layout = multipart_of(stored)
    for number, part in enumerate(layout.parts, 1):
        yield from _message_attacks(part, f"part {number} ")
    yield from _message_attacks(layout.closing, "closing ")
    for offset in range(TRAILER):
        yield f"flip trailer {offset}", _flip(layout.trailer + offset)
    for length in {0, 1, TRAILER, HEAD, len(stored), 2**32 - 1}:
        yield (
            f"forge closing length {length}",
            _forge(layout.trailer + 8, length.to_bytes(4)),
        )
    for table in range(layout.closing.start + HEAD, layout.closing.end, 11):
        yield f"flip table {table - layout.closing.start - HEAD}", _flip(table)
    borders = {message.start for message in (*layout.parts, layout.closing)}
    yield from _cuts(stored, borders | {layout.trailer, len(stored), layout.parts[1].start + HEAD + SEALED_CHUNK})
    yield from _extensions(victim)
    yield from _piece_attacks(victim)


def _piece_attacks(victim: Victim) -> Iterator[tuple[str, Attack]]:
    """Parts, closings and trailers dropped, repeated, in another order, and of other objects."""
    pieces = multipart_of(victim.stored.data).pieces(victim.stored.data)
    count = len(pieces) - 2
    orders: dict[str, list[bytes]] = {}
    for number in range(count):
        orders[f"drop part {number + 1}"] = [*pieces[:number], *pieces[number + 1 :]]
        orders[f"repeat part {number + 1}"] = [*pieces[: number + 1], *pieces[number:]]
        orders[f"only part {number + 1}"] = [pieces[number], *pieces[count:]]
        orders[f"part {number + 1} as the object"] = [pieces[number]]
    orders["swap the first two parts"] = [pieces[1], pieces[0], *pieces[2:]]
    orders["first part in place of the second"] = [pieces[0], pieces[0], *pieces[2:]]
    orders["no closing"] = [*pieces[:count], pieces[-1]]
    orders["no trailer"] = pieces[:-1]
    orders["only closing and trailer"] = pieces[count:]
    orders["two closings"] = [*pieces[:count], *pieces[count:], *pieces[count:]]
    orders["closing first"] = [pieces[count], *pieces[:count], pieces[-1]]
    for name, other in {"earlier": victim.earlier, "elsewhere": victim.elsewhere}.items():
        theirs = multipart_of(other.data).pieces(other.data)
        for number in range(count):
            orders[f"part {number + 1} of {name}"] = [*pieces[:number], theirs[number], *pieces[number + 1 :]]
        orders[f"closing of {name}"] = [*pieces[:count], theirs[count], pieces[-1]]
        orders[f"all parts of {name}"] = [*theirs[:count], *pieces[count:]]
        heads = [their[:HEAD] + ours[HEAD:] for their, ours in zip(theirs, pieces, strict=True)]
        orders[f"heads of {name}"] = [*heads[:count], *pieces[count:]]
    for name, order in orders.items():
        yield name, _as(*order)
    yield "another object", lambda v: v.elsewhere


_MARKERS: Mapping[str, Callable[[Victim], str | None]] = {
    "no marker": lambda _: None,
    "an unknown version": lambda v: (v.stored.marker or "").replace("v1", "v2"),
    "a size too large": lambda v: f"v1;size={len(v.truth.data) + 1}",
    "a size too small": lambda v: f"v1;size={max(0, len(v.truth.data) - 1) or 5}",
    "a size of a chunk less": lambda v: f"v1;size={max(0, len(v.truth.data) - CHUNK) or 7}",
    "an impossible size": lambda _: f"v1;size={2**64}",
    "a negative size": lambda _: "v1;size=-1",
    "an empty size": lambda _: "v1;size=",
    "a size with a zero before": lambda v: f"v1;size=0{len(v.truth.data)}",
    "an unknown field": lambda v: f"{v.stored.marker};more=1",
    "a field twice": lambda v: f"{v.stored.marker};size=1;size=1",
    "an alias that is no proof": lambda v: f"{v.stored.marker};alias=!!!",
    "other letters": lambda v: (v.stored.marker or "").upper(),
    "nonsense": lambda _: "plaintext",
}
#: These contradict nothing that is authenticated, so the object may still be read as what it is.
_HARMLESS: Mapping[str, Callable[[Victim], str | None]] = {
    "an alias of another object": lambda v: f"{v.stored.marker};alias={'A' * 43}",
    "the other kind": lambda v: f"v1;size={len(v.truth.data)}" if v.truth.part_sizes else "v1",
}


# -------------------------------------------------------------------------------------------------------------- tests


def _try(
    stage: Stage,
    victim: Victim,
    stored: Stored,
    *,
    readings: Mapping[str, Reading] = READINGS,
    copies: bool = False,
) -> dict[str, Outcome]:
    """Reads of an object with these stored bytes; a wrong byte fails at once."""
    _write_stored(stage, victim.key, stored)
    bucket = stage.bucket(CSE)
    found = {name: read(stage.gateway, bucket, victim.key, victim.truth) for name, read in readings.items()}
    if copies:
        source = (bucket, victim.key)
        targets = {"copy": CSE, "copy into the clear": NONE}
        for name, encryption in targets.items():
            found[name] = copied(stage.gateway, source, (stage.bucket(encryption), "attacked/copy"), victim.truth)
        found["part copy"] = copied_as_part(stage.gateway, source, (bucket, "attacked/part copy"), victim.truth)
    return found


def _survivors(
    stage: Stage,
    victim: Victim,
    attacks: Iterable[tuple[str, Attack]],
    *,
    readings: Mapping[str, Reading] = READINGS,
    copies: bool = False,
) -> list[str]:
    """The attacks after which the whole object, or a copy of it, could still be read."""
    survived = []
    for name, attack in attacks:
        stored = attack(victim)
        if stored == victim.stored:
            continue
        try:
            found = _try(stage, victim, stored, readings=readings, copies=copies)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error
        whole = {read: outcome for read, outcome in found.items() if read == "whole" or "copy" in read}
        survived += [f"{name}: {read}" for read, outcome in whole.items() if outcome is Outcome.TRUE]
    _write_stored(stage, victim.key, victim.stored)
    return survived


def _assert_untouched_reads(stage: Stage, victim: Victim, *, copies: bool = True) -> None:
    """The tests' own way of writing and reading is right: the stored bytes, written again, are read."""
    found = _try(stage, victim, victim.stored, copies=copies)
    wrong = {name: outcome for name, outcome in found.items() if outcome is not Outcome.TRUE}
    # There is no range of nothing.
    ranges = {"first bytes", "middle", "open end", "suffix"} if not victim.truth.data else set()
    assert wrong.keys() == ranges


def test_untouched_objects_are_read(stage: Stage, small: Victim, bordering: Victim) -> None:
    for victim in (small, bordering):
        _assert_untouched_reads(stage, victim)


def test_no_change_of_a_small_object_goes_unseen(stage: Stage, small: Victim) -> None:
    before = stage.gateway.metric("sealgate_integrity_failures_total")
    attacks = [*_whole_attacks(small), *_chunk_attacks(small)]
    assert _survivors(stage, small, attacks, readings=FEW_READINGS) == []
    assert stage.gateway.metric("sealgate_integrity_failures_total") > before


@pytest.mark.slow
def test_no_read_of_a_changed_object_is_false(stage: Stage, small: Victim) -> None:
    """Nor are copies on the server's side, in the clear, and as a part; of these, every third change."""
    attacks = [*_whole_attacks(small), *_chunk_attacks(small)]
    assert _survivors(stage, small, attacks) == []
    assert _survivors(stage, small, attacks[::3], readings=FEW_READINGS, copies=True) == []


def test_nothing_false_is_said_of_an_object_with_a_false_head(stage: Stage, small: Victim) -> None:
    """What the first 568 bytes claim is refused by HEAD and by ranges far behind them, before any header is sent."""
    message = message_at(small.stored.data, 0)
    for name, attack in _message_attacks(message):
        if "chunk" in name or "tag" in name or attack(small) == small.stored:
            continue
        found = _try(stage, small, attack(small), readings={"head": READINGS["head"], "middle": READINGS["middle"]})
        assert {read: outcome for read, outcome in found.items() if outcome is not Outcome.REFUSED} == {}, name
    _write_stored(stage, small.key, small.stored)


@pytest.mark.slow
def test_no_change_of_an_object_around_a_chunk_goes_unseen(stage: Stage, bordering: Victim) -> None:
    assert _survivors(stage, bordering, _whole_attacks(bordering)) == []


def test_parts_can_not_be_moved(stage: Stage, parted: Victim) -> None:
    _assert_untouched_reads(stage, parted)
    readings = {"whole": READINGS["whole"], "suffix": READINGS["suffix"]}
    assert _survivors(stage, parted, _piece_attacks(parted), readings=readings) == []


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("parted", ["tail"], indirect=True)
def test_no_change_of_an_object_in_parts_goes_unseen(stage: Stage, parted: Victim) -> None:
    assert _survivors(stage, parted, _parts_attacks(parted), readings=FEW_READINGS) == []


@pytest.mark.slow
def test_an_object_in_parts_with_a_false_closing_is_refused_at_once(stage: Stage, parted: Victim) -> None:
    """The closing authenticates the size: without it there is no header field, not of HEAD and not of a range."""
    layout = multipart_of(parted.stored.data)
    attacks = [*_message_attacks(layout.closing, "closing "), ("trailer", _with(lambda data: data[:-1]))]
    for name, attack in attacks:
        if attack(parted) == parted.stored:
            continue
        found = _try(stage, parted, attack(parted), readings={"head": READINGS["head"], "middle": READINGS["middle"]})
        assert {read: outcome for read, outcome in found.items() if outcome is not Outcome.REFUSED} == {}, name
    _write_stored(stage, parted.key, parted.stored)


@pytest.mark.parametrize("marker", _MARKERS)
def test_a_false_marker_is_refused(stage: Stage, small: Victim, marker: str) -> None:
    attacks = [(marker, _marked(_MARKERS[marker]))]
    assert _survivors(stage, small, attacks, copies=True) == []


@pytest.mark.slow
@pytest.mark.parametrize("marker", [name for name in _MARKERS if "zero before" not in name])
def test_a_false_marker_of_an_object_in_parts_is_refused(stage: Stage, parted: Victim, marker: str) -> None:
    attacks = [(marker, _marked(_MARKERS[marker]))]
    assert _survivors(stage, parted, attacks, copies=True) == []


@pytest.mark.parametrize("marker", _HARMLESS)
def test_a_marker_can_not_make_another_object(stage: Stage, small: Victim, marker: str) -> None:
    _try(stage, small, _marked(_HARMLESS[marker])(small), copies=True)
    _write_stored(stage, small.key, small.stored)


@pytest.mark.parametrize("shape", ["small", "parted"])
@pytest.mark.parametrize(
    "plaintext", [b"", b"plain", b"x" * 100_000, b"sealgate", b"sealgate\x01\x00\x02\x00" + bytes(1000)], ids=len
)
@pytest.mark.parametrize("marked", [True, False])
def test_plaintext_in_place_of_a_sealed_object_is_refused(
    stage: Stage, shape: str, plaintext: bytes, marked: bool, request: pytest.FixtureRequest
) -> None:
    if shape == "parted":
        victim = Victim("attacked/parts", Truth(b""), Stored(b"", "v1"), Stored(b"", None), Stored(b"", None))
    else:
        victim = request.getfixturevalue("small")
    stored = Stored(plaintext, victim.stored.marker if marked else None)
    found = _try(stage, replace(victim, truth=Truth(b"never")), stored, copies=True)
    assert set(found.values()) == {Outcome.REFUSED}


@pytest.mark.parametrize(
    ("bucket", "key"), [(CSE, "attacked/moved"), (CSE, "attacked/smal"), (ENFORCED_CSE, "attacked/small")]
)
def test_an_object_under_another_name_is_refused(stage: Stage, small: Victim, bucket: str, key: str) -> None:
    """A raw copy within a bucket, and into another bucket of the same key."""
    _write_stored(stage, key, small.stored, bucket)
    for read in READINGS.values():
        assert read(stage.gateway, stage.bucket(bucket), key, small.truth) is Outcome.REFUSED


def test_an_object_in_parts_under_another_name_is_refused(stage: Stage, parted: Victim) -> None:
    _write_stored(stage, "attacked/moved", parted.stored)
    for read in READINGS.values():
        assert read(stage.gateway, stage.bucket(CSE), "attacked/moved", parted.truth) is Outcome.REFUSED


def test_a_proof_of_a_copy_is_no_proof_of_another_copy(stage: Stage, small: Victim) -> None:
    """The alias in a copy's marker binds one object to one name."""
    bucket = stage.bucket(CSE)
    _write_stored(stage, small.key, small.stored)
    for name in ("alias one", "alias two"):
        stage.client.copy_object(Bucket=bucket, Key=f"attacked/{name}", CopySource={"Bucket": bucket, "Key": small.key})
    one, two = (_read_stored(stage, f"attacked/{name}") for name in ("alias one", "alias two"))
    assert one.data == two.data == small.stored.data
    assert one.marker != two.marker
    read = READINGS["whole"]
    # Not of the first one: what was found right once is remembered as long as the bytes have the same ETag.
    assert read(stage.gateway, bucket, "attacked/alias two", small.truth) is Outcome.TRUE
    moves = {
        "the other's proof": ("attacked/alias one", replace(one, marker=two.marker)),
        "no proof": ("attacked/alias one", replace(one, marker=small.stored.marker)),
        "another object with this one's proof": ("attacked/alias one", replace(small.elsewhere, marker=one.marker)),
        "an older object with this one's proof": ("attacked/alias one", replace(small.earlier, marker=one.marker)),
        "a third name": ("attacked/alias three", one),
        "another bucket": ("attacked/alias one", one),
    }
    for name, (key, stored) in moves.items():
        encryption = ENFORCED_CSE if name == "another bucket" else CSE
        _write_stored(stage, key, stored, encryption)
        outcomes = {read(stage.gateway, stage.bucket(encryption), key, small.truth) for read in READINGS.values()}
        assert outcomes == {Outcome.REFUSED}, name


def test_a_refusal_says_nothing_of_the_object(stage: Stage, small: Victim) -> None:
    """AccessDenied, and none of the bytes."""
    _write_stored(stage, small.key, replace(small.stored, data=flipped(small.stored.data, 40)))
    got = fetch(stage.gateway, "GET", f"/{stage.bucket(CSE)}/{small.key}")
    assert (got.status, b"<Code>AccessDenied</Code>" in got.body, b"not released" in got.body) == (403, True, True)
    assert small.truth.data[:16] not in got.body
    _write_stored(stage, small.key, small.stored)


@pytest.mark.slow
def test_an_older_object_is_itself(stage: Stage, small: Victim) -> None:
    """Known limit: the holder of the bucket can put back an older object under its own name. It is not mixed up."""
    _write_stored(stage, small.key, small.earlier)
    body = stage.client.get_object(Bucket=stage.bucket(CSE), Key=small.key)["Body"].read()
    assert body == random.Random("small earlier").randbytes(100_000)
    _write_stored(stage, small.key, small.stored)


def test_a_staged_tail_is_not_another_ones(stage: Stage) -> None:
    """Complete with a tail that the client never sent, put at the store itself under the tail's number, is refused."""
    where = {"Bucket": stage.bucket(CSE), "Key": "attacked/tail"}
    upload_id = stage.client.create_multipart_upload(**where)["UploadId"]
    upload = where | {"UploadId": upload_id}
    etag = stage.client.upload_part(**upload, PartNumber=1, Body=b"a" * 1000)["ETag"]
    at_store = where | {"UploadId": upload_id.partition(".sg1-")[0]}
    theirs = stage.direct.upload_part(**at_store, PartNumber=1, Body=b"b" * 1584)["ETag"]
    assert theirs != etag
    with pytest.raises(ClientError):
        stage.client.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": theirs}]})
    with pytest.raises(ClientError):
        stage.client.head_object(**where)
    stage.client.abort_multipart_upload(**upload)
