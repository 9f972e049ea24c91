"""Large objects at constant memory, and slow clients beside a fast one."""

import os
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.process import wait_until
from lab.s3_server import S3Client
from lab.seaweed import SeaweedFS
from tests.faults.help import ONCE, signer
from tests.faults.wire import Wire, connected

pytestmark = [pytest.mark.slow, pytest.mark.memory, pytest.mark.alone, pytest.mark.timeout(300)]

_BUCKET = "memory"
_MEBIBYTE = 2**20
_OBJECT_BYTES = 2 * 2**30
_BLOCK = os.urandom(_MEBIBYTE)
_GROWTH_BYTES = 32 * _MEBIBYTE
_SLOW_CLIENTS = 100
_FAST_BYTES = 65_536
_FAST_REQUESTS = 150


@pytest.fixture(scope="module", params=["trailer", "unsigned"])
def gateway(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    authority: CertificateAuthority,
    store: SeaweedFS,
) -> Iterator[Gateway]:
    server = Gateway(
        tmp_path_factory.mktemp("memory"),
        authority,
        store,
        rules=[{"name": "all", "buckets": ["*"], "mode": "sse-s3"}],
        options={"upstream": {"payload": request.param}},
    )
    server.start()
    if _BUCKET not in [bucket["Name"] for bucket in store.client().list_buckets()["Buckets"]]:
        store.client().create_bucket(Bucket=_BUCKET)
    yield server
    server.stop()


@contextmanager
def _watched(gateway: Gateway) -> Iterator[list[int]]:
    """What is inside must not make the resident memory grow; the peak's growth in bytes is put into the list.

    The kernel keeps the peak itself, so none is missed between two looks.
    """
    process = Path(f"/proc/{gateway.process.pid}")
    (process / "clear_refs").write_text("5")  # the peak begins anew: proc(5)
    before = gateway.process.resident_bytes()
    growth: list[int] = []
    yield growth
    line = next(line for line in (process / "status").read_text().splitlines() if line.startswith("VmHWM:"))
    growth.append(int(line.split()[1]) * 1024 - before)


def _warm_up(client: S3Client) -> None:
    """What a process allocates once: code, connections, buffers."""
    for _ in range(3):
        client.put_object(Bucket=_BUCKET, Key="warm", Body=_BLOCK * 4)
        assert len(client.get_object(Bucket=_BUCKET, Key="warm")["Body"].read()) == 4 * _MEBIBYTE


