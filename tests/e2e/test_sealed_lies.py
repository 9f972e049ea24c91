"""A store that answers falsely under a true ETag: what was authenticated once helps it nothing.

The gateway has read the object before and knows its layout. Then a server between the two changes the answers.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.certificates import CertificateAuthority
from lab.openbao import OpenBao
from lab.seaweed import SeaweedFS
from tests.e2e.between import Answer, Between, Change, Passed
from tests.e2e.sealed_bytes import HEAD, SEALED_CHUNK, flipped
from tests.e2e.sealed_reads import READINGS, Outcome, Truth, copied, copied_as_part
from tests.e2e.stage import CSE, NONE, Stage

pytestmark = pytest.mark.slow

_SIZES = {"one": (400_000,), "parts": (5 * 2**20, 5 * 2**20, 70_000)}
_TRUTHS = {
    name: Truth(random.Random(name).randbytes(sum(sizes)), sizes if len(sizes) > 1 else ())
    for name, sizes in _SIZES.items()
}
_OTHER = '"0123456789abcdef0123456789abcdef"'

#: An answer with the bytes of an object, changed.
Lie = Callable[[Answer], Answer]


@pytest.fixture(scope="module")
def between(seaweed: SeaweedFS, authority: CertificateAuthority) -> Iterator[Between]:
    server = Between(seaweed, authority)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def stage(between: Between, lab_directory: Path, authority: CertificateAuthority, openbao: OpenBao) -> Iterator[Stage]:
    """A gateway that talks through ``between``, with the objects in its buckets."""
    running = Stage(lab_directory / "lies", authority, between, openbao, prefix="e2e-lies")
    running.start()
    bucket = running.bucket(CSE)
    for name, truth in _TRUTHS.items():
        if not truth.part_sizes:
            running.client.put_object(Bucket=bucket, Key=name, Body=truth.data)
            continue
        where = {"Bucket": bucket, "Key": name}
        upload = where | {"UploadId": running.client.create_multipart_upload(**where)["UploadId"]}
        parts = []
        for number in range(1, len(truth.part_sizes) + 1):
            start, end = truth.part(number)
            etag = running.client.upload_part(**upload, PartNumber=number, Body=truth.data[start:end])["ETag"]
            parts.append({"PartNumber": number, "ETag": etag})
        running.client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    yield running
    running.gateway.stop()


def _bodies(lie: Lie) -> Change:
    """Lies about the bytes of objects, and about nothing else."""

    def change(passed: Passed, answer: Answer) -> Answer:
        is_object = passed.method == "GET" and answer.status in {200, 206} and not answer.body.startswith(b"<?xml")
        return lie(answer) if is_object else answer

    return change


def _later(lie: Lie, after: int = 1) -> Change:
    """The truth at first, lies from the next request for bytes on."""
    seen = 0

    def maybe(answer: Answer) -> Answer:
        nonlocal seen
        seen += 1
        return lie(answer) if seen > after else answer

    return _bodies(maybe)


def _field(name: str, value: str) -> Lie:
    return lambda answer: replace(
        answer, headers={field: text for field, text in answer.headers.items() if field.lower() != name} | {name: value}
    )


def _moved_range(answer: Answer) -> Answer:
    """Says that the bytes are from elsewhere."""
    said = answer.headers.get("Content-Range")
    if said is None:
        return answer
    span, _, size = said.removeprefix("bytes ").partition("/")
    first, _, last = span.partition("-")
    return _field("Content-Range", f"bytes {int(first) + SEALED_CHUNK}-{int(last) + SEALED_CHUNK}/{size}")(answer)


def _resized(change: int) -> Lie:
    """Says that the object has another size."""

    def lie(answer: Answer) -> Answer:
        said = answer.headers.get("Content-Range")
        if said is None:
            return answer
        span, _, size = said.partition("/")
        return _field("Content-Range", f"{span}/{int(size) + change}")(answer)

    return lie


def _swapped(answer: Answer) -> Answer:
    """The first two chunks of what was asked for in the other order."""
    body = answer.body
    start = HEAD if body.startswith(b"sealgate") else 0
    first, second = (body[start + i * SEALED_CHUNK : start + (i + 1) * SEALED_CHUNK] for i in (0, 1))
    return replace(answer, body=body[:start] + second + first + body[start + 2 * SEALED_CHUNK :])


_LIES: dict[str, Lie] = {
    "the first bit": lambda answer: replace(answer, body=flipped(answer.body, 0)),
    "the last bit": lambda answer: replace(answer, body=flipped(answer.body, -1)),
    "a bit in the middle": lambda answer: replace(answer, body=flipped(answer.body, len(answer.body) // 2)),
    "no bytes": lambda answer: replace(answer, body=b""),
    "half of the bytes": lambda answer: replace(answer, body=answer.body[: len(answer.body) // 2]),
    "all but a chunk": lambda answer: replace(answer, body=answer.body[:-SEALED_CHUNK]),
    "a byte less": lambda answer: replace(answer, body=answer.body[:-1]),
    "a byte more": lambda answer: replace(answer, body=answer.body + b"\0"),
    "a chunk more": lambda answer: replace(answer, body=answer.body + bytes(SEALED_CHUNK)),
    "zeros": lambda answer: replace(answer, body=bytes(len(answer.body))),
    "swapped chunks": _swapped,
}
#: What need not be believed, and may be noticed.
_HARMLESS: dict[str, Lie] = {
    "another range": _moved_range,
    "a larger object": _resized(SEALED_CHUNK),
    "a smaller object": _resized(-SEALED_CHUNK),
    "another ETag": _field("ETag", _OTHER),
    "200 for a range": lambda answer: replace(answer, status=200),
    "no marker": _field("x-amz-meta-sealgate", ""),
    "another marker": _field("x-amz-meta-sealgate", "v1;size=7"),
    "an encoding": _field("Content-Encoding", "gzip"),
}


@pytest.mark.parametrize("name", _TRUTHS)
def test_the_truth_is_read_through_a_server_between(stage: Stage, name: str) -> None:
    for read in READINGS.values():
        assert read(stage.gateway, stage.bucket(CSE), name, _TRUTHS[name]) is Outcome.TRUE


@pytest.mark.parametrize("lie", _LIES)
@pytest.mark.parametrize("name", _TRUTHS)
def test_false_bytes_under_a_true_etag_are_not_released(stage: Stage, between: Between, name: str, lie: str) -> None:
    """From the first answer on, or later: nothing false is released, and the whole object is not read."""
    truth, bucket = _TRUTHS[name], stage.bucket(CSE)
    for change in (_bodies(_LIES[lie]), _later(_LIES[lie]), _later(_LIES[lie], after=2)):
        for read in READINGS.values():
            # What is to be said of the object is known by now.
            assert READINGS["head"](stage.gateway, bucket, name, truth) is Outcome.TRUE
            with between.changing(change):
                read(stage.gateway, bucket, name, truth)
    with between.changing(_bodies(_LIES[lie])):
        assert READINGS["whole"](stage.gateway, bucket, name, truth) is not Outcome.TRUE


@pytest.mark.parametrize("lie", _HARMLESS)
@pytest.mark.parametrize("name", _TRUTHS)
def test_false_fields_make_nothing_false(stage: Stage, between: Between, name: str, lie: str) -> None:
    truth, bucket = _TRUTHS[name], stage.bucket(CSE)
    for change in (_bodies(_HARMLESS[lie]), _later(_HARMLESS[lie])):
        for read in READINGS.values():
            with between.changing(change):
                read(stage.gateway, bucket, name, truth)


@pytest.mark.parametrize("lie", ["a bit in the middle", "half of the bytes", "the last bit"])
@pytest.mark.parametrize("name", _TRUTHS)
def test_copies_of_lies_come_to_nothing(stage: Stage, between: Between, name: str, lie: str) -> None:
    """A copy into the clear, and into an upload, is read by the gateway: no object appears from false bytes."""
    truth, bucket = _TRUTHS[name], stage.bucket(CSE)
    with between.changing(_bodies(_LIES[lie])):
        assert copied(stage.gateway, (bucket, name), (stage.bucket(NONE), "lies/copy"), truth) is not Outcome.TRUE
        assert copied_as_part(stage.gateway, (bucket, name), (bucket, "lies/part"), truth) is not Outcome.TRUE
    assert "Contents" not in stage.direct.list_objects_v2(Bucket=stage.bucket(NONE), Prefix="lies/")
    assert "Contents" not in stage.direct.list_objects_v2(Bucket=bucket, Prefix="lies/")


def test_an_object_that_is_overwritten_between_two_reads_is_one_of_both(stage: Stage, seaweed: SeaweedFS) -> None:
    """A read is pinned to the ETag that its layout came from: the new object, or an error, never a mixture."""
    bucket, key = stage.bucket(CSE), "overwritten"
    old, new = (random.Random(of).randbytes(300_000) for of in ("old", "new"))
    versions = []
    direct = seaweed.client()
    for data in (old, new):
        stage.client.put_object(Bucket=bucket, Key=key, Body=data)
        stored = direct.get_object(Bucket=bucket, Key=key)
        versions.append({"Body": stored["Body"].read(), "Metadata": stored["Metadata"]})
    read = READINGS["open end"]
    for _ in range(3):
        for version, truth in zip(versions, (old, new), strict=True):
            direct.put_object(Bucket=bucket, Key=key, **version)
            for _ in range(2):
                assert read(stage.gateway, bucket, key, Truth(truth)) is Outcome.TRUE
