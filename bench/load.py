"""The load: presigned requests over TLS from one asyncio process, and the CPU time of a server process."""

import asyncio
import os
import ssl
import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
from yarl import URL

_GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Load:
    """One kind of request, repeated.

    Attributes:
        name: for the table.
        method: ``PUT`` or ``GET``.
        size: bytes of the object.
        requests: how many in one round.
        concurrency: how many at a time.
    """

    name: str
    method: str
    size: int
    requests: int
    concurrency: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One round. Sizes are bytes, times seconds unless the name says otherwise."""

    load: Load
    seconds: float
    latencies: tuple[float, ...]
    cpu: float = 0.0

    def with_cpu(self, seconds: float) -> "Sample":
        return replace(self, cpu=seconds)

    @property
    def requests_per_second(self) -> float:
        return self.load.requests / self.seconds

    @property
    def megabytes_per_second(self) -> float:
        return self.load.requests * self.load.size / self.seconds / 1e6

    @property
    def p50_ms(self) -> float:
        return statistics.median(self.latencies) * 1000

    @property
    def p99_ms(self) -> float:
        return sorted(self.latencies)[min(len(self.latencies) - 1, len(self.latencies) * 99 // 100)] * 1000

    @property
    def cpu_seconds_per_gib(self) -> float:
        return self.cpu / (self.load.requests * self.load.size / _GIB)

    @property
    def cpu_seconds_per_1000(self) -> float:
        return self.cpu / self.load.requests * 1000


async def run_load(load: Load, url: str, ca_file: Path) -> Sample:
    """One round; every answer is read whole and has to be a success."""
    body = os.urandom(load.size) if load.method == "PUT" else None
    latencies: list[float] = []
    left = load.requests

    async def worker(session: aiohttp.ClientSession) -> None:
        nonlocal left
        while left > 0:
            left -= 1
            begun = time.perf_counter()
            async with session.request(load.method, URL(url, encoded=True), data=body) as answer:
                size = 0
                async for chunk in answer.content.iter_any():
                    size += len(chunk)
                answer.raise_for_status()
            assert load.method == "PUT" or size == load.size
            latencies.append(time.perf_counter() - begun)

    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=str(ca_file)), limit=load.concurrency)
    async with aiohttp.ClientSession(
        connector=connector, skip_auto_headers=["Content-Type"], auto_decompress=False
    ) as session:
        begun = time.perf_counter()
        await asyncio.gather(*(worker(session) for _ in range(load.concurrency)))
        return Sample(load, time.perf_counter() - begun, tuple(latencies))


def cpu_seconds(pid: int | None) -> float:
    """User and system time of a process so far, from /proc; 0 without one."""
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
