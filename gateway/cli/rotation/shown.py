"""What commands about rotation show: progress for a person, tables, and the end by a signal."""

import asyncio
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

_NUMBERS = (int, float)


@contextmanager
def progress(text: Callable[[], str]) -> Iterator[Callable[[], None]]:
    """Shows a text on the standard error whenever the function that this gives is called, if a person is looking."""
    console = Console(stderr=True)
    # How many objects there are is known when the last of them was listed: the bar moves to and fro.
    columns = (SpinnerColumn(), BarColumn(20), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(
        *columns, console=console, disable=not console.is_terminal, transient=True, redirect_stdout=sys.stdout.isatty()
    ) as shown:
        task = shown.add_task("listing", total=None)
        yield lambda: shown.update(task, description=text())


def print_line(line: str) -> None:
    """Print a line above whatever progress is shown on the same terminal, which typer's own function writes into."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def print_table(columns: Iterable[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Print rows of plain values; numbers are on the right."""
    table = Table(box=None, pad_edge=False)
    listed = list(rows)
    names = list(columns)
    for name in names:
        numbers = any(isinstance(row[name], _NUMBERS) for row in listed)
        table.add_column(name.replace("_", " "), justify="right" if numbers else "left", overflow="fold")
    for row in listed:
        table.add_row(*(_cell(row[name]) for name in names))
    Console(markup=False, highlight=False, soft_wrap=not sys.stdout.isatty()).print(table)


def stop_on_signals() -> asyncio.Event:
    """An event that the first SIGINT or SIGTERM sets; the second one ends the command at once."""
    stop = asyncio.Event()
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def asked() -> None:
        if stop.is_set() and task is not None:
            task.cancel()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked)
    return stop


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
