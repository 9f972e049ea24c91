"""Whether the staging store keeps what it is given."""

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

from gateway.cli.findings import Finding, failure, ok
from gateway.config.build import upstream_settings
from gateway.config.model import Config
from gateway.config.resolve import Resolved
from gateway.errors import ConfigError, GatewayError
from gateway.server.sealed.assembly import staging_of
from gateway.server.sealed.staging import StagedUpload, Staging
from gateway.upstream.client import UpstreamClient

_PROBE_BYTES = 4096
_ANSWER_SECONDS = 30.0


async def staging_findings(config: Config, resolved: Resolved) -> AsyncIterator[Finding]:
    """A small part staged, read back and removed, when there are wrapping keys."""
    if not config.wrapping_keys:
        return
    location = config.staging.location
    async with AsyncExitStack() as opened:
        try:
            settings = upstream_settings(config)
            seconds = min(settings.first_byte_timeout_seconds, _ANSWER_SECONDS)
            upstream = UpstreamClient(replace(settings, retries=0, first_byte_timeout_seconds=seconds))
            await upstream.start()
            opened.push_async_callback(upstream.close)
            staging = staging_of(config, resolved, upstream)
            opened.push_async_callback(staging.aclose)
            works = await _keeps(staging)
        except ConfigError as error:
            for fault in error.faults:
                yield failure("staging", fault)
        except GatewayError as error:
            yield failure("staging", f"{location}: {error}")
        else:
            yield (
                ok("staging", f"{location}: a part was written, read back and removed")
                if works
                else failure("staging", f"{location}: gave back something else than was written")
            )


async def _keeps(staging: Staging) -> bool:
    """Whether a part is given back as it was written, and not at all once it was removed."""
    data, etag = secrets.token_bytes(_PROBE_BYTES), f'"{secrets.token_hex(16)}"'
    upload = StagedUpload("sealgate-doctor", secrets.token_hex(16), secrets.token_hex(16))
    draft = await staging.draft(upload, 1, len(data))
    try:
        await draft.write(data)
        await draft.publish(etag)
        part = await staging.part(upload, 1, etag)
        found = b"" if part is None else b"".join([piece async for piece in part.pieces])
    finally:
        await draft.discard()
        await staging.clear(upload)
    return found == data and await staging.part(upload, 1, etag) is None
