"""The staging store by its configured location, and the task that keeps it from growing for ever.

Every process sweeps, each at times of its own; what one has removed is no fault to another.
"""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from gateway.errors import ConfigError, GatewayError
from gateway.event_log import get_logger
from gateway.server.sealed.staging import Staging
from gateway.server.sealed.staging_bucket import StagingBucket
from gateway.server.sealed.staging_file import FileStaging
from gateway.server.sealed.staging_s3 import S3Staging
from gateway.upstream.client import UpstreamClient
from gateway.upstream.refreshing import CredentialSource

#: The longest time between two sweeps, in seconds.
MAX_PAUSE_SECONDS: Final = 3600.0
#: Sweeps in the time after which something is old.
_SWEEPS_PER_AGE: Final = 10
_CHANCES: Final = 1000

_log = get_logger("gateway.server.staging")


def open_staging(location: str, upstream: UpstreamClient, credentials: CredentialSource) -> Staging:
    """The staging store at a location.

    Args:
        location: ``file:///directory`` or ``s3://bucket/prefix``.
        upstream: the server that a bucket is on.
        credentials: what requests to that bucket are signed with.

    Raises:
        ConfigError: the location is none of the two, or can not be used.
    """
    parts = urlsplit(location)
    if parts.scheme == "file" and parts.netloc in {"", "localhost"} and parts.path.startswith("/"):
        return FileStaging(Path(unquote(parts.path)))
    if parts.scheme == "s3" and parts.netloc:
        return S3Staging(StagingBucket(upstream, credentials, parts.netloc), unquote(parts.path))
    raise ConfigError(("staging.location: must be file:///directory or s3://bucket/prefix",))


class StagingSweeper:
    """Sweeps a staging store from time to time.

    Args:
        staging: the store.
        maximum_age_seconds: how long an upload may stand still before its parts are removed.
        on_swept: told how many uploads and drafts were removed.
    """

    def __init__(self, staging: Staging, maximum_age_seconds: float, on_swept: Callable[[int], None]) -> None:
        self._staging = staging
        self._maximum_age_seconds = maximum_age_seconds
        self._on_swept = on_swept
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to sweep; the first time after a pause."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def aclose(self) -> None:
        """Sweep no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._pause())
            try:
                swept = await self._staging.sweep(self._maximum_age_seconds)
            except GatewayError as error:
                _log.warning("staging_not_swept", reason=str(error))
                continue
            if swept:
                self._on_swept(swept)

    def _pause(self) -> float:
        """From half to one and a half times the usual pause, so that processes do not sweep all at once."""
        usual = min(MAX_PAUSE_SECONDS, self._maximum_age_seconds / _SWEEPS_PER_AGE)
        return usual * (0.5 + secrets.randbelow(_CHANCES) / _CHANCES)
