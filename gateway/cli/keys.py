"""``sealgate keys``: wrapping keys in keyring files, and what keys protect. Key material is never printed."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from gateway.cli import keys_status, show_policies
from gateway.errors import ConfigError
from gateway.keys.keyring_editing import add_key, use_key
from gateway.keys.local_keyring import Keyring, read_keyring

app = typer.Typer(
    name="keys",
    help="Wrapping keys of client-side encryption, and which keys protect stored objects.",
    no_args_is_help=True,
    # As the command above it: local variables hold keys.
    pretty_exceptions_enable=False,
)

T = TypeVar("T")

KeyringArgument = Annotated[Path, typer.Argument(help="The keyring file.", show_default=False)]


@app.command("new")
def new_command(
    keyring: KeyringArgument,
    *,
    key_id: Annotated[
        str | None, typer.Option("--id", help="Name of the key; made up when not given.", show_default=False)
    ] = None,
    make_current: Annotated[
        bool, typer.Option("--make-current/--keep-current", help="Whether new objects use it.")
    ] = True,
) -> None:
    """Make a wrapping key: in a new file with mode 0600, or beside the keys of an existing one.

    Losing the file is losing every object sealed under its keys: keep a copy in a safe place. Exit status 1: nothing
    was changed.
    """
    made = _done(lambda: add_key(keyring, key_id, make_current=make_current))
    current = _done(lambda: read_keyring(keyring)).current
    role = "new objects use it" if current == made.key_id else f"new objects still use {current}"
    typer.echo(f"{keyring}: made key {made.key_id}; {role} once gateways are started with this file")
    typer.echo("Keep a copy of the file in a safe place: without it no object sealed under its keys can be opened.")


@app.command("list")
def list_command(keyring: KeyringArgument) -> None:
    """List the keys of a keyring file: name, time of making, and which one new objects use."""
    found: Keyring = _done(lambda: read_keyring(keyring))
    for key in found.keys.values():
        typer.echo(f"{key.key_id}  {key.created:%Y-%m-%dT%H:%M:%SZ}{'  current' * (key.key_id == found.current)}")


@app.command("use")
def use_command(
    keyring: KeyringArgument,
    key_id: Annotated[str, typer.Argument(metavar="ID", help="Name of the key.", show_default=False)],
) -> None:
    """Make a key the one that new objects use. Exit status 1: nothing was changed."""
    _done(lambda: use_key(keyring, key_id))
    typer.echo(f"{keyring}: new objects use {key_id} once gateways are started with this file")


@app.command("status")
def status_command(
    location: Annotated[
        str | None,
        typer.Argument(metavar="[s3://BUCKET/PREFIX]", help="Objects to look at.", show_default=False),
    ] = None,
    *,
    config: Annotated[Path, typer.Option("--config", "-c", help="The configuration file.", show_default=False)],
    identity: Annotated[
        str | None,
        typer.Option("--identity", help="Whose upstream credentials are used; the first.", show_default=False),
    ] = None,
    versions: Annotated[
        bool, typer.Option("--versions", help="Count every version of every object, not the current ones.")
    ] = False,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, max=256, help="Objects at a time.")] = 16,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show which key versions protect how many objects and bytes below a prefix; without one, the configured keys.

    The store is asked directly: a list, a HEAD for each object, and for sealed objects the envelope of each part, which
    is not authenticated. An object whose parts need several key versions counts for each of them, so a version with no
    row protects nothing. "to be rewrapped" are objects that `sealgate rewrap` would change: what the rules ask for
    today is another mode, key or version. Each wrapping key is asked for one data key, to learn its newest version.

    Exit status 1: an object or a key could not be looked at.
    """
    raise typer.Exit(keys_status.run(keys_status.Asked(location, config, identity, versions, concurrency, as_json)))


@app.command("policies")
def policies_command(
    config: Annotated[Path, typer.Option("--config", "-c", help="The configuration file.", show_default=False)],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: each policy by its key.")] = False,
) -> None:
    """Print the smallest policy that each key service needs: JSON for IAM, HCL for Vault and OpenBao.

    Nothing is connected to; `sealgate doctor` tries the keys. Exit status 1: the configuration has faults.
    """
    raise typer.Exit(show_policies.run(config, as_json=as_json))


def _done(work: Callable[[], T]) -> T:
    try:
        return work()
    except ConfigError as error:
        for fault in error.faults:
            typer.echo(fault, err=True)
        raise typer.Exit(1) from None
