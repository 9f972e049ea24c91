"""``sealgate verify``: every object below a prefix, opened from its first to its last byte."""

import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from gateway.cli.stored.naming import shown
from gateway.cli.stored.opening_keys import opening_keys
from gateway.cli.stored.running import run_command
from gateway.cli.stored.s3_source import s3_client, s3_prefix
from gateway.cli.stored.verifying import Result, Tally, Trouble, Verifier


@dataclass(frozen=True, slots=True)
class Verifying:
    """What to verify, and how.

    Attributes:
        source: ``s3://BUCKET/PREFIX``.
        keyrings: keyring files.
        config_file: a configuration whose wrapping keys are used.
        endpoint_url: the store.
        concurrency: how many objects are read at a time.
        all_sealed: whether an object that is not sealed is a fault.
        as_json: whether JSON lines are printed.
    """

    source: str
    keyrings: Sequence[Path]
    config_file: Path | None
    endpoint_url: str | None
    concurrency: int
    all_sealed: bool
    as_json: bool


def run(verifying: Verifying) -> int:
    """Verify, print, and return the exit status: 1 when an object did not pass."""
    return run_command(verifying.source, _verified(verifying))


async def _verified(verifying: Verifying) -> int:
    location = s3_prefix(verifying.source)
    tally = Tally()
    async with opening_keys(verifying.keyrings, verifying.config_file) as keys:
        client = s3_client(verifying.endpoint_url, verifying.concurrency + 1)
        # The client of the store blocks; every object under way and the listing need a thread.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(verifying.concurrency + 1))
        with _progress(tally) as show:

            def passed(trouble: Trouble | None) -> None:
                if trouble is not None:
                    typer.echo(_trouble_line(trouble, as_json=verifying.as_json))
                show()

            verifier = Verifier(client, keys, tally, passed, all_sealed=verifying.all_sealed)
            await verifier.verify(location, verifying.concurrency)
    typer.echo(json.dumps({"summary": tally.as_dict()}) if verifying.as_json else _summary(tally))
    return 0 if tally.passed else 1


@contextmanager
def _progress(tally: Tally) -> Iterator[Callable[[], None]]:
    """Shows the tally on the standard error while it is counted up, if a person is looking."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(
        *columns, console=console, disable=not console.is_terminal, transient=True, redirect_stdout=sys.stdout.isatty()
    ) as progress:
        task = progress.add_task("listing", total=None)
        yield lambda: progress.update(task, description=_summary(tally))


def _trouble_line(trouble: Trouble, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(trouble.as_dict())
    what = trouble.result if trouble.fault is None else f"{trouble.result} {trouble.fault}"
    return f"{what}  {shown(trouble.object_key)}  {trouble.message}"


def _summary(tally: Tally) -> str:
    counts = ", ".join(f"{tally.results[result]:,} {result.replace('_', ' ')}" for result in Result)
    return f"{counts}; {tally.plaintext_bytes:,} bytes of plaintext verified"
