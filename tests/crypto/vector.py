"""Vector files: a header of text lines, an empty line, and the stored bytes of one object. See docs/format.md."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from tests.crypto.raw_sealing import Counter, RawSealer, location, upload_object_id

DIRECTORY = Path(__file__).parent.parent / "vectors" / "sealed"

BUCKET = "orders"
OBJECT_KEY = "2026/11/23.csv"
UPLOAD_ID = "2~vectors"
WRAPPING_KEYS = {f"local:vectors-{number}": Counter(f"wrapping key {number}").draw(32) for number in (1, 2)}


@dataclass(frozen=True, slots=True)
class Vector:
    """One stored object and what a reader has to make of it.

    Attributes:
        comment: in words.
        expect: ``plaintext SIZE SHA-256`` or ``fault NAME``.
        stored: the stored bytes.
        wrapping_keys: by URI.
        data_key: of the first message.
        bucket: where the object is stored; None when that is not known.
        object_key: the same.
        upload_id: of a multipart object.
        marker: the metadata entry.
    """

    comment: str
    expect: str
    stored: bytes = field(repr=False)
    wrapping_keys: dict[str, bytes] = field(default_factory=lambda: dict(WRAPPING_KEYS))
    data_key: bytes | None = None
    bucket: str | None = BUCKET
    object_key: str | None = OBJECT_KEY
    upload_id: str | None = None
    marker: str | None = None

    def render(self) -> bytes:
        lines = [("comment", self.comment), ("expect", self.expect)]
        lines += [("wrapping key", f"{uri} {key.hex()}") for uri, key in self.wrapping_keys.items()]
        for name, value in (
            ("data key", None if self.data_key is None else self.data_key.hex()),
            ("bucket", self.bucket),
            ("object key", self.object_key),
            ("upload id", self.upload_id),
            ("marker", self.marker),
        ):
            if value is not None:
                lines.append((name, value))
        return "".join(f"{name}: {value}\n" for name, value in lines).encode() + b"\n" + self.stored

    @classmethod
    def parse(cls, data: bytes) -> "Vector":
        header, stored = data.split(b"\n\n", 1)
        lines = [line.split(": ", 1) for line in header.decode().split("\n")]
        one = {name: value for name, value in lines if name != "wrapping key"}
        keys = dict(value.split(" ") for name, value in lines if name == "wrapping key")
        return cls(
            one.pop("comment"),
            one.pop("expect"),
            stored,
            {uri: bytes.fromhex(key) for uri, key in keys.items()},
            bytes.fromhex(one.pop("data key")) if "data key" in one else None,
            **{name.replace(" ", "_"): one.get(name) for name in ("bucket", "object key", "upload id", "marker")},
        )


class Making:
    """The values of one vector, all drawn from its name.

    Args:
        name: the vector's name.
        uri: the wrapping key.
    """

    def __init__(self, name: str, uri: str = "local:vectors-1") -> None:
        self.counter = Counter(name)
        self.uri = uri

    def plaintext(self, size: int) -> bytes:
        return self.counter.draw(size)

    def sealer(
        self,
        object_id: bytes | None = None,
        place: tuple[str, str] = (BUCKET, OBJECT_KEY),
        *,
        uri: str | None = None,
        upload_id: str | None = None,
    ) -> RawSealer:
        uri = uri or self.uri
        if object_id is None:
            object_id = self.counter.draw(16) if upload_id is None else upload_object_id(upload_id)
        return RawSealer(self.counter, object_id, location(*place), uri, WRAPPING_KEYS[uri])

    def upload(self, **options: object) -> RawSealer:
        """The sealer of the upload that vectors are about."""
        return self.sealer(upload_id=UPLOAD_ID, **options)  # type: ignore[arg-type] # options of many types


def expect_plaintext(plaintext: bytes) -> str:
    return f"plaintext {len(plaintext)} {hashlib.sha256(plaintext).hexdigest()}"


def read_vectors() -> dict[str, Vector]:
    """Every committed vector by name."""
    return {path.name: Vector.parse(path.read_bytes()) for path in sorted(DIRECTORY.iterdir())}
