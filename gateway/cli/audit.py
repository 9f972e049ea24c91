"""``sealgate audit``: which objects below a prefix do not have the encryption that their rule asks for today."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from gateway.cli.auditing.finding import Summary, finding_of
from gateway.cli.auditing.order import InOrder
from gateway.cli.auditing.report import Format, report_as
from gateway.cli.rewrap import INTERRUPTED
from gateway.cli.rotation.listed import listed_objects, listed_versions
from gateway.cli.rotation.outcome import Looked, Tally
from gateway.cli.rotation.run import Limits, Run, Settings, tools_for
from gateway.cli.rotation.shown import progress, stop_on_signals
from gateway.cli.rotation.state import State, state_header
from gateway.cli.stored.running import run_command
from gateway.cli.stored.s3_source import s3_prefix
from gateway.config.load import load_config
from gateway.server.private_gateway import private_gateway


@dataclass(frozen=True, slots=True)
class Auditing:
    """What to look at, and how.

    Attributes:
        source: ``s3://BUCKET/PREFIX``.
        config_file: the configuration.
        identity: whose upstream credentials are used; None for the first identity's.
        versions: whether every version of the objects is looked at.
        form: how findings are written.
        settings: concurrency; what is found is written anew unless it is a dry run.
        limits: how fast.
        state_file: what was done; None keeps nothing.
    """

    source: str
    config_file: Path
    identity: str | None
    versions: bool
    form: Format
    settings: Settings
    limits: Limits
    state_file: Path | None


def run(auditing: Auditing) -> int:
    """Look, print, and return the exit status: 0 when every object is as it shall be, 130 after an interruption."""
    return run_command(auditing.source, _audited(auditing))


async def _audited(asked: Auditing) -> int:
    location = s3_prefix(asked.source)
    config = load_config(asked.config_file)
    summary = Summary()
    stop = stop_on_signals()
    async with private_gateway(config, asked.identity) as gateway:
        with ExitStack() as opened:
            state = opened.enter_context(State(asked.state_file, state_header(config, location)))
            report = report_as(asked.form)
            order = InOrder(report.add)
            opened.callback(order.close)
            show = opened.enter_context(progress(lambda: str(summary)))

            def looked_at(looked: Looked) -> None:
                finding = finding_of(looked, fixing=not asked.settings.dry_run)
                summary.add(finding)
                order.add(looked.listed, finding)
                show()

            tools = tools_for(config, gateway, asked.limits, state)
            objects = (listed_versions if asked.versions else listed_objects)(gateway.ask_store, location)
            await Run(tools, asked.settings, Tally(), looked_at).work(order.noting(objects), stop)
    report.close(summary, interrupted=stop.is_set())
    if stop.is_set():
        return INTERRUPTED
    return 0 if summary.is_clean else 1
