"""docs/operations.md names every option of the commands that work without a gateway."""

from pathlib import Path

import pytest
import typer.main

from gateway.cli.app import app

DOCUMENT = (Path(__file__).parent.parent.parent / "docs" / "operations.md").read_text()
SECTION = DOCUMENT.split("## Sealed objects without a gateway", 1)[1].split("\n## ", 1)[0]


@pytest.mark.parametrize("name", ["open", "inspect", "verify"])
def test_every_option(name: str) -> None:
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined] # a group, of no public type
    options = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
    assert len(options) > 4
    assert f"**`sealgate {name} " in SECTION
    assert sorted(option for option in options if f"{option}" not in SECTION) == []
