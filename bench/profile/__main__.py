"""``make profile``: where a gateway's time and memory go.

Without arguments: the micro-benchmarks of the stages, and for a small and a large PUT and GET in modes ``sse-s3`` and
``cse`` the functions that cost most and the places that allocate most; for the small ones also how many instructions
of the interpreter a request is, which no noise of the machine changes. Needs what ``make bench`` needs.
"""

import argparse
import sys
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import machine
from bench.clients import Clients
from bench.contestants import Contestant, stub_arena
from bench.loads import KIB, MIB, Kind, Load
from bench.prepare import prepare
from bench.profile.allocations import Allocations, read_record, recorder
from bench.profile.instructions import counter, counting, read_counts
from bench.profile.sampled import Sampled, parse_stacks, sampling
from bench.profile.stages import measure_stages
from lab.binaries import LabError

#: By name: a load, and how many requests keep the gateway busy for a good part of a second.
_LOADS = {
    "put-small": (Load(Kind.PUT, KIB, 16), 512),
    "get-small": (Load(Kind.GET, KIB, 16), 512),
    "put-trailer": (Load(Kind.PUT_TRAILER, MIB, 4), 40),
    "list": (Load(Kind.LIST, 0, 4), 40),
    "put-large": (Load(Kind.PUT, 256 * MIB, 1), 1),
    "get-large": (Load(Kind.GET, 256 * MIB, 1), 1),
}
#: Those of which single requests can be counted.
_SMALL = {"put-small", "get-small"}
_USUAL = "put-small,get-small,put-large,get-large"
_SHOWN = 30


def main() -> int:
    arguments = _arguments()
    console = Console(width=150)
    chosen = arguments.loads.split(",")
    modes = tuple(arguments.modes.split(","))
    try:
        prepare()
        console.print(_stages_table())
        with tempfile.TemporaryDirectory(prefix="sealgate-profile-") as name:
            directory = Path(name)
            for table in _sampled(directory / "time", arguments.stacks, modes, chosen, arguments.seconds):
                console.print(table)
            for mode in modes:
                for load_name in chosen:
                    if load_name in _SMALL:
                        console.print(*_counted(directory / f"instructions-{mode}-{load_name}", mode, load_name))
                    console.print(_allocated(directory / f"memory-{mode}-{load_name}", mode, load_name))
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("--modes", default="sse-s3,cse", help="separated by commas")
    parser.add_argument("--loads", default=_USUAL, help=f"of {','.join(_LOADS)}, separated by commas; default {_USUAL}")
    parser.add_argument("--seconds", type=float, default=8, help="of sampling for each load")
    parser.add_argument("--stacks", type=Path, help="keep the stacks, one file for each load, in this directory")
    return parser.parse_args()


def _stages_table() -> Table:
    table = Table("stage", "microseconds", "budget", title="stages of one request of 1 KiB, lowest of several rounds")
    for timed in measure_stages():
        over = " over" if timed.microseconds > timed.stage.budget else ""
        table.add_row(timed.stage.name, f"{timed.microseconds:.1f}", f"{timed.stage.budget:.0f}{over}")
    return table


def _sampled(
    directory: Path, kept: Path | None, modes: tuple[str, ...], chosen: list[str], seconds: float
) -> Iterable[Table]:
    """What py-spy saw of each load in each mode."""
    stacks = kept or directory / "stacks"
    stacks.mkdir(parents=True, exist_ok=True)
    processors = machine.own_processors()
    with stub_arena(directory, processors, modes) as arena:
        clients = Clients(directory / "clients", processors)
        for contestant in arena.contestants:
            clients.store_objects([_LOADS[name][0] for name in chosen], contestant)
            for load_name in chosen:
                raw = stacks / f"{contestant.name}-{load_name}.txt"
                _sample(load_name, contestant, clients, raw, seconds)
                yield from _time_tables(f"{contestant.name}, {load_name}", parse_stacks(raw.read_text()))


def _sample(load_name: str, contestant: Contestant, clients: Clients, raw: Path, seconds: float) -> None:
    """Sample a gateway while it is kept busy."""
    load, requests = _LOADS[load_name]
    if contestant.pid is None:
        raise LabError("only proxies can be profiled")
    clients.run(load, contestant, requests)
    over = threading.Event()

    def keep_busy() -> None:
        while not over.is_set():
            clients.run(load, contestant, requests)

    busy = threading.Thread(target=keep_busy)
    busy.start()
    try:
        with sampling(contestant.pid, raw, seconds):
            pass
    finally:
        over.set()
        busy.join()


def _time_tables(title: str, sampled: Sampled) -> Iterable[Table]:
    for what, counted in (("in itself", sampled.inside), ("with what it calls", sampled.below)):
        table = Table("share", "function", title=f"{title}: time {what}")
        for function, count in counted.most_common(_SHOWN):
            table.add_row(f"{count / sampled.total:.1%}", function)
        yield table


def _counted(directory: Path, mode: str, load_name: str) -> Iterable[Table]:
    """The instructions of the interpreter for one request of one load in one mode."""
    load, requests = _LOADS[load_name]
    record = directory / "instructions.json"
    directory.mkdir()
    processors = machine.own_processors()
    with stub_arena(directory, processors, (mode,), counter(record)) as arena:
        contestant = arena.contestants[0]
        clients = Clients(directory / "clients", processors)
        clients.store_objects([load], contestant)
        clients.run(load, contestant, requests)
        if contestant.pid is None:
            raise LabError("only proxies can be profiled")
        with counting(contestant.pid, record):
            clients.run(load, contestant, requests)
    counted = read_counts(record.read_text(), requests)
    title = f"{mode}, {load_name}: {counted.total:,.0f} instructions of the interpreter for each request"
    packages = Table("instructions", "package", title=title)
    for package, instructions in counted.by_package.most_common(_SHOWN // 2):
        packages.add_row(f"{instructions:,.0f}", package)
    yield packages
    functions = Table("instructions", "calls", "function", title=f"{mode}, {load_name}: instructions by function")
    most = sorted(counted.by_function.items(), key=lambda item: item[1], reverse=True)
    for name, (executed, calls) in most[:_SHOWN]:
        functions.add_row(f"{executed:,.0f}", f"{calls:,.1f}", name)
    yield functions


def _allocated(directory: Path, mode: str, load_name: str) -> Table:
    """What memray recorded of one load in one mode, from the start of the gateway to its end."""
    load, requests = _LOADS[load_name]
    record = directory / "memory.bin"
    directory.mkdir()
    processors = machine.own_processors()
    with stub_arena(directory, processors, (mode,), recorder(record)) as arena:
        clients = Clients(directory / "clients", processors)
        clients.store_objects([load], arena.contestants[0])
        clients.run(load, arena.contestants[0], requests)
    return _memory_table(f"{mode}, {load_name}, {requests} requests", read_record(record))


def _memory_table(title: str, allocations: Allocations) -> Table:
    peak = allocations.peak_bytes / MIB
    table = Table("allocations", "place", "MiB", "place", title=f"{title}: at most {peak:.0f} MiB at a time")
    for (count_place, count), (size_place, size) in zip(allocations.by_count, allocations.by_size, strict=False):
        table.add_row(f"{count:,}", count_place, f"{size / MIB:,.1f}", size_place)
    return table


if __name__ == "__main__":
    sys.exit(main())
