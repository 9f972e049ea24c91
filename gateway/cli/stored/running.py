"""How commands about stored objects run and how they report errors."""

import asyncio
import signal
import sys
from collections.abc import Coroutine

import typer

from gateway.cli.stored.naming import shown
from gateway.errors import ConfigError, GatewayError, IntegrityError
from gateway.observe.log import LogSettings, configure_logging

#: What shells report for a program that SIGTERM ended.
_TERMINATED = 128 + signal.SIGTERM


def run_command(subject: str, work: Coroutine[object, object, int]) -> int:
    """Run a command, report what goes wrong on the standard error, and return the exit status.

    SIGTERM and SIGINT end it in an orderly way, so that it can clean up.

    Args:
        subject: what it is about, for messages.
        work: gives the exit status when all goes well.
    """
    configure_logging(sys.stderr, LogSettings(level="error", form="console"))
    try:
        return asyncio.run(_until_signal(work))
    except ConfigError as error:
        for fault in error.faults:
            typer.echo(fault, err=True)
    except IntegrityError as error:
        typer.echo(f"{shown(subject)}: fault {error.fault}: {error.message}", err=True)
    except GatewayError as error:
        typer.echo(f"{shown(subject)}: {error}", err=True)
    except asyncio.CancelledError:
        return _TERMINATED
    return 1


async def _until_signal(work: Coroutine[object, object, int]) -> int:
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task
