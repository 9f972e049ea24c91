"""Plain HTTP to the running gateway: refused at once, nothing read, nothing secret in the log."""

import base64
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.s3_server import Credentials
from lab.seaweed import SeaweedFS
from tests.faults.help import keys_in
from tests.faults.wire import BrokenOffError, Signer, Upload, Wire, connected

_BUCKET = "plain-http"
_GIBIBYTE = 2**30
_AT_ONCE_SECONDS = 1.0
#: What kernels and the gateway may take in of a body that nobody reads.
_TAKEN_BYTES = 16 * 2**20
_KEY = base64.b64encode(os.urandom(32)).decode()
_KEY_FIELDS = {
    "x-amz-server-side-encryption-customer-algorithm": "AES256",
    "x-amz-server-side-encryption-customer-key": _KEY,
    "x-amz-server-side-encryption-customer-key-md5": base64.b64encode(os.urandom(16)).decode(),
}
_CREDENTIALS = Credentials("SEALGATELABCLIENT001")


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, authority: CertificateAuthority, seaweed: SeaweedFS
) -> Iterator[Gateway]:
    server = Gateway(
        tmp_path_factory.mktemp("plain-http"),
        authority,
        seaweed,
        rules=[{"name": "all", "buckets": ["*"], "mode": "sse-s3"}],
        credentials=_CREDENTIALS,
    )
    server.start()
    seaweed.client().create_bucket(Bucket=_BUCKET)
    yield server
    server.stop()


def _upload(gateway: Gateway, kind: str) -> Upload:
    sign = Signer(_CREDENTIALS, gateway.http_endpoint.partition("//")[2])
    path = f"/{_BUCKET}/{kind}"
    match kind:
        case "sse_c_key":
            return sign.upload(path, b"data", "literal", extra=_KEY_FIELDS)
        case "credentials":
            return sign.upload(path, b"data", "chunks")
        case "presigned":
            return sign.upload(path, b"data", "presigned")
        case _:
            return Upload(path, {"host": "localhost", "Content-Length": "4"}, b"data", {})


_KINDS = {
    "sse_c_key": ("InvalidRequest", 400),
    "credentials": ("AccessDenied", 403),
    "presigned": ("AccessDenied", 403),
    "anonymous": ("AccessDenied", 403),
}


@pytest.mark.parametrize("expect", [False, True], ids=["sends", "expects"])
@pytest.mark.parametrize("kind", _KINDS)
def test_plain_http_is_refused_at_once(gateway: Gateway, seaweed: SeaweedFS, kind: str, expect: bool) -> None:
    """An S3 error before any 100 Continue, the connection closed, the exposure counted, nothing stored."""
    counted = gateway.metric("sealgate_plaintext_http_refused_total", reason=kind)
    upload = _upload(gateway, kind)
    if expect:
        upload = upload.with_fields(Expect="100-continue")
    started = time.monotonic()
    with connected(gateway.http_endpoint) as wire:
        wire.socket.sendall(upload.head + (b"" if expect else upload.body))
        first = wire.socket.recv(12, socket.MSG_PEEK)
        answer = wire.answer()
        with pytest.raises(BrokenOffError):
            wire.answer()
    assert time.monotonic() - started < _AT_ONCE_SECONDS
    assert first.startswith(b"HTTP/1.1 4")
    assert (answer.code, answer.status) == _KINDS[kind]
    assert answer.headers["connection"] == "close"
    assert gateway.metric("sealgate_plaintext_http_refused_total", reason=kind) == counted + 1
    assert keys_in(seaweed.client(), _BUCKET) == []


@pytest.mark.parametrize("expect", [False, True], ids=["sends", "expects"])
def test_a_gibibyte_is_refused_unread(gateway: Gateway, expect: bool) -> None:
    """A body of 1 GiB is announced and sent: the answer is there at once, and almost nothing of the body is taken."""
    upload = _upload(gateway, "sse_c_key").with_fields(Content_Length=str(_GIBIBYTE))
    before = gateway.process.resident_bytes()
    if expect:
        upload = upload.with_fields(Expect="100-continue")
    with connected(gateway.http_endpoint) as wire:
        started = time.monotonic()
        wire.socket.sendall(upload.head)
        taken = _push(wire)
        answer = wire.answer()
        seconds = time.monotonic() - started
    assert (answer.code, answer.status) == ("InvalidRequest", 400)
    assert taken < _TAKEN_BYTES
    assert seconds < 5  # until the gateway hangs up on a client that goes on sending
    assert gateway.process.resident_bytes() - before < 8 * 2**20


def _push(wire: Wire) -> int:
    """Send zeros until the connection takes no more; how many it took."""
    block = bytes(65_536)
    taken = 0
    wire.socket.settimeout(0.5)
    try:
        while taken < _GIBIBYTE:
            taken += wire.socket.send(block)
    except OSError:
        pass  # refused or full: both end the sending
    wire.socket.settimeout(10)
    return taken


def test_a_wrong_length_or_half_a_head_does_not_hold_the_listener(gateway: Gateway) -> None:
    """Clients that send half a head, nothing, or what is no HTTP do not keep others from being refused at once."""
    with (
        connected(gateway.http_endpoint) as silent,
        connected(gateway.http_endpoint) as half,
        connected(gateway.http_endpoint) as garbage,
    ):
        half.socket.sendall(b"PUT /x HTTP/1.1\r\nHost: loc")
        garbage.socket.sendall(os.urandom(100) + b"\r\n\r\n")
        with connected(gateway.http_endpoint) as wire:
            started = time.monotonic()
            wire.send(_upload(gateway, "credentials"))
            assert wire.answer().status == 403
            assert time.monotonic() - started < _AT_ONCE_SECONDS
        assert silent.socket.fileno() >= 0


def test_nothing_secret_is_in_log_or_metrics(gateway: Gateway) -> None:
    """What was exposed is logged with the access key's id; no key, signature or secret is, in log and metrics alike."""
    uploads = [_upload(gateway, kind) for kind in ("sse_c_key", "credentials", "presigned")]
    for upload in uploads:
        with connected(gateway.http_endpoint) as wire:
            wire.send(upload)
            wire.answer()
    with urlopen(f"{gateway.admin_endpoint}/metrics") as answer:  # noqa: S310 - ours
        metrics = answer.read().decode()
    log = Path(gateway.log_file).read_text()
    assert _CREDENTIALS.access_key in log
    signatures = [text.rpartition("Signature=")[2] for text in (uploads[0].fields["authorization"], uploads[2].target)]
    md5 = _KEY_FIELDS["x-amz-server-side-encryption-customer-key-md5"]
    for secret in (_KEY, base64.b64decode(_KEY).hex(), md5, _CREDENTIALS.secret_key, *signatures):
        assert secret not in log
        assert secret not in metrics
    assert _CREDENTIALS.access_key not in metrics
