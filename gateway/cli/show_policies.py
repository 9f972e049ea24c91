"""``sealgate keys policies``: what the key services of a configuration must allow, at least."""

import json
from pathlib import Path

import typer

from gateway.cli.key_policies import every_policy
from gateway.config.load import load_config
from gateway.errors import ConfigError


def run(config_file: Path, *, as_json: bool) -> int:
    """Print the policies and return the exit status. Nothing is connected to.

    Args:
        config_file: the configuration.
        as_json: whether JSON is printed, for programs.
    """
    try:
        policies = dict(every_policy(load_config(config_file)))
    except ConfigError as error:
        for fault in error.faults:
            typer.echo(fault, err=True)
        return 1
    if as_json:
        typer.echo(json.dumps(policies, indent=2))
        return 0
    if not policies:
        typer.echo("No key of this configuration is in a service.", err=True)
    for path, policy in policies.items():
        typer.echo(f"# {path}\n{policy}\n")
    return 0
