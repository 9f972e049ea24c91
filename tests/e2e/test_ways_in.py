"""Listeners other than HTTPS: behind a balancer, as a sidecar; and what must never be seen in what the gateway says."""

import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lab.certificates import CertificateAuthority
from lab.gateway import Gateway
from lab.openbao import OpenBao
from lab.ports import free_ports
from lab.s3_server import s3_client
from lab.seaweed import SeaweedFS
from tests.e2e.stage import DERIVED, ENFORCED_C, NONE, SSE_C, Stage, fails, logged, mentions
from tests.e2e.wire import Answer, Key, send, signed_fields

_PROXY_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_PP2_TYPE_SSL = 0x20


class Ways:
    """A gateway with every listener that takes plain TCP."""

    def __init__(self, gateway: Gateway, loopback: int, proxied: int, forwarded: int) -> None:
        self.gateway = gateway
        self.loopback = f"http://127.0.0.1:{loopback}"
        self.proxied = f"http://127.0.0.1:{proxied}"
        self.forwarded = f"http://127.0.0.1:{forwarded}"


@pytest.fixture(scope="module")
def ways(lab_directory: Path, authority: CertificateAuthority, seaweed: SeaweedFS, openbao: OpenBao) -> Iterator[Ways]:
    loopback, proxied, forwarded = free_ports(3)
    openbao.put_secret("s3/ways", {"key": "Nm4vK2h1b1B3eFkzZlJ2Y0w5c0F0UTdnRDFqWkJlTWs="})
    gateway = Gateway(
        lab_directory / "ways",
        authority,
        seaweed,
        rules=[{"name": "rest", "buckets": ["*"], "mode": "sse-c", "customer_key": "lab"}],
        vault=openbao,
        customer_keys={"lab": "s3/ways"},
        options={
            "listeners": {
                "plain_http_loopback": [
                    {"address": "127.0.0.1", "port": loopback, "allow_plain_http_from_loopback": True}
                ],
                "balancer": [
                    {
                        "address": "127.0.0.1",
                        "port": port,
                        "trusted_networks": ["127.0.0.1/32"],
                        "scheme_from": scheme_from,
                    }
                    for port, scheme_from in ((proxied, "proxy-protocol-v2"), (forwarded, "x-forwarded-proto"))
                ],
            }
        },
    )
    seaweed.client().create_bucket(Bucket="e2e-ways")
    gateway.start()
    yield Ways(gateway, loopback, proxied, forwarded)
    gateway.stop()


def test_a_sidecar_serves_plain_http_on_loopback(ways: Ways) -> None:
    client = s3_client(ways.loopback, ways.gateway.ca_file, ways.gateway.credentials)
    client.put_object(Bucket="e2e-ways", Key="sidecar", Body=b"x" * 100_000)
    assert client.get_object(Bucket="e2e-ways", Key="sidecar")["Body"].read() == b"x" * 100_000
    assert client.head_object(Bucket="e2e-ways", Key="sidecar")["SSECustomerAlgorithm"] == "AES256"


@pytest.mark.parametrize(("scheme", "status"), [("https", 200), ("http", 400), (None, 400)])
def test_a_balancers_word_about_the_scheme_decides(ways: Ways, scheme: str | None, status: int) -> None:
    fields = signed_fields(ways.forwarded, ways.gateway.credentials, "PUT", "/e2e-ways/forwarded", {}, b"x")
    extra = {} if scheme is None else {"x-forwarded-proto": scheme, "x-forwarded-for": "203.0.113.7"}
    answer = send(ways.forwarded, ways.gateway.ca_file, "PUT", "/e2e-ways/forwarded", headers=fields | extra, body=b"x")
    assert (answer.status == 200) == (status == 200)
    if status == 200:
        assert logged(ways.gateway, client_address="203.0.113.7")["status"] == 200


