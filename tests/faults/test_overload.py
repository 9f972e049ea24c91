"""More requests than places, or than there is time for: some wait, some get 503 SlowDown, nothing else happens."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.process import wait_until
from lab.seaweed import SeaweedFS
from tests.faults.help import signer
from tests.faults.wire import Answer, Upload, Wire, connected

_BUCKET = "overload"
_PLACES = 4
_QUEUE_SECONDS = 0.3
_MANY = 200
_FEW = 8
_MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, authority: CertificateAuthority, seaweed: SeaweedFS
) -> Iterator[Gateway]:
    server = Gateway(
        tmp_path_factory.mktemp("overload"),
        authority,
        seaweed,
        rules=[{"name": "all", "buckets": ["*"], "mode": "sse-s3"}],
        options={"limits": {"maximum_concurrent_requests": _PLACES, "queue_timeout_seconds": _QUEUE_SECONDS}},
    )
    server.start()
    client = server.client()
    client.create_bucket(Bucket=_BUCKET)
    client.put_object(Bucket=_BUCKET, Key="small", Body=b"x" * 1024)
    client.close()
    yield server
    server.stop()


def get(gateway: Gateway) -> Upload:
    return signer(gateway).get(f"/{_BUCKET}/small")


def connect(stack: ExitStack, gateway: Gateway) -> Wire:
    return stack.enter_context(connected(gateway.endpoint, gateway.ca_file))


def test_requests_wait_for_a_place_and_are_refused_when_none_comes(gateway: Gateway) -> None:
    """All places are held by clients that are slow with their uploads; when these are done, waiting requests go on."""
    shed = gateway.metric("sealgate_shed_total", reason="requests")
    upload = signer(gateway).upload(f"/{_BUCKET}/slow", b"y" * 1000, "literal")
    with ExitStack() as stack:
        slow = [connect(stack, gateway) for _ in range(_PLACES)]
        for wire in slow:
            wire.socket.sendall(upload.head + upload.body[:500])
        in_flight = "sealgate_requests_in_flight"
        wait_until(lambda: gateway.metric(in_flight) == _PLACES, seconds=10, what="the uploads")
        late = connect(stack, gateway)
        begun = time.monotonic()
        late.send(get(gateway))
        answer = late.answer()
        assert (answer.status, answer.code) == (503, "SlowDown")
        assert time.monotonic() - begun >= _QUEUE_SECONDS
        assert gateway.is_live(), "health does not wait"
        assert gateway.metric("sealgate_shed_total", reason="requests") == shed + 1
        late.send(get(gateway))  # over the same connection, which stayed
        for wire in slow:
            wire.socket.sendall(upload.body[500:])
        assert late.answer().status == 200
        assert [wire.answer().status for wire in slow] == [200] * _PLACES
    assert gateway.metric("sealgate_shed_total", reason="requests") == shed + 1


def test_the_body_of_a_waiting_upload_is_whole(gateway: Gateway) -> None:
    """What of it came while it waited and what was held back come together."""
    payload = bytes(range(256)) * 4096
    blocker = signer(gateway).upload(f"/{_BUCKET}/slow", b"y" * 1000, "literal")
    upload = signer(gateway).upload(f"/{_BUCKET}/waited", payload, "chunks-trailer")
    with ExitStack() as stack:
        slow = [connect(stack, gateway) for _ in range(_PLACES)]
        for wire in slow:
            wire.socket.sendall(blocker.head + blocker.body[:500])
        wait_until(lambda: gateway.metric("sealgate_requests_in_flight") == _PLACES, seconds=10, what="the uploads")
        waiting = connect(stack, gateway)
        sending = threading.Thread(target=waiting.send, args=(upload,))
        sending.start()
        time.sleep(_QUEUE_SECONDS / 3)
        slow[0].socket.sendall(blocker.body[500:])
        assert waiting.answer().status == 200
        sending.join()
        for wire in slow[1:]:
            wire.socket.sendall(blocker.body[500:])
        assert {wire.answer().status for wire in slow} == {200}
    client = gateway.client()
    assert client.get_object(Bucket=_BUCKET, Key="waited")["Body"].read() == payload
    client.close()


def _closed_loop(gateway: Gateway, clients: int, seconds: float) -> Counter[int]:
    """So many clients, each with one request after the other; how many answers had which status."""
    statuses: Counter[int] = Counter()
    lock = threading.Lock()
    ready = threading.Barrier(clients)

    def run(wire: Wire) -> None:
        ready.wait(60)
        end = time.monotonic() + seconds
        seen: Counter[int] = Counter()
        while time.monotonic() < end:
            wire.send(request)
            answer: Answer = wire.answer()
            seen[answer.status] += 1
        with lock:
            statuses.update(seen)

    request = get(gateway)
    with ExitStack() as stack:
        threads = [threading.Thread(target=run, args=(connect(stack, gateway),)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return statuses


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(180)
def test_throughput_does_not_collapse(gateway: Gateway) -> None:
    """Fifty times as many clients as places: about as many good answers, nothing but 503 besides, memory bounded."""
    _closed_loop(gateway, _FEW, 2)
    few = _closed_loop(gateway, _FEW, 8)
    before = gateway.process.resident_bytes()
    many = _closed_loop(gateway, _MANY, 8)
    assert few.keys() == {200}
    assert many.keys() <= {200, 503}
    assert many[200] >= 0.7 * few[200]
    assert gateway.process.resident_bytes() - before < 64 * _MEBIBYTE
    begun = time.monotonic()
    with connected(gateway.endpoint, gateway.ca_file) as wire:
        wire.send(get(gateway))
        assert wire.answer().status == 200
    assert time.monotonic() - begun < 5
