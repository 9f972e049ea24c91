"""Memory that is free goes back to the system even when something behind it is in use."""

import asyncio
import ctypes
import resource
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
