"""The options of ``sealgate serve``."""

from pathlib import Path
from typing import Annotated, Final

import typer

from gateway.cli import serve

_NAME: Final = "serve"

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The configuration file.", show_default=False)]


def add_to(app: typer.Typer) -> None:
    """Make it a command of ``app``."""
    app.command(_NAME)(serve_command)


def alone() -> typer.Typer:
    """The command by itself, without those that it has beside it in ``sealgate``."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    add_to(app)
    return app


def serve_command(config: ConfigOption) -> None:
    """Run the gateway until SIGTERM or SIGINT.

    SIGHUP reads the certificates again. Exit status 78: the configuration can not be used.
    """
    raise typer.Exit(serve.run(config))
