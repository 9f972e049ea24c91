"""Resolves references to secrets and keeps count of what is wrong with them."""

from gateway.errors import ConfigError, KeyUnavailable
from gateway.keys.secret_reference import SecretResolver, VaultReference, parse_reference, resolve_local
from gateway.redact import SecretStr


def local_secret(reference: str) -> SecretStr:
    """The secret behind an ``env:`` or ``file:`` reference.

    Raises:
        ConfigError: it is missing or unsuitable, or in a vault.
    """
    parsed = parse_reference(reference)
    if isinstance(parsed, VaultReference):
        raise ConfigError((f"{parsed}: only env: and file: are possible here",))
    return resolve_local(parsed)


class Secrets:
    """Resolves references and collects what is wrong with them, so that one run names every fault."""

    def __init__(self, resolver: SecretResolver) -> None:
        self._resolver = resolver
        self._faults: list[str] = []
        self._unavailable: KeyUnavailable | None = None

    async def get(self, reference: str, path: str) -> SecretStr:
        """The secret, or an empty one when there is a fault, which :meth:`raise_faults` tells."""
        try:
            return await self._resolver.resolve(reference)
        except ConfigError as error:
            self.add(error, path)
        except KeyUnavailable as error:
            self._unavailable = error
        return SecretStr("")

    async def get_optional(self, reference: str | None, path: str) -> SecretStr | None:
        """The same for an option that may be unset."""
        return None if reference is None else await self.get(reference, path)

    def add(self, error: ConfigError, path: str) -> None:
        """Collect the faults of one option."""
        self._faults.extend(f"{path}: {fault}" for fault in error.faults)

    def raise_faults(self) -> None:
        """Raise what was collected: faults of the configuration first, because waiting does not mend them."""
        if self._faults:
            raise ConfigError(tuple(dict.fromkeys(self._faults)))
        if self._unavailable is not None:
            raise self._unavailable
