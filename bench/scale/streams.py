"""Many bodies at a time, quick ones and slow ones: whether all of them get through, and what they hold."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from bench.clients import kept_path
from bench.contestants import Contestant
from bench.loads import KIB, MIB
from bench.processes import forget_peak, peak_resident_bytes, resident_bytes
from bench.scale.section import Section, Target
from bench.scale.stage import Stage, proxy_pid, store_object
from bench.scale.traffic import Demand, Seen

_MODES: Final = ("sse-s3", "cse")
_UPLOADS: Final = 500
_UPLOADS_EACH: Final = 2
_READERS: Final = 100
_READ_BYTES: Final = 64 * MIB
_READ_PACE: Final = 256 * KIB
#: Most seconds for what is not slow on purpose.
_LONGEST_SECONDS: Final = 60
_TARGET_BYTES: Final = MIB
#: A reader that gets less than this share of its pace is kept waiting.
_LEAST_OF_PACE: Final = 0.8


@dataclass(frozen=True, slots=True)
class Streams:
    """The figures of one crowd.

    Attributes:
        mode: of the gateway.
        kind: what its clients do.
        streams: how many bodies at a time.
        complete: requests that did what they should.
        failed: requests that did not.
        statuses: how many answers had which status; see :class:`bench.scale.traffic.Seen`.
        before_bytes: resident memory of the gateway before the first of all crowds: what one leaves behind hides
            nothing of the next.
        peak_bytes: the most meanwhile.
    """

    mode: str
    kind: str
    streams: int
    complete: int
    failed: int
    statuses: Mapping[int, int]
    before_bytes: int
    peak_bytes: int

    @property
    def bytes_each(self) -> int:
        return max(0, self.peak_bytes - self.before_bytes) // self.streams


def measure_streams(stage: Stage) -> Section:
    """Quick uploads, slow uploads and slow readers, in each mode."""
    found = []
    for mode in _MODES:
        contestant = stage.contestant(mode)
        store_object(stage.traffic, contestant, _READ_BYTES)
        before = resident_bytes(proxy_pid(contestant))
        found.append(_read_slowly(stage, contestant, before))
        found.append(_upload(stage, contestant, "slow uploads of 1 MiB", round(MIB / stage.seconds), before))
        found.append(_upload(stage, contestant, "uploads of 1 MiB", 0, before))
    return streams_section(found)


def streams_section(found: list[Streams]) -> Section:
    """The figures as they are shown."""
    rows = [
        [
            each.kind,
            each.mode,
            str(each.streams),
            str(each.complete),
            str(each.failed),
            f"{each.before_bytes / MIB:.0f} MiB",
            f"{each.peak_bytes / MIB:.0f} MiB",
            f"{each.bytes_each / KIB:.0f} KiB",
        ]
        for each in found
    ]
    return Section(
        title="Many bodies at a time",
        text=(
            f"{_UPLOADS} clients that write, and {_READERS} that read an object of {_READ_BYTES // MIB} MiB at "
            f"{_READ_PACE // KIB} KiB/s. Memory is resident memory of the gateway: before all of them, at its peak, "
            "and the difference for each stream. Slow readers are ended after a while; one has failed when it got less "
            f"than {_LEAST_OF_PACE:.0%} of its pace."
        ),
        head=["clients", "mode", "at a time", "complete", "failed", "before", "peak", "each"],
        rows=rows,
        targets=[target for each in found for target in _targets(each)],
        raw={"crowds": [asdict(each) for each in found]},
    )


def _targets(found: Streams) -> list[Target]:
    name = f"{found.streams} {found.kind}, {found.mode}"
    return [
        Target(f"{name}: failures", "0", str(found.failed), found.failed == 0),
        Target(
            f"{name}: memory for each",
            f"≤ {_TARGET_BYTES // MIB} MiB",
            f"{found.bytes_each / MIB:.2f} MiB",
            found.bytes_each <= _TARGET_BYTES,
        ),
    ]


def _upload(stage: Stage, contestant: Contestant, kind: str, pace: int, before: int) -> Streams:
    each = 1 if pace else _UPLOADS_EACH
    demand = Demand(
        "PUT",
        f"/{contestant.bucket}/written",
        seconds=_LONGEST_SECONDS,
        connections=_UPLOADS,
        body_bytes=MIB,
        requests=each,
        pace=pace,
    )
    seen, peak = _run(stage, contestant, demand)
    return Streams(
        contestant.name, kind, _UPLOADS, seen.good, _UPLOADS * each - seen.good, dict(seen.statuses), before, peak
    )


def _read_slowly(stage: Stage, contestant: Contestant, before: int) -> Streams:
    path = kept_path(contestant, _READ_BYTES)
    demand = Demand("GET", path, stage.seconds, _READERS, requests=1, pace=_READ_PACE)
    seen, peak = _run(stage, contestant, demand)
    complete = sum(1 for received in seen.received if received >= _LEAST_OF_PACE * _READ_PACE * stage.seconds)
    return Streams(
        contestant.name, "slow readers", _READERS, complete, _READERS - complete, dict(seen.statuses), before, peak
    )


def _run(stage: Stage, contestant: Contestant, demand: Demand) -> tuple[Seen, int]:
    """What became of the requests, and memory at its peak."""
    pid = proxy_pid(contestant)
    forget_peak(pid)
    seen = stage.traffic.run(contestant, demand)
    return seen, peak_resident_bytes(pid)
