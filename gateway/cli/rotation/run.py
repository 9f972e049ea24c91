"""Every object below a prefix, looked at, and rewritten where that is needed and wanted."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway.cli.rotation.listed import Listed
from gateway.cli.rotation.outcome import Looked, Result, Tally
from gateway.cli.rotation.pace import Pace
from gateway.cli.rotation.protection import Examiner, Gone, Protected
from gateway.cli.rotation.rewriting import Changed, Content, Rewriter, is_named
from gateway.cli.rotation.state import State
from gateway.cli.rotation.targets import Target, Targets, customer_key_names
from gateway.cli.rotation.working import work_through
from gateway.config.model import Config
from gateway.errors import ConfigError, GatewayError
from gateway.policy.rules import ModeName
from gateway.server.private_gateway import PrivateGateway
from gateway.server.sealed.stored import ObjectChanged

#: How often an object that clients go on writing is looked at.
_ATTEMPTS: Final = 4
#: Ceph RGW 16 answers 412 to every If-Match of a write.
_REFUSED: Final = (
    "the store says that the object is another one by now, and it is not: where it says so of every object, stop the "
    "writers and use --without-if-match"
)


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
class Limits:
    """How fast, and under which condition.

    Attributes:
        objects_per_second: most objects begun in a second; None for no limit.
        bytes_per_second: most bytes read for copies in a second; None for no limit.
        unconditional: go on with a store that does not evaluate If-Match.
    """

    objects_per_second: float | None = None
    bytes_per_second: float | None = None
    unconditional: bool = False


@dataclass(frozen=True, slots=True)
class Tools:
    """What a run works with."""

    gateway: PrivateGateway
    examiner: Examiner
    targets: Targets
    rewriter: Rewriter
    objects: Pace
    state: State


def tools_for(config: Config, gateway: PrivateGateway, limits: Limits, state: State) -> Tools:
    """What a run over the objects of this configuration works with."""
    examiner = Examiner(gateway, customer_key_names(config, gateway))
    rewriter = Rewriter(gateway, Pace(limits.bytes_per_second), unconditional=limits.unconditional)
    return Tools(gateway, examiner, Targets(gateway, examiner), rewriter, Pace(limits.objects_per_second), state)


#: The mode that an object was written in, and whether in parts: ETags are made in a way of their own for each.
_Kind: TypeAlias = tuple[ModeName, bool]


@dataclass(frozen=True, slots=True)
class _Written:
    """What a copy was answered with."""

    mode: ModeName
    etag: str

    @property
    def kind(self) -> _Kind:
        return self.mode, "-" in self.etag


class Run:
    """One run.

    Args:
        tools: what it works with.
        settings: how.
        tally: counted up.
        looked_at: called after each object.
    """

    def __init__(self, tools: Tools, settings: Settings, tally: Tally, looked_at: Callable[[Looked], None]) -> None:
        self._tools = tools
        self._settings = settings
        self._tally = tally
        self._looked_at = looked_at
        #: Objects written in these ways had the ETag that the copy was answered with.
        self._named: set[_Kind] = set()

    async def work(self, items: AsyncIterator[Listed], stop: asyncio.Event) -> None:
        """Work through objects.

        Args:
            items: the objects; versions of them in a dry run only.
            stop: when set, the objects under way are finished and no others begun.

        Raises:
            SourceUnavailable: the objects can not be listed, or not to the end.
            ConfigError: the store lacks what is needed.
        """
        await work_through(items, self._object, self._settings.concurrency, stop)

    async def _object(self, listed: Listed) -> None:
        looked = Looked(listed)
        try:
            looked.result = await self._result(looked)
        except ConfigError:
            raise
        except GatewayError as error:
            looked.message = str(error)
        self._tally.add(looked)
        self._looked_at(looked)

    async def _result(self, looked: Looked) -> Result:
        listed = looked.listed
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
                looked.found, looked.target = found, target
                if changed is not None and found.etag == etag:
                    raise GatewayError(_REFUSED)
                etag = found.etag
                if found.foreign:
                    return Result.FOREIGN
                target.require_certain()
                if self._settings.dry_run:
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
        written = await self._tools.rewriter.rewrite(found, target.rule.mode)
        after = await self._tools.examiner.examine(found.place)
        if not await self._tools.targets.is_met(after, target):
            # Either a client wrote it since, and it is looked at once more, or this store does not do as it says.
            if after.modified == found.modified and after.etag == found.etag:
                raise GatewayError("the copy was answered with success, and the object is what it was")
            raise Changed("it is encrypted in another way again")
        if before is not None:
            await self._compare(before, after, _Written(target.rule.mode, written))
        self._tools.state.note(after, target.guard)

    async def _compare(self, before: Content, after: Protected, written: _Written) -> None:
        if after.place.version_id is not None:
            return
        same, named = (await self._tools.rewriter.content(after)) == before, is_named(after, written.etag)
        if same and named:
            self._named.add(written.kind)
        if same or (await self._tools.examiner.examine(after.place)).etag != after.etag:
            return
        # A client may have been faster than the look at the copy. The ETag says so, where it is known to be the same
        # in the answer to a copy and at the object.
        if written.etag and not named and written.kind in self._named:
            raise Changed("a client wrote it after the copy")
        raise GatewayError("what is read back is not what was there before")
