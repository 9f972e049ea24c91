"""Objects read from the store itself, with boto3 and its usual settings and credentials.

boto3 takes 10 MiB, and most commands do not need it: it is imported where the store is asked.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, TypeVar

from gateway.cli.stored.source import PIECE_BYTES, SourceUnavailable
from gateway.crypto.sealed.faults import Fault
from gateway.crypto.sealed.geometry import HEAD_BYTES
from gateway.crypto.sealed.marker import MARKER
from gateway.errors import IntegrityError

#: boto3 makes its clients at run time from data files; there is no class to name.
S3Client: TypeAlias = Any

#: Keys asked for at a time: as many as S3 gives.
PAGE_KEYS = 1_000

_METADATA_NAME: Final = MARKER.removeprefix("x-amz-meta-")
_LOCATION: Final = re.compile(r"s3://([A-Za-z0-9._-]{1,255})(?:/(.*))?", re.DOTALL)
_CONTENT_RANGE: Final = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})", re.ASCII)
_GONE: Final = frozenset({"NoSuchKey", "NoSuchVersion", "404"})
_CHANGED: Final = "PreconditionFailed"
_EMPTY: Final = "InvalidRange"
_CONNECT_SECONDS: Final = 10
_READ_SECONDS: Final = 60

T = TypeVar("T")


class ObjectGone(SourceUnavailable):
    """There is no such object, or not any more."""


class ObjectChangedMeanwhile(SourceUnavailable):
    """The object was overwritten while it was read."""


@dataclass(frozen=True, slots=True)
class S3Location:
    """A bucket and an object key, or the beginning of one.

    Attributes:
        bucket: the bucket's name.
        object_key: the object key or prefix, as it is; may be empty.
    """

    bucket: str
    object_key: str


def s3_location(text: str) -> S3Location | None:
    """What ``s3://bucket/key`` names; None when the text does not begin with ``s3://``.

    The key is taken as it stands, without percent-decoding.

    Raises:
        SourceUnavailable: there is no bucket in it.
    """
    if not text.startswith("s3://"):
        return None
    found = _LOCATION.fullmatch(text)
    if found is None:
        raise SourceUnavailable(f"{text!r} is not s3://BUCKET/KEY")
    return S3Location(found[1], found[2] or "")


def s3_prefix(text: str) -> S3Location:
    """The bucket and prefix that ``s3://bucket/prefix`` names.

    Raises:
        SourceUnavailable: it names none.
    """
    location = s3_location(text)
    if location is None:
        raise SourceUnavailable("s3://BUCKET/PREFIX is needed")
    return location


def s3_client(endpoint_url: str | None, connections: int = 4) -> S3Client:
    """A client with the credentials, region and CA bundle that boto3 finds.

    Args:
        endpoint_url: the store; None for Amazon S3, or what boto3's own settings say.
        connections: how many requests run at a time.

    Raises:
        SourceUnavailable: the settings are unusable.
    """
    from boto3.session import Session
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    settings = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        max_pool_connections=connections,
        retries={"mode": "standard"},
    )
    try:
        return Session().client("s3", endpoint_url=endpoint_url, config=settings)
    except (BotoCoreError, ValueError) as error:
        raise SourceUnavailable(f"the store can not be reached: {error}") from None


@dataclass(frozen=True, slots=True)
class S3Source:
    """One version of an object. Made by :func:`open_s3_source`; every request is held to its ETag.

    Attributes:
        stored_bytes: the size of the stored object.
        etag: its ETag, quotes included.
        marker: the metadata entry of sealed objects, if it has one.
        beginning: its first bytes, up to 568.
    """

    stored_bytes: int
    etag: str
    marker: str | None
    beginning: bytes = field(repr=False)
    _client: S3Client = field(repr=False)
    _names: Mapping[str, str]

    async def read(self, first: int, size: int) -> bytes:
        """See :class:`~gateway.cli.stored.source.StoredSource`."""
        if first + size <= len(self.beginning):
            return self.beginning[first : first + size]
        data = b"".join([piece async for piece in self.stream(first, first + size - 1)])
        if len(data) != size:
            raise IntegrityError(Fault.SIZE, "the store gave fewer bytes than were asked for")
        return data

    async def stream(self, first: int, last: int) -> AsyncGenerator[bytes, None]:
        """See :class:`~gateway.cli.stored.source.StoredSource`."""
        answer = await _asked(
            lambda: self._client.get_object(**self._names, IfMatch=self.etag, Range=f"bytes={first}-{last}")
        )
        body = answer["Body"]
        try:
            if _extent(answer) != (first, self.stored_bytes) or answer.get("ETag") != self.etag:
                raise ObjectChangedMeanwhile("the object changed while it was read, or the store ignores ranges")
            left = last - first + 1
            while left > 0:
                piece = await _asked(lambda: body.read(min(PIECE_BYTES, left)))  # noqa: B023 - called at once
                if not piece:
                    return
                left -= len(piece)
                yield piece
        finally:
            body.close()


async def open_s3_source(client: S3Client, location: S3Location, version_id: str | None = None) -> S3Source:
    """Ask for an object's first bytes, and with them for its size, ETag and metadata.

    Raises:
        SourceUnavailable: there is no such object, no right to it, or no answer.
    """
    names = {"Bucket": location.bucket, "Key": location.object_key}
    if version_id is not None:
        names["VersionId"] = version_id
    try:
        answer = await _asked(lambda: client.get_object(**names, Range=f"bytes=0-{HEAD_BYTES - 1}"))
    except _NoSuchRange:
        # No range fits into an empty object, and the refusal has no metadata.
        answer = await _asked(lambda: client.head_object(**names))
        if answer["ContentLength"]:
            raise ObjectChangedMeanwhile("the object changed while it was read") from None
        return S3Source(0, answer.get("ETag", ""), _marker(answer), b"", client, names)
    body = answer["Body"]
    try:
        beginning = await _asked(lambda: body.read(HEAD_BYTES))
    finally:
        body.close()
    first, size = _extent(answer)
    etag = answer.get("ETag")
    if first or not etag or len(beginning) != min(size, HEAD_BYTES):
        raise SourceUnavailable("the store's answer is not the part of the object that was asked for")
    return S3Source(size, etag, _marker(answer), beginning, client, names)


def listed_objects(client: S3Client, location: S3Location) -> Iterator[list[str]]:
    """The keys of all objects below a prefix, one page after the other. Blocks.

    Raises:
        SourceUnavailable: they can not be listed.
    """
    with _translated():
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=location.bucket, Prefix=location.object_key, PaginationConfig={"PageSize": PAGE_KEYS}
        )
        for page in pages:
            yield [entry["Key"] for entry in page.get("Contents", ())]


def _marker(answer: Mapping[str, Any]) -> str | None:
    metadata: Mapping[str, str] = answer.get("Metadata", {})
    return metadata.get(_METADATA_NAME)


class _NoSuchRange(SourceUnavailable):
    """The object is empty."""


async def _asked(call: Callable[[], T]) -> T:
    with _translated():
        return await asyncio.to_thread(call)


@contextmanager
def _translated() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code == _EMPTY:
            raise _NoSuchRange(str(error)) from None
        if code in _GONE:
            raise ObjectGone(str(error)) from None
        if code in {_CHANGED, "412"}:
            raise ObjectChangedMeanwhile("the object changed while it was read") from None
        raise SourceUnavailable(str(error)) from None
    except (BotoCoreError, OSError) as error:
        raise SourceUnavailable(str(error)) from None


def _extent(answer: Mapping[str, Any]) -> tuple[int, int]:
    """Where in the object an answer's body begins, and the size of the object."""
    stated = answer.get("ContentRange")
    if stated is None:
        return 0, int(answer["ContentLength"])
    found = _CONTENT_RANGE.fullmatch(stated)
    if found is not None:
        with suppress(ValueError):
            return int(found[1]), int(found[3])
    raise SourceUnavailable("the store's answer does not say what part of the object it is")
