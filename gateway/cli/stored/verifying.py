"""Opens every object below a prefix and throws the plaintext away."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Final

from gateway.cli.stored.opening import Place, examine, plaintext
from gateway.cli.stored.s3_source import (
    ObjectChangedMeanwhile,
    ObjectGone,
    S3Client,
    S3Location,
    S3Source,
    listed_objects,
    open_s3_source,
)
from gateway.cli.stored.source import SourceUnavailable
from gateway.crypto.sealed.envelope import MAGIC
from gateway.crypto.sealed.faults import Fault
from gateway.crypto.sealed.marker import Marker
from gateway.errors import GatewayError, IntegrityError
from gateway.server.sealed.authentication import OpeningKeys

#: An object that is overwritten while it is read is read again, this often in all.
_ATTEMPTS: Final = 3


class Result(StrEnum):
    """What became of an object."""

    #: Every byte of it was verified.
    SEALED = "sealed"
    #: It is not sealed, and need not be.
    NOT_SEALED = "not_sealed"
    #: It is not what a sealed object consists of.
    FAULTY = "faulty"
    #: Nobody knows: a key or the store was not available.
    UNREADABLE = "unreadable"
    #: It was deleted before it was read.
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Trouble:
    """An object that did not pass.

    Attributes:
        object_key: the object key.
        result: ``faulty`` or ``unreadable``.
        fault: the named fault of a faulty one.
        message: the same in words.
    """

    object_key: str
    result: Result
    fault: str | None
    message: str

    def as_dict(self) -> dict[str, str | None]:
        """Plain values."""
        return asdict(self)


@dataclass(slots=True)
class Tally:
    """What was found so far.

    Attributes:
        results: how many objects had each result.
        plaintext_bytes: how much plaintext was verified.
    """

    results: Counter[Result] = field(default_factory=Counter)
    plaintext_bytes: int = 0

    @property
    def passed(self) -> bool:
        """Whether every object is sound."""
        return not self.results[Result.FAULTY] and not self.results[Result.UNREADABLE]

    def as_dict(self) -> dict[str, int | bool]:
        """Plain values."""
        counts = {str(result): self.results[result] for result in Result}
        return {**counts, "plaintext_bytes": self.plaintext_bytes, "passed": self.passed}


class Verifier:
    """Verifies objects at a store.

    Args:
        client: asks the store.
        keys: gives the data keys.
        tally: is counted up.
        looked_at: called after each object, with what is wrong with it.
        all_sealed: whether an object that is not sealed is a fault.
    """

    def __init__(
        self,
        client: S3Client,
        keys: OpeningKeys,
        tally: Tally,
        looked_at: Callable[[Trouble | None], None],
        *,
        all_sealed: bool,
    ) -> None:
        self._client = client
        self._keys = keys
        self._tally = tally
        self._looked_at = looked_at
        self._all_sealed = all_sealed

    async def verify(self, location: S3Location, concurrency: int) -> None:
        """Verify everything below a prefix.

        Args:
            location: bucket and prefix.
            concurrency: how many objects are read at a time.

        Raises:
            SourceUnavailable: the objects can not be listed, or not to the end.
        """
        # As much ahead as one page; the list waits for the objects.
        waiting: asyncio.Queue[str | None] = asyncio.Queue(concurrency)
        async with asyncio.TaskGroup() as group:
            listing = group.create_task(self._list(location, waiting, concurrency))
            for _ in range(concurrency):
                group.create_task(self._work(location.bucket, waiting))
        fault = listing.result()
        if fault is not None:
            raise fault

    async def _list(
        self, location: S3Location, waiting: asyncio.Queue[str | None], concurrency: int
    ) -> SourceUnavailable | None:
        """Hand out the keys; returns what went wrong, so that the objects under way are finished."""
        pages = listed_objects(self._client, location)
        fault = None
        try:
            while page := await asyncio.to_thread(_next_page, pages):
                for object_key in page:
                    await waiting.put(object_key)
        except SourceUnavailable as error:
            fault = error
        for _ in range(concurrency):
            await waiting.put(None)
        return fault

    async def _work(self, bucket: str, waiting: asyncio.Queue[str | None]) -> None:
        while (object_key := await waiting.get()) is not None:
            outcome = await self._outcome(S3Location(bucket, object_key))
            trouble = outcome if isinstance(outcome, Trouble) else None
            self._tally.results[outcome.result if isinstance(outcome, Trouble) else outcome] += 1
            self._looked_at(trouble)

    async def _outcome(self, location: S3Location) -> Result | Trouble:
        try:
            for _ in range(_ATTEMPTS - 1):
                try:
                    return await self._verified(location)
                except ObjectChangedMeanwhile:
                    continue
            return await self._verified(location)
        except ObjectGone:
            return Result.GONE
        except IntegrityError as error:
            return Trouble(location.object_key, Result.FAULTY, error.fault, error.message)
        except GatewayError as error:
            return Trouble(location.object_key, Result.UNREADABLE, None, str(error))

    async def _verified(self, location: S3Location) -> Result:
        source = await open_s3_source(self._client, location)
        if source.marker is None:
            return self._without_marker(source)
        marker = Marker.parse(source.marker)
        place = Place(location.bucket, location.object_key)
        layout = await examine(source, self._keys, place=place, marker=marker)
        async for piece in plaintext(source, self._keys, layout):
            self._tally.plaintext_bytes += len(piece)
        return Result.SEALED

    def _without_marker(self, source: S3Source) -> Result:
        if source.beginning.startswith(MAGIC):
            raise IntegrityError(Fault.MARKER, "the metadata entry that marks it is missing")
        if self._all_sealed:
            raise IntegrityError(Fault.NOT_SEALED, "it is not sealed")
        return Result.NOT_SEALED


def _next_page(pages: Iterator[list[str]]) -> list[str]:
    """The next page that has objects; empty at the end."""
    return next((page for page in pages if page), [])
