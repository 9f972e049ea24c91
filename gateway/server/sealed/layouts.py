"""What is known of stored objects: sizes, part tables, and where chunks are. No keys.

An entry belongs to one ETag, so an object that is overwritten gets another one. Everything in an entry was
authenticated before it was put here, and reads that rely on it tell the server the ETag that they mean.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

from gateway.crypto.sealed.closing import PartTable
from gateway.crypto.sealed.message import MessageHead

#: Most entries held: layouts, heads of parts, and which ETag an object had last.
DEFAULT_CAPACITY: Final = 50_000
#: Memory that the entries may take, bytes, estimated. A part table can have 10,000 runs, which is 3 MB.
DEFAULT_WEIGHT: Final = 32 * 1024 * 1024

_ENTRY_WEIGHT: Final = 512
_LAYOUT_WEIGHT: Final = 512
_HEAD_WEIGHT: Final = 1536
_RUN_WEIGHT: Final = 320


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the plaintext of one sealed object is. Authenticated.

    Attributes:
        etag: the server's ETag, quotes included.
        stored_bytes: the size of the stored object.
        plaintext_bytes: the size that clients see.
        object_id: what all messages of the object carry.
        location: the location in its envelopes; not that of its name when it is a server-side copy.
        wrapping_key: the URI of the key that wraps the data key of the object, or of its closing.
        wrapped_data_key: that data key, wrapped.
        head: the head of the one message of an object that is not multipart.
        table: the parts of a multipart object.
        marker: the metadata entry that the object carried. An answer with another one is about another object, even if
            its ETag is the same: the entry can hold the proof that the object belongs to its name.
    """

    etag: str
    stored_bytes: int
    plaintext_bytes: int
    object_id: bytes = field(repr=False)
    location: bytes = field(repr=False)
    wrapping_key: str
    wrapped_data_key: bytes = field(repr=False)
    head: MessageHead | None = field(repr=False)
    table: PartTable | None = field(repr=False)
    marker: str = field(repr=False, default="")


@dataclass(frozen=True, slots=True)
class Plain:
    """An object that is not sealed: it carries no marker, and its first bytes are no envelope."""


PLAIN: Final = Plain()

_Name: TypeAlias = tuple[str, bytes, str, int]
_Entry: TypeAlias = Layout | Plain | MessageHead | str


class LayoutObserver(Protocol):
    """Told about every look-up."""

    def layout_lookup(self, *, hit: bool) -> None:
        """A layout was looked for."""


