"""How many requests to a key service objects cost, as the service counts them and as the metrics do."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.certificates import CertificateAuthority
from lab.seaweed import SeaweedFS
from tests.faults.key_services import KeyService
from tests.faults.key_stage import KeyStage, content, summary

_HERD = 500
#: Two workers, each with one data key to write with, and the other's to read with.
_FEW_CALLS = 4

Make = Callable[..., KeyStage]


@pytest.fixture
def make(
    tmp_path: Path, authority: CertificateAuthority, seaweed: SeaweedFS, key_service: KeyService
) -> Iterator[Make]:
    """Starts gateways with the key of a service."""
    started: list[KeyStage] = []

    def start(**options: Any) -> KeyStage:
        bucket = f"key-costs-{len(started)}-{tmp_path.name[-16:].strip('-_').replace('_', '-')}"
        name = f"gateway-{len(started)}"
        stage = KeyStage(tmp_path / name, authority, seaweed, key_service, bucket=bucket, name=name, **options)
        started.append(stage)
        stage.gateway.start()
        return stage

    yield start
    for stage in started:
        stage.gateway.stop()


@pytest.mark.parametrize("objects", [300, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
async def test_many_objects_cost_few_requests(make: Make, key_service: KeyService, objects: int) -> None:
    stage, before = make(workers=2), key_service.count()
    keys = [f"many/{number:05}" for number in range(objects)]
    put = await stage.all_of("PUT", keys)
    assert summary(put) == {"200": objects}
    got = await stage.all_of("GET", keys)
    assert summary(got) == {"200": objects}
    assert all(one.body == content(one.key) for one in got)
    asked = key_service.count() - before
    print(f"\n{objects} PUTs and {objects} GETs: {asked} requests")  # noqa: T201 - the figures, for who asks with -s
    assert 1 <= asked <= _FEW_CALLS
    assert stage.counted() == asked


@pytest.mark.parametrize("objects", [100, pytest.param(2_000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
async def test_one_message_for_each_data_key(make: Make, key_service: KeyService, objects: int) -> None:
    """Exactly one request for each object written, and one for each that is read by another process."""
    stage = make(workers=2, messages=1)
    keys = [f"each/{number:05}" for number in range(objects)]
    before = {operation: key_service.count(operation) for operation in ("generate", "unwrap")}
    assert summary(await stage.all_of("PUT", keys)) == {"200": objects}
    assert key_service.count("generate") - before["generate"] == objects
    assert stage.counted(operation="generate", result="ok") == objects
    stage.restart()
    got = await stage.all_of("GET", keys)
    assert summary(got) == {"200": objects}
    assert all(one.body == content(one.key) for one in got)
    assert key_service.count("unwrap") - before["unwrap"] == objects
    assert key_service.count("generate") - before["generate"] == objects
    assert stage.counted() == stage.counted(operation="unwrap", result="ok") == objects


async def test_a_herd_on_one_cold_object(make: Make, key_service: KeyService) -> None:
    """500 GETs at once of an object that no request has opened yet: one request to the service."""
    stage = make(workers=1)
    assert summary(await stage.all_of("PUT", ["herd"])) == {"200": 1}
    stage.restart()
    before, url = key_service.count(), stage.urls("GET", ["herd"])["herd"]
    with key_service.during("slow"):
        got = await stage.ask_together(url, "herd", _HERD)
    assert summary(got) == {"200": _HERD}
    assert all(one.body == content("herd") for one in got)
    assert key_service.count() - before == 1
    assert stage.counted() == stage.counted(operation="unwrap", result="ok") == 1
