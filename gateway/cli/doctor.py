"""``sealgate doctor``: tries everything that the gateway needs, leaves nothing behind, and says what to do."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.cli.bucket_checks import bucket_findings
from gateway.cli.customer_key_checks import customer_key_findings
from gateway.cli.file_checks import file_findings
from gateway.cli.findings import Finding, Severity, failure, ok, skipped
from gateway.cli.policy_checks import bucket_policy_findings, decision_findings
from gateway.cli.sealing_checks import staging_findings
from gateway.cli.upstream_checks import UpstreamCheck
from gateway.cli.vault_checks import vault_findings
from gateway.cli.wrapping_key_checks import wrapping_key_findings
from gateway.config.build import encryption_rules
from gateway.config.load import load_config
from gateway.config.model import Config
from gateway.config.resolve import Resolved, resolve
from gateway.errors import ConfigError, GatewayError
from gateway.observe.log import LogSettings, configure_logging

_COLOURS = {
    Severity.OK: "green",
    Severity.SKIPPED: "dim",
    Severity.WARNING: "yellow",
    Severity.FAILURE: "bold red",
}


def run(config_file: Path, *, as_json: bool) -> int:
    """Diagnose, print, and return the exit status.

    Args:
        config_file: the configuration.
        as_json: whether JSON is printed instead of a table.
    """
    configure_logging(sys.stderr, LogSettings(level="error", form="console"))
    try:
        config = load_config(config_file)
    except ConfigError as error:
        findings = [failure("configuration", fault) for fault in error.faults]
    else:
        findings = asyncio.run(_collected(config))
    failed = any(finding.severity is Severity.FAILURE for finding in findings)
    if as_json:
        typer.echo(json.dumps({"ok": not failed, "findings": [finding.as_dict() for finding in findings]}, indent=2))
    else:
        _print_table(findings)
    return 1 if failed else 0


async def diagnose(config: Config) -> AsyncIterator[Finding]:
    """Everything that was tried, in the order in which a person would mend it."""
    yield ok("configuration", "has no faults")
    for finding in file_findings(config, datetime.now(UTC)):
        yield finding
    for finding in decision_findings(config):
        yield finding
    async for finding in vault_findings(config):
        yield finding
    async for finding in customer_key_findings(config):
        yield finding
    async for finding in wrapping_key_findings(config):
        yield finding
    try:
        resolved = await resolve(config)
    except ConfigError as error:
        for fault in error.faults:
            yield failure("secrets", fault)
    except GatewayError as error:
        yield failure("secrets", str(error))
    else:
        async for finding in _resolved_findings(config, resolved):
            yield finding
        return
    yield skipped("upstream", "was not asked, because secrets are missing")


async def _resolved_findings(config: Config, resolved: Resolved) -> AsyncIterator[Finding]:
    """What can be tried once every secret is known."""
    try:
        yield ok("secrets", "every reference was resolved")
        async with UpstreamCheck(config, resolved.upstream_credentials) as upstream:
            async for finding in upstream.findings():
                yield finding
            async for finding in bucket_findings(upstream, encryption_rules(config)):
                yield finding
            async for finding in bucket_policy_findings(upstream, resolved.policy_credentials):
                yield finding
        async for finding in staging_findings(config, resolved):
            yield finding
    except ConfigError as error:
        for fault in error.faults:
            yield failure("upstream", fault)
    finally:
        await resolved.aclose()


async def _collected(config: Config) -> list[Finding]:
    return [finding async for finding in diagnose(config)]


def _print_table(findings: Sequence[Finding]) -> None:
    table = Table(show_lines=True)
    table.add_column("what", overflow="fold")
    table.add_column("result", no_wrap=True)
    table.add_column("details", overflow="fold")
    for finding in findings:
        # Text objects, because square brackets in paths are markup otherwise.
        details = Text(finding.message)
        if finding.remedy:
            details.append(f"\n{finding.remedy}", style="bold")
        table.add_row(Text(finding.subject), Text(finding.severity, style=_COLOURS[finding.severity]), details)
    Console().print(table)