class LayoutCache:
    """Layouts by bucket, object key and ETag; what was used least recently makes room.

    Args:
        capacity: most entries held; 0 holds nothing.
        observer: told about look-ups.
        max_weight: estimated memory of all entries, bytes.
    """

    def __init__(
        self,
        capacity: int = DEFAULT_CAPACITY,
        observer: LayoutObserver | None = None,
        *,
        max_weight: int = DEFAULT_WEIGHT,
    ) -> None:
        self._capacity = capacity
        self._observer = observer
        self._max_weight = max_weight
        self._weight = 0
        self._entries: OrderedDict[_Name, _Entry] = OrderedDict()

    def get(self, bucket: str, object_key: str, etag: str) -> Layout | Plain | None:
        """The layout of the object with this ETag, :data:`PLAIN` when it is not sealed, None when it is not known."""
        return self._told(self._layout(_digest(bucket, object_key), etag))

    def put(self, bucket: str, object_key: str, etag: str, entry: Layout | Plain) -> None:
        """Keep what was found out about the object with this ETag."""
        self._put(("layout", _digest(bucket, object_key), etag, 0), entry)

    def latest(self, bucket: str, object_key: str, version_id: str | None = None) -> Layout | Plain | None:
        """The same for the object as it was when it was last read; it may have been overwritten since."""
        return self._told(self._latest(bucket, object_key, version_id))

    def expects_sealed(self, bucket: str, object_key: str, version_id: str | None = None) -> bool:
        """Whether the object was sealed when it was last read. Does not count as a look-up."""
        return self.known(bucket, object_key, version_id) is not None

    def known(self, bucket: str, object_key: str, version_id: str | None = None) -> Layout | None:
        """The layout of the object when it was last read, if it was sealed. Does not count as a look-up."""
        found = self._latest(bucket, object_key, version_id)
        return found if isinstance(found, Layout) else None

    def note_latest(self, bucket: str, object_key: str, version_id: str | None, etag: str) -> None:
        """Keep in mind which ETag the object, or one of its versions, has now."""
        self._put(("latest", _digest(bucket, object_key), version_id or "", 0), etag)

    def forget(self, bucket: str, object_key: str, version_id: str | None = None) -> None:
        """Forget which ETag the object has, because it has another one now."""
        self._drop(("latest", _digest(bucket, object_key), version_id or "", 0))

    def part_head(self, bucket: str, object_key: str, etag: str, number: int) -> MessageHead | None:
        """The head of one part of a multipart object; authenticated, but for what the part table says of it."""
        found = self._find(("part", _digest(bucket, object_key), etag, number))
        return found if isinstance(found, MessageHead) else None

    def put_part_head(self, bucket: str, object_key: str, etag: str, number: int, head: MessageHead) -> None:
        """Keep the head of a part."""
        self._put(("part", _digest(bucket, object_key), etag, number), head)

    @property
    def weight(self) -> int:
        """The estimated memory of all entries, bytes."""
        return self._weight

    def __len__(self) -> int:
        return len(self._entries)

    def _told(self, found: Layout | Plain | None) -> Layout | Plain | None:
        if self._observer is not None:
            self._observer.layout_lookup(hit=found is not None)
        return found

    def _latest(self, bucket: str, object_key: str, version_id: str | None) -> Layout | Plain | None:
        if not self._entries:
            return None  # as it always is where nothing is sealed
        digest = _digest(bucket, object_key)
        etag = self._find(("latest", digest, version_id or "", 0))
        return self._layout(digest, etag) if isinstance(etag, str) else None

    def _layout(self, digest: bytes, etag: str) -> Layout | Plain | None:
        found = self._find(("layout", digest, etag, 0))
        return found if isinstance(found, Layout | Plain) else None

    def _find(self, name: _Name) -> _Entry | None:
        found = self._entries.get(name)
        if found is not None:
            self._entries.move_to_end(name)
        return found

    def _put(self, name: _Name, entry: _Entry) -> None:
        self._drop(name)
        weight = _weight_of(entry)
        if weight > self._max_weight:
            return
        self._entries[name] = entry
        self._weight += weight
        while len(self._entries) > self._capacity or self._weight > self._max_weight:
            self._drop(next(iter(self._entries)))

    def _drop(self, name: _Name) -> None:
        entry = self._entries.pop(name, None)
        if entry is not None:
            self._weight -= _weight_of(entry)


def _weight_of(entry: _Entry) -> int:
    match entry:
        case Layout(table=None):
            return _ENTRY_WEIGHT + _LAYOUT_WEIGHT + _HEAD_WEIGHT
        case Layout(table=PartTable(runs=runs)):
            return _ENTRY_WEIGHT + _LAYOUT_WEIGHT + _RUN_WEIGHT * len(runs)
        case MessageHead():
            return _ENTRY_WEIGHT + _HEAD_WEIGHT
        case _:
            return _ENTRY_WEIGHT


def _digest(bucket: str, object_key: str) -> bytes:
    """A short name for an object: 1,024-byte keys would make the cache's size unpredictable."""
    data = bucket.encode("utf-8", "surrogateescape")
    digest = hashlib.blake2b(len(data).to_bytes(2, "big") + data, digest_size=16)
    digest.update(object_key.encode("utf-8", "surrogateescape"))
    return digest.digest()
