"""The ``sealgate`` command with everything below it."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from gateway import __version__
from gateway.cli import (
    audit_command,
    check_config,
    doctor,
    inspect_object,
    keys,
    open_object,
    policy_app,
    rewrap_command,
    serve_command,
    verify_objects,
)
from gateway.cli.closing import commands as closing_commands
from gateway.cli.policy import commands as policy_commands
from gateway.cli.serve_command import ConfigOption
from gateway.cli.stored.naming import Named
from gateway.config.reference import render_reference
from gateway.errors import IntegrityError
from gateway.s3.ranges import requested_range

app = typer.Typer(
    name="sealgate",
    help="A transparent encrypting gateway for Amazon S3.",
    no_args_is_help=True,
    add_completion=False,
    # Local variables hold secrets; a traceback must not print them.
    pretty_exceptions_enable=False,
)

app.add_typer(keys.app)
policy_commands.add_to(policy_app.app)
closing_commands.add_to(policy_app.app)
app.add_typer(policy_app.app)
audit_command.add_to(app)
rewrap_command.add_to(app)
serve_command.add_to(app)

SourceArgument = Annotated[
    str, typer.Argument(metavar="FILE|s3://BUCKET/KEY", help="The stored bytes.", show_default=False)
]
KeyringsOption = Annotated[
    list[Path] | None,
    typer.Option("--keyring", help="A keyring file; can be given several times.", show_default=False),
]
KeysConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="A configuration: its wrapping_keys are used.", show_default=False),
]
EndpointOption = Annotated[
    str | None,
    typer.Option("--endpoint-url", help="The store of s3://; Amazon S3 when not given.", show_default=False),
]
VersionOption = Annotated[
    str | None, typer.Option("--version-id", help="The version of the object at s3://.", show_default=False)
]
BucketOption = Annotated[
    str | None, typer.Option("--bucket", help="The bucket that the object must be sealed for.", show_default=False)
]
KeyOption = Annotated[
    str | None, typer.Option("--key", help="The object key that it must be sealed for.", show_default=False)
]
MarkerOption = Annotated[
    str | None,
    typer.Option("--marker", help="Its metadata entry x-amz-meta-sealgate, for a file.", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


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


@app.command("open")
def open_command(  # noqa: PLR0913 - one argument for each option
    source: SourceArgument,
    *,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write; the standard output when not given.", show_default=False),
    ] = None,
    byte_range: Annotated[
        str | None,
        typer.Option("--range", help="Bytes of the plaintext: FIRST-LAST, FIRST-, or -COUNT.", show_default=False),
    ] = None,
    keyring: KeyringsOption = None,
    config: KeysConfigOption = None,
    bucket: BucketOption = None,
    key: KeyOption = None,
    anywhere: Annotated[
        bool, typer.Option("--anywhere", help="Open an object at s3:// wherever it was sealed for.")
    ] = False,
    alias: Annotated[
        str | None,
        typer.Option("--alias", help="The alias proof of a copied object's metadata entry.", show_default=False),
    ] = None,
    marker: MarkerOption = None,
    endpoint_url: EndpointOption = None,
    version_id: VersionOption = None,
) -> None:
    """Decrypt stored bytes without a gateway.

    The wrapping keys come from --keyring or --config. A file appears at --output only after everything in it was
    verified, readable by its owner only; the standard output gets verified bytes, and whoever reads it looks at the
    exit status. The place of an object at s3:// is checked; that of a file only with --bucket and --key.

    Exit status 1: it can not be opened; the named fault is printed.
    """
    named = _usable(lambda: Named(source, endpoint_url, version_id, bucket, key, anywhere, marker, alias))
    wanted = None if byte_range is None else requested_range(f"bytes={byte_range}")
    if byte_range is not None and wanted is None:
        raise typer.BadParameter("must be FIRST-LAST, FIRST-, or -COUNT", param_hint="--range")
    raise typer.Exit(open_object.run(open_object.Opening(named, keyring or [], config, output, wanted)))


@app.command("inspect")
def inspect_command(
    source: SourceArgument,
    *,
    as_json: JsonOption = False,
    parts: Annotated[int, typer.Option("--parts", min=1, max=10_000, help="How many parts to look at.")] = 100,
    bucket: BucketOption = None,
    key: KeyOption = None,
    endpoint_url: EndpointOption = None,
    version_id: VersionOption = None,
) -> None:
    """Print what stored bytes say about themselves: envelope, parts, wrapping key. No key is needed, nothing is proven.

    Exit status 1: they can not be a sealed object; the named fault is printed.
    """
    named = _usable(lambda: Named(source, endpoint_url, version_id, bucket, key))
    raise typer.Exit(inspect_object.run(named, max_parts=parts, as_json=as_json))


@app.command("verify")
def verify_command(
    source: Annotated[str, typer.Argument(metavar="s3://BUCKET/PREFIX", help="What to verify.", show_default=False)],
    *,
    keyring: KeyringsOption = None,
    config: KeysConfigOption = None,
    endpoint_url: EndpointOption = None,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, max=64, help="Objects at a time.")] = 8,
    all_sealed: Annotated[
        bool, typer.Option("--all-sealed", help="An object that is not sealed is a fault too.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON lines: one for each fault, then the summary.")
    ] = False,
) -> None:
    """Open every object below a prefix from its first to its last byte, and print what is wrong.

    The store is asked directly, without a gateway. Nothing is written anywhere. Exit status 1: an object is faulty, or
    could not be read.
    """
    verifying = verify_objects.Verifying(source, keyring or [], config, endpoint_url, concurrency, all_sealed, as_json)
    raise typer.Exit(verify_objects.run(verifying))


@app.command("options")
def options_command() -> None:
    """Print every option of the configuration with its default, as Markdown."""
    typer.echo(render_reference())


@app.command("version")
def version_command() -> None:
    """Print the version."""
    typer.echo(f"sealgate {__version__}")


def _usable(named: Callable[[], Named]) -> Named:
    try:
        return named()
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    except IntegrityError as error:
        raise typer.BadParameter(error.message, param_hint="--marker or --alias") from None
