"""What a worker does not need, it does not hold in memory."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from gateway.cli import serve_command
from gateway.cli.app import app

#: ``sealgate serve`` up to the configuration that is not there.
_SERVING = """
import sys
from gateway.cli.main import main
sys.argv = ["sealgate", "serve", "--config", "/nonexistent.yaml"]
try:
    main()
except SystemExit as ended:
    print(ended.code)
"""
_WORKER = "import sys, gateway.server.assigned, gateway.cli.serve; print(78)"
_SHOW = "print(*sys.modules)"
_UNWANTED = {"awscrt", "boto3", "botocore", "s3transfer", "rich", "pygments", "gateway.cli.app", "gateway.cli.rotation"}


@pytest.mark.parametrize("program", [_SERVING, _WORKER], ids=["alone", "worker"])
def test_only_what_serving_needs_is_imported(program: str) -> None:
    command = [sys.executable, "-c", f"{program}\n{_SHOW}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    status, loaded = done.stdout.splitlines()
    assert status == "78"
    assert "gateway.server.pipeline" in loaded.split()
    assert not _UNWANTED & set(loaded.split())


@pytest.mark.parametrize(
    "arguments", [["--help"], [], ["--frobnicate"], ["extra"]], ids=["help", "none", "bad", "more"]
)
def test_serve_is_the_command_that_the_help_of_all_names(arguments: list[str]) -> None:
    """It is entered another way than the others, and says the same."""
    alone = CliRunner().invoke(serve_command.alone(), arguments, prog_name="sealgate serve")
    together = CliRunner().invoke(app, ["serve", *arguments], prog_name="sealgate")
    assert (alone.exit_code, alone.output) == (together.exit_code, together.output)
    assert "Usage: sealgate serve [OPTIONS]" in alone.output
