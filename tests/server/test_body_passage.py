"""Large bodies that do not go through the parser: whole, in order, and ended where their length says."""

import asyncio
import hashlib
import random
import threading

import pytest

from gateway.net.tls_transport import READ_BYTES
from gateway.server.body_passage import READ_BUFFER_BYTES
from gateway.server.limits import LimitSettings
from tests.server.conftest import Start, eventually

_WORTHWHILE = 65_536
_NEXT = b"PUT /read HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"


def data(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def put(path: str, body_size: int, *fields: str) -> bytes:
    lines = [f"PUT {path} HTTP/1.1", "Host: h", f"Content-Length: {body_size}", *fields]
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


@pytest.mark.parametrize("piece_size", [1_000_000, 30_011, 1_999])
@pytest.mark.parametrize("size", [_WORTHWHILE - 1, _WORTHWHILE, _WORTHWHILE + 1, 131_073, 700_001])
def test_a_body_and_the_request_behind_it(start: Start, size: int, piece_size: int) -> None:
    running = start()
    running.backend.release.set()
    client = running.connect()
    body = data(size)
    for _ in range(2):  # the parser of the second request is another one
        sent = put("/digest", size) + body + _NEXT
        for at in range(0, len(sent), piece_size):
            client.send(sent[at : at + piece_size])
        assert client.answer().body.decode() == hashlib.sha256(body).hexdigest()
        assert client.answer().body == b"3"


@pytest.mark.parametrize("first", [0, 1, 4_464, 4_465, 69_999])
def test_a_body_whose_beginning_came_with_its_head(start: Start, first: int) -> None:
    """The rest is large enough to pass, or not by one byte."""
    running = start()
    client = running.connect()
    body = data(70_000)
    client.send(put("/digest", len(body)) + body[:first])
    assert running.backend.entered.acquire(timeout=5)
    client.send(body[first:] + _NEXT)
    running.backend.release.set()
    assert client.answer().body.decode() == hashlib.sha256(body).hexdigest()
    assert client.answer().body == b"3"


def test_a_body_that_nobody_reads_yet_stays_with_the_client(start: Start) -> None:
    running = start()
    client = running.connect()
    body = bytes(64 * 1024 * 1024)
    client.send(put("/digest", len(body)))
    sending = threading.Thread(target=client.send, args=(body,))
    sending.start()
    sending.join(0.5)
    assert sending.is_alive()
    assert running.backend.body is not None
    assert 0 < running.backend.body.total_bytes <= READ_BUFFER_BYTES * 2 + READ_BYTES
    running.backend.release.set()
    assert client.answer().body.decode() == hashlib.sha256(body).hexdigest()
    sending.join(5)
    assert client.request("/read").status == 200


def test_a_client_that_leaves_ends_its_request(start: Start) -> None:
    running = start()
    running.backend.release.set()
    client = running.connect()
    client.send(put("/digest", 1_000_000) + data(999_999))
    assert running.backend.entered.acquire(timeout=5)
    client.close()
    eventually(lambda: bool(running.backend.errors))
    assert [type(error) for error in running.backend.errors] == [asyncio.CancelledError]


def test_a_body_that_stalls_is_a_request_timeout(start: Start) -> None:
    running = start(limits=LimitSettings(body_seconds=0.3))
    running.backend.release.set()
    client = running.connect()
    client.send(put("/digest", 1_000_000) + data(999_999))
    assert client.answer().body == b"RequestTimeout"
    assert client.is_closed()


@pytest.mark.parametrize(
    "behind", [b"more of it\r\n\r\n", put("/read", 0, *["X: 1"] * 100)], ids=["no request", "too many fields"]
)
def test_what_is_behind_a_body_is_held_to_the_rules_of_heads(start: Start, behind: bytes) -> None:
    running = start()
    running.backend.release.set()
    client = running.connect()
    client.send(put("/digest", 200_000) + data(200_000) + behind)
    answer = client.answer()
    assert answer.body.decode() == hashlib.sha256(data(200_000)).hexdigest()
    assert answer.headers["connection"] == "close"
    assert client.is_closed()
    assert len(running.backend.connections) == 1


def test_a_body_in_chunks_is_parsed(start: Start) -> None:
    running = start()
    running.backend.release.set()
    client = running.connect()
    body = data(200_000)
    head = b"PUT /digest HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    client.send(head + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n" + _NEXT)
    assert client.answer().body.decode() == hashlib.sha256(body).hexdigest()
    assert client.answer().body == b"3"
