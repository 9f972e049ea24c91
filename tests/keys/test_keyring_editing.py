"""Keyring files that are made and changed: private, in one step, without losing a key."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.keys import keyring_editing
from gateway.keys.keyring_editing import add_key, use_key
from gateway.keys.local_keyring import Keyring, read_keyring, render_keyring


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277])
def test_new_file_is_private(tmp_path: Path, umask: int) -> None:
    file = tmp_path / "keyring.json"
    before = os.umask(umask)
    try:
        made = add_key(file, make_current=False)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    keyring = read_keyring(file)
    assert keyring.current == made.key_id, "the first key is the current one in any case"
    assert keyring.keys[made.key_id].key.reveal() == made.key.reveal()
    assert [path.name for path in tmp_path.iterdir()] == ["keyring.json"]


def test_further_keys(tmp_path: Path) -> None:
    file = tmp_path / "keyring.json"
    first = add_key(file, "first")
    add_key(file, "second", make_current=False)
    assert read_keyring(file).current == "first"
    add_key(file, "third")
    keyring = read_keyring(file)
    assert (list(keyring.keys), keyring.current) == (["first", "second", "third"], "third")
    assert keyring.keys["first"].key.reveal() == first.key.reveal()
    use_key(file, "second")
    assert read_keyring(file).current == "second"
    assert len({bytes(key.key.reveal()) for key in read_keyring(file).keys.values()}) == 3
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("key_id", ["", "a b", "a/b", "x" * 65])
def test_impossible_id(tmp_path: Path, key_id: str) -> None:
    with pytest.raises(ConfigError, match="a key id has"):
        add_key(tmp_path / "keyring.json", key_id)
    assert not list(tmp_path.iterdir())


def test_nothing_changes_when_something_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "keyring.json"
    add_key(file, "first")
    before = file.read_bytes()
    with pytest.raises(ConfigError, match="already has a key 'first'"):
        add_key(file, "first")
    with pytest.raises(ConfigError, match="has no key 'second'"):
        use_key(file, "second")
    file.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod"):
        add_key(file)
    assert file.read_bytes() == before
    file.chmod(0o600)
    file.write_text("{}")
    with pytest.raises(ConfigError, match="not a keyring"):
        add_key(file)
    assert file.read_text() == "{}"
    assert [path.name for path in tmp_path.iterdir()] == ["keyring.json"]


def test_no_link_is_followed(tmp_path: Path) -> None:
    """Neither to a keyring, nor to where one should be made."""
    file, link, loose = tmp_path / "keyring.json", tmp_path / "link", tmp_path / "loose"
    add_key(file)
    link.symlink_to(file)
    loose.symlink_to(tmp_path / "elsewhere")
    for place in (link, loose):
        with pytest.raises(ConfigError, match="symbolic link"):
            add_key(place)
    assert link.is_symlink()
    assert not (tmp_path / "elsewhere").exists()
    assert len(read_keyring(file).keys) == 1


def test_places_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        add_key(tmp_path / "none" / "keyring.json")
    with pytest.raises(ConfigError, match="No such file"):
        use_key(tmp_path / "keyring.json", "x")


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keyring.json"
    add_key(file, "first")
    before = file.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        add_key(file)
    with pytest.raises(ConfigError, match="No space left"):
        add_key(tmp_path / "other.json")
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["keyring.json"]


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keyring.json"

    def late(keyring: Keyring) -> bytes:
        file.write_text("somebody else's")
        return render_keyring(keyring)

    monkeypatch.setattr(keyring_editing, "render_keyring", late)
    with pytest.raises(ConfigError, match="File exists"):
        add_key(file)
    assert file.read_text() == "somebody else's"


def test_concurrent_changes_lose_no_key(tmp_path: Path) -> None:
    file = tmp_path / "keyring.json"
    ids = [f"key-{number}" for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key_id: add_key(file, key_id), ids))
    assert set(read_keyring(file).keys) == set(ids)


def test_a_keyring_does_not_grow_beyond_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring_editing, "MAX_KEYRING_BYTES", 500)
    file = tmp_path / "keyring.json"
    add_key(file)
    add_key(file)
    with pytest.raises(ConfigError, match="begin another keyring"):
        add_key(file, "x" * 64)
    assert len(read_keyring(file).keys) == 2
