"""The keyring file: strict in its bytes, its mode and its owner; no message holds key material."""

import base64
import json
import os
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ConfigError
from gateway.keys.local_keyring import (
    MAX_KEYRING_BYTES,
    Keyring,
    WrappingKey,
    parse_keyring,
    read_keyring,
    render_keyring,
)
from gateway.redact import SecretBytes

KEY_1, KEY_2 = secrets.token_bytes(32), secrets.token_bytes(32)


def encoded(key: bytes) -> str:
    return base64.b64encode(key).decode()


def entry(**fields: Any) -> dict[str, Any]:
    return {"id": "one", "created": "2026-11-23T21:30:35Z", "key": encoded(KEY_1), **fields}


OTHER = entry(id="two", key=encoded(KEY_2))


def document(**fields: Any) -> dict[str, Any]:
    return {"format": "sealgate-keyring", "version": 1, "current": "one", "keys": [entry(), OTHER], **fields}


def without(mapping: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key != name}


def raw(value: object) -> bytes:
    return json.dumps(value).encode()


def faults_of(content: bytes) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        parse_keyring(content)
    return caught.value.faults


@pytest.fixture
def keyring_file(tmp_path: Path) -> Path:
    file = tmp_path / "keyring.json"
    file.touch(mode=0o600)
    file.write_bytes(raw(document()))
    return file


def test_keyring() -> None:
    keyring = parse_keyring(raw(document(current="two")))
    assert keyring.current == "two"
    assert list(keyring.keys) == ["one", "two"]
    one = keyring.keys["one"]
    assert one.key.reveal() == KEY_1
    assert one.created == datetime(2026, 11, 23, 21, 30, 35, tzinfo=UTC)
    assert encoded(KEY_1) not in repr(keyring)
    assert repr(KEY_1) not in repr(keyring)


@given(st.lists(st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True), min_size=1, max_size=5, unique=True))
def test_rendered_is_parsed(ids: list[str]) -> None:
    made = datetime(2027, 1, 1, tzinfo=UTC)
    keys = {key_id: WrappingKey(key_id, made, SecretBytes(secrets.token_bytes(32))) for key_id in ids}
    again = parse_keyring(render_keyring(Keyring(keys, ids[-1])))
    assert again.current == ids[-1]
    assert [(key.key_id, key.created, key.key.reveal()) for key in again.keys.values()] == [
        (key.key_id, key.created, key.key.reveal()) for key in keys.values()
    ]


#: A document and a part of the only fault in it.
FAULTS: tuple[tuple[str, bytes, str], ...] = (
    ("empty", b"", "not a JSON document"),
    ("not UTF-8", b"\xff" + raw(document()), "not a JSON document"),
    ("truncated", raw(document())[:-1], "not a JSON document"),
    ("two documents", raw(document()) * 2, "not a JSON document"),
    ("name twice", raw(document()).replace(b'"current"', b'"version": 1, "current"'), "stands twice"),
    ("no number", raw(document(version=float("nan"))), "not a JSON document"),
    ("deep", b"[" * 100_000, "not a JSON document"),
    ("list", raw([document()]), "not a keyring"),
    ("other format", raw(document(format="vault")), "not a keyring"),
    ("version 2", raw(document(version=2)), "version"),
    ("version true", raw(document(version=True)), "version"),
    ("unknown field", raw(document(comment="x")), "1 unknown field"),
    ("no current", raw(without(document(), "current")), "lacks 'current'"),
    ("current unknown", raw(document(current="three")), "current is not"),
    ("current no text", raw(document(current=["one"])), "current is not"),
    ("no keys", raw(document(keys=[])), "at least one key"),
    ("keys by name", raw(document(keys={"one": entry()})), "at least one key"),
    ("key no object", raw(document(keys=[entry(), "x"])), "keys[1] is not an object"),
    ("unknown field in key", raw(document(keys=[entry(note="x", more=1)])), "keys[0] has 2 unknown fields"),
    ("no id", raw(document(keys=[entry(), without(OTHER, "id")])), "keys[1] lacks 'id'"),
    ("repeated id", raw(document(keys=[entry(), OTHER | {"id": "one"}])), "keys[1] has the id of another key"),
    ("repeated key", raw(document(keys=[entry(), entry(id="two")])), "keys[1] is the same key as 'one'"),
    ("key of zeros", raw(document(keys=[entry(key=encoded(bytes(32)))])), "zeros"),
    ("one byte repeated", raw(document(keys=[entry(key=encoded(b"\x07" * 32))])), "repeats"),
    ("short key", raw(document(keys=[entry(key=encoded(KEY_1[:31]))])), "31 bytes"),
    ("long key", raw(document(keys=[entry(key=encoded(KEY_1 + b"x"))])), "33 bytes"),
    ("empty key", raw(document(keys=[entry(key="")])), "0 bytes"),
    ("key as hex", raw(document(keys=[entry(key=KEY_1.hex())])), "48 bytes"),
    ("key no base64", raw(document(keys=[entry(key=encoded(KEY_1)[:-2] + "!=")])), "base64"),
    ("key without padding", raw(document(keys=[entry(key=encoded(KEY_1).rstrip("="))])), "base64"),
    ("key with a newline", raw(document(keys=[entry(key=encoded(KEY_1) + "\n")])), "base64"),
    ("key no text", raw(document(keys=[entry(key=5)])), "base64"),
    ("date only", raw(document(keys=[entry(created="2026-11-23")])), "created"),
    ("no such day", raw(document(keys=[entry(created="2026-02-30T00:00:00Z")])), "created"),
    ("short time", raw(document(keys=[entry(created="2026-1-2T3:4:5Z")])), "created"),
    ("created no text", raw(document(keys=[entry(created=20261123)])), "created"),
)


