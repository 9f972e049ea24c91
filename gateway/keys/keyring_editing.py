"""Changing a keyring file: a new key, or another current one.

The file is replaced in one step by a new one that is on the disk before: whoever reads it sees the keyring before or
after a change, also when the machine stops in between. Keys are never removed here, because objects may need them.
"""

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from gateway.errors import ConfigError
from gateway.keys.key_quality import KEY_BYTES, weakness_of
from gateway.keys.local_keyring import (
    MAX_KEYRING_BYTES,
    Keyring,
    WrappingKey,
    is_key_id,
    read_keyring,
    render_keyring,
)
from gateway.redact import SecretBytes

_FILE_MODE = 0o600


def add_key(path: Path, key_id: str | None = None, *, make_current: bool = True) -> WrappingKey:
    """Make a new key in a keyring file, which is created with mode 0600 when it is not there.

    Args:
        path: the file. Its directory must exist.
        key_id: the key's name; None makes one up from the date and chance.
        make_current: whether new objects use it. The first key of a file always is the current one.

    Raises:
        ConfigError: the file can not be used or written, or the id is not possible or taken.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    if key_id is None:
        key_id = f"{now:%Y%m%d}-{secrets.token_hex(4)}"
    if not is_key_id(key_id):
        raise ConfigError(("a key id has 1 to 64 of A-Z, a-z, 0-9, '.', '_', '-'",))
    made = WrappingKey(key_id, now, SecretBytes(_random_key()))

    def added(before: Keyring | None) -> Keyring:
        if before is None:
            return Keyring({made.key_id: made}, made.key_id)
        if made.key_id in before.keys:
            raise ConfigError((f"{path} already has a key {made.key_id!r}",))
        return Keyring({**before.keys, made.key_id: made}, made.key_id if make_current else before.current)

    _change(path, added)
    return made


def use_key(path: Path, key_id: str) -> None:
    """Make a key of a keyring file the one that new objects use.

    Raises:
        ConfigError: the file can not be used or written, or has no such key.
    """

    def changed(before: Keyring | None) -> Keyring:
        if before is None:
            raise ConfigError((f"{path}: No such file or directory",))
        if key_id not in before.keys:
            raise ConfigError((f"{path} has no key {key_id!r}",))
        return Keyring(before.keys, key_id)

    _change(path, changed)


def _random_key() -> bytes:
    key = secrets.token_bytes(KEY_BYTES)
    weakness = weakness_of(key)
    if weakness is not None:
        raise ConfigError((f"the system's random source gave a key that is not random: {weakness}",))
    return key


def _change(path: Path, change: Callable[[Keyring | None], Keyring]) -> None:
    try:
        with _locked(path.parent) as directory:
            before = read_keyring(path) if os.path.lexists(path) else None
            content = render_keyring(change(before))
            if len(content) > MAX_KEYRING_BYTES:
                raise ConfigError((f"{path} would be larger than {MAX_KEYRING_BYTES} bytes; begin another keyring",))
            _replace(path, content, new=before is None)
            os.fsync(directory)
    except OSError as error:
        raise ConfigError((f"{path}: {error.strerror}",)) from None


@contextmanager
def _locked(directory: Path) -> Iterator[int]:
    """One change of a directory's keyrings at a time; the descriptor of the directory."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _replace(path: Path, content: bytes, *, new: bool) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, _FILE_MODE)  # whatever the umask left
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        if new:
            os.link(draft, path)  # unlike a renaming, it never replaces what somebody else put there meanwhile
        else:
            draft.replace(path)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()
