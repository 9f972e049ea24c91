"""The command itself: version, help, exit statuses, and starting from a configuration."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway import __version__
from gateway.cli.app import app
from gateway.cli.serve import runtime
from gateway.errors import ConfigError

EXIT_CONFIG = 78  # EX_CONFIG of sysexits.h: restarting does not help
PROFILES = Path(__file__).parents[2] / "config" / "profiles"


def test_version_as_a_program() -> None:
    """``python -m gateway`` is the command."""
    done = subprocess.run([sys.executable, "-m", "gateway", "version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"sealgate {__version__}\n"


def test_help_names_every_command() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    assert all(command in result.stdout for command in ("serve", "check-config", "doctor", "keys", "open", "version"))


@pytest.mark.parametrize("arguments", [[], ["serve"], ["doctor"], ["check-config"], ["frobnicate"]])
def test_wrong_usage(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2


def test_serve_tells_every_fault(tmp_path: Path) -> None:
    """A process manager sees that restarting does not help; a person sees all faults."""
    file = tmp_path / "sealgate.yaml"
    file.write_text("workers: 0\nlisteners: {}\nidentities: []\nrules: []\n")
    command = [sys.executable, "-m", "gateway", "serve", "--config", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == EXIT_CONFIG
    assert {line.split(": ")[1] for line in done.stderr.splitlines()} == {
        "workers",
        "listeners",
        "identities",
        "rules",
    }


def test_serve_tells_every_missing_secret(tmp_path: Path) -> None:
    """Secrets are resolved before the first client is served."""
    file = tmp_path / "sealgate.yaml"
    text = (PROFILES / "sidecar.yaml").read_text()
    file.write_text(text.replace("port: 8000", "port: 0") + "\nadmin: {port: 0}\n")
    command = [sys.executable, "-m", "gateway", "serve", "--config", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={})
    assert done.returncode == EXIT_CONFIG
    assert "identities[0].secret_access_key: env:SEALGATE_CLIENT_SECRET is not set or empty" in done.stderr
    assert "Traceback" not in done.stderr


def test_runtime_of_a_configuration_file() -> None:
    """What the worker processes call by name."""
    made = runtime(str(PROFILES / "sidecar.yaml"))
    assert [listener.name for listener in made.settings.listeners] == ["plain_http_loopback[0]"]
    assert made.settings.workers == 1
    with pytest.raises(ConfigError):
        runtime("/nonexistent.yaml")
