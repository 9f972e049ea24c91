"""Memory that is free stays for a while, and goes back to the system even when something behind it is in use."""

import asyncio
import ctypes
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.server import heap
from gateway.server.heap import heap_trimmer

_BLOCK_BYTES = 60_000
_BLOCKS = 1_000


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library has no malloc_trim")
async def test_free_memory_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "TRIM_SECONDS", 0.01)
    blocks = [bytes([at % 256]) * _BLOCK_BYTES for at in range(_BLOCKS)]
    # Blocks in between stay, so that nothing is free at the end of the heap.
    kept = blocks[9::10]
    del blocks
    before = resident_bytes()
    trimmer = heap_trimmer()
    trimmer.start()
    try:
        async with asyncio.timeout(5):
            while resident_bytes() > before - _BLOCKS * _BLOCK_BYTES // 2:  # noqa: ASYNC110 - nobody tells when it is done
                await asyncio.sleep(0.01)
    finally:
        trimmer.stop()
    assert [len(block) for block in kept] == [_BLOCK_BYTES] * (_BLOCKS // 10)


#: Prints how many page faults a hundred bodies of 1 MiB take: with the C library as it is, and with memory kept.
_FAULTS = """
import resource
from gateway.server.heap import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(100):
        pieces = [bytes([1]) * 262_144 for _ in range(4)]
        del pieces
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
print(faults())
keep_freed_memory()
faults()
print(faults())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library has no mallopt")
def test_the_memory_of_one_body_serves_the_next() -> None:
    # mallopt can not be undone: another process has to try it.
    printed = subprocess.run([sys.executable, "-c", _FAULTS], capture_output=True, text=True, check=True).stdout
    by_itself, kept = map(int, printed.split())
    assert by_itself > 10_000
    assert kept < 1_000
