"""``sealgate policy explain``: the outcome of the seven steps for one request that is not sent."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import typer

from gateway.cli.policy.imagined import ImaginedRequest
from gateway.cli.policy.offline import OfflineGateway, Outcome, read_bucket_policy
from gateway.cli.policy.steps import Step, steps_of, transport_refusal
from gateway.config.load import load_config
from gateway.config.model import Config
from gateway.errors import ConfigError, S3Error

_INDENT = " " * 24


def run(config_file: Path, asked: ImaginedRequest, bucket_policy: Path | None, now: datetime, *, as_json: bool) -> int:
    """Print the outcome and return the exit status.

    Args:
        config_file: the configuration.
        asked: the request.
        bucket_policy: the policy that the request's bucket has itself, or None.
        now: the moment at which it arrives.
        as_json: whether JSON is printed, for programs.
    """
    try:
        config = load_config(config_file)
        gateway = OfflineGateway.of(config)
        if bucket_policy is not None and asked.bucket is not None:
            given = {asked.bucket: read_bucket_policy(bucket_policy, asked.bucket)}
            gateway = replace(gateway, bucket_policies=given)
    except ConfigError as error:
        for fault in error.faults:
            typer.echo(fault, err=True)
        return 1
    if asked.identity not in gateway.standings:
        names = ", ".join(gateway.standings)
        typer.echo(f"--identity: there is no identity {asked.identity}; there are {names}", err=True)
        return 1
    outcome = asyncio.run(gateway.outcome(asked, now))
    steps = steps_of(asked, outcome, config)
    if as_json:
        typer.echo(json.dumps(as_values(asked, outcome, config, steps), indent=2))
        return 0
    typer.echo(f"{asked.describe()} by {asked.identity}")
    for step in steps:
        for number, line in enumerate(step.lines or ("",)):
            head = f"{step.number} {step.name:<10}{step.verdict:<12}" if number == 0 else _INDENT
            typer.echo(f"{head}{line}".rstrip())
    return 0


def as_values(asked: ImaginedRequest, outcome: Outcome, config: Config, steps: list[Step]) -> Mapping[str, object]:
    """The outcome as plain values."""
    refusal = transport_refusal(asked, config) or outcome.refusal
    permission, authorized = outcome.permission, outcome.authorized
    if transport_refusal(asked, config) is not None:
        permission, authorized = None, None
    return {
        "request": asked.describe(),
        "identity": asked.identity,
        "effect": None if permission is None else permission.effect.value,
        "statement": None if permission is None else permission.rule,
        "rule": None if authorized is None or authorized.rule is None else authorized.rule.name,
        "mode": None if authorized is None else authorized.mode.value,
        "source": None if authorized is None else authorized.source.value,
        "error": None if refusal is None else _error(refusal),
        "steps": [
            {"step": step.number, "name": step.name, "verdict": step.verdict, "lines": list(step.lines)}
            for step in steps
        ],
    }


def _error(refusal: S3Error) -> Mapping[str, object]:
    return {"status": refusal.status, "code": refusal.code, "message": refusal.message}
