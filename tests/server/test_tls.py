"""HTTPS listeners: versions, client certificates, and certificates replaced under open connections."""

import contextlib
import datetime
import shutil
import socket
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from structlog.testing import capture_logs

from gateway.errors import ConfigError
from gateway.redact import SecretStr
from gateway.server.addresses import TcpAddress, UnixAddress
from gateway.server.limits import LimitSettings
from gateway.server.listeners import HttpsListener
from gateway.server.tls import ClientCertificates, ServerTls, TlsSettings
from lab.certificates import CertificateAuthority, CertificateFiles
from tests.server.conftest import Running, Start, eventually


def served_serial(running: Running, trusting: ssl.SSLContext) -> int:
    plain = socket.create_connection(("127.0.0.1", running.port("https")))
    with trusting.wrap_socket(plain, server_hostname="localhost") as connection:
        der = connection.getpeercert(binary_form=True)
        assert der is not None
        return x509.load_der_x509_certificate(der).serial_number


def serial(pem: bytes) -> int:
    return x509.load_pem_x509_certificate(pem).serial_number


def replace_files(listener: HttpsListener, files: CertificateFiles) -> None:
    """As a certificate manager does it: a new file under the old name."""
    for new, old in ((files.certificate, listener.tls.certificate_file), (files.key, listener.tls.private_key_file)):
        shutil.copy(new, f"{old}.new")
        Path(f"{old}.new").replace(old)


def test_tls_1_3_is_preferred_and_the_connection_described(
    start: Start, https: HttpsListener, trusting: ssl.SSLContext
) -> None:
    running = start(https)
    client = running.connect("https", trusting)
    assert client.request("/read", method="PUT", body=b"x" * 300_000).body == b"300000"
    (connection,) = running.backend.connections
    assert (connection.scheme, connection.tls_version) == ("https", "TLSv1.3")
    assert (connection.client_address, connection.listener) == ("127.0.0.1", "https")
    assert connection.client_certificate is None
    assert running.sample("connections_opened_total", tls_version="TLSv1.3") == 1


def test_tls_1_2_is_accepted(start: Start, https: HttpsListener, trusting: ssl.SSLContext) -> None:
    trusting.maximum_version = ssl.TLSVersion.TLSv1_2
    running = start(https)
    assert running.connect("https", trusting).request("/read").status == 200
    assert running.backend.connections[0].tls_version == "TLSv1.2"


@pytest.mark.parametrize(("minimum", "offered"), [("1.3", ssl.TLSVersion.TLSv1_2), ("1.2", ssl.TLSVersion.TLSv1_1)])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_older_versions_are_refused(
    start: Start,
    https: HttpsListener,
    trusting: ssl.SSLContext,
    minimum: Literal["1.2", "1.3"],
    offered: ssl.TLSVersion,
) -> None:
    running = start(replace(https, tls=replace(https.tls, minimum_version=minimum)))
    trusting.set_ciphers("ALL:@SECLEVEL=0")
    trusting.minimum_version = ssl.TLSVersion.TLSv1_1
    trusting.maximum_version = offered
    with pytest.raises((ssl.SSLError, ConnectionError)):
        running.connect("https", trusting)


def test_alpn_is_http_1_1(start: Start, https: HttpsListener, trusting: ssl.SSLContext) -> None:
    trusting.set_alpn_protocols(["h2", "http/1.1"])
    client = start(https).connect("https", trusting)
    assert isinstance(client.socket, ssl.SSLSocket)
    assert client.socket.selected_alpn_protocol() == "http/1.1"


def test_plain_http_on_the_https_port_reaches_nothing(start: Start, https: HttpsListener) -> None:
    running = start(https)
    client = running.connect("https")
    client.send(b"GET /read HTTP/1.1\r\nHost: h\r\n\r\n")
    client.socket.settimeout(5)
    with contextlib.suppress(ConnectionError):
        assert not client.socket.recv(1000).startswith(b"HTTP")
    assert running.backend.connections == []