@pytest.mark.parametrize(("content", "part"), [case[1:] for case in FAULTS], ids=[case[0] for case in FAULTS])
def test_refused(content: bytes, part: str) -> None:
    faults = faults_of(content)
    assert len(faults) == 1, faults
    assert part in faults[0]


@pytest.mark.parametrize("key_id", ["", "a" * 65, "a b", "a/b", "ä", "a\n", "a:b", 7, None])
def test_ids_that_no_uri_holds(key_id: object) -> None:
    assert "has an id that is not" in faults_of(raw(document(keys=[entry(id=key_id)])))[0]


def test_stray_bits_in_base64_are_refused() -> None:
    text = encoded(KEY_1)
    last = text[-2]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    stray = text[:-2] + alphabet[alphabet.index(last) | 1] + "="
    assert "base64" in faults_of(raw(document(keys=[entry(key=stray)])))[0]


def test_all_faults_at_once_and_no_key_in_them() -> None:
    content = raw(document(keys=[entry(key=encoded(KEY_1[:8] * 4)), entry(id="x y"), {encoded(KEY_2): 1}]))
    faults = "\n".join(faults_of(content))
    assert all(f"keys[{number}]" in faults for number in range(3))
    for key in (KEY_1, KEY_1[:8], KEY_2):
        assert encoded(key)[:10] not in faults


@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: raw(document(current=text, keys=[text]))))
def test_garbage_is_a_config_error_only(content: bytes) -> None:
    with pytest.raises(ConfigError):
        parse_keyring(content)


def test_file(keyring_file: Path) -> None:
    assert read_keyring(keyring_file).keys["one"].key.reveal() == KEY_1
    keyring_file.chmod(0o400)
    assert read_keyring(keyring_file).current == "one"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o601, 0o644, 0o620, 0o602, 0o660, 0o666, 0o777])
def test_open_to_others(keyring_file: Path, mode: int) -> None:
    """Any right of the group or of others, also one to write or to execute, is too much."""
    keyring_file.chmod(mode)
    with pytest.raises(ConfigError, match=rf"mode {mode:04o}\); chmod 0600"):
        read_keyring(keyring_file)


def make_link(file: Path) -> Path:
    link = file.with_name("link")
    link.symlink_to(file)
    return link


def make_pipe(file: Path) -> Path:
    pipe = file.with_name("pipe")
    os.mkfifo(pipe, 0o600)
    return pipe


@pytest.mark.parametrize(
    ("place", "part"),
    [
        (make_link, "is a symbolic link"),
        (make_pipe, "not a regular file"),
        (lambda file: file.parent, "not a regular file"),
        (lambda file: file.with_name("none"), "No such file"),
    ],
)
def test_no_regular_file(keyring_file: Path, place: Callable[[Path], Path], part: str) -> None:
    with pytest.raises(ConfigError, match=part):
        read_keyring(place(keyring_file))


def test_owner(keyring_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of somebody else could be replaced by them."""
    monkeypatch.setattr(os, "geteuid", lambda: keyring_file.stat().st_uid + 1)
    if keyring_file.stat().st_uid == 0:
        os.chown(keyring_file, 12345, -1)
    with pytest.raises(ConfigError, match="belongs to user id"):
        read_keyring(keyring_file)


def test_oversize(keyring_file: Path) -> None:
    with keyring_file.open("ab") as file:
        file.write(b" " * MAX_KEYRING_BYTES)
    with pytest.raises(ConfigError, match="larger than"):
        read_keyring(keyring_file)


def test_every_fault_names_the_file(keyring_file: Path) -> None:
    keyring_file.write_bytes(raw(document(keys=[entry(id=""), entry(created="")])))
    with pytest.raises(ConfigError) as caught:
        read_keyring(keyring_file)
    assert len(caught.value.faults) == 2
    assert all(fault.startswith(f"{keyring_file}: keys[") for fault in caught.value.faults)
