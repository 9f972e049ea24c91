"""``sealgate rewrap``: every object below a prefix gets the encryption and the key version that its rule asks for."""

import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import typer

from gateway.cli.rotation.census import Census, count
from gateway.cli.rotation.listed import listed_objects, listed_versions
from gateway.cli.rotation.outcome import Looked, Result, Tally
from gateway.cli.rotation.run import Limits, Run, Settings, Tools, tools_for
from gateway.cli.rotation.shown import print_line, print_table, progress, stop_on_signals
from gateway.cli.rotation.state import State, state_header
from gateway.cli.stored.naming import shown
from gateway.cli.stored.running import run_command
from gateway.cli.stored.s3_source import S3Location, s3_prefix
from gateway.config.load import load_config
from gateway.server.private_gateway import PrivateGateway, private_gateway

#: What shells report for a program that SIGINT ended.
INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Rewrapping:
    """What to rewrap, and how.

    Attributes:
        source: ``s3://BUCKET/PREFIX``.
        config_file: the configuration.
        identity: whose upstream credentials are used; None for the first identity's.
        state_file: what was done; None keeps nothing.
        limits: how fast.
        settings: concurrency, dry run, verification.
        versions: whether the versions that stay behind are counted.
        as_json: whether JSON lines are printed.
    """

    source: str
    config_file: Path
    identity: str | None
    state_file: Path | None
    limits: Limits
    settings: Settings
    versions: bool
    as_json: bool


def run(rewrapping: Rewrapping) -> int:
    """Rewrap, print, and return the exit status: 1 when an object failed, 130 after an interruption."""
    return run_command(rewrapping.source, _rewrapped(rewrapping))


async def _rewrapped(asked: Rewrapping) -> int:
    location = s3_prefix(asked.source)
    config = load_config(asked.config_file)
    tally = Tally()
    stop = stop_on_signals()
    old: Census | None = None
    async with private_gateway(config, asked.identity) as gateway:
        with ExitStack() as opened:
            state = opened.enter_context(State(asked.state_file, state_header(config, location)))
            show = opened.enter_context(progress(lambda: _summary(tally)))

            def looked_at(looked: Looked) -> None:
                if looked.result is Result.FAILED:
                    print_line(_failure_line(looked, as_json=asked.as_json))
                show()

            tools = tools_for(config, gateway, asked.limits, state)
            objects = listed_objects(gateway.ask_store, location)
            await Run(tools, asked.settings, tally, looked_at).work(objects, stop)
        if asked.versions and not stop.is_set():
            old = await _old_versions(gateway, tools, location, asked.settings.concurrency)
    _print_outcome(tally, old, interrupted=stop.is_set(), as_json=asked.as_json)
    if tally.results[Result.FAILED]:
        return 1
    return INTERRUPTED if stop.is_set() else 0


async def _old_versions(gateway: PrivateGateway, tools: Tools, location: S3Location, concurrency: int) -> Census:
    """What the versions need that are not the current ones any more."""
    census = Census()
    versions = (listed async for listed in listed_versions(gateway.ask_store, location) if not listed.is_latest)
    with progress(lambda: f"{census.objects:,} old versions") as show:
        await count(versions, tools.examiner, tools.targets, census, show, concurrency)
    return census


def _print_outcome(tally: Tally, old: Census | None, *, interrupted: bool, as_json: bool) -> None:
    if as_json:
        summary = {**tally.as_dict(), "interrupted": interrupted}
        if old is not None:
            summary |= {"old_versions": old.objects, "old_versions_need": old.rows()}
        typer.echo(json.dumps({"summary": summary}))
        return
    for change, objects in sorted(tally.changes.items()):
        typer.echo(f"{objects:,}  {change}")
    typer.echo(_summary(tally) + "; interrupted, run it again" * interrupted)
    if old is not None:
        typer.echo(f"{old.objects:,} old versions stay as they are and need these keys:")
        print_table(("mode", "key", "version", "objects", "stored_bytes"), old.rows())


def _summary(tally: Tally) -> str:
    counts = ", ".join(f"{tally.results[result]:,} {result.value.replace('_', ' ')}" for result in Result)
    return f"{counts}; {tally.reencrypted_bytes:,} bytes"


def _failure_line(failed: Looked, *, as_json: bool) -> str:
    object_key = failed.listed.place.object_key
    if as_json:
        return json.dumps({"object_key": object_key, "message": failed.message})
    return f"failed  {shown(object_key)}  {failed.message}"
