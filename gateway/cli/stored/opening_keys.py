"""The wrapping keys that commands which open stored bytes work with."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.config.load import load_config
from gateway.config.resolve import open_wrapping_key
from gateway.errors import ConfigError
from gateway.keys.data_keys import DataKeyLimits, DataKeys
from gateway.keys.local import LocalKeyProvider
from gateway.keys.provider import KeyProvider


def key_providers(keyrings: Sequence[Path], config_file: Path | None) -> dict[str, KeyProvider]:
    """Key providers for opening, by a name of their own.

    Args:
        keyrings: keyring files.
        config_file: a configuration, of which nothing but ``wrapping_keys`` is used.

    Raises:
        ConfigError: a file can not be used, or there is no key at all.
    """
    providers: dict[str, KeyProvider] = {}
    faults: list[str] = []
    for path in keyrings:
        try:
            providers[f"keyring {path}"] = LocalKeyProvider.open(path)
        except ConfigError as error:
            faults += error.faults
    if config_file is not None:
        for name, options in load_config(config_file).wrapping_keys.items():
            try:
                providers[name] = open_wrapping_key(options)
            except ConfigError as error:
                faults += (f"wrapping_keys.{name}: {fault}" for fault in error.faults)
    if faults:
        raise ConfigError(tuple(faults))
    if not providers:
        raise ConfigError(("no wrapping key is given; use --keyring FILE, or --config FILE with wrapping_keys in it",))
    return providers


@asynccontextmanager
async def opening_keys(providers: dict[str, KeyProvider]) -> AsyncIterator[DataKeys]:
    """The data keys that these providers unwrap; everything is forgotten in the end."""
    data_keys = DataKeys(providers, DataKeyLimits())
    try:
        yield data_keys
    finally:
        await data_keys.aclose()
        for provider in providers.values():
            await provider.aclose()
