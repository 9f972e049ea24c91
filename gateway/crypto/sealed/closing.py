"""The closing of a multipart object: its part table, sealed, and the trailer by which a reader finds it.

    table   = u32 number of runs
              per run: u32 first part number, u32 number of parts, u64 plaintext size of each
              u64 plaintext size of the whole object
    closing = a message of kind 2 whose plaintext is the table
    trailer = "sealgate" u32 size of the closing, u32 zero

A run is a sequence of parts with consecutive numbers and one size. Every table has exactly one form: runs as long as
possible, numbers ascending. So a usual upload needs two runs, whatever the number of its parts.
"""

import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from gateway.crypto.sealed.envelope import MAGIC, Envelope, Kind
from gateway.crypto.sealed.faults import Fault
from gateway.crypto.sealed.geometry import (
    ENVELOPE_BYTES,
    MAX_PARTS,
    MAX_PLAINTEXT_BYTES,
    TRAILER_BYTES,
    plaintext_size,
    sealed_size,
)
from gateway.crypto.sealed.message import Buffer, open_message, seal_message
from gateway.errors import IntegrityError
from gateway.redact import SecretBytes

_COUNT = struct.Struct(">I")
_RUN = struct.Struct(">IIQ")
_TOTAL = struct.Struct(">Q")
_TRAILER = struct.Struct(">8sII")
_TABLE_FIXED_BYTES = _COUNT.size + _TOTAL.size


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart object.

    Attributes:
        number: the part's number, 1 to 10,000; numbers may have gaps.
        plaintext_bytes: the size of its plaintext.
        plaintext_offset: where its plaintext begins in the object's.
        sealed_offset: where its envelope begins in the stored object.
    """

    number: int
    plaintext_bytes: int
    plaintext_offset: int
    sealed_offset: int

    @property
    def sealed_bytes(self) -> int:
        """The stored size of the part."""
        return sealed_size(self.plaintext_bytes)


@dataclass(frozen=True, slots=True)
class PartRun:
    """Parts with consecutive numbers and one size.

    Attributes:
        first_part_number: the number of the first.
        count: how many.
        plaintext_bytes: the size of each one's plaintext.
    """

    first_part_number: int
    count: int
    plaintext_bytes: int


@dataclass(frozen=True, slots=True)
class PartTable:
    """The parts of a multipart object, in its one canonical form.

    Attributes:
        runs: the runs in ascending order.
        part_count: the number of parts.
        plaintext_bytes: the size of the object's plaintext.
        stored_bytes: the stored size of all parts, without closing and trailer.

    Raises:
        ValueError: the runs are no canonical table.
    """

    runs: tuple[PartRun, ...]
    part_count: int = field(init=False, compare=False)
    plaintext_bytes: int = field(init=False, compare=False)
    stored_bytes: int = field(init=False, compare=False)
    # Where each run begins: first part number, plaintext offset, stored offset.
    _numbers: tuple[int, ...] = field(init=False, compare=False, repr=False)
    _plaintext_offsets: tuple[int, ...] = field(init=False, compare=False, repr=False)
    _sealed_offsets: tuple[int, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        fault = _fault_of(self.runs)
        if fault is not None:
            raise ValueError(fault)
        plaintext = tuple(accumulate((run.count * run.plaintext_bytes for run in self.runs), initial=0))
        stored = tuple(accumulate((run.count * sealed_size(run.plaintext_bytes) for run in self.runs), initial=0))
        for name, value in (
            ("part_count", sum(run.count for run in self.runs)),
            ("plaintext_bytes", plaintext[-1]),
            ("stored_bytes", stored[-1]),
            ("_numbers", tuple(run.first_part_number for run in self.runs)),
            ("_plaintext_offsets", plaintext[:-1]),
            ("_sealed_offsets", stored[:-1]),
        ):
            object.__setattr__(self, name, value)

    @classmethod
    def of(cls, parts: Iterable[tuple[int, int]]) -> "PartTable":
        """The table of ``(part number, plaintext size)`` pairs in ascending order.

        Raises:
            ValueError: there is no part, numbers do not ascend, or a number or size is impossible.
        """
        runs: list[PartRun] = []
        for number, size in parts:
            last = runs[-1] if runs else None
            if last and size == last.plaintext_bytes and number == last.first_part_number + last.count:
                runs[-1] = PartRun(last.first_part_number, last.count + 1, size)
            else:
                runs.append(PartRun(number, 1, size))
        return cls(tuple(runs))

    def parts(self) -> Iterator[Part]:
        """Every part in order, made one by one."""
        for index, run in enumerate(self.runs):
            for place in range(run.count):
                yield self._part(index, place)

    def at(self, plaintext_offset: int) -> Part:
        """The part that holds one byte of the object's plaintext.

        Raises:
            ValueError: the object has no such byte.
        """
        if not 0 <= plaintext_offset < self.plaintext_bytes:
            raise ValueError("the offset is not inside the object")
        # Of runs that begin at the same offset all but the last are empty.
        index = bisect_right(self._plaintext_offsets, plaintext_offset) - 1
        return self._part(
            index, (plaintext_offset - self._plaintext_offsets[index]) // self.runs[index].plaintext_bytes
        )

    def by_number(self, number: int) -> Part | None:
        """The part with this number; None when the object has none."""
        index = bisect_right(self._numbers, number) - 1
        if index < 0:
            return None
        place = number - self._numbers[index]
        return self._part(index, place) if place < self.runs[index].count else None

    def _part(self, index: int, place: int) -> Part:
        run = self.runs[index]
        return Part(
            number=run.first_part_number + place,
            plaintext_bytes=run.plaintext_bytes,
            plaintext_offset=self._plaintext_offsets[index] + place * run.plaintext_bytes,
            sealed_offset=self._sealed_offsets[index] + place * sealed_size(run.plaintext_bytes),
        )

    def render(self) -> bytes:
        """The table's bytes, the plaintext of a closing."""
        runs = b"".join(_RUN.pack(run.first_part_number, run.count, run.plaintext_bytes) for run in self.runs)
        return _COUNT.pack(len(self.runs)) + runs + _TOTAL.pack(self.plaintext_bytes)

    @classmethod
    def parse(cls, data: bytes) -> "PartTable":
        """Read a table.

        Raises:
            IntegrityError: ``closing``.
        """
        runs_bytes = len(data) - _TABLE_FIXED_BYTES
        if runs_bytes < 0 or _COUNT.unpack_from(data)[0] * _RUN.size != runs_bytes:
            raise IntegrityError(Fault.CLOSING, "its part table has a wrong size")
        runs = tuple(PartRun(*fields) for fields in _RUN.iter_unpack(data[_COUNT.size : -_TOTAL.size]))
        try:
            table = cls(runs)
        except ValueError as error:
            raise IntegrityError(Fault.CLOSING, str(error)) from None
        if _TOTAL.unpack_from(data, len(data) - _TOTAL.size)[0] != table.plaintext_bytes:
            raise IntegrityError(Fault.CLOSING, "the sizes in its part table do not add up")
        return table


