"""Limits, time-outs and errors of data-path connections, by real sockets."""

import re
import socket
import ssl
import threading
import time

import pytest

from gateway.errors import S3Error
from gateway.server.limits import LimitSettings
from gateway.server.listeners import HttpsListener
from tests.server.conftest import PLAIN, Client, Start, eventually

HEAD = b"GET /read HTTP/1.1\r\nHost: s3.localhost\r\n"


def error_code(body: bytes) -> str:
    assert body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>')
    found = re.search(rb"<Code>(\w+)</Code>", body)
    assert found is not None
    return found.group(1).decode()


def test_a_body_arrives_whole_and_the_connection_is_kept(start: Start) -> None:
    client = start().connect()
    assert client.request("/read", method="PUT", body=b"x" * 300_000).body == b"300000"
    assert client.request("/read", method="PUT").body == b"0"


def test_requests_sent_at_once_are_answered_in_order(start: Start) -> None:
    client = start().connect()
    bodies = [b"x" * size for size in (0, 1, 70_000, 5)]
    heads = [b"PUT /read HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) for body in bodies]
    client.send(b"".join(head + body for head, body in zip(heads, bodies, strict=True)))
    assert [client.answer().body for _ in bodies] == [b"0", b"1", b"70000", b"5"]


def test_compressed_bodies_are_not_inflated(start: Start) -> None:
    client = start().connect()
    assert client.request("/read", "Content-Encoding: gzip", method="PUT", body=b"not gzip").body == b"8"


def test_continue_is_left_to_the_data_path(start: Start) -> None:
    client = start().connect()
    client.send(b"PUT /read HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    assert client.answer().status == 100
    client.send(b"hello")
    assert client.answer().body == b"5"


def test_a_refused_expectation_gets_no_continue_and_closes(start: Start) -> None:
    client = start().connect()
    client.send(b"PUT /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    answer = client.answer()
    assert (answer.status, answer.headers["connection"]) == (403, "close")


@pytest.mark.parametrize(("size", "kept"), [(1, True), (60_000, True), (70_000, False), (1 << 30, False)])
def test_the_connection_survives_a_short_unread_body_only(start: Start, size: int, kept: bool) -> None:
    client = start().connect()
    client.send(b"PUT /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size)
    answer = client.answer()
    assert answer.status == 403
    assert answer.headers.get("connection", "keep-alive") == ("keep-alive" if kept else "close")
    if kept:
        client.send(b"x" * size)
        assert client.request("/read").status == 200


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"not http at all\r\n\r\n", "BadRequest"),
        (b"GET / HTTP/1.1\r\n\r\n", "BadRequest"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nbad name: x\r\n\r\n", "BadRequest"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "BadRequest"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n", "BadRequest"),
        (b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n", "MethodNotAllowed"),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", "RequestHeaderSectionTooLarge"),
        (HEAD + b"X: " + b"a" * 70_000 + b"\r\n\r\n", "RequestHeaderSectionTooLarge"),
        (HEAD + b"X: 1\r\n" * 100 + b"\r\n", "RequestHeaderSectionTooLarge"),
        (
            HEAD + b"".join(b"X%d: %s\r\n" % (i, b"a" * 900) for i in range(80)) + b"\r\n",
            "RequestHeaderSectionTooLarge",
        ),
    ],
    ids=["garbage", "no host", "bad name", "both lengths", "bad length", "connect", "target", "field", "count", "sum"],
)
def test_bad_heads_get_xml_and_the_connection_ends(start: Start, data: bytes, code: str) -> None:
    running = start()
    client = running.connect()
    client.send(data)
    answer = client.answer()
    assert answer.status == (405 if code == "MethodNotAllowed" else 400)
    assert answer.headers["content-type"] == "application/xml"
    assert error_code(answer.body) == code
    assert answer.headers["connection"] == "close"
    assert client.is_closed()
    assert running.backend.connections == []


def test_99_fields_and_64_kib_are_accepted(start: Start) -> None:
    client = start().connect()
    fields = [f"X{i}: {'a' * 640}" for i in range(99)]
    assert client.request("/read", *fields).status == 200


def test_an_endless_head_is_answered_while_it_is_still_being_sent(start: Start) -> None:
    """The answer comes although the head never ends and far more than the limit is on its way."""
    client = start(limits=LimitSettings(max_header_bytes=8192, linger_seconds=1.0)).connect()
    client.send(HEAD)
    sent = threading.Thread(target=_send_fields, args=(client, 4000))
    sent.start()
    answer = client.answer()
    sent.join()
    assert error_code(answer.body) == "RequestHeaderSectionTooLarge"


def _send_fields(client: Client, count: int) -> None:
    for number in range(count):
        client.send(b"X-Filler-%05d: %s\r\n" % (number, b"a" * 50))


def test_answers_to_bad_heads_quote_nothing(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    client = start().connect()
    client.send(
        b"GET / HTTP/1.1\r\nHost: h\r\nx-amz-server-side-encryption-customer-key: SECRET\r\nbad name: y\r\n\r\n"
    )
    assert b"SECRET" not in client.answer().body
    assert "SECRET" not in caplog.text


def test_a_body_that_can_not_be_parsed_does_not_hang(start: Start) -> None:
    running = start()
    client = running.connect()
    client.send(b"PUT /read HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    assert running.backend.entered.acquire(timeout=10)
    client.send(b"no size\r\n")
    answer = client.answer()
    assert (answer.status, answer.body) == (400, b"IncompleteBody")
    assert client.is_closed()


def test_a_fault_of_the_program_is_an_internal_error_without_details(start: Start) -> None:
    client = start().connect()
    answer = client.request("/crash")
    assert answer.status == 500
    assert error_code(answer.body) == "InternalError"
    assert b"secret detail" not in answer.body


def test_a_fault_after_the_headers_breaks_off(start: Start) -> None:
    client = start().connect()
    with pytest.raises(ConnectionError):
        client.request("/break_off")


def test_errors_to_head_requests_have_no_body(start: Start) -> None:
    client = start(limits=LimitSettings(max_concurrent_requests=0)).connect()
    answer = client.request("/read", method="HEAD")
    assert answer.status == 503
    assert client.request("/read").status == 503


def test_a_client_that_leaves_cancels_its_request(start: Start) -> None:
    running = start()
    client = running.connect()
    client.send(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n")
    assert running.backend.entered.acquire(timeout=10)
    client.close()
    eventually(lambda: running.backend.errors)
    assert [type(error).__name__ for error in running.backend.errors] == ["CancelledError"]


def test_too_many_requests_get_slow_down_and_keep_their_connection(start: Start) -> None:
    running = start(limits=LimitSettings(max_concurrent_requests=1))
    busy, turned_away = running.connect(), running.connect()
    busy.send(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n")
    assert running.backend.entered.acquire(timeout=10)
    answer = turned_away.request("/read")
    assert answer.status == 503
    assert error_code(answer.body) == "SlowDown"
    assert answer.headers["retry-after"] == "1"
    assert running.sample("shed_total", reason="requests") == 1
    running.backend.release.set()
    assert busy.answer().body == b"waited"
    assert turned_away.request("/read").status == 200


def test_too_many_connections_are_closed(start: Start) -> None:
    running = start(limits=LimitSettings(max_connections=2))
    first, second = running.connect(), running.connect()
    assert first.request("/read").status == second.request("/read").status == 200
    assert running.connect().is_closed()
    assert running.sample("shed_total", reason="connections") == 1
    first.close()
    eventually(lambda: running.call(lambda: len(running.worker._serving.table)) == 1)
    assert running.connect().request("/read").status == 200


# ------------------------------------------------------------------------------------------------------------ time-outs


def test_a_head_sent_drop_by_drop_is_ended(start: Start) -> None:
    running = start(limits=LimitSettings(header_seconds=0.4))
    client = running.connect()
    begun = time.monotonic()

    def is_ended() -> bool:
        try:
            client.send(b"x")
        except ConnectionError:
            return True
        return False

    client.send(HEAD + b"X-Slow: ")
    eventually(is_ended)
    assert 0.3 < time.monotonic() - begun < 10
    assert running.sample("connections_timed_out_total", waited_for="header") == 1


def test_a_connection_that_says_nothing_has_the_header_time(start: Start) -> None:
    running = start(limits=LimitSettings(header_seconds=0.2))
    assert running.connect().is_closed()


def test_a_second_head_is_timed_from_its_first_byte(start: Start) -> None:
    running = start(limits=LimitSettings(header_seconds=1.0, idle_seconds=30))
    client = running.connect()
    client.request("/read")
    time.sleep(1.3)
    assert client.request("/read").status == 200
    client.send(b"GET /")
    assert client.is_closed()


def test_an_idle_connection_is_closed(start: Start) -> None:
    running = start(limits=LimitSettings(idle_seconds=0.3))
    client = running.connect()
    client.request("/read")
    assert client.is_closed()
    assert running.sample("connections_timed_out_total", waited_for="idle") == 1


def test_a_request_being_served_is_not_idle(start: Start) -> None:
    running = start(limits=LimitSettings(idle_seconds=0.2, header_seconds=0.2, body_seconds=0.2))
    client = running.connect()
    client.send(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n")
    time.sleep(0.8)
    running.backend.release.set()
    assert client.answer().body == b"waited"


def test_a_stalled_body_is_a_request_timeout(start: Start) -> None:
    running = start(limits=LimitSettings(body_seconds=0.3))
    client = running.connect()
    client.send(b"PUT /read HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nsome")
    answer = client.answer()
    assert (answer.status, answer.body, answer.headers["connection"]) == (400, b"RequestTimeout", "close")
    assert client.is_closed()
    assert isinstance(running.backend.errors[0], S3Error)
    assert running.sample("connections_timed_out_total", waited_for="body") == 1


def test_a_slow_body_is_not_a_stalled_one(start: Start) -> None:
    client = start(limits=LimitSettings(body_seconds=1.0)).connect()
    client.send(b"PUT /read HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n")
    for _ in range(10):
        client.send(b"x")
        time.sleep(0.15)
    assert client.answer().body == b"10"


def test_a_body_that_was_not_asked_for_yet_is_not_stalled(start: Start) -> None:
    running = start(limits=LimitSettings(body_seconds=0.2))
    client = running.connect()
    client.send(b"PUT /wait HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n")
    time.sleep(0.8)
    running.backend.release.set()
    assert client.answer().status == 200


def test_a_body_stalled_after_continue_is_a_request_timeout(start: Start) -> None:
    client = start(limits=LimitSettings(body_seconds=0.3)).connect()
    client.send(b"PUT /read HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n")
    assert client.answer().status == 100
    assert client.answer().body == b"RequestTimeout"


def test_a_reader_that_takes_nothing_is_ended(start: Start) -> None:
    running = start(limits=LimitSettings(idle_seconds=0.4))
    client = running.connect()
    client.send(b"GET /stream HTTP/1.1\r\nHost: h\r\n\r\n")
    eventually(lambda: running.sample("connections_timed_out_total", waited_for="reader") == 1)
    eventually(lambda: [type(error).__name__ for error in running.backend.errors] == ["CancelledError"])


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_reader_that_takes_little_is_served(
    start: Start, https: HttpsListener, trusting: ssl.SSLContext, encrypted: bool
) -> None:
    """2 KiB at a time, far less than a buffer per time-out: every byte that the client takes counts."""
    running = start(https if encrypted else PLAIN, limits=LimitSettings(idle_seconds=1.2))
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    plain.connect(("127.0.0.1", running.port("https" if encrypted else "plain")))
    client = running.adopt(plain, trusting if encrypted else None)
    client.send(b"GET /stream HTTP/1.1\r\nHost: h\r\n\r\n")
    for _ in range(30):
        assert client.socket.recv(2048)
        time.sleep(0.1)
    assert running.sample("connections_timed_out_total", waited_for="reader") == 0
    eventually(lambda: running.sample("connections_timed_out_total", waited_for="reader") == 1)


def test_slow_clients_do_not_hold_up_a_fast_one(start: Start) -> None:
    running = start()
    slow = [running.connect() for _ in range(200)]
    for client in slow:
        client.send(b"PUT /read HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nx")
    fast = running.connect()
    begun = time.monotonic()
    for _ in range(20):
        assert fast.request("/read", method="PUT", body=b"y" * 1000).body == b"1000"
    assert time.monotonic() - begun < 5
    for client in slow:
        client.close()
