"""Results as Markdown tables. Pure. Every cell is a median; what stands in brackets is how far the rounds lie apart."""

from collections.abc import Callable, Iterable, Sequence

from bench.contestants import DIRECT, NGINX
from bench.figures import Figure, Result, cpu_per_request
from bench.loads import MIB, Kind, Load


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; all columns but the first are numbers."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def names_in(results: Sequence[Result]) -> list[str]:
    """The contestants, in order."""
    return list(dict.fromkeys(result.contestant for result in results))


def result_of(results: Sequence[Result], load: Load, contestant: str) -> Result:
    return next(result for result in results if result.load == load and result.contestant == contestant)


def cpu_table(results: Sequence[Result]) -> str:
    """CPU seconds of each proxy, and the ratio to nginx."""

    def cell(result: Result, nginx: Result | None) -> str:
        large = result.load.payload_bytes >= MIB
        cost = result.cpu_per_gib() if large else result.cpu_per_thousand()
        shown = f"{cost.median:.3f}" if cost.median < 1 else f"{cost.median:.2f}"
        if nginx is None or nginx is result:
            return shown
        return f"{shown} · {_ratio(result.ratio_to(nginx, cpu_per_request))}"

    def unit(load: Load) -> str:
        return "s/GiB" if load.payload_bytes >= MIB else "s/1,000"

    return _by_load(_timed(results), [name for name in names_in(results) if name != DIRECT], cell, unit)


def per_core_table(results: Sequence[Result]) -> str:
    """The rate of a proxy if it alone were the limit, for small requests."""
    small = [result for result in _timed(results) if result.load.payload_bytes < MIB]
    names = [name for name in names_in(results) if name != DIRECT]
    return _by_load(small, names, lambda result, _: _count(result.requests_per_core()), lambda _: "requests/s")


def rate_table(results: Sequence[Result]) -> str:
    """Requests or megabytes for each second on the clock, whatever was the limit."""

    def cell(result: Result, nginx: Result | None) -> str:
        del nginx
        large = result.load.payload_bytes >= MIB
        return _count(result.megabytes_per_second() if large else result.requests_per_second())

    def unit(load: Load) -> str:
        return "MB/s" if load.payload_bytes >= MIB else "requests/s"

    return _by_load(_timed(results), names_in(results), cell, unit)


def latency_table(results: Sequence[Result]) -> str:
    """Median and 99th percentile of the time from the request to the end of its answer."""

    def cell(result: Result, nginx: Result | None) -> str:
        del nginx
        return f"{result.p50_ms().median:.3g} / {result.p99_ms().median:.3g}"

    short = [result for result in _timed(results) if result.load.payload_bytes <= MIB]
    return _by_load(short, names_in(results), cell, lambda _: "ms, p50 / p99")


def first_byte_table(results: Sequence[Result]) -> str:
    """Time to the first byte of an answer over one connection with nothing else to do."""
    wanted = [result for result in results if result.load.kind is Kind.FIRST_BYTE]
    return _by_load(wanted, names_in(wanted), lambda result, _: f"{result.p50_ms().median:.2f}", lambda _: "ms, p50")


def memory_table(results: Sequence[Result], idle: dict[str, int]) -> str:
    """Resident memory of each proxy: before the first request, and its peak under each load."""
    measured = [result for result in results if result.contestant in idle and result.load.kind is not Kind.FIRST_BYTE]
    names = list(idle)
    rows = [["idle", "", "MiB", *[f"{idle[name] / 1024**2:.0f}" for name in names]]]
    for load in dict.fromkeys(result.load for result in measured):
        peaks = [f"{result_of(measured, load, name).peak_mib().median:.0f}" for name in names]
        rows.append([load.name, str(load.connections), "MiB", *peaks])
    return markdown_table(["load", "connections", "unit", *names], rows) if measured else ""


def _timed(results: Sequence[Result]) -> list[Result]:
    return [result for result in results if result.load.kind is not Kind.FIRST_BYTE]


def _by_load(
    results: Sequence[Result],
    names: Sequence[str],
    cell: Callable[[Result, Result | None], str],
    unit: Callable[[Load], str],
) -> str:
    """A row for each load, a column for each contestant; empty without results."""
    if not results:
        return ""
    rows = []
    for load in dict.fromkeys(result.load for result in results):
        found = {result.contestant: result for result in results if result.load == load}
        cells = [cell(found[name], found.get(NGINX)) for name in names]
        rows.append([load.name, str(load.connections), unit(load), *cells])
    return markdown_table(["load", "connections", "unit", *names], rows)


def _count(figure: Figure) -> str:
    return f"{figure.median:,.0f}" if figure.median >= 100 else f"{figure.median:.1f}"


def _ratio(figure: Figure) -> str:
    return f"{figure.median:.2f}x ({figure.lowest:.2f}-{figure.highest:.2f})"
