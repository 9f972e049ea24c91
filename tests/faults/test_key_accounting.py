"""The metrics count what the service sees, whatever the service does."""

import asyncio
import time
from pathlib import Path

import pytest

from lab.certificates import CertificateAuthority
from lab.seaweed import SeaweedFS
from tests.faults.key_services import KeyService
from tests.faults.key_stage import KeyStage, summary

#: Faults of which the service knows, and the label that their calls get.
_FAULTS = {
    "throttled": "throttled",
    "failing": "unavailable",
    "garbage": "unavailable",
    "half": "unavailable",
    "slow": "ok",
}


async def test_counted_calls_are_the_calls_that_the_service_saw(
    tmp_path: Path, authority: CertificateAuthority, seaweed: SeaweedFS, key_service: KeyService
) -> None:
    stage = KeyStage(tmp_path, authority, seaweed, key_service, bucket=f"counted-{time.monotonic_ns()}", messages=1)
    stage.gateway.start()
    before, expected = len(key_service.calls()), dict.fromkeys(("ok", "throttled", "unavailable"), 0)
    try:
        await _well_again(stage, "nothing")  # a vault that throttles from the start lets nobody log in
        expected["ok"] = len(key_service.calls()) - before
        for fault, result in _FAULTS.items():
            first = len(key_service.calls())
            with key_service.during(fault):
                await stage.all_of("PUT", [f"{fault}/{number}" for number in range(12)])
            expected[result] += len(key_service.calls()) - first
            assert len(key_service.calls()) > first
            await _well_again(stage, fault)
            expected["ok"] = len(key_service.calls()) - before - expected["throttled"] - expected["unavailable"]
        assert {result: stage.counted(result=result) for result in expected} == expected
        assert stage.counted() == len(key_service.calls()) - before
        by_operation = {operation: stage.counted(operation=operation) for operation in ("generate", "unwrap")}
        seen = [operation for _, operation in key_service.calls()[before:]]
        assert by_operation == {operation: seen.count(operation) for operation in by_operation}
    finally:
        stage.gateway.stop()


async def _well_again(stage: KeyStage, fault: str) -> None:
    """Wait until no breaker is open in either worker."""
    for attempt in range(60):
        keys = [f"after-{fault}/{attempt}-{number}" for number in range(12)]
        if summary(await stage.all_of("PUT", keys)) == {"200": 12}:
            return
        await asyncio.sleep(0.2)
    pytest.fail("it does not recover")