def test_forwarding_fields_mean_nothing_here(start: Start, https: HttpsListener, trusting: ssl.SSLContext) -> None:
    running = start(https)
    running.connect("https", trusting).request("/read", "X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: http")
    (connection,) = running.backend.connections
    assert (connection.scheme, connection.client_address) == ("https", "127.0.0.1")


def test_a_handshake_that_does_not_come_is_not_waited_for(start: Start, https: HttpsListener) -> None:
    running = start(https, limits=LimitSettings(header_seconds=0.5))
    client = running.connect("https")
    client.send(b"\x16\x03\x01")
    assert client.is_closed()


def test_https_on_a_unix_socket(start: Start, https: HttpsListener, trusting: ssl.SSLContext, tmp_path: Path) -> None:
    running = start(replace(https, address=UnixAddress(tmp_path / "s3.sock")))
    assert running.connect("https", trusting).request("/read").status == 200
    connection = running.backend.connections[0]
    assert (connection.scheme, connection.client_address) == ("https", "unix")


# -------------------------------------------------------------------------------------------------- client certificates


@pytest.fixture
def client_authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path / "clients")


def mutual(https: HttpsListener, authority: CertificateAuthority, demand: ClientCertificates) -> HttpsListener:
    return replace(https, tls=replace(https.tls, client_ca_file=authority.ca_file, client_certificates=demand))


@pytest.mark.parametrize("demand", ["optional", "required"])
def test_a_good_client_certificate_is_known(
    start: Start,
    https: HttpsListener,
    trusting: ssl.SSLContext,
    client_authority: CertificateAuthority,
    demand: ClientCertificates,
) -> None:
    files = client_authority.issue_client("app-1")
    trusting.load_cert_chain(files.certificate, files.key)
    running = start(mutual(https, client_authority, demand))
    assert running.connect("https", trusting).request("/read").status == 200
    assert running.backend.connections[0].client_certificate == "CN=app-1"


@pytest.mark.parametrize("demand", ["optional", "required"])
@pytest.mark.parametrize("shows", ["nothing", "another authority's"])
def test_no_or_a_wrong_client_certificate(
    start: Start,
    https: HttpsListener,
    trusting: ssl.SSLContext,
    client_authority: CertificateAuthority,
    tls_authority: CertificateAuthority,
    demand: ClientCertificates,
    shows: str,
) -> None:
    if shows != "nothing":
        files = tls_authority.issue_client("app-1")
        trusting.load_cert_chain(files.certificate, files.key)
    running = start(mutual(https, client_authority, demand))
    if demand == "optional" and shows == "nothing":
        assert running.connect("https", trusting).request("/read").status == 200
        assert running.backend.connections[0].client_certificate is None
    else:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            running.connect("https", trusting).request("/read")
        assert running.backend.connections == []


