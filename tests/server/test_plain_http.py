"""Plain HTTP is refused at once, by real sockets: what is answered, what is counted, what is logged."""

import contextlib
import http.client
import re
import socket
import struct
import threading
import time
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.observe.families import PLAIN_HTTP_REASONS
from gateway.server.addresses import TcpAddress, UnixAddress
from gateway.server.limits import LimitSettings
from gateway.server.listeners import RefusingListener
from gateway.server.plain_http import LINGER_BYTES, Exposure, refuse
from tests.server.conftest import Start, eventually

REFUSING = RefusingListener("refusing", TcpAddress("127.0.0.1", 0))
KEY = "x-amz-server-side-encryption-customer-key"
SECRET = "c2VjcmV0LXNzZS1jLWtleS1zZWNyZXQtc3NlLWMta2U="
SIGNATURE = "fe5f80f77d5fa3beca038a248ff027d0445342fe2855ddc963176630326f1024"
AUTHORIZATION = (
    "Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
    f"SignedHeaders=host, Signature={SIGNATURE}"
)
PRESIGNED = (
    "/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2F"
    f"aws4_request&X-Amz-Signature={SIGNATURE}&X-Amz-Security-Token=TOKEN"
)
REQUESTS = [
    ("/b/k", (), 403, "anonymous", None),
    ("/b/k?prefix=x-amz-signature", (), 403, "anonymous", None),
    ("/b/k", (AUTHORIZATION,), 403, "credentials", "AKIAIOSFODNN7EXAMPLE"),
    ("/b/k", (f"authorization: AWS AKIAIOSFODNN7EXAMPLE:{SIGNATURE}",), 403, "credentials", "AKIAIOSFODNN7EXAMPLE"),
    ("/b/k", ("Authorization: Basic dXNlcjpwYXNz",), 403, "credentials", None),
    ("/b/k", ("X-Amz-Security-Token: TOKEN",), 403, "credentials", None),
    (PRESIGNED, (), 403, "presigned", "AKIAIOSFODNN7EXAMPLE"),
    (f"/b/k?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Expires=1&Signature={SIGNATURE}", (), 403, "presigned",
     "AKIAIOSFODNN7EXAMPLE"),
    ("/b/k", (AUTHORIZATION, f"{KEY}: {SECRET}"), 400, "sse_c_key", "AKIAIOSFODNN7EXAMPLE"),
    ("/b/k", (f"X-AMZ-Copy-Source-Server-Side-Encryption-Customer-Key: {SECRET}",), 400, "sse_c_key", None),
    (f"{PRESIGNED}&X-Amz-Server-Side-Encryption-Customer-Key={SECRET}", (), 400, "sse_c_key", "AKIAIOSFODNN7EXAMPLE"),
    (f"/b/k?x%2Damz-server-side-encryption-customer-key={SECRET}", (), 400, "sse_c_key", None),
]  # fmt: skip


def head(target: str, *fields: str, method: str = "PUT") -> bytes:
    return "\r\n".join((f"{method} {target} HTTP/1.1", "Host: s3.example.com", *fields, "", "")).encode()


def refusal_of(logs: list[MutableMapping[str, Any]]) -> MutableMapping[str, Any]:
    (entry,) = [entry for entry in logs if entry["event"] == "plain_http_refused"]
    return entry


@pytest.mark.parametrize(("target", "fields", "status", "kind", "access_key_id"), REQUESTS)
def test_answered_counted_and_logged(
    start: Start, target: str, fields: tuple[str, ...], status: int, kind: str, access_key_id: str | None
) -> None:
    running = start(REFUSING)
    client = running.connect("refusing")
    with capture_logs() as logs:
        client.send(head(target, *fields))
        answer = client.answer()
        assert client.is_closed()
    assert answer.status == status
    assert answer.headers["connection"] == "close"
    assert answer.headers["content-type"] == "application/xml"
    code = re.search(rb"<Code>(\w+)</Code>", answer.body)
    assert code is not None
    assert code.group(1) == (b"InvalidRequest" if kind == "sse_c_key" else b"AccessDenied")
    assert (b"must be made over a secure connection." in answer.body) == (kind == "sse_c_key")
    for reason in PLAIN_HTTP_REASONS:
        assert running.sample("plaintext_http_refused_total", reason=reason) == (reason == kind)
    entry = refusal_of(logs)
    assert (entry["exposed"], entry["access_key_id"]) == (kind, access_key_id)
    assert entry["client_address"] == "127.0.0.1"
    for hidden in (SECRET, SIGNATURE, "TOKEN", "dXNlcjpwYXNz"):
        assert hidden not in str(logs)
        assert hidden.encode() not in answer.body


def test_never_continue(start: Start) -> None:
    client = start(REFUSING).connect("refusing")
    client.send(head("/b/k", "Expect: 100-continue", "Content-Length: 5"))
    assert client.answer().status == 403
    assert client.is_closed()


def test_head_has_no_body(start: Start) -> None:
    client = start(REFUSING).connect("refusing")
    client.send(head("/b/k", method="HEAD"))
    assert client.answer(head=True).status == 403
    assert client.is_closed()


def test_never_a_redirect(start: Start) -> None:
    client = start(REFUSING).connect("refusing")
    client.send(head("/b/k", method="GET"))
    assert "location" not in client.answer().headers


def test_a_head_in_pieces_is_read(start: Start) -> None:
    client = start(REFUSING).connect("refusing")
    for byte in head("/b/k", "Content-Length: 0"):
        client.send(bytes([byte]))
    assert client.answer().status == 403


