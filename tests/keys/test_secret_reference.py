import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.errors import ConfigError, KeyUnavailable
from gateway.keys.secret_reference import (
    MAX_SECRET_FILE_BYTES,
    EnvReference,
    FileReference,
    SecretReference,
    SecretResolver,
    VaultReference,
    parse_reference,
    resolve_local,
)
from gateway.keys.vault_client import VaultClient
from lab.openbao import OpenBao

Connect = Callable[..., VaultClient]


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("env:S3_SECRET", EnvReference("S3_SECRET")),
        ("env:_a1", EnvReference("_a1")),
        ("file:/run/secrets/s3", FileReference(Path("/run/secrets/s3"))),
        ("file:/with space:and colon", FileReference(Path("/with space:and colon"))),
        ("vault:main/secret/s3#secret", VaultReference("main", "secret", "s3", "secret")),
        ("vault:main/kv/team/a/s3#a#b", VaultReference("main", "kv", "team/a/s3", "a#b")),
    ],
)
def test_references_and_back(text: str, reference: SecretReference) -> None:
    assert parse_reference(text) == reference
    assert str(reference) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "wJalrXUtnFEMI/K7MDENG",
        "hunter2:with-colon",
        "env",
        "env:",
        "env:1A",
        "env:A-B",
        "env:A=hunter2",
        "ENV:A",
        " env:A",
        "env:A\n",
        "file:",
        "file:relative/hunter2",
        "file:~/s3",
        "file:/a\x00b",
        "vault:",
        "vault:main",
        "vault:main/secret#f",
        "vault:main/secret/s3",
        "vault:main/secret/s3#",
        "vault:/secret/s3#f",
        "vault:main//s3#f",
        "vault:main/secret/../s3#f",
        "vault:main/secret/s3?version=1#f",
    ],
)
def test_what_is_no_reference_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_reference(text)
    for secret in ("hunter2", "wJalr"):
        assert secret not in str(caught.value)


def test_an_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_SECRET", "hunter2\n")
    secret = resolve_local(EnvReference("S3_SECRET"))
    assert secret.reveal() == "hunter2\n"
    assert "hunter2" not in repr(secret)
    for value in ("", None):
        if value is None:
            monkeypatch.delenv("S3_SECRET")
        else:
            monkeypatch.setenv("S3_SECRET", value)
        with pytest.raises(ConfigError, match="env:S3_SECRET is not set or empty"):
            resolve_local(EnvReference("S3_SECRET"))


@pytest.mark.parametrize(
    ("data", "secret"),
    [
        (b"hunter2", "hunter2"),
        (b"hunter2\n", "hunter2"),
        (b"hunter2\r\n", "hunter2"),
        (b"hunter2\n\n", "hunter2\n"),
        (b" hunter2 ", " hunter2 "),
        ("schlüssel\n".encode(), "schlüssel"),
        (b"x" * MAX_SECRET_FILE_BYTES, "x" * MAX_SECRET_FILE_BYTES),
    ],
)
def test_a_file_without_the_newline_at_its_end(data: bytes, secret: str, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(data)
    assert resolve_local(FileReference(path)).reveal() == secret


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"\n", "empty"),
        (b"hunter2\xff", "not UTF-8"),
        (b"x" * (MAX_SECRET_FILE_BYTES + 1), "larger than"),
    ],
)
def test_files_that_hold_no_secret(data: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=why) as caught:
        resolve_local(FileReference(path))
    assert str(path) in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__context__ is None


def test_what_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        resolve_local(FileReference(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="not a regular file"):
        resolve_local(FileReference(tmp_path))
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ConfigError, match="not a regular file"):
        resolve_local(FileReference(tmp_path / "pipe"))


@pytest.mark.parametrize(
    ("mode", "accepted"), [(0o400, True), (0o644, True), (0o444, True), (0o660, False), (0o646, False)]
)
def test_a_file_that_others_may_write_is_refused(mode: int, accepted: bool, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"hunter2")
    path.chmod(mode)
    if accepted:
        assert resolve_local(FileReference(path)).reveal() == "hunter2"
    else:
        with pytest.raises(ConfigError, match="may be written"):
            resolve_local(FileReference(path))


def test_a_secret_mounted_by_kubernetes(tmp_path: Path) -> None:
    """``secret`` -> ``..data/secret``, ``..data`` -> a directory with a date for its name."""
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "secret").write_bytes(b"hunter2")
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "secret").symlink_to("..data/secret")
    assert resolve_local(FileReference(tmp_path / "secret")).reveal() == "hunter2"


async def test_a_field_in_a_vault(bao: OpenBao, connect: Connect) -> None:
    bao.put_secret("resolver/s3", {"secret": "old"})
    bao.put_secret("resolver/s3", {"secret": "hunter2"})
    resolver = SecretResolver({"main": connect(bao)})
    assert (await resolver.resolve("vault:main/secret/resolver/s3#secret")).reveal() == "hunter2"
    with pytest.raises(KeyUnavailable, match="no field 'other'"):
        await resolver.resolve("vault:main/secret/resolver/s3#other")
    with pytest.raises(KeyUnavailable, match="secret/resolver/nowhere does not exist"):
        await resolver.resolve(parse_reference("vault:main/secret/resolver/nowhere#secret"))
    with pytest.raises(ConfigError, match="no vault named 'other'"):
        await resolver.resolve("vault:other/secret/resolver/s3#secret")


async def test_the_resolver_takes_every_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_SECRET", "from the environment")
    (tmp_path / "secret").write_text("from a file")
    resolver = SecretResolver({})
    assert (await resolver.resolve("env:S3_SECRET")).reveal() == "from the environment"
    assert (await resolver.resolve(f"file:{tmp_path}/secret")).reveal() == "from a file"
