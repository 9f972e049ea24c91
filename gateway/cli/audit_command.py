"""The options of ``sealgate audit``."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli import audit
from gateway.cli.auditing.report import Format
from gateway.cli.rewrap_command import bytes_per_second, objects_per_second
from gateway.cli.rotation.run import Limits, Settings


def add_to(app: typer.Typer) -> None:
    """Make it a command of ``app``."""
    app.command("audit")(audit_command)


def audit_command(  # noqa: PLR0913 - one argument for each option
    source: Annotated[str, typer.Argument(metavar="s3://BUCKET/PREFIX", help="What to audit.", show_default=False)],
    *,
    config: Annotated[Path, typer.Option("--config", "-c", help="The configuration file.", show_default=False)],
    identity: Annotated[
        str | None,
        typer.Option("--identity", help="Whose upstream credentials are used; the first.", show_default=False),
    ] = None,
    versions: Annotated[bool, typer.Option("--versions", help="Look at old versions too.")] = False,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, max=64, help="Objects at a time.")] = 8,
    form: Annotated[Format, typer.Option("--format", help="How findings are written.")] = Format.TABLE,
    fix: Annotated[bool, typer.Option("--fix", help="Re-encrypt what is found.")] = False,
    state: Annotated[
        Path | None,
        typer.Option("--state", help="With --fix: file that keeps what was done.", show_default=False),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option("--rate", parser=objects_per_second, metavar="N/s", help="With --fix: most objects in a second."),
    ] = None,
    byte_rate: Annotated[
        float | None,
        typer.Option("--byte-rate", parser=bytes_per_second, metavar="N/s", help="With --fix: most bytes in a second."),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="With --fix: read before and after, and compare.")
    ] = True,
    without_if_match: Annotated[
        bool, typer.Option("--without-if-match", help="With --fix: go on with a store that does not evaluate If-Match.")
    ] = False,
) -> None:
    """List the objects below a prefix that do not have the encryption that their rule asks for today.

    Each is asked for with HEAD; of sealed objects the envelopes are read. Compared are the mode, the KMS key, the
    version of the customer key, and the wrapping key and its version. Under a rule of mode `none` only sealed objects
    and those of `sse-c` are findings. Nothing is written without --fix.

    With --fix exactly the findings are re-encrypted, as `sealgate rewrap` does it: bound to the ETag that was seen, and
    compared before and after. It can be ended at any time and run again. Old versions can not be re-encrypted.

    Exit status 0: nothing was found, or everything that was found is fixed. 1: there are findings left, or something
    could not be looked at. 130: interrupted.
    """
    if fix and versions:
        raise typer.BadParameter("old versions can not be written anew", param_hint="--versions with --fix")
    limits = Limits(rate, byte_rate, without_if_match)
    if not fix and (state is not None or not verify or limits != Limits()):
        raise typer.BadParameter(
            "is needed for --state, --rate, --byte-rate, --no-verify and --without-if-match", param_hint="--fix"
        )
    settings = Settings(concurrency, not fix, verify)
    asked = audit.Auditing(source, config, identity, versions, form, settings, limits, state)
    raise typer.Exit(audit.run(asked))
