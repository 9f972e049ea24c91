"""The ``sealgate`` command."""

from pathlib import Path
from typing import Annotated

import typer

from gateway import __version__
from gateway.cli import check_config, doctor, keys, serve
from gateway.config.reference import render_reference

app = typer.Typer(
    name="sealgate",
    help="A transparent encrypting gateway for Amazon S3.",
    no_args_is_help=True,
    add_completion=False,
    # Local variables hold secrets; a traceback must not print them.
    pretty_exceptions_enable=False,
)

app.add_typer(keys.app)

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The configuration file.", show_default=False)]


@app.command("serve")
def serve_command(config: ConfigOption) -> None:
    """Run the gateway until SIGTERM or SIGINT.

    SIGHUP reads the certificates again. Exit status 78: the configuration can not be used.
    """
    raise typer.Exit(serve.run(config))


@app.command("check-config")
def check_config_command(
    config: Annotated[Path, typer.Argument(help="The configuration file.", show_default=False)],
    *,
    options_only: Annotated[
        bool,
        typer.Option("--options-only", help="Do not look at the files and environment variables that it names."),
    ] = False,
) -> None:
    """List everything that is wrong with a configuration.

    Nothing is connected to; `sealgate doctor` does that. Exit status 1: there are faults.
    """
    raise typer.Exit(check_config.run(config, options_only=options_only))


@app.command("doctor")
def doctor_command(
    config: ConfigOption,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Try everything that the gateway needs: files, secrets, vaults, keys, upstream, credentials, buckets, clocks.

    Nothing is left behind: what is written to the staging store is removed again. Exit status 1: something does not
    work.
    """
    raise typer.Exit(doctor.run(config, as_json=as_json))


@app.command("options")
def options_command() -> None:
    """Print every option of the configuration with its default, as Markdown."""
    typer.echo(render_reference())


@app.command("version")
def version_command() -> None:
    """Print the version."""
    typer.echo(f"sealgate {__version__}")


def main() -> None:
    """The entry of the command."""
    app()
