"""``sealgate policy lint``: what is odd about policies and rules, and where they contradict each other."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import typer

from gateway.cli.findings import Finding, Severity
from gateway.cli.policy.contradictions import contradictions
from gateway.cli.policy.place import PolicyInFile
from gateway.cli.policy.rule_checks import rule_findings
from gateway.cli.policy.statement_checks import statement_findings
from gateway.config.build import encryption_rules, standings
from gateway.config.load import load_config
from gateway.config.model import Config
from gateway.config.policies import PolicyFile
from gateway.config.policy_files import read_policy
from gateway.errors import ConfigError


def run(config_file: Path | None, files: Sequence[Path], now: datetime, *, as_json: bool) -> int:
    """Print the findings and return the exit status.

    Args:
        config_file: a configuration, or None when policies alone are looked at.
        files: further policies.
        now: the time.
        as_json: whether JSON is printed, for programs.
    """
    try:
        config = None if config_file is None else load_config(config_file)
        sources = list(_sources(config, files))
    except ConfigError as error:
        for fault in error.faults:
            typer.echo(fault, err=True)
        return 1
    found = list(findings(sources, config, now))
    if as_json:
        typer.echo(json.dumps([finding.as_dict() for finding in found], indent=2))
    else:
        for finding in found:
            typer.echo(f"{finding.severity.value}: {finding.subject}: {finding.message}")
            typer.echo(f"    {finding.remedy}")
        typer.echo(_summary(found), err=True)
    return 1 if any(finding.severity is Severity.FAILURE for finding in found) else 0


def findings(sources: Sequence[PolicyInFile], config: Config | None, now: datetime) -> Iterator[Finding]:
    """Everything that is found.

    Args:
        sources: the policies.
        config: the configuration that they are used with, or None.
        now: the time.
    """
    identities = {} if config is None else {name: each.principal for name, each in standings(config).items()}
    for source in sources:
        yield from statement_findings(source, identities)
    if config is not None:
        rules = encryption_rules(config)
        yield from rule_findings(rules)
        yield from contradictions(sources, rules, identities, now)


def _sources(config: Config | None, files: Iterable[Path]) -> Iterator[PolicyInFile]:
    """The policies of the configuration and of the files.

    Raises:
        ConfigError: with every fault of every file.
    """
    configured = () if config is None else config.policies
    listed = [PolicyFile.model_construct(name=file.stem, file=str(file)) for file in files]
    faults: list[str] = []
    for file in (*configured, *listed):
        try:
            yield PolicyInFile(read_policy(file), Path(file.file))
        except ConfigError as error:
            faults.extend(error.faults)
    if faults:
        raise ConfigError(tuple(faults))


def _summary(found: Sequence[Finding]) -> str:
    failures = sum(finding.severity is Severity.FAILURE for finding in found)
    warnings = len(found) - failures
    return f"{failures} failure{'' if failures == 1 else 's'}, {warnings} warning{'' if warnings == 1 else 's'}"
