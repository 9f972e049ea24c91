"""The key services and vaults of a configuration, as the metrics show them."""

from collections.abc import Mapping

from gateway.config.build import key_quota
from gateway.config.guarding import guard_name
from gateway.config.model import Config
from gateway.config.wrapping_keys import AwsKmsKey, VaultTransitKey, WrappingKey, region_of
from gateway.observe.key_metrics import WatchedService


def watched_services(config: Config) -> tuple[WatchedService, ...]:
    """The services behind the wrapping keys, each with the names under which its requests are counted."""
    keys: dict[tuple[str, str], list[str]] = {}
    for name, options in config.wrapping_keys.items():
        for place, scope in enumerate(_scopes(options)):
            keys.setdefault((options.provider, scope), []).append(guard_name(name, scope, place))
    return tuple(_watched(config, provider, scope, tuple(names)) for (provider, scope), names in keys.items())


def watched_s3(config: Config) -> WatchedService:
    """The service that S3 asks: a KMS key has to be in the Region of its bucket."""
    return _watched(config, "aws-kms", config.upstream.region, ())


def login_methods(config: Config) -> Mapping[str, str | None]:
    """How the gateway logs in to each vault, by name; None for one with a token."""
    return {
        name: next((method for method in ("approle", "kubernetes", "jwt") if getattr(vault, method) is not None), None)
        for name, vault in config.vaults.items()
    }


def _scopes(options: WrappingKey) -> tuple[str, ...]:
    """Where a key is, in the order in which it is asked for."""
    if isinstance(options, AwsKmsKey):
        return tuple(region_of(arn) for arn in options.arns)
    return (options.vault,) if isinstance(options, VaultTransitKey) else ("",)


def _watched(config: Config, provider: str, scope: str, keys: tuple[str, ...]) -> WatchedService:
    quota = key_quota(config, provider, scope)
    if quota is None:
        return WatchedService(provider, scope, keys, None, 0.0)
    return WatchedService(provider, scope, keys, quota.quota, quota.price_per_request)
