"""``make profile``: where a gateway's time and memory go.

Without arguments: the micro-benchmarks of the stages, and for a small and a large PUT and GET in modes ``sse-s3`` and
``cse`` the functions that cost most. Needs what ``make bench`` needs.
"""

import argparse
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import machine
from bench.clients import Clients
from bench.contestants import Contestant, stub_arena
from bench.loads import KIB, MIB, Kind, Load
from bench.prepare import prepare
from bench.profile.sampled import Sampled, parse_stacks, sampling
from lab.binaries import LabError

_LOADS = {
    "put-small": (Load(Kind.PUT, KIB, 16), 500),
    "get-small": (Load(Kind.GET, KIB, 16), 500),
    "put-trailer": (Load(Kind.PUT_TRAILER, MIB, 4), 40),
    "list": (Load(Kind.LIST, 0, 4), 40),
    "put-large": (Load(Kind.PUT, 256 * MIB, 1), 1),
    "get-large": (Load(Kind.GET, 256 * MIB, 1), 1),
}
_SHOWN = 30


def main() -> int:
    arguments = _arguments()
    console = Console(width=150)
    try:
        prepare()
        _profile(arguments, console)
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("--modes", default="sse-s3,cse", help="separated by commas")
    parser.add_argument("--loads", default="put-small,get-small,put-large,get-large", help="separated by commas")
    parser.add_argument("--seconds", type=float, default=8, help="of sampling for each load")
    parser.add_argument("--stacks", type=Path, help="keep the stacks, one file for each load, in this directory")
    return parser.parse_args()


def _profile(arguments: argparse.Namespace, console: Console) -> None:
    processors = machine.own_processors()
    modes = tuple(arguments.modes.split(","))
    with tempfile.TemporaryDirectory(prefix="sealgate-profile-") as name:
        directory = Path(name)
        stacks = arguments.stacks or directory
        stacks.mkdir(parents=True, exist_ok=True)
        with stub_arena(directory, processors, modes) as arena:
            clients = Clients(directory / "clients", processors)
            for contestant in arena.contestants:
                clients.store_objects([load for load, _ in _LOADS.values()], contestant)
                for load_name in arguments.loads.split(","):
                    raw = stacks / f"{contestant.name}-{load_name}.txt"
                    _sample(load_name, contestant, clients, raw, arguments.seconds)
                    title = f"{contestant.name}, {load_name}"
                    for table in _tables(title, parse_stacks(raw.read_text())):
                        console.print(table)


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


def _tables(title: str, sampled: Sampled) -> Sequence[Table]:
    tables = []
    for what, counted in (("in itself", sampled.inside), ("with what it calls", sampled.below)):
        table = Table("share", "function", title=f"{title}: {what}")
        for function, count in counted.most_common(_SHOWN):
            table.add_row(f"{count / sampled.total:.1%}", function)
        tables.append(table)
    return tables


if __name__ == "__main__":
    sys.exit(main())
