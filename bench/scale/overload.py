"""Three times as many requests as the gateway can serve: what still gets through, and how soon all is well again."""

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Final

from bench.contestants import Contestant
from bench.loads import KIB, MIB
from bench.processes import cpu_seconds, forget_peak, peak_resident_bytes, resident_bytes
from bench.scale.peak import PEAK_CONNECTIONS, DemandOf, peak_of, rates
from bench.scale.section import Section, Target
from bench.scale.stage import Stage, proxy_pid, small_get, small_put
from bench.scale.traffic import Seen

_MODE: Final = "sse-s3"
#: More than the gateway's places (1,024), fewer than its connections (4,096).
_CONNECTIONS: Final = 3000
_TIMES: Final = 3
_SHARE: Final = 0.9
_RECOVERY_SECONDS: Final = 5.0
#: Latency is normal again when the median of a moment is at most so many times that from before.
_NORMAL: Final = 2.0
_MOMENT_SECONDS: Final = 0.5
_WATCHED_SECONDS: Final = 10
_PROBE_TIMEOUT_SECONDS: Final = 30
_BYTES_EACH: Final = 128 * KIB
_PROBE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Overload:
    """The figures of one kind of request.

    Attributes:
        method: what was sent.
        seconds: how long there was too much of it.
        peak_rate: good answers a second with as many clients as are served best.
        peak_per_cpu: the same for one CPU second of the gateway.
        demanded_rate: requests a second that the clients would have sent.
        good_rate: good answers a second.
        good_per_cpu: good answers for one CPU second of the gateway.
        refused: answers 503.
        failed: requests that were neither served nor refused.
        p50_ms: of good answers.
        p99_ms: of good answers.
        longest_refusal_ms: longest time to an answer 503.
        before_bytes: resident memory before, without a connection.
        peak_bytes: the most meanwhile.
        slowest_probe_ms: longest time of ``/livez`` meanwhile; infinite when one failed.
        normal_p50_ms: of a GET of 1 KiB, the higher of before and long after.
        recovered_seconds: from the end to the first moment with normal latency.
    """

    method: str
    seconds: float
    peak_rate: float
    peak_per_cpu: float
    demanded_rate: float
    good_rate: float
    good_per_cpu: float
    refused: int
    failed: int
    p50_ms: float
    p99_ms: float
    longest_refusal_ms: float
    before_bytes: int
    peak_bytes: int
    slowest_probe_ms: float
    normal_p50_ms: float
    recovered_seconds: float


def measure_overload(stage: Stage) -> Section:
    """GETs, then PUTs of 1 KiB; the PUTs for half the time."""
    return overload_section(
        [
            _measure(stage, "GET", small_get, stage.overload_seconds),
            _measure(stage, "PUT", small_put, stage.overload_seconds / 2),
        ]
    )


def overload_section(found: Sequence[Overload]) -> Section:
    """The figures as they are shown."""
    columns: list[tuple[str, Callable[[Overload], str]]] = [
        ("seconds", lambda each: f"{each.seconds:.0f}"),
        ("peak: good answers a second", lambda each: f"{each.peak_rate:,.0f}"),
        ("demanded a second", lambda each: f"{each.demanded_rate:,.0f}"),
        ("good answers a second", lambda each: f"{each.good_rate:,.0f}"),
        ("peak: good answers for one CPU second", lambda each: f"{each.peak_per_cpu:,.0f}"),
        ("good answers for one CPU second", lambda each: f"{each.good_per_cpu:,.0f}"),
        ("answers 503", lambda each: f"{each.refused:,}"),
        ("failures", lambda each: f"{each.failed:,}"),
        ("good answers: p50 / p99, s", lambda each: f"{each.p50_ms / 1000:.2f} / {each.p99_ms / 1000:.2f}"),
        ("latest refusal, s", lambda each: f"{each.longest_refusal_ms / 1000:.2f}"),
        (
            "memory before / at its peak, MiB",
            lambda each: f"{each.before_bytes / MIB:.0f} / {each.peak_bytes / MIB:.0f}",
        ),
        ("slowest answer of /livez, ms", lambda each: f"{each.slowest_probe_ms:.0f}"),
        ("latency normal after, s", lambda each: f"{each.recovered_seconds:.1f}"),
    ]
    return Section(
        title=f"{_TIMES} times as many requests as can be served",
        text=(
            f"Requests of 1 KiB, mode {_MODE}, over {_CONNECTIONS:,} connections. The peak is what closed loops over "
            f"{' or '.join(map(str, PEAK_CONNECTIONS))} connections get, before and after. In between, clients send "
            f"{_TIMES} times as many requests a second, each connection at its own times; a client whose request is "
            "not answered yet can not send the next, which is how HTTP/1.1 slows it down. Latency is normal again in "
            f"the first half second whose median is at most {_NORMAL:.0f} times that from before, or that from long "
            "after. What a request still costs more than at the peak is the state of its connection, TLS and parser, "
            "which has left the processor's caches when its turn comes. Requests themselves stay in the kernel until "
            "then."
        ),
        head=["figure", *(f"{each.method} 1 KiB" for each in found)],
        rows=[[name, *(show(each) for each in found)] for name, show in columns],
        targets=[target for each in found for target in _targets(each)],
        raw={"loads": [asdict(each) for each in found]},
    )


