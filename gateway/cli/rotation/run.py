"""One run of ``sealgate rewrap``: every object below a prefix, looked at and rewritten where that is needed."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Final

from gateway.cli.rotation.listed import Listed, listed_objects
from gateway.cli.rotation.pace import Pace
from gateway.cli.rotation.protection import Examiner, Gone, Protected
from gateway.cli.rotation.rewriting import Changed, Content, Rewriter
from gateway.cli.rotation.state import State
from gateway.cli.rotation.targets import Target, Targets
from gateway.cli.rotation.working import work_through
from gateway.cli.stored.s3_source import S3Location
from gateway.errors import ConfigError, GatewayError
from gateway.server.private_gateway import PrivateGateway
from gateway.server.sealed.stored import ObjectChanged

#: How often an object that clients go on writing is looked at.
_ATTEMPTS: Final = 4
#: Ceph RGW 16 answers 412 to every If-Match of a write.
_REFUSED: Final = (
    "the store says that the object is another one by now, and it is not: where it says so of every object, stop the "
    "writers and use --without-if-match"
)


class Result(StrEnum):
    """What became of an object."""

    #: It has its encryption now, and was read back.
    REENCRYPTED = "reencrypted"
    #: It had its encryption before.
    SKIPPED = "skipped"
    #: The same, by the state file: it was not looked at.
    KNOWN = "known"
    #: A client wrote or deleted it meanwhile; what it is now is right.
    CHANGED = "changed_meanwhile"
    #: Only a client has the key that it is encrypted with.
    FOREIGN = "clients_own_key"
    #: It would be rewritten.
    PLANNED = "planned"
    #: It does not have its encryption.
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Trouble:
    """An object that does not have its encryption."""

    object_key: str
    message: str

    def as_dict(self) -> dict[str, str]:
        """Plain values."""
        return asdict(self)


@dataclass(slots=True)
class Tally:
    """What was done so far.

    Attributes:
        results: how many objects had each result.
        reencrypted_bytes: stored bytes of the objects that were written anew, as they were before.
        changes: how many objects went from what to what.
    """

    results: Counter[Result] = field(default_factory=Counter)
    reencrypted_bytes: int = 0
    changes: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, object]:
        """Plain values."""
        counts = {result.value: self.results[result] for result in Result}
        return {**counts, "reencrypted_bytes": self.reencrypted_bytes, "changes": dict(sorted(self.changes.items()))}


@dataclass(frozen=True, slots=True)
class Settings:
    """How objects are rewritten.

    Attributes:
        concurrency: objects at a time.
        dry_run: look only.
        verify: read every object before and after, and compare.
    """

    concurrency: int
    dry_run: bool
    verify: bool


@dataclass(frozen=True, slots=True)
class Tools:
    """What a run works with."""

    gateway: PrivateGateway
    examiner: Examiner
    targets: Targets
    rewriter: Rewriter
    objects: Pace
    state: State


class Run:
    """One run.

    Args:
        tools: what it works with.
        settings: how.
        tally: counted up.
        looked_at: called after each object, with what went wrong with it.
    """

    def __init__(
        self, tools: Tools, settings: Settings, tally: Tally, looked_at: Callable[[Trouble | None], None]
    ) -> None:
        self._tools = tools
        self._settings = settings
        self._tally = tally
        self._looked_at = looked_at

    async def work(self, location: S3Location, stop: asyncio.Event) -> None:
        """Work through everything below a prefix.

        Args:
            location: bucket and prefix.
            stop: when set, the objects under way are finished and no others begun.

        Raises:
            SourceUnavailable: the objects can not be listed, or not to the end.
            ConfigError: the store lacks what is needed.
        """
        objects = listed_objects(self._tools.gateway.ask_store, location)
        await work_through(objects, self._object, self._settings.concurrency, stop)

    async def _object(self, listed: Listed) -> None:
        trouble = None
        try:
            result = await self._result(listed)
        except ConfigError:
            raise
        except GatewayError as error:
            result, trouble = Result.FAILED, Trouble(listed.place.object_key, str(error))
        self._tally.results[result] += 1
        self._looked_at(trouble)

    async def _result(self, listed: Listed) -> Result:
        target = await self._tools.targets.of(listed.place)
        if self._tools.state.is_done(listed, target.guard):
            return Result.KNOWN
        changed: GatewayError | None = None
        etag = ""
        for _ in range(_ATTEMPTS):
            try:
                # A key may be rotated once more while this runs.
                target = await self._tools.targets.of(listed.place)
                found = await self._tools.examiner.examine(listed.place)
                if await self._tools.targets.is_met(found, target):
                    self._tools.state.note(found, target.guard)
                    return Result.SKIPPED if changed is None else Result.CHANGED
                if changed is not None and found.etag == etag:
                    raise GatewayError(_REFUSED)
                etag = found.etag
                if found.foreign:
                    return Result.FOREIGN
                if self._settings.dry_run:
                    self._count(found, target)
                    return Result.PLANNED
                await self._rewritten(found, target)
                return Result.REENCRYPTED
            except Gone:
                return Result.CHANGED
            except (Changed, ObjectChanged) as error:
                changed = error
        raise changed or AssertionError("internal error: an object without a result")

    async def _rewritten(self, found: Protected, target: Target) -> None:
        """Write an object anew and look at it."""
        await self._tools.objects.take()
        before = await self._tools.rewriter.content(found) if self._settings.verify else None
        await self._tools.rewriter.rewrite(found, target.rule.mode)
        after = await self._tools.examiner.examine(found.place)
        if not await self._tools.targets.is_met(after, target):
            # Either a client wrote it since, and it is looked at once more, or this store does not do as it says.
            if after.modified == found.modified and after.etag == found.etag:
                raise GatewayError("the copy was answered with success, and the object is what it was")
            raise Changed("it is encrypted in another way again")
        if before is not None:
            await self._compare(before, after)
        self._count(found, target)
        self._tools.state.note(after, target.guard)

    async def _compare(self, before: Content, after: Protected) -> None:
        if after.place.version_id is None and (await self._tools.rewriter.content(after)) != before:
            now = await self._tools.examiner.examine(after.place)
            if now.etag == after.etag:
                raise GatewayError("what is read back is not what was there before")

    def _count(self, found: Protected, target: Target) -> None:
        before = ", ".join(str(guard) for guard in sorted(found.guards))
        self._tally.changes[f"{before} -> {target.guard}"] += 1
        self._tally.reencrypted_bytes += found.stored_bytes
