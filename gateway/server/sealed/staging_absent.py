"""The staging store of a gateway that has no wrapping keys: it can not seal, so it has nothing to keep."""

from gateway.errors import UpstreamUnavailable
from gateway.server.sealed.staging import Draft, OwnPart, StagedPart, StagedUpload


class AbsentStaging:
    """Keeps nothing; see :class:`~gateway.server.sealed.staging.Staging`."""

    async def draft(self, upload: StagedUpload, part_number: int, size: int) -> Draft:
        """Refuse."""
        del upload, part_number, size
        raise _absent()

    async def part(self, upload: StagedUpload, part_number: int, etag: str) -> StagedPart | None:
        """Nothing."""
        del upload, part_number, etag
        return None

    async def note_own(self, upload: StagedUpload, part: OwnPart) -> None:
        """Refuse."""
        del upload, part
        raise _absent()

    async def own_parts(self, upload: StagedUpload) -> tuple[OwnPart, ...]:
        """None."""
        del upload
        return ()

    async def clear(self, upload: StagedUpload) -> None:
        """Do nothing."""
        del upload

    async def sweep(self, maximum_age_seconds: float) -> int:
        """Do nothing."""
        del maximum_age_seconds
        return 0

    async def aclose(self) -> None:
        """Do nothing."""


def _absent() -> UpstreamUnavailable:
    return UpstreamUnavailable("the configuration has no wrapping keys, so nothing can be sealed")