def _targets(found: Overload) -> Iterator[Target]:
    name = f"overload, {found.method} 1 KiB"
    on_clock, by_cpu = found.good_rate / found.peak_rate, found.good_per_cpu / found.peak_per_cpu
    yield Target(f"{name}: good answers beside the peak, on the clock", "≥ 90%", f"{on_clock:.0%}", on_clock >= _SHARE)
    yield Target(f"{name}: good answers beside the peak, by CPU time", "≥ 90%", f"{by_cpu:.0%}", by_cpu >= _SHARE)
    yield Target(f"{name}: failures other than 503", "0", str(found.failed), found.failed == 0)
    each = (found.peak_bytes - found.before_bytes) / _CONNECTIONS
    yield Target(f"{name}: memory for each connection", "≤ 128 KiB", f"{each / KIB:.0f} KiB", each <= _BYTES_EACH)
    recovered = found.recovered_seconds
    yield Target(f"{name}: normal again", "≤ 5 s", f"{recovered:.1f} s", recovered <= _RECOVERY_SECONDS)


def _measure(stage: Stage, method: str, demand_of: DemandOf, seconds: float) -> Overload:
    contestant = stage.contestant(_MODE)
    pid = proxy_pid(contestant)
    normal = stage.traffic.run(contestant, small_get(contestant, stage.seconds / 4)).p50_ms
    alone = rates(stage, contestant, demand_of)
    rate = _TIMES * peak_of(alone).per_second
    before = resident_bytes(pid)
    with stage.traffic.begin(contestant, demand_of(contestant, seconds, _CONNECTIONS, rate)) as crowd:
        crowd.wait_until_connected()
        begun = time.time()
        forget_peak(pid)
        used = cpu_seconds(pid)
        with _probing(contestant) as slowest:
            time.sleep(seconds)
        used = cpu_seconds(pid) - used
        moments = _moments(stage, contestant)
        seen = crowd.result()
    peak = peak_of(alone + rates(stage, contestant, demand_of))
    normal = max(normal, stage.traffic.run(contestant, small_get(contestant, stage.seconds / 4)).p50_ms)
    good = _good_between(seen, begun, begun + seconds)
    return Overload(
        method=method,
        seconds=seconds,
        peak_rate=peak.per_second,
        peak_per_cpu=peak.per_cpu_second,
        demanded_rate=rate,
        good_rate=good / seconds,
        good_per_cpu=good / used,
        refused=seen.refused,
        failed=seen.failed,
        p50_ms=seen.p50_ms,
        p99_ms=seen.p99_ms,
        longest_refusal_ms=seen.refused_ms[-1] if seen.refused_ms else 0.0,
        before_bytes=before,
        peak_bytes=peak_resident_bytes(pid),
        slowest_probe_ms=slowest[-1],
        normal_p50_ms=normal,
        recovered_seconds=recovery_seconds(moments, normal),
    )


def _good_between(seen: Seen, begun: float, end: float) -> int:
    return sum(1 for at in seen.good_until if begun <= at < end)


def _moments(stage: Stage, contestant: Contestant) -> list[tuple[float, float]]:
    """Moments from now on: when each ended, in seconds, and the median latency in it, in milliseconds."""
    begun = time.monotonic()
    moments = []
    while time.monotonic() - begun < _WATCHED_SECONDS:
        moment = stage.traffic.run(contestant, small_get(contestant, _MOMENT_SECONDS))
        if moment.good_ms:
            moments.append((time.monotonic() - begun, moment.p50_ms))
    return moments


def recovery_seconds(moments: Sequence[tuple[float, float]], normal_ms: float) -> float:
    """When the first moment with normal latency ended; infinite when there was none."""
    return next((at for at, p50_ms in moments if p50_ms <= _NORMAL * normal_ms), float("inf"))


@contextmanager
def _probing(contestant: Contestant) -> Iterator[list[float]]:
    """Ask for the gateway's health every second; the list ends with the longest time in milliseconds."""
    times = [0.0]
    over = threading.Event()

    def probe() -> None:
        while not over.wait(_PROBE_SECONDS):
            times.append(_probe_ms(f"{contestant.admin_endpoint}/livez"))

    thread = threading.Thread(target=probe)
    thread.start()
    try:
        yield times
    finally:
        over.set()
        thread.join()
        times.append(max(times))


def _probe_ms(url: str) -> float:
    begun = time.monotonic()
    try:
        with urllib.request.urlopen(url, timeout=_PROBE_TIMEOUT_SECONDS) as answer:  # noqa: S310 - the gateway's own
            answer.read()
    except (OSError, urllib.error.URLError):
        return float("inf")
    return (time.monotonic() - begun) * 1000
