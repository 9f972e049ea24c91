"""The keyring file: wrapping keys that stay on this machine.

A JSON document, readable by its owner only:

    {
      "format": "sealgate-keyring",
      "version": 1,
      "current": "20261123-5f3a9c21",
      "keys": [
        {"id": "20261123-5f3a9c21", "created": "2026-11-23T21:30:35Z", "key": "<base64 of 32 random bytes>"}
      ]
    }

Reading is strict: whatever is unknown, repeated or weak is refused, because a key that is not what its owner believes
is found out years later. Whoever loses the file loses every object sealed under its keys.
"""

import base64
import binascii
import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.errors import ConfigError
from gateway.keys.key_quality import weakness_of
from gateway.redact import SecretBytes

#: About a thousand keys; a wrong path must not be read into memory.
MAX_KEYRING_BYTES = 262_144

FORMAT = "sealgate-keyring"
VERSION = 1

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CREATED = "%Y-%m-%dT%H:%M:%SZ"
_TOP_FIELDS = frozenset({"format", "version", "current", "keys"})
_KEY_FIELDS = frozenset({"id", "created", "key"})


@dataclass(frozen=True, slots=True)
class WrappingKey:
    """One key of a keyring.

    Attributes:
        key_id: its name in the keyring, 1 to 64 of ``A-Za-z0-9._-``.
        created: when it was made, UTC, whole seconds.
        key: 32 random bytes.
    """

    key_id: str
    created: datetime
    key: SecretBytes


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys of one file.

    Attributes:
        keys: by id, in the file's order.
        current: the id of the key for new objects.
    """

    keys: Mapping[str, WrappingKey]
    current: str


def is_key_id(text: str) -> bool:
    """Whether ``text`` can name a key of a keyring."""
    return _ID.fullmatch(text) is not None


def read_keyring(path: Path) -> Keyring:
    """The keyring in a file.

    The file must be a regular one (a symbolic link is refused), belong to the user of this process or to root, and be
    closed to its group and to others.

    Raises:
        ConfigError: naming the file and everything that is wrong with it, never key material.
    """
    try:
        # Not blocking: opening a named pipe must not hang the start.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError as error:
        if path.is_symlink():
            raise ConfigError((f"{path} is a symbolic link; name the file itself",)) from None
        raise ConfigError((f"{path}: {error.strerror}",)) from None
    try:
        # The very file that was opened is looked at: its name may mean another one meanwhile.
        _check_file(path, os.fstat(descriptor))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(MAX_KEYRING_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > MAX_KEYRING_BYTES:
        raise ConfigError((f"{path} is larger than {MAX_KEYRING_BYTES} bytes",))
    try:
        return parse_keyring(content)
    except ConfigError as error:
        raise ConfigError(tuple(f"{path}: {fault}" for fault in error.faults)) from None


def parse_keyring(content: bytes) -> Keyring:
    """The keyring in a JSON document.

    Raises:
        ConfigError: with every fault, without key material.
    """
    document = _document(content)
    entries, faults = document["keys"], []
    keys: dict[str, WrappingKey] = {}
    material: dict[bytes, str] = {}
    for number, entry in enumerate(entries if isinstance(entries, list) else []):
        try:
            key = _parse_key(entry)
        except ConfigError as error:
            faults += [f"keys[{number}] {fault}" for fault in error.faults]
            continue
        if key.key_id in keys:
            faults.append(f"keys[{number}] has the id of another key, {key.key_id!r}")
        twin = material.setdefault(bytes(key.key.reveal()), key.key_id)
        if twin != key.key_id:
            faults.append(f"keys[{number}] is the same key as {twin!r}")
        keys[key.key_id] = key
    if not isinstance(entries, list) or not entries:
        faults.append("keys must be a list of at least one key")
    current = document["current"]
    if not faults and (not isinstance(current, str) or current not in keys):
        faults.append("current is not the id of one of the keys")
    if faults:
        raise ConfigError(tuple(faults))
    return Keyring(keys, str(current))


def render_keyring(keyring: Keyring) -> bytes:
    """The JSON document of a keyring, key material included."""
    keys = [
        {
            "id": key.key_id,
            "created": key.created.strftime(_CREATED),
            "key": base64.b64encode(key.key.reveal()).decode("ascii"),
        }
        for key in keyring.keys.values()
    ]
    document = {"format": FORMAT, "version": VERSION, "current": keyring.current, "keys": keys}
    return json.dumps(document, indent=2).encode("ascii") + b"\n"


def _check_file(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError((f"{path} is not a regular file",))
    if status.st_uid not in {os.geteuid(), 0}:
        raise ConfigError((f"{path} belongs to user id {status.st_uid}, neither to this process's user nor to root",))
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(
            (f"{path} is open to its group or to others (mode {stat.S_IMODE(status.st_mode):04o}); chmod 0600 {path}",)
        )


def _document(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content.decode("utf-8"), object_pairs_hook=_without_repetition, parse_constant=_no_number)
    except (ValueError, RecursionError):
        # The parser's own message may quote the file.
        raise ConfigError(("is not a JSON document, or a name stands twice in it",)) from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ConfigError((f"is not a keyring: its format is not {FORMAT!r}",))
    if type(document.get("version")) is not int or document["version"] != VERSION:
        raise ConfigError((f"is a keyring of a version that this program does not know; it knows {VERSION}",))
    _check_fields(document, _TOP_FIELDS, "")
    return document


def _check_fields(entry: Mapping[str, Any], wanted: frozenset[str], where: str) -> None:
    # Unknown names are counted, not quoted: a key may stand where a name should.
    faults = [f"{where}lacks {name!r}" for name in sorted(wanted - entry.keys())]
    unknown = len(entry.keys() - wanted)
    if unknown:
        faults.append(f"{where}has {unknown} unknown field{'s' if unknown > 1 else ''}")
    if faults:
        raise ConfigError(tuple(faults))


def _parse_key(entry: object) -> WrappingKey:
    if not isinstance(entry, dict):
        raise ConfigError(("is not an object",))
    _check_fields(entry, _KEY_FIELDS, "")
    key_id, created, encoded = entry["id"], entry["created"], entry["key"]
    faults = []
    if not isinstance(key_id, str) or not is_key_id(key_id):
        faults.append("has an id that is not 1 to 64 of A-Z, a-z, 0-9, '.', '_', '-'")
    made = _parse_created(created)
    if made is None:
        faults.append("has a created time that is not like 2026-11-23T21:30:35Z")
    key = _decode(encoded)
    weakness = "it is not standard base64" if key is None else weakness_of(key)
    if weakness is not None:
        faults.append(f"can not be used: {weakness}")
    if faults or key is None or made is None:
        raise ConfigError(tuple(faults))
    return WrappingKey(str(key_id), made, SecretBytes(key))


def _parse_created(text: object) -> datetime | None:
    try:
        made = datetime.strptime(str(text), _CREATED).replace(tzinfo=UTC)
    except ValueError:
        return None
    return made if made.strftime(_CREATED) == text else None


def _decode(encoded: object) -> bytes | None:
    try:
        key = base64.b64decode(str(encoded), validate=True)
    except (binascii.Error, ValueError):
        return None
    # The comparison refuses what the decoder tolerates: stray bits in the last character.
    return key if base64.b64encode(key).decode("ascii") == encoded else None


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _no_number(_: str) -> float:
    raise ValueError("not a JSON number")
