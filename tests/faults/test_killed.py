"""kill -9 of the gateway, the vault and the store in the middle of transfers: nothing wrong appears, and it goes on."""

import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError

from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.openbao import OpenBao
from lab.process import wait_until
from lab.s3_server import S3Client
from lab.seaweed import SeaweedFS
from tests.faults.help import ONCE, fresh_key

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(240)]

_BUCKETS = ("killed-c", "killed-s3")
_PART = 5 * 2**20
_SIZES = {"small": 2_000, "streamed": 3_000_000, "multipart": 2 * _PART + 77}
_PATIENT: dict[str, Any] = {
    "retries": {"max_attempts": 15, "mode": "standard"},
    "connect_timeout": 5,
    "read_timeout": 20,
}
#: What a client of the tests meets while a server is down.
_Down = (ClientError, BotoCoreError, OSError)


@dataclass
class Writer:
    """Overwrites one object again and again, and knows what may be found under its key.

    Attributes:
        allowed: the last content that was acknowledged (None: none was), and those that were attempted since.
        failures: writes that were not acknowledged.
        acknowledged: writes that were.
    """

    bucket: str
    key: str
    kind: str
    allowed: list[bytes | None] = field(default_factory=lambda: [None])
    failures: int = 0
    acknowledged: int = 0

    def write(self, client: S3Client) -> None:
        data = os.urandom(_SIZES[self.kind])
        self.allowed.append(data)
        try:
            self._send(client, data)
        except _Down:
            self.failures += 1
            return
        self.acknowledged += 1
        self.allowed = [data]

    def _send(self, client: S3Client, data: bytes) -> None:
        if self.kind != "multipart":
            client.put_object(Bucket=self.bucket, Key=self.key, Body=data)
            return
        config = TransferConfig(multipart_threshold=_PART, multipart_chunksize=_PART, use_threads=False)
        client.upload_fileobj(io.BytesIO(data), self.bucket, self.key, Config=config)

    def check(self, client: S3Client) -> None:
        """What is there now is the last acknowledged content or one sent since, byte for byte."""
        found: bytes | None = None
        try:
            found = client.get_object(Bucket=self.bucket, Key=self.key)["Body"].read()
        except ClientError as error:
            assert error.response["Error"]["Code"] == "NoSuchKey"  # noqa: PT017 - every other error fails
        assert found in self.allowed, (self.bucket, self.key, None if found is None else len(found))


@dataclass
class Traffic:
    """Writers and readers in threads of their own."""

    gateway: Gateway
    writers: list[Writer]
    wrong: list[str] = field(default_factory=list)
    reads: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        works: list[Callable[[S3Client], None]] = [self._writing(writer) for writer in self.writers]
        works += [self._reading(bucket) for bucket in _BUCKETS]
        for work in works:
            client = self.gateway.client(**ONCE)
            thread = threading.Thread(target=self._loop, args=(work, client))
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _loop(self, work: Callable[[S3Client], None], client: S3Client) -> None:
        while not self._stop.wait(0.02):
            work(client)
        client.close()

    def _writing(self, writer: Writer) -> Callable[[S3Client], None]:
        return writer.write

    def _reading(self, bucket: str) -> Callable[[S3Client], None]:
        def read(client: S3Client) -> None:
            with suppress(*_Down):
                found = client.get_object(Bucket=bucket, Key="steady")["Body"].read()
                if found != _STEADY:
                    self.wrong.append(f"{bucket}/steady: {len(found)} bytes")
                self.reads += 1

        return read


_STEADY = os.urandom(4_000_000)


@dataclass
class Stage:
    vault: OpenBao
    store: SeaweedFS
    gateway: Gateway

    def kill(self, victim: str) -> None:
        {"gateway": self.gateway.kill, "vault": self.vault.kill, "store": self.store.kill}[victim]()

    def start(self, victim: str) -> None:
        {"gateway": self.gateway.start, "vault": self.vault.start, "store": self.store.start}[victim]()


@pytest.fixture(scope="module")
def stage(
    tmp_path_factory: pytest.TempPathFactory, authority: CertificateAuthority, vault: OpenBao, store: SeaweedFS
) -> Iterator[Stage]:
    vault.put_secret("faults/killed", {"key": fresh_key()})
    gateway = Gateway(
        tmp_path_factory.mktemp("killed"),
        authority,
        store,
        rules=[
            {"name": "c", "buckets": ["killed-c"], "mode": "sse-c", "customer_key": "killed"},
            {"name": "rest", "buckets": ["*"], "mode": "sse-s3"},
        ],
        vault=vault,
        customer_keys={"killed": "faults/killed"},
        options={"upstream": {"payload": "trailer"}},
    )
    gateway.start()
    for bucket in _BUCKETS:
        gateway.client().create_bucket(Bucket=bucket)
        gateway.client().put_object(Bucket=bucket, Key="steady", Body=_STEADY)
    yield Stage(vault, store, gateway)
    gateway.kill()


@pytest.mark.parametrize("victim", ["gateway", "vault", "store"])
def test_a_kill_in_the_middle_leaves_nothing_wrong(stage: Stage, victim: str) -> None:
    """Every object is absent, the old one, or exactly what was sent; what was acknowledged stays; it all goes on."""
    writers = [Writer(bucket, f"{victim}/{kind}", kind) for bucket in _BUCKETS for kind in _SIZES]
    traffic = Traffic(stage.gateway, writers)
    traffic.start()
    try:
        for round_number in range(2):
            before = [writer.acknowledged for writer in writers]
            wait_until(
                lambda before=before: all(w.acknowledged > b for w, b in zip(writers, before, strict=True)),  # type: ignore[misc] # a default binds the loop's variable
                seconds=60,
                what="a write of every writer",
            )
            _kill_and_mend(stage, victim, f"{victim}/patient-{round_number}")
        before = [writer.acknowledged for writer in writers]
        wait_until(
            lambda: all(w.acknowledged > b for w, b in zip(writers, before, strict=True)),
            seconds=60,
            what="writes after the restart",
        )
    finally:
        traffic.stop()
    assert traffic.wrong == []
    assert traffic.reads > 0
    assert sum(writer.failures for writer in writers) > 0
    client = stage.gateway.client()
    for writer in writers:
        writer.check(client)
    wait_until(lambda: stage.gateway.metric("sealgate_requests_in_flight") == 0, seconds=20, what="idleness")
    wait_until(stage.gateway.is_ready, seconds=20, what="readiness")


def _kill_and_mend(stage: Stage, victim: str, key: str) -> None:
    """Kill a server for some seconds; a patient client's upload that begins meanwhile succeeds by its retries."""
    stage.kill(victim)
    done: list[bool] = []

    def upload() -> None:
        client = stage.gateway.client(**_PATIENT)
        client.put_object(Bucket="killed-c", Key=key, Body=_STEADY)
        done.append(client.get_object(Bucket="killed-c", Key=key)["Body"].read() == _STEADY)

    # Keys are held for 2 seconds: the vault is missed after that.
    time.sleep(3)
    patient = threading.Thread(target=upload)
    patient.start()
    stage.start(victim)
    patient.join(90)
    assert done == [True]
