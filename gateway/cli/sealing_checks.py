"""Whether wrapping keys wrap and unwrap, and whether the staging store keeps what it is given."""

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import replace

from gateway.cli.findings import Finding, failure, ok
from gateway.config.build import upstream_settings
from gateway.config.model import Config
from gateway.config.resolve import Resolved, open_wrapping_key
from gateway.errors import ConfigError, GatewayError
from gateway.server.sealed.assembly import staging_of
from gateway.server.sealed.staging import StagedUpload, Staging
from gateway.upstream.client import UpstreamClient

_PROBE_BYTES = 4096
_ANSWER_SECONDS = 30.0


async def wrapping_key_findings(config: Config) -> AsyncIterator[Finding]:
    """A data key made and unwrapped by every wrapping key.

    Keyrings that can not be used are told by :func:`~gateway.cli.file_checks.file_findings`.
    """
    for name, options in config.wrapping_keys.items():
        with suppress(ConfigError):
            provider = open_wrapping_key(options)
            try:
                data_key = await provider.generate()
                unwrapped = await provider.unwrap(data_key.wrapping_key, data_key.wrapped)
            except GatewayError as error:
                yield failure(f"wrapping_keys.{name}", str(error))
            else:
                if unwrapped.reveal() == data_key.key.reveal():
                    yield ok(f"wrapping_keys.{name}", f"{provider.current} wraps data keys and unwraps them")
                else:
                    yield failure(
                        f"wrapping_keys.{name}", f"{provider.current} unwraps another data key than it wrapped"
                    )
            finally:
                await provider.aclose()


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
