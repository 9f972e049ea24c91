"""``sealgate keys``: wrapping keys of client-side encryption in keyring files. Key material is never printed."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from gateway.errors import ConfigError
from gateway.keys.keyring_editing import add_key, use_key
from gateway.keys.local_keyring import Keyring, read_keyring

app = typer.Typer(
    name="keys",
    help="Wrapping keys of client-side encryption.",
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


def _done(work: Callable[[], T]) -> T:
    try:
        return work()
    except ConfigError as error:
        for fault in error.faults:
            typer.echo(fault, err=True)
        raise typer.Exit(1) from None
