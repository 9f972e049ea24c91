"""``sealgate check-config``: every fault of a configuration, and of the files and variables that it names."""

from datetime import UTC, datetime
from pathlib import Path

import typer

from gateway.cli.file_checks import file_findings
from gateway.cli.findings import Severity
from gateway.config.load import load_config
from gateway.errors import ConfigError


def run(config_file: Path, *, options_only: bool) -> int:
    """Check, print, and return the exit status.

    Args:
        config_file: the configuration.
        options_only: whether the files and variables are left out, for a machine that does not have them.
    """
    try:
        config = load_config(config_file)
    except ConfigError as error:
        for fault in error.faults:
            typer.echo(fault, err=True)
        typer.echo(_summary(config_file, len(error.faults)), err=True)
        return 1
    findings = [] if options_only else list(file_findings(config, datetime.now(UTC)))
    faults = 0
    for finding in findings:
        is_fault = finding.severity is Severity.FAILURE
        faults += is_fault
        label = "" if is_fault else f"{finding.severity}: "
        remedy = f" ({finding.remedy})" if finding.remedy else ""
        typer.echo(f"{label}{finding.subject}: {finding.message}{remedy}", err=True)
    typer.echo(_summary(config_file, faults), err=faults > 0)
    return 1 if faults else 0


def _summary(config_file: Path, faults: int) -> str:
    if not faults:
        return f"{config_file}: no faults"
    return f"{config_file}: {faults} fault{'s' if faults > 1 else ''}"
