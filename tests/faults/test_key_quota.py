"""A quota of a key service that is smaller than what clients want."""

import asyncio
import multiprocessing
import os
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import boto3
import pytest
from botocore.config import Config

from lab.certificates import CertificateAuthority
from lab.s3_server import S3Client
from lab.seaweed import SeaweedFS
from tests.faults.key_services import KeyService, most_in_a_second
from tests.faults.key_stage import KeyStage, Outcome, ask, at_a_rate, content, summary

pytestmark = pytest.mark.alone

_QUOTA = 50
_DEMAND = 500
#: Half of the demand is reads, half is writes.
_EACH = _DEMAND // 2
_SDK_CLIENTS = 4
_SDK_OBJECTS = 3


@pytest.fixture
def stage(
    tmp_path: Path, authority: CertificateAuthority, seaweed: SeaweedFS, key_service: KeyService
) -> Iterator[KeyStage]:
    """A data key for each object, so that each write and each cold read needs the service."""
    bucket = f"quota-{time.monotonic_ns()}"
    stage = KeyStage(tmp_path, authority, seaweed, key_service, bucket=bucket, messages=1, requests_per_second=_QUOTA)
    yield stage
    stage.gateway.stop()


async def _cold_objects(writer: KeyStage) -> list[str]:
    """Objects that a gateway without a quota wrote."""
    writer.gateway.start()
    keys = [f"cold/{number:04}" for number in range(_DEMAND)]
    try:
        assert summary(await writer.all_of("PUT", keys)) == {"200": len(keys)}
    finally:
        writer.gateway.stop()
    return keys


@pytest.mark.parametrize("seconds", [4.0, pytest.param(20.0, marks=[pytest.mark.slow, pytest.mark.timeout(300)])])
async def test_a_demand_ten_times_the_quota(
    stage: KeyStage,
    key_service: KeyService,
    tmp_path: Path,
    authority: CertificateAuthority,
    seaweed: SeaweedFS,
    seconds: float,
) -> None:
    """Never more than the quota in any second; reads first, but writes too; and clients that repeat succeed."""
    writer = KeyStage(
        tmp_path / "writer", authority, seaweed, key_service, bucket=stage.bucket, messages=1, workers=1, name="writer"
    )
    cold = await _cold_objects(writer)
    written = [f"written/{number:05}" for number in range(int(seconds * _EACH))]
    get, put = stage.urls("GET", cold), stage.urls("PUT", written)
    stage.gateway.start()
    before = len(key_service.calls())
    # In processes of their own, behind all others: the service's clock is read in this one, which must not be busy.
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn"), os.nice, (5,)) as load:
        loop = asyncio.get_running_loop()
        demand = loop.run_in_executor(load, _demand, stage.gateway.ca_file, get, put, seconds)
        await loop.run_in_executor(load, _applications, _Application.of(stage))
        read, wrote = await demand
    calls = key_service.calls()[before:]
    most = most_in_a_second([moment for moment, _ in calls])
    reads = sum(operation == "unwrap" for _, operation in calls)
    print(f"\nread {summary(read)}, written {summary(wrote)}")  # noqa: T201 - the figures, for who asks with -s
    print(f"  {len(calls)} calls, {reads} of them to read; at most {most} in a second")  # noqa: T201
    assert most <= _QUOTA
    assert len(calls) >= 0.6 * _QUOTA * seconds  # what there is is used
    assert summary(read).keys() <= {"200", "503 SlowDown"}
    assert summary(wrote).keys() == {"200", "503 SlowDown"}
    assert {one.retry_after for one in (*read, *wrote) if not one.good} == {"1"}
    assert reads > len(calls) - reads > 0
    # As many writes are wanted as reads.
    assert summary(read)["200"] > 1.5 * summary(wrote)["200"]
    assert all(one.body == content(one.key) for one in read if one.good)
    assert stage.counted() == len(calls)
    refused = {kind: stage.gateway.metric("sealgate_kms_quota_refused_total", kind=kind) for kind in ("read", "write")}
    assert refused["write"] >= summary(wrote)["503 SlowDown"]  # and those of the applications
    assert refused["read"] > 0
    assert stage.marks_at_store() == []


def _demand(
    ca_file: Path, get: dict[str, str], put: dict[str, str], seconds: float
) -> tuple[list[Outcome], list[Outcome]]:
    """What all the clients ask for, whatever they are answered."""
    return asyncio.run(_demanded(ca_file, list(get.items()), list(put.items()), seconds))


async def _demanded(
    ca_file: Path, get: list[tuple[str, str]], put: list[tuple[str, str]], seconds: float
) -> tuple[list[Outcome], list[Outcome]]:
    connector = aiohttp.TCPConnector(limit=0, ssl=ssl.create_default_context(cafile=str(ca_file)))
    async with aiohttp.ClientSession(connector=connector) as session:
        return await asyncio.gather(
            at_a_rate(_EACH, seconds, lambda n: ask(session, "GET", *get[n % len(get)])),
            at_a_rate(_EACH, seconds, lambda n: ask(session, "PUT", *put[n % len(put)])),
        )


@dataclass(frozen=True, slots=True)
class _Application:
    """What an application knows."""

    endpoint: str
    ca_file: Path
    access_key_id: str
    secret_access_key: str
    bucket: str

    @classmethod
    def of(cls, stage: KeyStage) -> "_Application":
        gateway, credentials = stage.gateway, stage.gateway.credentials
        return cls(
            gateway.endpoint,
            gateway.ca_file,
            credentials.access_key,
            credentials.secret_key,
            stage.bucket,
        )

    def client(self) -> S3Client:
        return boto3.client(
            "s3",
            region_name="us-east-1",
            endpoint_url=self.endpoint,
            verify=str(self.ca_file),
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            config=Config(
                retries={"mode": "standard", "max_attempts": 30},
                read_timeout=60,
                s3={"addressing_style": "path"},
            ),
        )


def _applications(application: _Application) -> None:
    """Some that succeed, whatever the others do."""
    clients = [application.client() for _ in range(_SDK_CLIENTS)]
    with ThreadPoolExecutor(_SDK_CLIENTS) as threads:
        names = range(_SDK_CLIENTS)
        list(threads.map(lambda name: _round_trips(clients[name], application.bucket, name), names))


def _round_trips(client: S3Client, bucket: str, name: int) -> None:
    """What an application does that knows nothing of quotas."""
    for number in range(_SDK_OBJECTS):
        key = f"sdk/{name}-{number}"
        client.put_object(Bucket=bucket, Key=key, Body=content(key))
        assert client.get_object(Bucket=bucket, Key=key)["Body"].read() == content(key)
