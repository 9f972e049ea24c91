"""An upstream that breaks off, hangs, lies or sends on: clients never take it for success; and clients that go away."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.process import wait_until
from lab.seaweed import SeaweedFS
from tests.faults.help import signer
from tests.faults.hostile import HostileServer
from tests.faults.wire import BrokenOffError, connected, exchange

_IDLE_SECONDS = 2.0


@pytest.fixture(scope="module")
def hostile(authority: CertificateAuthority) -> Iterator[HostileServer]:
    with HostileServer(authority) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory,
    authority: CertificateAuthority,
    seaweed: SeaweedFS,
    hostile: HostileServer,
) -> Iterator[Gateway]:
    server = Gateway(
        tmp_path_factory.mktemp("hostile"),
        authority,
        seaweed,
        rules=[{"name": "all", "buckets": ["*"], "mode": "sse-s3"}],
        options={
            "upstream": {
                "endpoint": hostile.endpoint,
                "first_byte_timeout_seconds": 3,
                "idle_timeout_seconds": _IDLE_SECONDS,
                "maximum_retries": 1,
            }
        },
    )
    server.start()
    yield server
    server.stop()


def _is_idle(gateway: Gateway) -> bool:
    return gateway.metric("sealgate_requests_in_flight") == 0


@pytest.mark.parametrize(
    "key",
    [
        "half-then-farewell", "half-then-reset", "all-but-one", "chunks-without-end", "half-a-chunk",
        "half-then-silence", "broken-chunk",
    ],
)  # fmt: skip
def test_a_cut_body_is_never_a_whole_one(gateway: Gateway, key: str) -> None:
    """However the upstream's body ends early, the client's connection breaks; the log calls it a failure."""
    with connected(gateway.endpoint, gateway.ca_file) as wire:
        wire.socket.settimeout(10)
        wire.send(signer(gateway).get(f"/hostile/{key}"))
        with pytest.raises(BrokenOffError):
            wire.answer("GET")
    wait_until(lambda: _is_idle(gateway), seconds=5, what="the end of the request")
    line = next(line for line in reversed(gateway.access_log()) if line.get("object_key", line.get("key")) == key)
    assert line["status"] == 500


def test_a_body_that_never_begins_is_an_error(gateway: Gateway) -> None:
    """The head does not leave before the body has begun, so the client is told."""
    with connected(gateway.endpoint, gateway.ca_file) as wire:
        wire.socket.settimeout(10)
        wire.send(signer(gateway).get("/hostile/nothing-then-farewell"))
        answer = wire.answer("GET")
    assert (answer.status, b"<Code>ServiceUnavailable</Code>" in answer.body) == (503, True)
    wait_until(lambda: _is_idle(gateway), seconds=5, what="the end of the request")


@pytest.mark.parametrize("key", ["silence", "farewell", "no-http"])
def test_no_answer_is_an_error(gateway: Gateway, key: str) -> None:
    """An upstream that says nothing, hangs up or speaks no HTTP: 503 in bounded time, for reads and writes."""
    started = time.monotonic()
    for upload in (signer(gateway).get(f"/hostile/{key}"), signer(gateway).upload(f"/hostile/{key}", b"x", "literal")):
        answer = exchange(gateway.endpoint, gateway.ca_file, upload)
        assert (answer.code, answer.status) == ("ServiceUnavailable", 503)
    assert time.monotonic() - started < 20
    assert _is_idle(gateway)


def test_success_before_the_end_of_the_body_is_no_success(gateway: Gateway) -> None:
    """A server that reports success for a body that it has not got: the client gets an error."""
    upload = signer(gateway).upload("/hostile/too-early", bytes(1_000_000), "chunks")
    with connected(gateway.endpoint, gateway.ca_file) as wire:
        wire.socket.sendall(upload.head + upload.body[:500_000])
        assert wire.answer().status == 503
    wait_until(lambda: _is_idle(gateway), seconds=5, what="the end of the request")


@pytest.mark.parametrize("size", [10, 200_000])
def test_success_without_proof_is_no_success(gateway: Gateway, size: int) -> None:
    """A server that ignores the encryption that was asked for: 501, counted."""
    counted = gateway.metric("sealgate_encryption_unproven_total", mode="sse-s3")
    upload = signer(gateway).upload("/hostile/unproven", bytes(size), "literal")
    answer = exchange(gateway.endpoint, gateway.ca_file, upload)
    assert (answer.code, answer.status) == ("NotImplemented", 501)
    assert gateway.metric("sealgate_encryption_unproven_total", mode="sse-s3") == counted + 1


def test_no_redirect_is_followed_or_passed_on(gateway: Gateway, hostile: HostileServer) -> None:
    """Neither the gateway nor its client is led to another server."""
    answer = exchange(gateway.endpoint, gateway.ca_file, signer(gateway).get("/hostile/redirect"))
    assert "location" not in answer.headers
    assert not hostile.has_seen("elsewhere")


def test_a_reader_that_goes_away_ends_the_upstreams_answer(gateway: Gateway, hostile: HostileServer) -> None:
    """The upstream's connection ends within a second or two of the client's, and no request is left."""
    with connected(gateway.endpoint, gateway.ca_file) as wire:
        wire.send(signer(gateway).get("/hostile/endless"))
        assert wire.socket.recv(10_000)
    assert hostile.last("endless").ended.wait(3)
    wait_until(lambda: _is_idle(gateway), seconds=3, what="the end of the request")


def test_a_client_that_gives_up_waiting_ends_the_upstreams_request(gateway: Gateway, hostile: HostileServer) -> None:
    """Also before the upstream answered at all."""
    before = len(hostile.seen)
    with connected(gateway.endpoint, gateway.ca_file) as wire:
        wire.send(signer(gateway).get("/hostile/silence"))
        wait_until(lambda: len(hostile.seen) > before, seconds=5, what="the upstream's request")
    assert hostile.last("silence").ended.wait(2)
    wait_until(lambda: _is_idle(gateway), seconds=2, what="the end of the request")


def test_a_writer_that_goes_away_ends_the_upstreams_request(gateway: Gateway, hostile: HostileServer) -> None:
    """An upload that stops in the middle is broken off upstream, never completed."""
    before = len(hostile.seen)
    upload = signer(gateway).upload("/hostile/silence", bytes(1_000_000), "chunks")
    with connected(gateway.endpoint, gateway.ca_file) as wire:
        wire.socket.sendall(upload.head + upload.body[:500_000])
        wait_until(lambda: len(hostile.seen) > before, seconds=5, what="the upstream's request")
    assert hostile.last("silence").ended.wait(2)
    wait_until(lambda: _is_idle(gateway), seconds=2, what="the end of the request")


def test_readers_that_stop_reading_cost_bounded_memory(gateway: Gateway) -> None:
    """Backpressure reaches the upstream: 20 clients that take nothing of endless answers cost a few buffers each."""

    def sent() -> float:
        return gateway.metric("sealgate_request_bytes_total", direction="out")

    before = gateway.process.resident_bytes()
    with ExitStack() as stack:
        for _ in range(20):
            wire = stack.enter_context(connected(gateway.endpoint, gateway.ca_file, receive_bytes=4096))
            wire.send(signer(gateway).get("/hostile/endless"))
            assert wire.socket.recv(100)
        growth = _peak_growth(gateway, before, seconds=3)
        assert gateway.metric("sealgate_requests_in_flight") == 20
    assert growth < 20 * 3 * 2**20
    wait_until(lambda: _is_idle(gateway), seconds=5, what="the end of the requests")
    assert sent() < 20 * 16 * 2**20


def _peak_growth(gateway: Gateway, before: int, *, seconds: float) -> int:
    """The largest resident memory within a time, beyond ``before``."""
    deadline = time.monotonic() + seconds
    peak = 0
    while time.monotonic() < deadline:
        peak = max(peak, gateway.process.resident_bytes())
        time.sleep(0.05)
    return peak - before
