"""References to secrets in the configuration: ``env:NAME``, ``file:/path``, ``vault:<vault>/<mount>/<path>#<field>``.

A reference is not a secret and may be printed, but a text that is no reference is not printed: it may be the secret
itself, pasted into the wrong place.
"""

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import ConfigError
from gateway.keys.vault_client import VaultClient
from gateway.keys.vault_kv import KvSecret
from gateway.keys.vault_settings import is_path
from gateway.redact import SecretStr

#: Largest file that is read as a secret.
MAX_SECRET_FILE_BYTES = 64 * 1024

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class EnvReference:
    """An environment variable of the gateway's process."""

    name: str

    def __str__(self) -> str:
        return f"env:{self.name}"


@dataclass(frozen=True, slots=True)
class FileReference:
    """A file that holds nothing but the secret; one newline at its end does not count."""

    path: Path

    def __str__(self) -> str:
        return f"file:{self.path}"


@dataclass(frozen=True, slots=True)
class VaultReference:
    """A field of the newest version of a KV version 2 secret. The mount is one segment."""

    vault_name: str
    mount: str
    path: str
    field: str

    def __str__(self) -> str:
        return f"vault:{self.vault_name}/{self.mount}/{self.path}#{self.field}"


SecretReference = EnvReference | FileReference | VaultReference


def parse_reference(text: str) -> SecretReference:
    """The reference that ``text`` spells.

    Raises:
        ConfigError: it is none.
    """
    scheme, colon, rest = text.partition(":")
    if colon and scheme == "env":
        if _VARIABLE.fullmatch(rest):
            return EnvReference(rest)
        raise ConfigError(("env: must be followed by the name of a variable, such as env:S3_SECRET",))
    if colon and scheme == "file":
        path = Path(rest)
        if path.is_absolute() and "\x00" not in rest:
            return FileReference(path)
        raise ConfigError(("file: must be followed by an absolute path, such as file:/run/secrets/s3",))
    if colon and scheme == "vault":
        location, _, field = rest.partition("#")
        parts = location.split("/", 2)
        if len(parts) == 3 and field and is_path(location):
            return VaultReference(parts[0], parts[1], parts[2], field)
        raise ConfigError(("vault: must look like vault:<vault name>/<mount>/<path>#<field>",))
    raise ConfigError(("a secret must be given as env:NAME, file:/path or vault:<vault name>/<mount>/<path>#<field>",))


def resolve_local(reference: EnvReference | FileReference) -> SecretStr:
    """The secret behind a reference that needs no vault.

    Raises:
        ConfigError: the variable or file is missing, empty or unsuitable.
    """
    value = _read_variable(reference) if isinstance(reference, EnvReference) else _read_secret_file(reference)
    if not value:
        raise ConfigError((f"{reference} is not set or empty",))
    return SecretStr(value)


class SecretResolver:
    """Resolves references of every kind.

    Args:
        vault_clients: the configured vaults by name.
    """

    def __init__(self, vault_clients: Mapping[str, VaultClient]) -> None:
        self._vault_clients = vault_clients

    async def resolve(self, reference: SecretReference | str) -> SecretStr:
        """The secret behind ``reference``.

        Raises:
            ConfigError: the reference is wrong, or names what does not exist on this machine.
            KeyUnavailable: the vault did not give the secret.
        """
        if isinstance(reference, str):
            reference = parse_reference(reference)
        if not isinstance(reference, VaultReference):
            return resolve_local(reference)
        client = self._vault_clients.get(reference.vault_name)
        if client is None:
            raise ConfigError((f"{reference}: there is no vault named {reference.vault_name!r}",))
        return await KvSecret(client, reference.mount, reference.path).field(reference.field)


def _read_variable(reference: EnvReference) -> str:
    return os.environ.get(reference.name, "")


def _read_secret_file(reference: FileReference) -> str:
    """The file's text without one newline at its end.

    Symbolic links are followed, because Kubernetes mounts secrets behind two of them. A file that its group or others
    may write is refused: they could replace the secret. One that others may read is accepted, because mounted secrets
    are 0444 or 0644 in containers.
    """
    try:
        # Not blocking: opening a named pipe must not hang the start.
        descriptor = os.open(reference.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ConfigError((f"{reference}: {error.strerror}",)) from error
    try:
        data = _read_checked(descriptor, reference)
    finally:
        os.close(descriptor)
    text = _decode(data)
    if text is None:
        raise ConfigError((f"{reference} is not UTF-8 text",))
    return text.removesuffix("\n").removesuffix("\r")


def _read_checked(descriptor: int, reference: FileReference) -> bytes:
    """The content, once the very file that was opened has been looked at: its name may mean another one meanwhile."""
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        raise ConfigError((f"{reference} is not a regular file",))
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError((f"{reference} may be written by its group or by others (chmod go-w)",))
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        data = file.read(MAX_SECRET_FILE_BYTES + 1)
    if len(data) > MAX_SECRET_FILE_BYTES:
        raise ConfigError((f"{reference} is larger than {MAX_SECRET_FILE_BYTES} bytes",))
    return data


def _decode(data: bytes) -> str | None:
    # None instead of an exception: UnicodeDecodeError carries the bytes, that is, the secret.
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None
