"""Policy files: all of them or none, read again when they change."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.config.policies import PolicyFile
from gateway.errors import ConfigError
from gateway.policy.iam.decision import Access, Effect
from gateway.server.policies.files import PolicyFiles

_NOW = datetime(2026, 5, 1, tzinfo=UTC)
_ACCESS = Access("s3:GetObject", "arn:aws:s3:::bucket/key")


class Nothing:
    """A request that has no condition key."""

    principal = "arn:aws:iam::000000000000:user/ann"

    def values(self, key: str) -> None:
        return None


class World:
    """Two policy files."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.read: list[bool] = []
        self.write("first", "Allow")
        self.write("second", "Allow")
        self.configured = [PolicyFile(name=name, file=str(directory / name)) for name in ("first", "second")]

    def write(self, name: str, effect: str) -> None:
        statement = {"Effect": effect, "Principal": "*", "Action": "s3:*", "Resource": "*"}
        new = self.directory / "new"
        new.write_text(json.dumps({"Statement": [statement]}))
        new.rename(self.directory / name)

    def policy_files_read(self, *, worked: bool, when: datetime) -> None:
        assert when == _NOW
        self.read.append(worked)

    def open(self) -> PolicyFiles:
        return PolicyFiles(self.configured, self, lambda: _NOW)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def _effect(files: PolicyFiles) -> Effect:
    return files.current.decide(Nothing(), _ACCESS).effect


def test_changes_are_seen(world: World) -> None:
    files = world.open()
    assert _effect(files) is Effect.ALLOW
    files.reload_if_changed()
    assert world.read == [True]
    world.write("second", "Deny")
    files.reload_if_changed()
    assert _effect(files) is Effect.DENY
    files.reload_if_changed()
    assert world.read == [True, True]


def test_one_broken_file_keeps_all_others_from_changing(world: World) -> None:
    files = world.open()
    world.write("first", "Deny")
    (world.directory / "second").write_text('{"Statement": [}')
    files.reload_if_changed()
    assert _effect(files) is Effect.ALLOW
    files.reload_if_changed()
    assert world.read == [True, False]
    assert not files.reload()
    world.write("second", "Allow")
    files.reload_if_changed()
    assert _effect(files) is Effect.DENY
    assert world.read == [True, False, False, True]


def test_a_file_that_is_gone_is_a_fault(world: World) -> None:
    files = world.open()
    (world.directory / "first").unlink()
    files.reload_if_changed()
    assert _effect(files) is Effect.ALLOW
    assert world.read == [True, False]


def test_what_did_not_change_is_not_compiled_again(world: World) -> None:
    files = world.open()
    before = files.current
    assert files.reload()
    assert files.current is before


def test_a_start_takes_files_without_faults(world: World) -> None:
    """Every fault of every file, each with the policy, the line and the field."""
    world.write("first", "Maybe")
    (world.directory / "second").write_text('{\n"Statement": {}}')
    with pytest.raises(ConfigError) as caught:
        world.open()
    faults = caught.value.faults
    assert any(fault.startswith("first, line 1: Statement[0].Effect") for fault in faults)
    assert any(fault.startswith("second, line 2: Statement") for fault in faults)
    (world.directory / "second").unlink()
    with pytest.raises(ConfigError, match=r"second: .*No such file"):
        world.open()