def _proxied(ways: Ways, *, tls: bool) -> Answer:
    """One PUT behind a PROXY protocol v2 header."""
    url = urlsplit(ways.proxied)
    fields = signed_fields(ways.proxied, ways.gateway.credentials, "PUT", "/e2e-ways/proxied", {}, b"x")
    addresses = socket.inet_aton("203.0.113.9") + socket.inet_aton("127.0.0.1") + struct.pack("!HH", 50_000, 443)
    ssl_part = struct.pack("!BHBI", _PP2_TYPE_SSL, 5, 1 if tls else 0, 0)
    header = _PROXY_SIGNATURE + struct.pack("!BBH", 0x21, 0x11, len(addresses) + len(ssl_part)) + addresses + ssl_part
    lines = [f"{name}: {value}" for name, value in fields.items()]
    head = "\r\n".join(["PUT /e2e-ways/proxied HTTP/1.1", *lines, "content-length: 1", "connection: close", "", "x"])
    with socket.create_connection((url.hostname or "", url.port or 0), timeout=30) as connection:
        connection.sendall(header + head.encode())
        received = b""
        while data := connection.recv(65_536):
            received += data
    status = int(received.split(b" ", 2)[1]) if received else 0
    return Answer(status, None, received.partition(b"\r\n\r\n")[2])  # type: ignore[arg-type] # not looked at


def test_the_proxy_protocol_tells_scheme_and_client(ways: Ways) -> None:
    assert _proxied(ways, tls=True).status == 200
    assert logged(ways.gateway, client_address="203.0.113.9")["status"] == 200
    assert _proxied(ways, tls=False).status != 200


def test_plain_http_is_refused_whatever_comes(ways: Ways, stage: Stage) -> None:
    gateway = stage.gateway
    fields = signed_fields(gateway.http_endpoint, gateway.credentials, "PUT", "/x/y", Key.new().fields(), b"x")
    before = gateway.metric("sealgate_plaintext_http_refused_total")
    answer = send(gateway.http_endpoint, gateway.ca_file, "PUT", "/x/y", headers=fields, body=b"x")
    assert answer.status in {400, 403}
    assert answer.headers["Connection"] == "close"
    assert gateway.metric("sealgate_plaintext_http_refused_total") == before + 1


def test_no_secret_is_in_logs_metrics_or_errors(stage: Stage) -> None:
    """Every key that passed: the vault's, derived, clients' right and wrong ones, in headers and in queries."""
    vaults = stage.rotate()
    clients = [Key.new() for _ in range(4)]
    errors = []
    for encryption, key in zip((NONE, SSE_C, DERIVED, ENFORCED_C), clients, strict=True):
        target = f"/{stage.bucket(encryption)}/secret"
        stage.ask("PUT", target, headers=key.fields(), body=b"x")
        errors.append(stage.ask("GET", target, headers=Key.new().fields()))
        errors.append(stage.ask("PUT", target, headers=key.fields() | {"x-amz-server-side-encryption": "AES256"}))
        errors.append(stage.ask("PUT", target, headers=key.fields() | {list(key.fields())[2]: "wrong"}))
        query = "&".join(f"{name}={value}" for name, value in key.fields().items()).replace("+", "%2B")
        errors.append(stage.ask("GET", f"{target}?{query.replace('/', '%2F')}"))
        forged = key.fields() | {"authorization": "AWS4-HMAC-SHA256 Credential=x"}
        errors.append(send(stage.gateway.endpoint, stage.gateway.ca_file, "PUT", target, headers=forged))
    assert all(answer.status >= 400 for answer in errors[1::5])
    said = stage.gateway.log_file.read_text(errors="replace") + stage.scrape()
    said += "".join(answer.body.decode(errors="replace") + str(answer.headers) for answer in errors)
    document = stage.vault.request("GET", f"secret/data/{stage.key_path}")
    assert document["data"]["data"]["key"] not in said
    for secret in (vaults, *(key.raw for key in clients)):
        assert not mentions(said, secret)
    for credentials in (stage.gateway.credentials, stage.store.credentials):
        assert credentials.secret_key not in said
    assert stage.vault.root_token not in said


def test_requests_in_virtual_host_style_reach_the_same_objects(stage: Stage) -> None:
    where = {"Bucket": stage.bucket(SSE_C), "Key": "virtual"}
    stage.client.put_object(**where, Body=b"x")
    gateway = stage.gateway
    port = urlsplit(gateway.endpoint).port
    host = f"{where['Bucket']}.localhost:{port}"
    fields = signed_fields(f"https://{host}", gateway.credentials, "GET", "/virtual", {}, b"")
    answer = send(gateway.endpoint, gateway.ca_file, "GET", "/virtual", headers=fields)
    assert (answer.status, answer.body) == (200, b"x")
    assert fails(lambda: stage.client.get_object(Bucket=where["Bucket"], Key="not virtual"))[0] == 404
