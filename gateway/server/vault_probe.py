"""Whether a vault gives its keys now, for ``/readyz``."""

from collections.abc import Awaitable, Callable, Iterable

from gateway.errors import KeyUnavailable
from gateway.keys.customer_keys import CustomerKeySource
from gateway.keys.vault_client import VaultClient


def vault_probe(vault: VaultClient, sources: Iterable[CustomerKeySource]) -> Callable[[], Awaitable[None]]:
    """A probe of the vault's health, and of the token: a healthy vault that refuses every read is of no use.

    One key that is missing or unusable is the matter of its own buckets, not of the process.

    Args:
        vault: asked for its health.
        sources: the customer keys that it holds; their lists of versions are held, so asking costs little.
    """
    sources = tuple(sources)

    async def probe() -> None:
        health = await vault.probe()
        if not health.usable:
            raise KeyUnavailable(health.explanation)
        refusal: KeyUnavailable | None = None
        for source in sources:
            try:
                await source.version_numbers()
            except KeyUnavailable as error:
                if error.code != "AccessDenied":
                    return
                refusal = refusal or error
            else:
                return
        if refusal is not None:
            raise refusal

    return probe
