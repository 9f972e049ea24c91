"""``make scale``: what the gateway does with many connections, slow clients, long transfers and too many requests.

Writes ``docs/scaling.md`` and the raw figures beside it. ``--quick`` is for working on the gateway: short loads, and
nothing is written.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from bench import machine
from bench.contestants import DIRECT, NGINX, Arena, stub_arena
from bench.directory import memory_directory
from bench.machine import Processors
from bench.prepare import prepare
from bench.scale.idle import measure_idle
from bench.scale.overload import measure_overload
from bench.scale.report import Report, render, write_documents
from bench.scale.section import Section
from bench.scale.stage import Stage
from bench.scale.streams import measure_streams
from bench.scale.traffic import Traffic
from bench.scale.transfers import measure_transfers
from bench.scale.workers import measure_workers
from lab.binaries import LabError

_DOCUMENTS: Final = Path(__file__).parent.parent.parent / "docs"
_CONTESTANTS: Final = (DIRECT, NGINX, "sse-s3", "cse")
_WORKERS_MODE: Final = "sse-s3"
_SECONDS: Final = 10.0
_OVERLOAD_SECONDS: Final = 60.0
_QUICK_SECONDS: Final = 3.0
_QUICK_OVERLOAD_SECONDS: Final = 8.0

_ONE_WORKER: Final[dict[str, Callable[[Stage], Section]]] = {
    "idle": measure_idle,
    "streams": measure_streams,
    "transfers": measure_transfers,
    "overload": measure_overload,
}
_WORKERS: Final = "workers"
_ALL: Final = (_WORKERS, *_ONE_WORKER)


def main() -> int:
    arguments = _arguments()
    chosen = _ALL if arguments.only is None else tuple(arguments.only.split(","))
    if unknown := set(chosen) - set(_ALL):
        print(f"there is no measurement {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    seconds = arguments.seconds or (_QUICK_SECONDS if arguments.quick else _SECONDS)
    overload_seconds = _QUICK_OVERLOAD_SECONDS if arguments.quick else _OVERLOAD_SECONDS
    try:
        prepare()
        report = _run(chosen, seconds, overload_seconds)
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    print(render(report))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report.as_json(), indent=1))
    if not arguments.quick and arguments.only is None:
        write_documents(report, _DOCUMENTS)
        print(f"written to {_DOCUMENTS}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short loads, nothing written")
    parser.add_argument("--seconds", type=float, help=f"of most loads; default {_SECONDS:.0f}")
    parser.add_argument("--only", help=f"of {','.join(_ALL)}, separated by commas; nothing written")
    parser.add_argument("--json", type=Path, help="also write the raw figures to this file")
    return parser.parse_args()


def _run(chosen: tuple[str, ...], seconds: float, overload_seconds: float) -> Report:
    begun = time.monotonic()
    busy = machine.busy()
    sections: list[Section] = []
    processors = machine.own_processors()
    if _WORKERS in chosen:
        print(_WORKERS, flush=True)
        sections.append(_measure_workers(processors, seconds, overload_seconds))
    wanted = [name for name in _ONE_WORKER if name in chosen]
    if wanted:
        with _stage(processors, _CONTESTANTS, 1, seconds, overload_seconds) as (_, stage):
            stage.prepare()
            for name in wanted:
                print(name, flush=True)
                sections.append(_ONE_WORKER[name](stage))
    return Report(machine.describe(), time.monotonic() - begun, (busy, machine.busy()), tuple(sections))


def _measure_workers(processors: Processors, seconds: float, overload_seconds: float) -> Section:
    """A gateway of one worker and one of two, each in front of a store of its own."""
    with ExitStack() as opened:
        stages = {}
        for workers in (1, 2):
            arena, stage = opened.enter_context(
                _stage(processors, (_WORKERS_MODE,), workers, seconds, overload_seconds)
            )
            stage.prepare()
            stages[workers] = (stage, arena.store_pid)
        return measure_workers(stages, processors, _WORKERS_MODE)


@contextmanager
def _stage(
    processors: Processors, names: tuple[str, ...], workers: int, seconds: float, overload_seconds: float
) -> Iterator[tuple[Arena, Stage]]:
    with memory_directory() as directory, stub_arena(directory, processors, names, workers=workers) as arena:
        traffic = Traffic(directory / "traffic", processors)
        yield arena, Stage(arena.contestants, traffic, seconds, overload_seconds)


if __name__ == "__main__":
    sys.exit(main())
