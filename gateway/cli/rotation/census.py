"""Which key versions protect how many objects and bytes."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from gateway.cli.rotation.listed import Listed
from gateway.cli.rotation.protection import Examiner, Gone, Guard
from gateway.cli.rotation.targets import NoRule, Targets
from gateway.cli.rotation.working import work_through
from gateway.errors import GatewayError


@dataclass(slots=True)
class Census:
    """What was counted so far. An object that needs several key versions counts for each of them.

    Attributes:
        objects: how many objects, or versions of objects, were looked at.
        guarded: how many of them need a key version.
        stored_bytes: the stored size of these.
        behind: how many of them are not protected as today's rules ask.
        unreadable: those about which the store or a key service said nothing, with the reason.
    """

    objects: int = 0
    guarded: Counter[Guard] = field(default_factory=Counter)
    stored_bytes: Counter[Guard] = field(default_factory=Counter)
    behind: Counter[Guard] = field(default_factory=Counter)
    unreadable: dict[str, str] = field(default_factory=dict)

    def rows(self) -> list[dict[str, object]]:
        """Plain values, one row for each key version."""
        return [
            {
                "mode": guard.mode.value,
                "key": guard.key,
                "version": guard.version,
                "objects": self.guarded[guard],
                "stored_bytes": self.stored_bytes[guard],
                "to_be_rewrapped": self.behind[guard],
            }
            for guard in sorted(self.guarded)
        ]


async def count(
    items: AsyncIterator[Listed],
    examiner: Examiner,
    targets: Targets,
    census: Census,
    counted: Callable[[], None],
    concurrency: int,
) -> None:
    """Look at every object.

    Args:
        items: the objects, or their versions.
        examiner: looks at them.
        targets: know what the rules ask for.
        census: counted up.
        counted: called after each object.
        concurrency: objects at a time.

    Raises:
        GatewayError: they can not be listed, or not to the end.
    """

    async def look(listed: Listed) -> None:
        try:
            found = await examiner.examine(listed.place)
        except Gone:
            return
        except GatewayError as error:
            census.objects += 1
            census.unreadable[listed.place.render()] = str(error)
            return
        try:
            right = await targets.is_met(found, await targets.of(listed.place))
        except NoRule:
            right = True
        census.objects += 1
        for guard in found.guards:
            census.guarded[guard] += 1
            census.stored_bytes[guard] += found.stored_bytes
            census.behind[guard] += not right
        counted()

    await work_through(items, look, concurrency)