def test_two_gibibytes_up_and_down(gateway: Gateway) -> None:
    """One PUT and one GET of 2 GiB, every byte compared: the gateway's memory grows by less than 32 MiB."""
    client = gateway.client(**ONCE)
    _warm_up(client)
    started = time.monotonic()
    with _watched(gateway) as up:
        _upload(gateway)
    middle = time.monotonic()
    with _watched(gateway) as down:
        body = client.get_object(Bucket=_BUCKET, Key="large")["Body"]
        for _ in range(_OBJECT_BYTES // _MEBIBYTE):
            assert body.read(_MEBIBYTE) == _BLOCK
        assert body.read(1) == b""
    print(  # noqa: T201 - the figures, for who asks with -s
        f"\nup {middle - started:.1f} s, +{up[0] / _MEBIBYTE:.1f} MiB; "
        f"down {time.monotonic() - middle:.1f} s, +{down[0] / _MEBIBYTE:.1f} MiB"
    )
    client.delete_object(Bucket=_BUCKET, Key="large")
    assert up[0] < _GROWTH_BYTES
    assert down[0] < _GROWTH_BYTES


def _upload(gateway: Gateway) -> None:
    upload = signer(gateway).upload(f"/{_BUCKET}/large", b"", "literal")
    target, fields, _ = signer(gateway).signed("PUT", f"/{_BUCKET}/large", {}, {}, "UNSIGNED-PAYLOAD")
    assert target == upload.target
    head = [f"PUT {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    with connected(gateway.endpoint, gateway.ca_file) as wire:
        wire.socket.settimeout(120)
        wire.socket.sendall("\r\n".join([*head, f"Content-Length: {_OBJECT_BYTES}", "", ""]).encode())
        for _ in range(_OBJECT_BYTES // _MEBIBYTE):
            wire.socket.sendall(_BLOCK)
        assert wire.answer().status == 200


@dataclass
class SlowClients:
    """100 uploads and 100 downloads at about 1 KiB/s each, in one thread."""

    gateway: Gateway
    wires: list[Wire] = field(default_factory=list)
    moved: int = 0
    fault: str = ""
    _stop: threading.Event = field(default_factory=threading.Event)

    def open(self, stack: ExitStack) -> None:
        upload = signer(self.gateway).upload(f"/{_BUCKET}/slow", bytes(1_000_000), "chunks")
        for number in range(2 * _SLOW_CLIENTS):
            wire = stack.enter_context(connected(self.gateway.endpoint, self.gateway.ca_file, receive_bytes=4096))
            self.wires.append(wire)
            if number < _SLOW_CLIENTS:
                wire.socket.sendall(upload.head)
            else:
                wire.send(signer(self.gateway).get(f"/{_BUCKET}/read-slowly"))

    def run(self) -> None:
        piece = b"\0" * 1024
        sent = [0] * _SLOW_CLIENTS
        upload = signer(self.gateway).upload(f"/{_BUCKET}/slow", bytes(1_000_000), "chunks")
        try:
            while not self._stop.is_set():
                started = time.monotonic()
                for number, wire in enumerate(self.wires):
                    if number < _SLOW_CLIENTS:
                        # Within the first chunk, whose signature is looked at when it is complete.
                        sent[number] += wire.socket.send(upload.body[: len(piece)] if not sent[number] else piece)
                    else:
                        assert wire.socket.recv(1024)
                    self.moved += 1024
                    if self._stop.wait(0.004):
                        return
                self._stop.wait(max(0.0, started + 1 - time.monotonic()))
        except (OSError, AssertionError) as error:
            self.fault = repr(error)

    def stop(self) -> None:
        self._stop.set()


def test_slow_clients_do_not_block_a_fast_one(gateway: Gateway, store: SeaweedFS) -> None:
    """With 100 slow uploads and 100 slow downloads open, the fast client's p95 stays below 10 times idle and 1 s."""
    store.client().put_object(Bucket=_BUCKET, Key="read-slowly", Body=bytes(8 * _MEBIBYTE))
    client = gateway.client(**ONCE)
    _warm_up(client)
    idle = _p95(client)
    slow = SlowClients(gateway)
    thread = threading.Thread(target=slow.run)
    before = gateway.process.resident_bytes()
    with ExitStack() as stack:
        slow.open(stack)
        wait_until(
            lambda: gateway.metric("sealgate_requests_in_flight") == 2 * _SLOW_CLIENTS, seconds=30, what="slow requests"
        )
        thread.start()
        try:
            busy = _p95(client)
            assert gateway.metric("sealgate_requests_in_flight") == 2 * _SLOW_CLIENTS
            growth = gateway.process.resident_bytes() - before
        finally:
            slow.stop()
            thread.join()
    assert slow.fault == ""
    assert slow.moved > 2 * _SLOW_CLIENTS * 1024
    print(  # noqa: T201 - the figures, for who asks with -s
        f"\np95 PUT {idle[0] * 1000:.1f} -> {busy[0] * 1000:.1f} ms, "
        f"GET {idle[1] * 1000:.1f} -> {busy[1] * 1000:.1f} ms, 200 slow clients +{growth / _MEBIBYTE:.0f} MiB"
    )
    for alone, beside in zip(idle, busy, strict=True):
        assert beside < 10 * alone
        assert beside < 1
    wait_until(lambda: gateway.metric("sealgate_requests_in_flight") == 0, seconds=20, what="the end of slow requests")
    assert growth < 2 * _SLOW_CLIENTS * 2 * _MEBIBYTE


def _p95(client: S3Client) -> tuple[float, float]:
    """The 95th percentiles of PUT and GET of 64 KiB, seconds."""
    data = os.urandom(_FAST_BYTES)
    puts, gets = [], []
    for number in range(_FAST_REQUESTS):
        started = time.perf_counter()
        client.put_object(Bucket=_BUCKET, Key=f"fast/{number % 10}", Body=data)
        middle = time.perf_counter()
        assert client.get_object(Bucket=_BUCKET, Key=f"fast/{number % 10}")["Body"].read() == data
        puts.append(middle - started)
        gets.append(time.perf_counter() - middle)
    return statistics.quantiles(puts, n=20)[-1], statistics.quantiles(gets, n=20)[-1]
