"""``sealgate keys status``: the newest version of every configured key, and which versions protect stored objects."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import typer

from gateway.cli.rotation.census import Census, count
from gateway.cli.rotation.listed import listed_objects, listed_versions
from gateway.cli.rotation.protection import Examiner
from gateway.cli.rotation.shown import print_table, progress
from gateway.cli.rotation.targets import Targets, customer_key_names
from gateway.cli.stored.naming import shown
from gateway.cli.stored.running import run_command
from gateway.cli.stored.s3_source import s3_prefix
from gateway.config.load import load_config
from gateway.config.model import Config
from gateway.errors import GatewayError
from gateway.server.private_gateway import PrivateGateway, private_gateway


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be shown, and how.

    Attributes:
        location: ``s3://BUCKET/PREFIX``; None for the configured keys.
        config_file: the configuration.
        identity: whose upstream credentials are used; None for the first identity's.
        versions: whether old versions of objects are counted too.
        concurrency: objects at a time.
        as_json: whether JSON is printed.
    """

    location: str | None
    config_file: Path
    identity: str | None
    versions: bool
    concurrency: int
    as_json: bool


def run(asked: Asked) -> int:
    """Look, print, and return the exit status: 1 when something could not be looked at."""
    subject = asked.location or str(asked.config_file)
    return run_command(subject, _configured(asked) if asked.location is None else _scanned(asked, asked.location))


async def _scanned(asked: Asked, source: str) -> int:
    location = s3_prefix(source)
    config = load_config(asked.config_file)
    census = Census()
    async with private_gateway(config, asked.identity) as gateway:
        examiner = Examiner(gateway, customer_key_names(config, gateway))
        listed = (listed_versions if asked.versions else listed_objects)(gateway.ask_store, location)
        with progress(lambda: f"{census.objects:,} objects") as show:
            await count(listed, examiner, Targets(gateway, examiner), census, show, asked.concurrency)
    _print_census(census, as_json=asked.as_json)
    return 1 if census.unreadable else 0


def _print_census(census: Census, *, as_json: bool) -> None:
    rows = census.rows()
    if as_json:
        typer.echo(json.dumps({"objects": census.objects, "keys": rows, "unreadable": census.unreadable}))
        return
    print_table(("mode", "key", "version", "objects", "stored_bytes", "to_be_rewrapped"), rows)
    for name, reason in census.unreadable.items():
        typer.echo(f"not known  {shown(name)}  {reason}")
    typer.echo(f"{census.objects:,} objects; one that needs several key versions counts for each of them")


async def _configured(asked: Asked) -> int:
    config = load_config(asked.config_file)
    async with private_gateway(config, asked.identity) as gateway:
        rows = [row async for row in _rows(config, gateway)]
    if asked.as_json:
        typer.echo(json.dumps({"keys": rows}))
    else:
        print_table(("name", "kind", "key", "newest_version", "fault"), rows)
    return 1 if any(row["fault"] for row in rows) else 0


async def _rows(config: Config, gateway: PrivateGateway) -> AsyncIterator[dict[str, str]]:
    """One row for each configured key. A wrapping key is asked for a data key: that shows its version everywhere."""
    targets = Targets(gateway, Examiner(gateway, {}))
    for name, options in config.wrapping_keys.items():
        try:
            newest = await targets.newest_wrapping(name)
        except GatewayError as error:
            yield _row(name, options.provider, fault=str(error))
        else:
            yield _row(name, options.provider, newest.key, newest.version)
    for name, source in gateway.customer_keys.items():
        kind = config.customer_keys[name].provider
        try:
            version = (await source.newest()).version
        except GatewayError as error:
            yield _row(name, kind, fault=str(error))
        else:
            yield _row(name, kind, f"sse-c:{name}", str(version))
    for arn in dict.fromkeys(rule.kms_key_arn or rule.kms_key_name for rule in config.rules):
        if arn is not None:
            yield _row("", "sse-kms", arn)


def _row(name: str, kind: str, key: str = "", version: str = "", fault: str = "") -> dict[str, str]:
    return {"name": name, "kind": kind, "key": key, "newest_version": version, "fault": fault}
