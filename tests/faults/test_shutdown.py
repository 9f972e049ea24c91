"""SIGTERM to the real process: what runs is finished, nothing new begins, and it ends with status 0; so do workers."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.ports import accepts_connections
from lab.process import wait_until
from lab.s3_server import S3Client
from lab.seaweed import SeaweedFS
from tests.faults.help import ONCE, keys_in, signer
from tests.faults.wire import BrokenOffError, connected

_BUCKET = "shutdown"
_DRAIN_SECONDS = 4.0
_DATA = os.urandom(400_000)


@pytest.fixture(scope="module", params=[1, 2], ids=["alone", "workers"])
def gateway(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    authority: CertificateAuthority,
    seaweed: SeaweedFS,
) -> Iterator[Gateway]:
    server = Gateway(
        tmp_path_factory.mktemp("shutdown"),
        authority,
        seaweed,
        rules=[{"name": "all", "buckets": ["*"], "mode": "sse-s3"}],
        options={"workers": request.param, "limits": {"drain_seconds": _DRAIN_SECONDS}},
    )
    server.start()
    if _BUCKET not in [bucket["Name"] for bucket in seaweed.client().list_buckets()["Buckets"]]:
        seaweed.client().create_bucket(Bucket=_BUCKET)
    yield server
    server.kill()


@pytest.fixture
def running(gateway: Gateway) -> Gateway:
    """The gateway, started again where the test before ended it."""
    if not gateway.process.is_alive():
        gateway.start()
    return gateway


def _port(gateway: Gateway) -> int:
    return int(gateway.endpoint.rpartition(":")[2])


def _wait_for_requests(gateway: Gateway, count: int) -> None:
    wait_until(
        lambda: gateway.metric("sealgate_requests_in_flight") == count, seconds=10, what=f"{count} requests in flight"
    )


def test_an_upload_in_progress_is_finished(running: Gateway, seaweed: SeaweedFS) -> None:
    """After SIGTERM the upload goes on to its end, new connections are refused, idle ones end, the status is 0."""
    upload = signer(running).upload(f"/{_BUCKET}/finished", _DATA, "chunks")
    with (
        connected(running.endpoint, running.ca_file) as busy,
        connected(running.endpoint, running.ca_file) as idle,
    ):
        busy.socket.sendall(upload.head + upload.body[:200_000])
        _wait_for_requests(running, 1)
        running.process.terminate()
        wait_until(lambda: not accepts_connections(_port(running)), seconds=3, what="the refusal of connections")
        assert not running.is_ready()
        with pytest.raises(BrokenOffError):
            idle.answer()
        busy.socket.sendall(upload.body[200_000:])
        answer = busy.answer()
        assert answer.status == 200
        started = time.monotonic()
        assert running.process.wait(seconds=_DRAIN_SECONDS) == 0
        assert time.monotonic() - started < 2  # nothing else to wait for
    assert seaweed.client().get_object(Bucket=_BUCKET, Key="finished")["Body"].read() == _DATA


def test_a_request_that_does_not_end_is_broken_off_in_time(running: Gateway, seaweed: SeaweedFS) -> None:
    """After drain_seconds an upload that hangs is broken off, leaves no object, and the status is 0."""
    upload = signer(running).upload(f"/{_BUCKET}/hangs", _DATA, "chunks")
    with connected(running.endpoint, running.ca_file) as wire:
        wire.socket.sendall(upload.head + upload.body[:200_000])
        _wait_for_requests(running, 1)
        started = time.monotonic()
        running.process.terminate()
        assert running.process.wait(seconds=_DRAIN_SECONDS + 8) == 0
        assert _DRAIN_SECONDS - 1 < time.monotonic() - started < _DRAIN_SECONDS + 4
        with pytest.raises(BrokenOffError):
            wire.answer()
    assert keys_in(seaweed.client(), _BUCKET, "hangs") == []


def test_parallel_traffic_is_counted_over_all_processes(running: Gateway, seaweed: SeaweedFS) -> None:
    """Many clients at once through every process: all is right, and the metrics of all processes add up."""
    before = running.metric("sealgate_requests_total", operation="PutObject")
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda number: _round_trip(running.client(**ONCE), number), range(24)))
    assert len(keys_in(seaweed.client(), _BUCKET, "parallel/")) == len(keys)
    assert running.metric("sealgate_requests_total", operation="PutObject") == before + 24
    assert running.metric("sealgate_requests_in_flight") == 0
    assert running.is_ready()


def _round_trip(client: S3Client, number: int) -> str:
    key = f"parallel/{number}"
    data = os.urandom(1000 if number % 2 else 300_000)
    client.put_object(Bucket=_BUCKET, Key=key, Body=data)
    assert client.get_object(Bucket=_BUCKET, Key=key)["Body"].read() == data
    client.close()
    return key
