"""The orderly end: nothing that runs is lost, nothing new begins, and it ends in time."""

import ssl
import threading
import time

import pytest

from gateway.server.limits import TrackedConnection
from gateway.server.listeners import HttpsListener
from gateway.server.protocol import GatewayProtocol
from tests.server.conftest import Start, eventually

WAIT = b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n"


def test_an_idle_worker_ends_at_once(start: Start) -> None:
    running = start()
    begun = time.monotonic()
    running.begin_stop()
    assert running.stopped.wait(10)
    assert time.monotonic() - begun < 10


def test_idle_connections_are_closed_and_new_ones_refused(start: Start) -> None:
    running = start()
    busy, idle, silent = running.connect(), running.connect(), running.connect()
    idle.request("/read")
    busy.send(WAIT)
    assert running.backend.entered.acquire(timeout=10)
    assert running.backend.entered.acquire(timeout=10)
    running.begin_stop()
    assert idle.is_closed()
    assert silent.is_closed()
    with pytest.raises(ConnectionError):
        running.connect()
    running.backend.release.set()
    answer = busy.answer()
    assert (answer.body, answer.headers["connection"]) == (b"waited", "close")
    assert busy.is_closed()
    assert running.stopped.wait(10)


def test_an_upload_that_is_running_is_finished(start: Start) -> None:
    running = start()
    client = running.connect()
    client.send(b"PUT /read HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n" + b"x" * 100_000)
    assert running.backend.entered.acquire(timeout=10)
    running.begin_stop()
    time.sleep(0.3)
    client.send(b"x" * 200_000)
    answer = client.answer()
    assert (answer.body, answer.headers["connection"]) == (b"300000", "close")
    assert running.stopped.wait(10)


def test_a_download_that_is_running_is_finished(start: Start) -> None:
    running = start()
    client = running.connect()
    client.send(b"GET /stream HTTP/1.1\r\nHost: h\r\n\r\n")
    assert running.backend.entered.acquire(timeout=10)
    running.begin_stop()
    assert len(client.answer().body) == 64 * 1024 * 1024
    assert running.stopped.wait(10)


def test_a_head_on_its_way_is_still_served(start: Start) -> None:
    running = start()
    client, busy = running.connect(), running.connect()
    busy.send(WAIT)
    client.send(b"GET /read HTTP/1.1\r\n")
    assert running.backend.entered.acquire(timeout=10)
    eventually(lambda: running.call(lambda: any(has_begun(item) for item in running.worker._serving.table.snapshot())))
    running.begin_stop()
    eventually(lambda: running.admin("/readyz")[0] == 503)
    client.send(b"Host: h\r\n\r\n")
    assert client.answer().status == 200


def has_begun(connection: TrackedConnection) -> bool:
    return isinstance(connection, GatewayProtocol) and connection._head_bytes > 0


def test_what_takes_too_long_is_broken_off(start: Start) -> None:
    running = start(drain_seconds=0.3)
    client = running.connect()
    client.send(WAIT)
    assert running.backend.entered.acquire(timeout=10)
    begun = time.monotonic()
    running.begin_stop()
    assert client.is_closed()
    assert running.stopped.wait(10)
    assert 0.2 < time.monotonic() - begun < 10
    assert [type(error).__name__ for error in running.backend.errors] == ["CancelledError"]


def test_a_second_signal_breaks_off_at_once(start: Start) -> None:
    running = start(drain_seconds=60)
    client = running.connect()
    client.send(WAIT)
    assert running.backend.entered.acquire(timeout=10)
    running.begin_stop()
    time.sleep(0.1)
    running.loop.call_soon_threadsafe(running.at_once.set)
    assert running.stopped.wait(10)


def test_readiness_says_so_while_it_drains(start: Start) -> None:
    running = start()
    assert running.admin("/readyz")[0] == 200
    client = running.connect()
    client.send(WAIT)
    assert running.backend.entered.acquire(timeout=10)
    running.begin_stop()
    eventually(lambda: running.admin("/readyz")[0] == 503)
    assert running.admin("/readyz")[1] == {"status": "not ready", "checks": {"process": "draining"}}
    assert running.admin("/livez")[0] == 200
    running.backend.release.set()
    assert running.stopped.wait(10)


def test_tls_connections_drain_too(start: Start, https: HttpsListener, trusting: ssl.SSLContext) -> None:
    running = start(https)
    idle, busy = running.connect("https", trusting), running.connect("https", trusting)
    idle.request("/read")
    busy.send(WAIT)
    for _ in range(2):
        assert running.backend.entered.acquire(timeout=10)
    running.begin_stop()
    closed = threading.Event()

    def wait_for_the_end() -> None:
        if idle.is_closed():
            closed.set()

    threading.Thread(target=wait_for_the_end).start()
    assert closed.wait(3)
    running.backend.release.set()
    assert busy.answer().headers["connection"] == "close"
    busy.close()
    assert running.stopped.wait(10)


def test_a_request_that_was_just_parsed_is_not_taken_for_idle(start: Start) -> None:
    """Between the parser and the data path lie a few turns of the event loop."""
    running = start()
    client = running.connect()
    eventually(lambda: running.call(lambda: len(running.worker._serving.table)) == 1)

    def look_every_turn(turns: int) -> None:
        for connection in running.worker._serving.table.snapshot():
            connection.sweep(running.loop.time())
            connection.finish()
        if turns:
            running.loop.call_soon(look_every_turn, turns - 1)

    def parse_and_look() -> None:
        (connection,) = running.worker._serving.table.snapshot()
        assert isinstance(connection, GatewayProtocol)
        connection.data_received(b"GET /read HTTP/1.1\r\nHost: h\r\n\r\n")
        look_every_turn(10)

    running.call(parse_and_look)
    assert client.answer().status == 200
    assert client.is_closed()
