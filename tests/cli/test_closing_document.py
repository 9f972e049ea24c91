"""docs/policies.md names every option, part and column of the commands that close a bucket and look at its objects."""

from pathlib import Path

import pytest
import typer.main

from gateway.cli.app import app
from gateway.cli.auditing.finding import Status
from gateway.cli.auditing.report import COLUMNS
from gateway.cli.rotation.targets import Difference
from gateway.policy.closing import Part

DOCUMENT = (Path(__file__).parents[2] / "docs" / "policies.md").read_text()


def _section(title: str) -> str:
    return DOCUMENT.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def _options(*names: str) -> set[str]:
    command = typer.main.get_command(app)
    for name in names:
        command = command.commands[name]  # type: ignore[attr-defined] # a group, of no public type
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


@pytest.mark.parametrize("name", ["generate", "diff", "apply"])
def test_every_option_of_closing(name: str) -> None:
    options = {option for option in _options("policy", name) if option.startswith("--")}
    assert len(options) > 6
    assert sorted(option for option in options if option not in _section("Closing the way around")) == []


def test_every_option_of_auditing() -> None:
    options = {option for option in _options("audit") if option.startswith("--")} - {"--verify"}
    assert len(options) > 10
    assert sorted(option for option in options if option not in _section("Auditing")) == []


@pytest.mark.parametrize("part", Part)
def test_every_part(part: Part) -> None:
    assert f"| `{part.value}` | `Sealgate" in _section("Closing the way around")


def test_every_word_of_a_report() -> None:
    words = [*COLUMNS, *Status, *(each for each in Difference if each is not Difference.NOT_KNOWN)]
    assert [word for word in words if f"`{word}`" not in _section("Auditing")] == []
