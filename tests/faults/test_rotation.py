"""A customer key that is rotated in the vault while objects are written and read, by two workers."""

import base64
import itertools
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.openbao import OpenBao
from lab.process import wait_until
from lab.s3_server import S3Client
from lab.seaweed import SeaweedFS
from tests.faults.help import ONCE, fresh_key, keys_in, refused

_BUCKET = "rotation"
_PATH = "faults/rotated"
_ROTATIONS = 3
#: The gateway of the laboratory asks for new versions every second.
_SEEN_SECONDS = 2.0
_PART = 5 * 2**20


@dataclass
class Written:
    """An object that was acknowledged."""

    key: str
    data: bytes
    started: float


@dataclass
class Traffic:
    """Writers and readers that go on until they are told to stop; any error of theirs is kept."""

    gateway: Gateway
    written: list[Written] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    reads: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        for number in range(2):
            self._threads += [
                threading.Thread(target=self._guarded, args=(self._write, number)),
                threading.Thread(target=self._guarded, args=(self._read, number)),
            ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _guarded(self, work: object, number: int) -> None:
        try:
            if callable(work):
                work(number, self.gateway.client(**ONCE))
        except Exception as error:  # noqa: BLE001 - whatever a client meets is a failure, and is shown
            self.faults.append(repr(error))

    def _write(self, number: int, client: S3Client) -> None:
        for count in itertools.count():
            if self._stop.is_set():
                return
            data = os.urandom(1000 if count % 4 else 100_000)
            started = time.monotonic()
            key = f"traffic/{number}-{count}"
            client.put_object(Bucket=_BUCKET, Key=key, Body=data)
            self.written.append(Written(key, data, started))
            self._stop.wait(0.05)

    def _read(self, number: int, client: S3Client) -> None:
        while not self._stop.wait(0.03):
            if not self.written:
                continue
            wanted = self.written[(self.reads * 7 + number) % len(self.written)]
            found = client.get_object(Bucket=_BUCKET, Key=wanted.key)["Body"].read()
            client.head_object(Bucket=_BUCKET, Key=wanted.key)
            if found != wanted.data:
                self.faults.append(f"{wanted.key} reads differently")
            self.reads += 1


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, authority: CertificateAuthority, openbao: OpenBao, seaweed: SeaweedFS
) -> Iterator[Gateway]:
    server = Gateway(
        tmp_path_factory.mktemp("rotation"),
        authority,
        seaweed,
        rules=[
            {"name": "rotated", "buckets": [_BUCKET], "mode": "sse-c", "customer_key": "rotated"},
            {"name": "rest", "buckets": ["*"], "mode": "sse-s3"},
        ],
        vault=openbao,
        customer_keys={"rotated": _PATH},
        options={"workers": 2},
    )
    server.start()
    yield server
    server.stop()


def _customer(key: str) -> dict[str, object]:
    return {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": base64.b64decode(key)}


def _version_of(direct: S3Client, key: str, versions: Sequence[str]) -> int:
    """Which of the keys opens an object at the store; 1 is the first."""
    fitting = [
        number
        for number, text in enumerate(versions, 1)
        if refused(lambda text=text: direct.head_object(Bucket=_BUCKET, Key=key, **_customer(text))) is None  # type: ignore[misc] # a default binds the loop's variable
    ]
    assert len(fitting) == 1, (key, fitting)
    return fitting[0]


def test_traffic_goes_on_while_the_key_is_rotated(gateway: Gateway, openbao: OpenBao, seaweed: SeaweedFS) -> None:
    """No request fails; new objects are under the new version soon, uploads end under the version they began with, all
    objects of all versions read back, and the store gives none of them out without the right key.
    """
    direct, client = seaweed.client(**ONCE), gateway.client(**ONCE)
    direct.create_bucket(Bucket=_BUCKET)
    versions = [fresh_key()]
    openbao.put_secret(_PATH, {"key": versions[0]})
    traffic = Traffic(gateway)
    uploads: list[tuple[str, str, bytes]] = []
    rotated_at = [time.monotonic()]
    traffic.start()
    try:
        for rotation in range(_ROTATIONS):
            key = f"upload/{rotation}"
            data = os.urandom(_PART + 100_000)
            upload_id = client.create_multipart_upload(Bucket=_BUCKET, Key=key)["UploadId"]
            client.upload_part(Bucket=_BUCKET, Key=key, UploadId=upload_id, PartNumber=1, Body=data[:_PART])
            uploads.append((key, upload_id, data))
            seen = len(traffic.written)
            wait_until(lambda seen=seen: len(traffic.written) > seen + 5, seconds=30, what="traffic")  # type: ignore[misc] # as above
            versions.append(fresh_key())
            openbao.put_secret(_PATH, {"key": versions[-1]})
            rotated_at.append(time.monotonic())
            late = time.monotonic() + _SEEN_SECONDS
            wait_until(lambda late=late: traffic.written[-1].started > late, seconds=30, what="writes after it")  # type: ignore[misc] # as above
        for key, upload_id, data in uploads:
            _finish(client, key, upload_id, data)
        wait_until(lambda: traffic.reads > 50, seconds=30, what="reads")
    finally:
        traffic.stop()
    assert traffic.faults == []
    used = {}
    for written in traffic.written:
        used[written.key] = version = _version_of(direct, written.key, versions)
        due = sum(1 for moment in rotated_at[1:] if moment + _SEEN_SECONDS < written.started) + 1
        assert version >= due
        assert client.get_object(Bucket=_BUCKET, Key=written.key)["Body"].read() == written.data
    assert set(used.values()) == set(range(1, _ROTATIONS + 2))
    for number, (key, _, data) in enumerate(uploads, 1):
        assert _version_of(direct, key, versions) == number
        assert client.get_object(Bucket=_BUCKET, Key=key)["Body"].read() == data
    for key in keys_in(direct, _BUCKET):
        for wanted in ({}, _customer(fresh_key())):
            answer = refused(lambda key=key, wanted=wanted: direct.get_object(Bucket=_BUCKET, Key=key, **wanted))  # type: ignore[misc] # as above
            assert answer is not None
            assert answer.status in {400, 403}
    assert gateway.metric("sealgate_objects_written_total", mode="sse-c") == len(traffic.written) + _ROTATIONS


def _finish(client: S3Client, key: str, upload_id: str, data: bytes) -> None:
    about = {"Bucket": _BUCKET, "Key": key, "UploadId": upload_id}
    client.upload_part(**about, PartNumber=2, Body=data[_PART:])
    listed = client.list_parts(**about)["Parts"]
    parts = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in listed]
    assert len(parts) == 2
    client.complete_multipart_upload(**about, MultipartUpload={"Parts": parts})
