"""Vectors of multipart objects, each with one fault. Everything else about them is authentic."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.crypto.raw_sealing import PART, WHOLE, RawSealer, table, trailer
from tests.crypto.vector import UPLOAD_ID, Making, Vector

#: Part tables that are not in their one form, over two parts of 50 bytes each.
_TABLES = {
    "closing_count_too_large": ("one run more announced than there is", table((1, 2, 50), count=2)),
    "closing_count_zero": ("no run announced", table((1, 2, 50), count=0)),
    "closing_runs_not_merged": ("two runs that are one", table((1, 1, 50), (2, 1, 50))),
    "closing_runs_not_ascending": ("the second run comes first", table((2, 1, 50), (1, 1, 50))),
    "closing_runs_overlap": ("a number in two runs", table((1, 2, 40), (2, 1, 20))),
    "closing_run_without_parts": ("a run of no parts", table((1, 2, 50), (3, 0, 50))),
    "closing_part_number_zero": ("a run that begins at zero", table((0, 2, 50))),
    "closing_part_number_10001": ("a run that ends behind the last number", table((10_000, 2, 50))),
    "closing_part_too_large": ("a part larger than S3 takes sealed", table((1, 1, 5_363_470_777))),
    "closing_total_too_large": ("another total than the sum", table((1, 2, 50), total=101)),
    "closing_total_zero": ("a total of zero", table((1, 2, 50), total=0)),
}


@dataclass(slots=True)
class _Upload:
    """An upload of two parts of 50 bytes."""

    sealer: RawSealer
    texts: list[bytes]
    parts: list[bytes] = field(init=False)
    closing: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.parts = [self.sealer.part(number, text) for number, text in enumerate(self.texts, 1)]
        self.closing = self.sealer.closing(table((1, 2, 50)))

    @property
    def stored(self) -> bytes:
        return b"".join(self.parts) + self.closing


def multipart_fault_vectors() -> Iterator[tuple[str, Vector]]:
    """Names and vectors. The fault is the beginning of the name."""
    for name, (comment, rendered) in _TABLES.items():
        upload = _upload(name)
        stored = b"".join(upload.parts) + upload.sealer.closing(rendered)
        yield _vector(name, comment, stored, upload)
    for make in (_trailers, _closings, _parts, _mixtures):
        for name, comment, stored, upload in make():
            yield _vector(name, comment, stored, upload)


_Case = tuple[str, str, bytes, _Upload]


def _vector(name: str, comment: str, stored: bytes, upload: _Upload) -> tuple[str, Vector]:
    fault = next(
        (fault for fault in ("not_sealed", "object_id") if name.startswith(fault)), name.split("_", maxsplit=1)[0]
    )
    return name, Vector(
        comment, f"fault {fault}", stored, data_key=upload.sealer.data_key, upload_id=UPLOAD_ID, marker="v1"
    )


def _upload(name: str) -> _Upload:
    making = Making(name)
    return _Upload(making.upload(), [making.plaintext(50), making.plaintext(50)])


def _trailers() -> Iterator[_Case]:
    upload = _upload("trailers")
    good, size = upload.stored, len(upload.closing) - 16
    parts = b"".join(upload.parts)
    without = good[:-16]
    for name, comment, stored in (
        ("trailer_missing", "the object ends behind the closing", without),
        ("trailer_cut", "the last byte is missing", good[:-1]),
        ("trailer_extended", "one byte behind the trailer", good + b"\0"),
        ("trailer_of_parts_alone", "the object ends behind its last part", parts),
        ("trailer_of_part_alone", "one part, stored as an object", upload.parts[0]),
        ("trailer_magic", "one letter of the magic in upper case", without + trailer(size, magic=b"Sealgate")),
        ("trailer_reserved_not_zero", "a reserved field that is in use", without + trailer(size, reserved=1)),
        ("trailer_size_zero", "a closing of no size", without + trailer(0)),
        ("trailer_size_of_no_message", "a size that no closing has", without + trailer(size + 1)),
        ("trailer_size_without_runs", "a closing without runs", parts + upload.sealer.closing(table())),
        ("trailer_size_of_10001_runs", "more runs than there are numbers", without + trailer(160_756)),
        ("trailer_size_beyond_the_object", "a closing larger than the object", without + trailer(size + 16 * 100)),
        ("not_sealed_closing", "a closing of two runs announced where one is", without + trailer(size + 16)),
    ):
        yield name, comment, stored, upload


def _closings() -> Iterator[_Case]:
    upload = _upload("closings")
    sealer = upload.sealer
    parts, rendered = b"".join(upload.parts), table((1, 2, 50))
    as_whole, as_part = sealer.message(WHOLE, 0, rendered), sealer.message(PART, 3, rendered)
    for name, comment, stored in (
        ("kind_whole_as_closing", "a whole object in the place of the closing", as_whole + trailer(len(as_whole))),
        ("kind_part_as_closing", "a part in the place of the closing", as_part + trailer(len(as_part))),
        ("version_of_closing", "a closing of another version", sealer.closing(rendered, version=2)),
        ("envelope_of_closing", "a closing with a part number", sealer.closing(rendered, part_number=3)),
        ("commitment_of_closing", "one bit of the closing's commitment", _flip(upload.closing, 540)),
        ("chunk_of_closing", "one bit of the part table", _flip(upload.closing, 580)),
        ("size_in_closing", "the closing's envelope says more", sealer.closing(rendered, plaintext_bytes=44)),
    ):
        yield name, comment, parts + stored, upload
    elsewhere = Making("closing elsewhere").upload(place=("orders", "other.csv"))
    yield "location_of_closing", "a closing of another object", parts + elsewhere.closing(rendered), upload


def _parts() -> Iterator[_Case]:
    upload = _upload("parts")
    sealer, (one, two), closing = upload.sealer, upload.parts, upload.closing
    texts = upload.texts
    for name, comment, stored in (
        ("size_part_missing", "the second part is missing", one),
        ("size_first_part_missing", "the first part is missing", two),
        ("size_part_twice", "the second part comes twice", one + two + two),
        ("size_part_added", "a third part", one + two + sealer.part(3, texts[0])),
        ("size_part_cut", "the last byte of the second part is missing", one + two[:-1]),
        ("size_bytes_between", "a byte between the parts", one + b"\0" + two),
        ("part_order", "the parts exchanged", two + one),
        ("part_first_twice", "the first part in place of the second", one + one),
        ("part_number", "a part with another number", one + sealer.part(3, texts[1])),
        ("kind_whole_as_part", "a whole object in place of a part", one + sealer.whole(texts[1])),
        ("version_of_part", "a part of another version", one + sealer.part(2, texts[1], version=2)),
        ("not_sealed_part", "bytes that nobody sealed in place of a part", one + bytes(len(two))),
        ("commitment_of_part", "one bit of the second part's envelope", one + _flip(two, 23)),
        ("chunk_of_part", "one bit of the second part's chunk", one + _flip(two, 580)),
        ("chunk_of_first_part", "one bit of the first part's chunk", _flip(one, 580) + two),
    ):
        yield name, comment, stored + closing, upload
    shorter = sealer.part(1, texts[0][:40]) + sealer.part(2, texts[1] + texts[0][40:])
    yield "part_sizes", "the table gives both parts one size, which they do not have", shorter + closing, upload


def _mixtures() -> Iterator[_Case]:
    upload = _upload("mixtures")
    one, two = upload.parts
    text = upload.texts[1]
    making = Making("mixtures again")
    other = making.sealer(upload_id="2~another")
    elsewhere = making.upload(place=("orders", "other.csv"))
    rendered = table((1, 2, 50))
    for name, comment, stored in (
        ("object_id_of_part", "a part of another upload", one + other.part(2, text) + upload.closing),
        ("object_id_of_closing", "the closing of another upload", one + two + other.closing(rendered)),
        ("location_of_part", "a part of another object", one + elsewhere.part(2, text) + upload.closing),
    ):
        yield name, comment, stored, upload


def _flip(stored: bytes, at: int) -> bytes:
    return stored[:at] + bytes([stored[at] ^ 1]) + stored[at + 1 :]
