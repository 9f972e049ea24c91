"""Vectors that open. Never change one: stored objects look like them."""

from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import replace

from tests.crypto.raw_sealing import alias_proof, location, table
from tests.crypto.vector import BUCKET, OBJECT_KEY, UPLOAD_ID, Making, Vector, expect_plaintext

_SIZES = {
    "empty": 0,
    "1": 1,
    "16383": 16_383,
    "16384": 16_384,
    "16385": 16_385,
    "32768": 32_768,
}
#: Sizes of parts by number.
_UPLOADS = {
    "one_part": ("an upload with one part", {1: 100}),
    "two_runs": ("parts of one size and a shorter last one", {1: 300, 2: 300, 3: 300, 4: 20}),
    "gaps": ("part numbers with gaps, and the last one possible", {3: 50, 4: 50, 7: 50, 10_000: 1}),
    "chunk_borders": ("parts around the size of a chunk", {1: 16_385, 2: 16_384, 3: 16_383}),
    "empty_part": ("one part, which is empty", {1: 0}),
    "empty_parts_between": ("empty parts in front, between and behind", {1: 0, 2: 5, 3: 0, 4: 0, 5: 7, 6: 0}),
    "closing_beyond_the_first_suffix": (
        "218 runs, so the closing does not fit into an object's last 4,096 bytes",
        {number: number % 2 for number in range(1, 219)},
    ),
}


def good_vectors() -> Iterator[tuple[str, Vector]]:
    """Names and vectors."""
    for name, size in _SIZES.items():
        yield f"whole_{name}", _whole(f"whole_{name}", f"a whole object of {size} bytes", size)
    for name, (comment, parts) in _UPLOADS.items():
        yield f"multipart_{name}", _multipart(f"multipart_{name}", comment, parts)
    yield from _whole_variants()
    yield from _multipart_variants()


def _whole(name: str, comment: str, size: int, place: tuple[str, str] = (BUCKET, OBJECT_KEY), **options: str) -> Vector:
    making = Making(name, **options)
    sealer, plaintext = making.sealer(place=place), making.plaintext(size)
    return Vector(
        comment,
        expect_plaintext(plaintext),
        sealer.whole(plaintext),
        data_key=sealer.data_key,
        bucket=place[0],
        object_key=place[1],
    )


def _whole_variants() -> Iterator[tuple[str, Vector]]:
    name = "whole_marker"
    yield name, replace(_whole(name, "the marker states the size", 10), marker="v1;size=10")
    name = "whole_place_not_known"
    vector = _whole(name, "a raw copy: nobody knows where it was stored", 10)
    yield name, replace(vector, bucket=None, object_key=None)
    name = "whole_second_wrapping_key"
    yield name, _whole(name, "wrapped under another key of the keyring", 10, uri="local:vectors-2")
    name = "whole_object_key_unicode"
    yield name, _whole(name, "the object key is hashed in UTF-8", 10, place=("orders", "Straße/+%2F//é 🔒"))
    name = "whole_alias"
    making = Making(name)
    sealer, plaintext = making.sealer(place=("archive", "old.csv")), making.plaintext(10)
    yield (
        name,
        Vector(
            "a server-side copy, with the proof that it may be read here",
            expect_plaintext(plaintext),
            sealer.whole(plaintext),
            data_key=sealer.data_key,
            marker=f"v1;size=10;alias={_alias(sealer.data_key, sealer.object_id)}",
        ),
    )


def _multipart(name: str, comment: str, sizes: dict[int, int]) -> Vector:
    making = Making(name)
    sealer = making.upload()
    parts = [(number, making.plaintext(size)) for number, size in sizes.items()]
    return Vector(
        comment,
        expect_plaintext(b"".join(plaintext for _, plaintext in parts)),
        sealer.multipart(parts),
        data_key=sealer.data_key,
        upload_id=UPLOAD_ID,
        marker="v1",
    )


def _multipart_variants() -> Iterator[tuple[str, Vector]]:
    name = "multipart_size_in_marker"
    yield name, replace(_multipart(name, "the marker states the size", {1: 5, 2: 6}), marker="v1;size=11")
    name = "multipart_place_not_known"
    vector = _multipart(name, "a raw copy: nobody knows where it was stored", {1: 5, 2: 6})
    yield name, replace(vector, bucket=None, object_key=None, marker=None)
    name = "multipart_three_data_keys"
    making = Making(name)
    sealers = [making.upload(), making.upload(uri="local:vectors-2"), making.upload()]
    texts = [making.plaintext(30), making.plaintext(30)]
    stored = sealers[0].part(1, texts[0]) + sealers[1].part(2, texts[1]) + sealers[2].closing(table((1, 2, 30)))
    yield (
        name,
        Vector(
            "each message under a data key of its own, two wrapping keys",
            expect_plaintext(texts[0] + texts[1]),
            stored,
            data_key=sealers[0].data_key,
            upload_id=UPLOAD_ID,
            marker="v1",
        ),
    )
    name = "multipart_alias"
    making = Making(name)
    place = ("archive", "old.csv")
    sealers = [making.upload(place=place), making.upload(place=place)]
    plaintext = making.plaintext(30)
    yield (
        name,
        Vector(
            "a server-side copy; the proof is made with the data key of the closing",
            expect_plaintext(plaintext),
            sealers[0].part(1, plaintext) + sealers[1].closing(table((1, 1, 30))),
            data_key=sealers[0].data_key,
            upload_id=UPLOAD_ID,
            marker=f"v1;alias={_alias(sealers[1].data_key, sealers[1].object_id)}",
        ),
    )


def _alias(data_key: bytes, object_id: bytes) -> str:
    proof = alias_proof(data_key, object_id, location(BUCKET, OBJECT_KEY))
    return urlsafe_b64encode(proof).decode().rstrip("=")
