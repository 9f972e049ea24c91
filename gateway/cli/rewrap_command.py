"""The options of ``sealgate rewrap``."""

import re
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli import rewrap
from gateway.cli.rotation.run import Limits, Settings

_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)(?:/s)?", re.ASCII)
_BYTES = re.compile(r"([0-9]+(?:\.[0-9]+)?)([KMG]i?)?B?(?:/s)?", re.ASCII)
_UNITS = {"K": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, None: 1}


def objects_per_second(text: str) -> float:
    """``20`` or ``20/s``."""
    found = _RATE.fullmatch(text)
    if found is None or not float(found[1]):
        raise typer.BadParameter("must be a number of objects in a second, such as 20/s")
    return float(found[1])


def bytes_per_second(text: str) -> float:
    """``1000000``, ``50M``, ``50MiB/s``."""
    found = _BYTES.fullmatch(text)
    if found is None or not float(found[1]):
        raise typer.BadParameter("must be a number of bytes in a second, such as 50MiB/s")
    return float(found[1]) * _UNITS[found[2]]


def add_to(app: typer.Typer) -> None:
    """Make it a command of ``app``."""
    app.command("rewrap")(rewrap_command)


def rewrap_command(  # noqa: PLR0913 - one argument for each option
    source: Annotated[str, typer.Argument(metavar="s3://BUCKET/PREFIX", help="What to rewrap.", show_default=False)],
    *,
    config: Annotated[Path, typer.Option("--config", "-c", help="The configuration file.", show_default=False)],
    identity: Annotated[
        str | None,
        typer.Option("--identity", help="Whose upstream credentials are used; the first.", show_default=False),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option("--state", help="File that keeps what was done, for the next run.", show_default=False),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option("--rate", parser=objects_per_second, metavar="N/s", help="Most objects rewritten in a second."),
    ] = None,
    byte_rate: Annotated[
        float | None,
        typer.Option("--byte-rate", parser=bytes_per_second, metavar="N/s", help="Most bytes read in a second."),
    ] = None,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, max=64, help="Objects at a time.")] = 8,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; count what would be done.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Read each object before and after, and compare.")
    ] = True,
    versions: Annotated[
        bool, typer.Option("--versions", help="At the end, count what keys the old versions still need.")
    ] = False,
    without_if_match: Annotated[
        bool, typer.Option("--without-if-match", help="Go on with a store that does not evaluate If-Match.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON lines: one for each failure, then the summary.")
    ] = False,
) -> None:
    """Give every object below a prefix the encryption, and the newest version of the key, that its rule asks for today.

    Objects of mode `cse` are sealed anew, those of `sse-c` are copied with the old and the new key, and objects whose
    rule asks for another mode by now are brought to it; what a client once asked for itself counts for nothing. What
    is right already is left alone, and under a rule of mode `none` only sealed objects and those of `sse-c` change.

    Clients may go on reading and writing. An object that is overwritten meanwhile is left as the client wrote it: every
    write is bound to the ETag that was seen (If-Match). Metadata, tags, storage class and object lock stay; ACLs and
    times do not, and large objects may get other parts. In a versioned bucket the old version stays, and needs its key.

    It can be ended at any time, by kill -9 too, and run again. A running gateway uses a data key for up to
    `data_keys.maximum_age_seconds` after a rotation: run it again after that, before an old key version is given up.

    Exit status 1: an object failed. 130: interrupted, the objects under way were finished.
    """
    settings = Settings(concurrency, dry_run, verify)
    limits = Limits(rate, byte_rate, without_if_match)
    asked = rewrap.Rewrapping(source, config, identity, state, limits, settings, versions, as_json)
    raise typer.Exit(rewrap.run(asked))
