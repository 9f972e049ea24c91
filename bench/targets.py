"""The project's targets, held against a run. Pure."""

from collections.abc import Iterator, Sequence
from typing import Final

from bench.contestants import DIRECT, NGINX
from bench.figures import Result, cpu_per_request
from bench.loads import KIB, MIB, Kind, Load
from bench.tables import markdown_table

_LARGE_RATIO: Final = {"sse-s3": 1.0, "sse-c": 1.0, "cse": 1.15}
_SMALL_PER_CORE: Final = {"sse-s3": 5_000, "sse-c": 5_000, "cse": 4_000}
_FIRST_BYTE_MS: Final = 1.0
_IDLE_MIB: Final = 80


def targets_table(results: Sequence[Result], idle: dict[str, int]) -> str:
    """Each target that the run says something about; empty when there is none."""
    rows = list(_rows(results, idle))
    return markdown_table(["target", "wanted", "measured", "met"], rows) if rows else ""


def _rows(results: Sequence[Result], idle: dict[str, int]) -> Iterator[list[str]]:
    found = {(result.load, result.contestant): result for result in results}
    for kind in (Kind.GET, Kind.PUT):
        large = Load(kind, 256 * MIB, 1)
        nginx = found.get((large, NGINX))
        for mode, limit in _LARGE_RATIO.items():
            result = found.get((large, mode))
            if result is None or nginx is None:
                continue
            ratio = result.ratio_to(nginx, cpu_per_request).median
            yield _row(f"{large.name}, {mode}: CPU beside nginx", f"≤ {limit:.2f}x", f"{ratio:.2f}x", ratio <= limit)
    for kind in (Kind.GET, Kind.PUT):
        small = Load(kind, KIB, 16)
        for mode, least in _SMALL_PER_CORE.items():
            result = found.get((small, mode))
            if result is None:
                continue
            rate = result.requests_per_core().median
            yield _row(f"{small.name}, {mode}: requests/s per core", f"≥ {least:,}", f"{rate:,.0f}", rate >= least)
    first = Load(Kind.FIRST_BYTE, KIB, 1)
    direct = found.get((first, DIRECT))
    for mode in _SMALL_PER_CORE:
        result = found.get((first, mode))
        if result is None or direct is None:
            continue
        added = result.p50_ms().median - direct.p50_ms().median
        yield _row(
            f"{first.name}, {mode}: added", f"≤ {_FIRST_BYTE_MS:.0f} ms", f"{added:.2f} ms", added <= _FIRST_BYTE_MS
        )
    for mode in _SMALL_PER_CORE:
        if mode in idle:
            mib = idle[mode] / MIB
            yield _row(f"memory of an idle worker, {mode}", f"≤ {_IDLE_MIB} MiB", f"{mib:.0f} MiB", mib <= _IDLE_MIB)


def _row(target: str, wanted: str, measured: str, met: bool) -> list[str]:  # noqa: FBT001 - a column of the table
    return [target, wanted, measured, "yes" if met else "no"]
