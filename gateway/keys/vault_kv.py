"""One secret of a KV version 2 engine: which versions it has, and the text in one of its fields.

Source: OpenBao API documentation, "KV secrets engine - version 2", "Read secret version" and "Read secret metadata".
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from gateway.errors import ConfigError
from gateway.keys.customer_key import CustomerKey, parse_customer_key
from gateway.keys.vault_client import VaultClient
from gateway.keys.vault_error import VaultError, VaultResult
from gateway.keys.vault_settings import is_path
from gateway.redact import SecretStr


class KvSecret:
    """The secret at ``path`` in the KV version 2 engine mounted at ``mount``.

    Args:
        client: the vault.
        mount: the mount, without slashes around.
        path: the path inside the mount, without ``data/``.
    """

    def __init__(self, client: VaultClient, mount: str, path: str) -> None:
        self._client = client
        self._mount = mount
        self._path = path

    @property
    def where(self) -> str:
        """The secret's place for messages: ``vault 'main': secret/customer-keys``."""
        return f"vault {self._client.name!r}: {self._mount}/{self._path}"

    async def live_versions(self) -> tuple[int, ...]:
        """The numbers of the versions that are neither deleted nor destroyed, newest first; at least one.

        Raises:
            VaultError: the vault did not say, or there is none.
        """
        answer = await self._client.read(f"{self._mount}/metadata/{self._path}")
        if answer.result is VaultResult.NOT_FOUND:
            raise self._not_found("")
        versions = answer.section("data").get("versions")
        if not isinstance(versions, dict):
            raise self._invalid("its answer about the versions makes no sense")
        now = datetime.now(UTC)
        numbers = []
        for number, state in versions.items():
            if not isinstance(state, dict) or not (number.isascii() and number.isdigit() and len(number) < 10):
                raise self._invalid("its answer about the versions makes no sense")
            if state.get("destroyed") is not True and not self._deleted(state, now):
                numbers.append(int(number))
        if not numbers:
            raise VaultError(f"{self.where}: every version is deleted or destroyed", VaultResult.NOT_FOUND)
        return tuple(sorted(numbers, reverse=True))

    async def field(self, name: str, version: int | None = None) -> SecretStr:
        """The text in field ``name`` of ``version``, or of the newest.

        Raises:
            VaultError: there is no such version or field, or the vault did not answer.
        """
        query = None if version is None else {"version": str(version)}
        answer = await self._client.read(f"{self._mount}/data/{self._path}", query)
        which = "" if version is None else f" version {version}"
        if answer.result is VaultResult.NOT_FOUND:
            raise self._not_found(which)
        data, metadata = answer.section("data").get("data"), answer.section("data").get("metadata")
        if not isinstance(data, dict) or not isinstance(metadata, dict):
            raise self._invalid("the answer is not that of a KV version 2 engine")
        if version is not None and metadata.get("version") != version:
            raise self._invalid(f"asked for{which} it answered with another one")
        if name not in data:
            raise VaultError(f"{self.where}{which}: there is no field {name!r}", VaultResult.NOT_FOUND)
        value = data[name]
        if not isinstance(value, str) or not value:
            raise VaultError(
                f"{self.where}{which}: field {name!r} is empty or not a text",
                VaultResult.INVALID,
                code="InvalidArgument",
            )
        return SecretStr(value)

    def _deleted(self, state: Mapping[str, object], now: datetime) -> bool:
        """Whether the deletion time has come; ``delete_version_after`` sets one that lies ahead."""
        text = state.get("deletion_time")
        if not isinstance(text, str):
            raise self._invalid("its answer about the versions makes no sense")
        if not text:
            return False
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return True
        return moment.tzinfo is None or moment <= now

    def _not_found(self, which: str) -> VaultError:
        return VaultError(
            f"{self.where}{which} does not exist: it was never written, or is deleted or destroyed, or no KV version 2 "
            "engine is mounted there, or the namespace is wrong",
            VaultResult.NOT_FOUND,
        )

    def _invalid(self, what: str) -> VaultError:
        return VaultError(f"{self.where}: {what}", VaultResult.INVALID)


class KvKeys:
    """The keys (SSE-C) in one field of a KV secret: a :class:`~gateway.keys.versioned_secret.VersionedSecret`.

    Args:
        client: the vault. It stays open.
        mount: the mount, without slashes around.
        path: the path inside the mount, without ``data/``.
        field: the field that holds the base64 of 32 bytes.

    Raises:
        ConfigError: listing every fault.
    """

    def __init__(self, client: VaultClient, mount: str, path: str, field: str = "key") -> None:
        faults = []
        if not is_path(mount) or not is_path(path):
            faults.append(f"mount {mount!r} and path {path!r} must consist of plain segments")
        if not field:
            faults.append("field is empty")
        if faults:
            raise ConfigError(tuple(f"customer key {path!r}: {fault}" for fault in faults))
        self._secret = KvSecret(client, mount, path)
        self._field = field
        self._parts = (client.name, mount, path, field)

    @property
    def parts(self) -> tuple[str, ...]:
        """Name of the vault, mount, path and field."""
        return self._parts

    async def live_versions(self) -> tuple[int, ...]:
        """As :meth:`KvSecret.live_versions`; the newest one encrypts.

        Raises:
            KeyUnavailable: the vault did not say, or there is none.
        """
        return await self._secret.live_versions()

    async def key(self, version: int) -> CustomerKey:
        """The key in one version.

        Raises:
            KeyUnavailable: the vault does not give it, or it is not a usable key.
        """
        text = await self._secret.field(self._field, version)
        return parse_customer_key(text, version, f"{self._secret.where}, field {self._field!r}")