def _fault_of(runs: Sequence[PartRun]) -> str | None:
    if not runs:
        return "its part table is empty"
    next_number = 1
    last_size = None
    for run in runs:
        if run.count < 1 or run.first_part_number < next_number or not 0 <= run.plaintext_bytes <= MAX_PLAINTEXT_BYTES:
            return "a run in its part table is impossible"
        if run.first_part_number == next_number and run.plaintext_bytes == last_size:
            return "two runs in its part table are one"
        next_number = run.first_part_number + run.count
        last_size = run.plaintext_bytes
    return "its part table has a part number beyond 10,000" if next_number > MAX_PARTS + 1 else None


#: The largest closing: a run for each part.
MAX_CLOSING_BYTES = sealed_size(_TABLE_FIXED_BYTES + MAX_PARTS * _RUN.size)


def seal_closing(
    data_key: SecretBytes,
    object_id: bytes,
    location: bytes,
    wrapping_key: str,
    wrapped_data_key: bytes,
    table: PartTable,
) -> bytes:
    """The closing of a multipart object followed by its trailer."""
    plaintext = table.render()
    envelope = Envelope(Kind.CLOSING, 0, len(plaintext), object_id, location, wrapping_key, wrapped_data_key)
    closing = seal_message(data_key, envelope, plaintext)
    return closing + _TRAILER.pack(MAGIC, len(closing), 0)


def closing_size_in_trailer(trailer: Buffer) -> int:
    """The size of the closing that ends where the trailer begins. Not authenticated: the closing itself is.

    Args:
        trailer: the last 16 bytes of a stored object.

    Raises:
        IntegrityError: ``trailer``.
    """
    if len(trailer) != TRAILER_BYTES:
        raise IntegrityError(Fault.TRAILER, "its trailer is not complete")
    fields: tuple[bytes, int, int] = _TRAILER.unpack(trailer)
    magic, closing_bytes, zero = fields
    table_bytes = plaintext_size(closing_bytes)
    if magic != MAGIC or zero or table_bytes is None or closing_bytes > MAX_CLOSING_BYTES:
        raise IntegrityError(Fault.TRAILER, "it does not end with a trailer")
    if table_bytes < _TABLE_FIXED_BYTES + _RUN.size or (table_bytes - _TABLE_FIXED_BYTES) % _RUN.size:
        raise IntegrityError(Fault.TRAILER, "its trailer announces a closing of an impossible size")
    return closing_bytes


def open_closing(data_key: SecretBytes, closing: Buffer) -> PartTable:
    """The part table in a closing. The caller checks the envelope's object id and location.

    Args:
        data_key: the data key that the closing's wrapped key stands for.
        closing: the closing without its trailer.

    Raises:
        IntegrityError: something about the bytes does not hold.
    """
    view = memoryview(closing)
    if Envelope.parse(view[:ENVELOPE_BYTES]).kind is not Kind.CLOSING:
        raise IntegrityError(Fault.KIND, "there is another message where its closing belongs")
    return PartTable.parse(open_message(data_key, closing))
