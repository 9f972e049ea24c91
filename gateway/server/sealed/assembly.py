"""What sealing and opening work with, put together from the configuration."""

from contextlib import AsyncExitStack

from gateway.config.build import data_key_limits
from gateway.config.model import Config
from gateway.config.resolve import Resolved
from gateway.keys.data_keys import DataKeys
from gateway.observe.metrics import Metrics
from gateway.server.sealed.layouts import DEFAULT_CAPACITY, LayoutCache
from gateway.server.sealed.services import SealedServices
from gateway.server.sealed.staging import Staging
from gateway.server.sealed.staging_absent import AbsentStaging
from gateway.server.sealed.staging_sweeper import StagingSweeper, open_staging
from gateway.upstream.client import UpstreamClient


async def start_sealed_services(
    config: Config, resolved: Resolved, upstream: UpstreamClient, metrics: Metrics, opened: AsyncExitStack
) -> SealedServices:
    """Open the staging store, begin to sweep it, and hold data keys.

    Args:
        config: the configuration.
        resolved: its providers and credentials.
        upstream: the server behind the gateway.
        metrics: the counters.
        opened: takes what has to be closed.

    Raises:
        ConfigError: the staging store can not be used.
    """
    data_keys = DataKeys(resolved.wrapping_keys, data_key_limits(config), metrics)
    opened.push_async_callback(data_keys.aclose)
    staging: Staging = AbsentStaging()
    if config.wrapping_keys:
        staging = staging_of(config, resolved, upstream)
        opened.push_async_callback(staging.aclose)
        sweeper = StagingSweeper(staging, config.staging.maximum_age_seconds, metrics.staging_swept)
        sweeper.start()
        opened.push_async_callback(sweeper.aclose)
    return SealedServices(data_keys, LayoutCache(DEFAULT_CAPACITY, metrics), staging)


def staging_of(config: Config, resolved: Resolved, upstream: UpstreamClient) -> Staging:
    """The configured staging store.

    Raises:
        ConfigError: it can not be used.
    """
    # A directory needs none; the configuration's checks make sure that a bucket has its own.
    credentials = resolved.staging_credentials or next(iter(resolved.upstream_credentials.values()))
    return open_staging(config.staging.location, upstream, credentials)
