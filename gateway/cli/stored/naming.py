"""What commands about stored objects are given: a file or an object, its place, and its metadata entry."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.cli.stored.file_source import FileSource
from gateway.cli.stored.opening import Place
from gateway.cli.stored.s3_source import S3Location, S3Source, open_s3_source, s3_client, s3_location
from gateway.cli.stored.source import SourceUnavailable
from gateway.crypto.sealed.marker import Marker


@dataclass(frozen=True, slots=True)
class Named:
    """Stored bytes as a person names them.

    Attributes:
        source: a path, or ``s3://BUCKET/KEY``.
        endpoint_url: the store.
        version_id: the version of the object.
        bucket: the bucket that the bytes were stored in.
        object_key: the object key that they were stored under.
        anywhere: whether an object is opened wherever it was sealed for.
        marker: the metadata entry of a copied file.
        alias: the alias proof of a copied file, as it stands in the metadata entry.

    Raises:
        ValueError: these do not fit together.
        IntegrityError: ``marker``.
    """

    source: str
    endpoint_url: str | None = None
    version_id: str | None = None
    bucket: str | None = None
    object_key: str | None = None
    anywhere: bool = False
    marker: str | None = None
    alias: str | None = None

    def __post_init__(self) -> None:
        if (self.bucket is None) != (self.object_key is None):
            raise ValueError("--bucket and --key belong together")
        if self.anywhere and self.bucket is not None:
            raise ValueError("--anywhere and --bucket exclude one another")
        if self.marker is not None and self.alias is not None:
            raise ValueError("the alias is in the marker already")
        if not self.in_store and (self.endpoint_url is not None or self.version_id is not None):
            raise ValueError("--endpoint-url and --version-id are for s3:// only")
        if self.alias is not None and self.place is None:
            raise ValueError("--alias needs --bucket and --key")
        self.stated_marker()

    @property
    def in_store(self) -> bool:
        """Whether it is an object at the store."""
        return self.source.startswith("s3://")

    @property
    def place(self) -> Place | None:
        """Where the object is supposed to be sealed for; None when that is not checked."""
        if self.bucket is not None and self.object_key is not None:
            return Place(self.bucket, self.object_key)
        location = None if self.anywhere else s3_location(self.source)
        return None if location is None else Place(location.bucket, location.object_key)

    def stated_marker(self) -> Marker | None:
        """The metadata entry that was given."""
        text = f"v1;alias={self.alias}" if self.alias is not None else self.marker
        return None if text is None else Marker.parse(text)


@dataclass(frozen=True, slots=True)
class Found:
    """Stored bytes that were found.

    Attributes:
        source: the bytes.
        marker: their metadata entry: the one that was given, or else the object's.
    """

    source: FileSource | S3Source
    marker: str | None


@asynccontextmanager
async def found(named: Named) -> AsyncIterator[Found]:
    """The stored bytes.

    Raises:
        SourceUnavailable: there are none.
    """
    location = s3_location(named.source)
    if location is None:
        with FileSource(Path(named.source)) as file:
            yield Found(file, _text(named))
        return
    _check_object(location)
    source = await open_s3_source(s3_client(named.endpoint_url), location, named.version_id)
    yield Found(source, _text(named) or source.marker)


def _text(named: Named) -> str | None:
    marker = named.stated_marker()
    return None if marker is None else marker.render()


def _check_object(location: S3Location) -> None:
    if not location.object_key:
        raise SourceUnavailable("s3://BUCKET/KEY is needed, with a key")


def shown(name: str) -> str:
    """A name as it can be printed: what could steer a terminal, or break a line, is escaped."""
    return "".join(
        character if character.isprintable() and character != "\\" else character.encode("unicode_escape").decode()
        for character in name
    )
