import socket
import ssl
import stat
import threading
from pathlib import Path

import pytest

from lab.certificates import CertificateAuthority, CertificateFiles


def _handshake(
    server: CertificateFiles, ca_file: Path, host: str, *, client: CertificateFiles | None = None, demand: bool = False
) -> str:
    """TLS over a socket pair: the client verifies ``host``. What the server saw of the client comes back."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(server.certificate, server.key)
    if demand:
        serving.load_verify_locations(ca_file)
        serving.verify_mode = ssl.CERT_REQUIRED
    asking = ssl.create_default_context(cafile=str(ca_file))
    asking.verify_flags |= ssl.VERIFY_X509_STRICT
    if client is not None:
        asking.load_cert_chain(client.certificate, client.key)
    seen: list[str] = []

    def serve(connection: socket.socket) -> None:
        try:
            with serving.wrap_socket(connection, server_side=True) as tls:
                seen.append(str(tls.getpeercert()))
                tls.sendall(b"!")
        except OSError:
            connection.close()

    left, right = socket.socketpair()
    thread = threading.Thread(target=serve, args=(left,))
    thread.start()
    try:
        with asking.wrap_socket(right, server_hostname=host) as tls:
            tls.recv(1)
    finally:
        right.close()
        thread.join()
    return seen[0]


@pytest.mark.parametrize("host", ["localhost", "s3.localhost", "bucket.s3.localhost", "127.0.0.1"])
def test_server_certificates_verify_for_every_local_name(tmp_path: Path, host: str) -> None:
    authority = CertificateAuthority(tmp_path)
    _handshake(authority.issue_server("s3"), authority.ca_file, host)


def test_another_name_does_not_verify(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        _handshake(authority.issue_server("s3"), authority.ca_file, "example.com")


def test_another_authority_does_not_verify(tmp_path: Path) -> None:
    authority, stranger = CertificateAuthority(tmp_path / "a"), CertificateAuthority(tmp_path / "b")
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(authority.issue_server("s3"), stranger.ca_file, "localhost")


def test_client_certificates_are_accepted_by_a_server_that_demands_one(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    client = authority.issue_client("backup job")
    seen = _handshake(authority.issue_server("s3"), authority.ca_file, "localhost", client=client, demand=True)
    assert "backup job" in seen


def test_private_keys_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    files = CertificateAuthority(tmp_path).issue_server("s3")
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600