def test_a_client_authority_that_was_replaced_is_not_trusted_any_more(
    start: Start, https: HttpsListener, trusting: ssl.SSLContext, client_authority: CertificateAuthority, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle.pem"
    shutil.copy(client_authority.ca_file, bundle)
    files = client_authority.issue_client("app-1")
    trusting.load_cert_chain(files.certificate, files.key)
    tls = replace(https.tls, client_ca_file=bundle, client_certificates="required")
    running = start(replace(https, tls=tls), certificate_check_seconds=60)
    assert running.connect("https", trusting).request("/read").status == 200
    shutil.copy(CertificateAuthority(tmp_path / "others").ca_file, bundle)
    running.call(running.worker.listeners.reload_certificates)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        running.connect("https", trusting).request("/read")


# --------------------------------------------------------------------------------------------------------------- reload


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_new_certificate_is_used_and_open_connections_stay(
    start: Start,
    https: HttpsListener,
    trusting: ssl.SSLContext,
    tls_authority: CertificateAuthority,
    version: ssl.TLSVersion,
) -> None:
    trusting.maximum_version = version
    running = start(https, certificate_check_seconds=60)
    before = served_serial(running, trusting)
    kept = running.connect("https", trusting)
    assert kept.request("/read").status == 200
    replace_files(https, tls_authority.issue_server("renewed"))
    running.call(running.worker.listeners.reload_certificates)
    assert kept.request("/read", method="PUT", body=b"x" * 300_000).body == b"300000"
    after = served_serial(running, trusting)
    assert after != before
    assert after == serial(https.tls.certificate_file.read_bytes())
    assert running.sample("certificate_reloads_total", result="ok") == 1


def test_changed_files_are_noticed(
    start: Start, https: HttpsListener, trusting: ssl.SSLContext, tls_authority: CertificateAuthority
) -> None:
    running = start(https, certificate_check_seconds=0.05)
    before = served_serial(running, trusting)
    replace_files(https, tls_authority.issue_server("renewed"))
    eventually(lambda: served_serial(running, trusting) != before)
    assert served_serial(running, trusting) == serial(https.tls.certificate_file.read_bytes())


def expired(authority: CertificateAuthority, https: HttpsListener) -> bytes:
    """The listener's own certificate, but long over."""
    key = serialization.load_pem_private_key(https.tls.private_key_file.read_bytes(), None)
    current = x509.load_pem_x509_certificate(https.tls.certificate_file.read_bytes())
    long_ago = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(
        current.issuer, current.subject, current.public_key(), 1, long_ago, long_ago + datetime.timedelta(days=1)
    )
    return builder.sign(key, current.signature_hash_algorithm).public_bytes(serialization.Encoding.PEM)  # type: ignore[arg-type]  # an EC key


@pytest.mark.parametrize("fault", ["garbage", "missing", "another key", "expired"])
def test_bad_new_files_leave_the_old_certificate(
    start: Start, https: HttpsListener, trusting: ssl.SSLContext, tls_authority: CertificateAuthority, fault: str
) -> None:
    running = start(https, certificate_check_seconds=60)
    before = served_serial(running, trusting)
    expiry = running.sample("tls_certificate_expiry_timestamp_seconds", listener="https")
    certificate = https.tls.certificate_file
    if fault == "garbage":
        certificate.write_text("no certificate")
    elif fault == "missing":
        certificate.unlink()
    elif fault == "another key":
        shutil.copy(tls_authority.issue_server("renewed").certificate, certificate)
    else:
        certificate.write_bytes(expired(tls_authority, https))
    with capture_logs() as logs:
        running.call(running.worker.listeners.reload_certificates)
    assert [entry["event"] for entry in logs] == ["certificate_reload_failed"]
    assert served_serial(running, trusting) == before
    assert running.sample("certificate_reloads_total", result="failed") == 1
    assert running.sample("tls_certificate_expiry_timestamp_seconds", listener="https") == expiry


def test_the_expiry_is_a_metric(start: Start, https: HttpsListener) -> None:
    running = start(https)
    certificate = x509.load_pem_x509_certificate(https.tls.certificate_file.read_bytes())
    expiry = running.sample("tls_certificate_expiry_timestamp_seconds", listener="https")
    assert expiry == certificate.not_valid_after_utc.timestamp()


# ---------------------------------------------------------------------------------------------------------------- start


def test_files_that_can_not_be_used_are_told_at_start(https: HttpsListener, tmp_path: Path) -> None:
    tls = TlsSettings(tmp_path / "none.pem", https.tls.private_key_file)
    with pytest.raises(ConfigError, match="listener https: the certificate can not be used"):
        ServerTls("https", tls, lambda _: None)


def test_an_encrypted_key_needs_its_password(https: HttpsListener, tmp_path: Path) -> None:
    key = serialization.load_pem_private_key(https.tls.private_key_file.read_bytes(), None)
    encrypted = tmp_path / "encrypted.key"
    encryption = serialization.BestAvailableEncryption(b"right")
    encrypted.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))
    tls = replace(https.tls, private_key_file=encrypted)
    ServerTls("https", replace(tls, private_key_password=SecretStr("right")), lambda _: None)
    for password in (None, SecretStr("wrong")):
        with pytest.raises(ConfigError):
            ServerTls("https", replace(tls, private_key_password=password), lambda _: None)


def test_the_address_is_told_when_it_is_taken(start: Start, https: HttpsListener) -> None:
    running = start(https)
    with pytest.raises(ConfigError, match=r"can not bind 127\.0\.0\.1"):
        start(replace(https, address=TcpAddress("127.0.0.1", running.port("https"))))
