"""``make bench``: what the gateway costs beside nginx and beside direct access, in one run on this machine.

Writes ``docs/performance.md``, the plots and the raw figures beside it. ``--quick`` is for working on the gateway: two
minutes, four loads, nothing written. ``--compare`` measures nothing and says whether several runs agree.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from statistics import median

from bench import loads, machine
from bench.clients import Clients
from bench.compare import movements, movements_table, verdict
from bench.contestants import NAMES, Arena, realistic_arena, stub_arena
from bench.directory import memory_directory
from bench.figures import Result, joined
from bench.loads import Load
from bench.machine import Processors
from bench.prepare import prepare
from bench.processes import resident_bytes
from bench.report import Report, render_tables, write_documents
from bench.rounds import Effort, Planned, measure
from lab.binaries import LabError

_DOCUMENTS = Path(__file__).parent.parent / "docs"
_FULL = Effort(sittings=3, rounds=2, long_rounds=1, seconds=0.35)
_QUICK = Effort(sittings=1, rounds=3, long_rounds=3, seconds=0.5)

_Opening = Callable[[Path, Processors, tuple[str, ...]], AbstractContextManager[Arena]]


def main() -> int:
    arguments = _arguments()
    try:
        if arguments.compare is not None:
            return _compare(arguments.compare)
        prepare()
        report = _run(arguments)
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    print(render_tables(report))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report.as_json(), indent=1))
    if not arguments.quick and not arguments.only and arguments.contestants is None and arguments.store == "both":
        write_documents(report, _DOCUMENTS)
        print(f"written to {_DOCUMENTS}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="four loads against the stub store")
    parser.add_argument("--only", help="only loads whose name contains this text, against the stub store")
    parser.add_argument("--contestants", help=f"of {','.join(NAMES)}, separated by commas; default all")
    parser.add_argument(
        "--store", choices=["both", "stub", "seaweedfs"], default="both", help="which store; default both"
    )
    parser.add_argument("--rounds", type=int, help="of every load, in one sitting")
    parser.add_argument("--json", type=Path, help="also write the raw figures to this file")
    parser.add_argument(
        "--compare", type=Path, nargs="+", metavar="FILE", help="raw figures of several runs: how far do ratios move?"
    )
    return parser.parse_args()


def _compare(files: Sequence[Path]) -> int:
    """The exit status: 1 when a ratio moved too far."""
    found = movements([json.loads(file.read_text()) for file in files])
    stable, summary = verdict(found)
    print(f"{movements_table(found)}\n{summary}")
    return 0 if stable else 1


def _run(arguments: argparse.Namespace) -> Report:
    begun = time.monotonic()
    processors = machine.own_processors()
    chosen = NAMES if arguments.contestants is None else tuple(arguments.contestants.split(","))
    effort = _QUICK if arguments.quick else _FULL
    if arguments.rounds is not None:
        effort = Effort(1, arguments.rounds, arguments.rounds, effort.seconds)
    wanted = [load for load in (loads.QUICK if arguments.quick else loads.FULL) if (arguments.only or "") in load.name]
    busy = [machine.busy()]
    realistic: list[Result] = []
    if arguments.store != "stub" and not arguments.quick and not arguments.only:
        realistic, _ = _measure_in(realistic_arena, loads.REALISTIC, chosen, processors, effort)
    stub, idle = (
        ([], {}) if arguments.store == "seaweedfs" else _measure_in(stub_arena, wanted, chosen, processors, effort)
    )
    busy.append(machine.busy())
    return Report(
        machine=machine.describe(),
        proxy_processors=len(processors.proxy),
        other_processors=len(processors.others),
        shared=bool(processors.proxy & processors.others),
        effort=effort,
        seconds=time.monotonic() - begun,
        load_average=tuple(busy),
        idle_bytes=idle,
        stub=tuple(stub),
        realistic=tuple(realistic),
    )


def _measure_in(
    opening: _Opening, wanted: Sequence[Load], chosen: tuple[str, ...], processors: Processors, effort: Effort
) -> tuple[list[Result], dict[str, int]]:
    sittings: list[list[Result]] = []
    idle: list[dict[str, int]] = []
    planned: Planned = {}
    for sitting in range(1, effort.sittings + 1):
        with memory_directory() as directory, opening(directory, processors, chosen) as arena:
            idle.append({each.name: resident_bytes(each.pid) for each in arena.contestants if each.pid is not None})
            clients = Clients(directory / "clients", processors)
            about = f"{arena.store}, sitting {sitting} of {effort.sittings}:"
            sittings.append(
                measure(wanted, arena.contestants, clients, effort, planned, partial(print, about, flush=True))
            )
    return joined(sittings), {name: round(median(each[name] for each in idle)) for name in idle[0]}


if __name__ == "__main__":
    sys.exit(main())
