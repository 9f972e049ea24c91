"""Small requests beside large transfers: whether a long body keeps others waiting."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import Final

from bench.clients import kept_path
from bench.contestants import DIRECT, NGINX, Contestant
from bench.loads import MIB
from bench.scale.section import Section, Target
from bench.scale.stage import Stage, small_get, store_object
from bench.scale.traffic import Demand
from lab.binaries import LabError

_CONTESTANTS: Final = (DIRECT, NGINX, "sse-s3", "cse")
_OBJECT_BYTES: Final = 1024 * MIB
_EACH_WAY: Final = 2
_TARGET: Final = 10.0
#: Longest time of one transfer.
_LONGEST_SECONDS: Final = 120


@dataclass(frozen=True, slots=True)
class Beside:
    """The figures of one contestant, of GETs of 1 KiB over one connection.

    Attributes:
        contestant: its name.
        idle_p50_ms: with nothing else to do.
        idle_p99_ms: the same.
        p50_ms: beside the transfers.
        p99_ms: the same.
        requests: that were answered beside the transfers.
    """

    contestant: str
    idle_p50_ms: float
    idle_p99_ms: float
    p50_ms: float
    p99_ms: float
    requests: int

    @property
    def ratio(self) -> float:
        return self.p99_ms / self.idle_p50_ms


def measure_transfers(stage: Stage) -> Section:
    """Two GETs and two PUTs of 1 GiB at a time, through one contestant after the other."""
    return transfers_section([_measure(stage, stage.contestant(name)) for name in _CONTESTANTS])


def transfers_section(found: Sequence[Beside]) -> Section:
    """The figures as they are shown."""
    rows = [
        [
            each.contestant,
            f"{each.idle_p50_ms:.2f} / {each.idle_p99_ms:.2f}",
            f"{each.p50_ms:.2f} / {each.p99_ms:.2f}",
            f"{each.ratio:.1f}x",
        ]
        for each in found
    ]
    targets = [
        Target(
            f"GET 1 KiB beside four transfers of 1 GiB, {each.contestant}: p99 to idle p50",
            f"< {_TARGET:.0f}x",
            f"{each.ratio:.1f}x",
            each.ratio < _TARGET,
        )
        for each in found
        if each.contestant not in {DIRECT, NGINX}
    ]
    return Section(
        title="GET 1 KiB beside four transfers of 1 GiB",
        text=(
            "One connection reads 1 KiB again and again, first alone, then beside two GETs and two PUTs of 1 GiB, once "
            "these are under way. The "
            "small client, the transfers' clients and the store share what processors the proxy leaves. There the "
            "transfers' clients come last, so that the small client does not wait for them, also where the kernel "
            "shares processors out among sessions (autogroups). For the store it does wait, and the rows of `direct` "
            "and nginx show how long: the faster a proxy moves the transfers, the busier is the store. The gateway "
            "serves small requests first and, beside them, one socket with a long body in each turn of its event loop."
        ),
        head=["contestant", "alone: p50 / p99, ms", "beside: p50 / p99, ms", "p99 beside to p50 alone"],
        rows=rows,
        targets=targets,
        raw={"contestants": [asdict(each) for each in found]},
    )


def _measure(stage: Stage, contestant: Contestant) -> Beside:
    store_object(stage.traffic, contestant, _OBJECT_BYTES)
    small = small_get(contestant, stage.seconds)
    idle = stage.traffic.run(contestant, small_get(contestant, stage.seconds / 2))
    large = Demand("GET", kept_path(contestant, _OBJECT_BYTES), _LONGEST_SECONDS, _EACH_WAY, patient=True)
    written = replace(large, method="PUT", path=f"/{contestant.bucket}/written", body_bytes=_OBJECT_BYTES)
    with ExitStack() as transfers:
        crowds = [transfers.enter_context(stage.traffic.begin(contestant, demand)) for demand in (large, written)]
        for crowd in crowds:
            crowd.wait_until_connected()
        stage.traffic.run(contestant, small_get(contestant, stage.seconds / 4))  # until the transfers are under way
        beside = stage.traffic.run(contestant, small)
        if not all(crowd.is_running() for crowd in crowds):
            raise LabError("the transfers ended before the small requests")
    # The store forgets the large object: it has one of each contestant otherwise.
    stage.traffic.run(contestant, Demand("PUT", kept_path(contestant, _OBJECT_BYTES), 1, requests=1))
    return Beside(contestant.name, idle.p50_ms, idle.p99_ms, beside.p50_ms, beside.p99_ms, beside.good)
