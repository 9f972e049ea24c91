"""Readiness asks everything that requests need, and can not be used to hammer it."""

import asyncio

from gateway.admin.readiness import ReadinessCheck
from gateway.errors import KeyUnavailable


class Probe:
    """A probe that can be broken."""

    def __init__(self) -> None:
        self.calls = 0
        self.fault: Exception | None = None
        self.delay = 0.0

    async def __call__(self) -> None:
        self.calls += 1
        await asyncio.sleep(self.delay)
        if self.fault is not None:
            raise self.fault


async def test_ready_when_every_probe_passes() -> None:
    check = ReadinessCheck({"upstream": Probe(), "vault": Probe()}, probe_seconds=1, cache_seconds=1)
    readiness = await check.ask()
    assert readiness.ready
    assert readiness.checks == {"upstream": "ok", "vault": "ok"}


async def test_one_fault_is_enough_and_names_itself() -> None:
    vault, broken, slow = Probe(), Probe(), Probe()
    vault.fault = KeyUnavailable("the vault is sealed")
    broken.fault = ValueError("token s.abcdef")
    slow.delay = 5
    probes = {"upstream": Probe(), "vault": vault, "broken": broken, "slow": slow}
    readiness = await ReadinessCheck(probes, probe_seconds=0.1, cache_seconds=1).ask()
    assert not readiness.ready
    assert readiness.checks == {
        "upstream": "ok",
        "vault": "the vault is sealed",
        "broken": "failed: ValueError",
        "slow": "no answer within 0.1 s",
    }


async def test_probes_run_side_by_side() -> None:
    slow = {f"probe {number}": Probe() for number in range(10)}
    for probe in slow.values():
        probe.delay = 0.1
    loop = asyncio.get_running_loop()
    begun = loop.time()
    assert (await ReadinessCheck(slow, probe_seconds=1, cache_seconds=1).ask()).ready
    assert loop.time() - begun < 0.5


async def test_results_are_shown_again_for_a_while() -> None:
    probe = Probe()
    probe.delay = 0.05
    check = ReadinessCheck({"vault": probe}, probe_seconds=1, cache_seconds=0.2)
    await asyncio.gather(*(check.ask() for _ in range(50)))
    await check.ask()
    assert probe.calls == 1
    probe.fault = KeyUnavailable("down")
    assert (await check.ask()).ready
    await asyncio.sleep(0.25)
    assert not (await check.ask()).ready
    assert probe.calls == 2


async def test_a_process_that_ends_is_not_ready() -> None:
    probe = Probe()
    check = ReadinessCheck({"vault": probe}, probe_seconds=1, cache_seconds=1)
    check.drain()
    readiness = await check.ask()
    assert not readiness.ready
    assert readiness.checks == {"process": "draining"}
    assert probe.calls == 0


async def test_without_probes_it_is_ready() -> None:
    assert (await ReadinessCheck({}, probe_seconds=1, cache_seconds=1).ask()).ready