def test_only_the_first_of_several_requests_is_answered(start: Start) -> None:
    running = start(REFUSING)
    client = running.connect("refusing")
    client.send(head("/b/k") * 3)
    client.answer()
    assert client.is_closed()
    assert running.sample("plaintext_http_refused_total", reason="anonymous") == 1


def test_a_gibibyte_that_is_being_sent_is_refused_and_the_answer_read(start: Start) -> None:
    """The client writes until it is stopped. It still reads the answer, and the gateway took next to nothing."""
    running = start(REFUSING, limits=LimitSettings(linger_seconds=1.0))
    connection = socket.create_connection(("127.0.0.1", running.port("refusing")))
    begun = time.monotonic()
    connection.sendall(head("/b/k", f"Content-Length: {1 << 30}", AUTHORIZATION))
    sent = 0
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while sent < 1 << 30:
            sent += connection.send(bytes(65536))
    answer = connection.recv(65536)
    connection.close()
    assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert b"<Code>AccessDenied</Code>" in answer
    # What the kernels' buffers hold comes on top of what the gateway takes.
    assert sent < LINGER_BYTES + 16 * 1024 * 1024
    assert time.monotonic() - begun < 5


def test_the_answer_comes_at_once_even_when_the_body_does_not(start: Start) -> None:
    client = start(REFUSING, limits=LimitSettings(linger_seconds=30)).connect("refusing")
    begun = time.monotonic()
    client.send(head("/b/k", f"Content-Length: {1 << 30}"))
    assert client.answer().status == 403
    assert client.is_closed()  # the sending side is shut down at once
    assert time.monotonic() - begun < 10


def test_http_client_of_the_standard_library_reads_the_answer(start: Start) -> None:
    running = start(REFUSING)
    connection = http.client.HTTPConnection("127.0.0.1", running.port("refusing"), timeout=10)
    connection.request("PUT", "/b/k", body=bytes(200_000))
    answer = connection.getresponse()
    assert (answer.status, answer.will_close) == (403, True)
    answer.read()
    connection.close()


def test_a_tls_client_hello_is_just_closed(start: Start) -> None:
    running = start(REFUSING)
    client = running.connect("refusing")
    client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    assert client.is_closed()
    assert running.sample("bad_requests_total", reason="tls_on_plain_http") == 1


@pytest.mark.parametrize("data", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"hello\r\n\r\n", b"\x00\x01\r\n\r\n"])
def test_what_is_not_http_1_is_just_closed(start: Start, data: bytes) -> None:
    running = start(REFUSING)
    client = running.connect("refusing")
    client.send(data)
    assert client.is_closed()
    assert running.sample("bad_requests_total", reason="not_http") == 1


def test_a_head_that_never_ends_is_answered_at_its_limit(start: Start) -> None:
    running = start(REFUSING, limits=LimitSettings(max_header_bytes=4096, linger_seconds=0.5))
    client = running.connect("refusing")
    client.send(b"PUT /b/k HTTP/1.1\r\n" + AUTHORIZATION.encode() + b"\r\nX: " + b"a" * 8000)
    assert client.answer().status == 403
    assert running.sample("plaintext_http_refused_total", reason="credentials") == 1


def test_a_head_that_does_not_come_is_not_waited_for(start: Start) -> None:
    running = start(REFUSING, limits=LimitSettings(header_seconds=0.3))
    client = running.connect("refusing")
    client.send(b"GET / HTTP/1.1\r\n")
    assert client.is_closed()
    assert running.sample("connections_timed_out_total", waited_for="header") == 1


def test_a_client_that_does_not_leave_is_ended(start: Start) -> None:
    running = start(REFUSING, limits=LimitSettings(linger_seconds=0.3))
    client = running.connect("refusing")
    client.send(head("/b/k", "Content-Length: 100"))
    client.answer()

    def is_ended() -> bool:
        try:
            client.send(b"x")
        except ConnectionError:
            return True
        return False

    eventually(is_ended, within=10)


def test_many_connections_are_limited_here_too(start: Start) -> None:
    running = start(REFUSING, limits=LimitSettings(max_connections=1))
    running.connect("refusing").send(b"GET")
    assert running.connect("refusing").is_closed()
    assert running.sample("shed_total", reason="connections") == 1


def test_unix_socket(start: Start, tmp_path: Path) -> None:
    running = start(RefusingListener("refusing", UnixAddress(tmp_path / "plain.sock")))
    client = running.connect("refusing")
    with capture_logs() as logs:
        client.send(head("/b/k"))
        assert client.answer().status == 403
    assert refusal_of(logs)["client_address"] == "unix"


def test_a_reset_by_the_client_is_no_fault(start: Start) -> None:
    running = start(REFUSING)
    connection = socket.create_connection(("127.0.0.1", running.port("refusing")))
    connection.sendall(head("/b/k"))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    client = running.connect("refusing")
    client.send(head("/b/k"))
    assert client.answer().status == 403


def test_many_refusals_at_a_time(start: Start) -> None:
    running = start(REFUSING)
    answers = []

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", running.port("refusing"), timeout=10)
        connection.request("GET", "/b/k")
        answers.append(connection.getresponse().status)
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [403] * 20
    assert running.sample("plaintext_http_refused_total", reason="anonymous") == 20


def test_the_metric_knows_every_exposure() -> None:
    assert set(PLAIN_HTTP_REASONS) == {exposure.value for exposure in Exposure}


@pytest.mark.parametrize(
    "authorization",
    ["AWS4-HMAC-SHA256 Credential=a/b+c=/20130524", "AWS wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY:sig", "AWS", ""],
)
def test_what_can_not_be_an_access_key_id_is_not_logged(authorization: str) -> None:
    assert refuse("/", [("Authorization", authorization)]).access_key_id is None
