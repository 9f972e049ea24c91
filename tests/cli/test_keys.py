"""``sealgate keys`` as a user runs it; no key material comes out."""

import base64
import re
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli.app import app
from gateway.keys.local_keyring import read_keyring


def keys(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["keys", *map(str, arguments)])


@pytest.fixture
def keyring(tmp_path: Path) -> Path:
    return tmp_path / "keyring.json"


def test_a_first_key(keyring: Path) -> None:
    result = keys("new", keyring)
    assert result.exit_code == 0, result.output
    found = read_keyring(keyring)
    assert re.fullmatch(r"20\d{6}-[0-9a-f]{8}", found.current)
    assert f"made key {found.current}; new objects use it" in result.stdout
    assert "Keep a copy" in result.stdout
    assert stat.S_IMODE(keyring.stat().st_mode) == 0o600


def test_rotation(keyring: Path) -> None:
    """Add, keep the old one current until every gateway has the file, then use the new one."""
    keys("new", keyring, "--id", "old")
    result = keys("new", keyring, "--id", "next", "--keep-current")
    assert "made key next; new objects still use old" in result.stdout
    listed = keys("list", keyring).stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["old", "next"]
    assert ["current" in line for line in listed] == [True, False]
    result = keys("use", keyring, "next")
    assert "new objects use next" in result.stdout
    assert read_keyring(keyring).current == "next"
    keys("new", keyring, "--id", "last", "--make-current")
    assert read_keyring(keyring).current == "last"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["new", "{keyring}", "--id", "one"], "already has a key 'one'"),
        (["new", "{keyring}", "--id", "a b"], "a key id has"),
        (["new", "/nowhere/keyring"], "/nowhere/keyring: No such file or directory"),
        (["use", "{keyring}", "two"], "has no key 'two'"),
        (["list", "/nowhere/keyring"], "/nowhere/keyring: No such file or directory"),
    ],
)
def test_faults(keyring: Path, arguments: list[str], part: str) -> None:
    keys("new", keyring, "--id", "one")
    before = keyring.read_bytes()
    result = keys(*(argument.format(keyring=keyring) for argument in arguments))
    assert result.exit_code == 1
    assert part in result.stderr
    assert "Traceback" not in result.output
    assert keyring.read_bytes() == before


def test_open_file_is_refused(keyring: Path) -> None:
    keys("new", keyring)
    keyring.chmod(0o644)
    for command in (("list", keyring), ("new", keyring), ("use", keyring, "x")):
        result = keys(*command)
        assert result.exit_code == 1
        assert "chmod 0600" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["new"], ["use", "x"], ["list"], ["frobnicate"]])
def test_wrong_usage(arguments: list[str]) -> None:
    assert keys(*arguments).exit_code == 2


def test_key_material_is_never_printed(keyring: Path) -> None:
    output = "".join(
        keys(*command).output
        for command in (
            ("new", keyring, "--id", "one"),
            ("new", keyring, "--id", "two"),
            ("new", keyring, "--id", "two"),
            ("list", keyring),
            ("use", keyring, "one"),
        )
    )
    for key in read_keyring(keyring).keys.values():
        raw = key.key.reveal()
        for text in (base64.b64encode(raw).decode(), raw.hex(), repr(raw)):
            assert text not in output
