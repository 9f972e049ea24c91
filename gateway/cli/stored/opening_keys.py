"""The wrapping keys that commands about stored objects work with."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from gateway.config.load import load_config
from gateway.config.open_wrapping_keys import wrapping_keys_alone
from gateway.errors import ConfigError
from gateway.keys.data_keys import DataKeyLimits, DataKeys
from gateway.keys.local import LocalKeyProvider
from gateway.keys.provider import KeyProvider


@asynccontextmanager
async def key_providers(keyrings: Sequence[Path], config_file: Path | None) -> AsyncIterator[dict[str, KeyProvider]]:
    """Key providers by a name of their own.

    Args:
        keyrings: keyring files.
        config_file: a configuration, of which nothing but ``wrapping_keys`` is used, and what these need.

    Raises:
        ConfigError: a file or a secret can not be used, or there is no key at all.
        KeyUnavailable: a vault does not give a secret.
    """
    async with AsyncExitStack() as opened:
        providers: dict[str, KeyProvider] = {}
        faults: list[str] = []
        for path in keyrings:
            try:
                providers[f"keyring {path}"] = provider = LocalKeyProvider.open(path)
            except ConfigError as error:
                faults += error.faults
            else:
                opened.push_async_callback(provider.aclose)
        if config_file is not None:
            try:
                providers |= await opened.enter_async_context(wrapping_keys_alone(load_config(config_file)))
            except ConfigError as error:
                faults += error.faults
        if faults:
            raise ConfigError(tuple(faults))
        if not providers:
            raise ConfigError(
                ("no wrapping key is given; use --keyring FILE, or --config FILE with wrapping_keys in it",)
            )
        yield providers


@asynccontextmanager
async def opening_keys(keyrings: Sequence[Path], config_file: Path | None) -> AsyncIterator[DataKeys]:
    """The data keys that these wrapping keys unwrap; everything is forgotten in the end.

    Raises:
        ConfigError: as :func:`key_providers`.
        KeyUnavailable: the same.
    """
    async with key_providers(keyrings, config_file) as providers:
        data_keys = DataKeys(providers, DataKeyLimits())
        try:
            yield data_keys
        finally:
            await data_keys.aclose()
