"""Certificates and private keys in PEM files: readable, fitting each other, valid now and for a while."""

import ssl
import stat
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from gateway.cli.findings import Finding, failure, warning
from gateway.config.listeners import HttpsListener
from gateway.config.secrets import local_secret
from gateway.errors import ConfigError

#: A certificate that ends within this time is worth a warning.
EXPIRY_WARNING = timedelta(days=14)


def listener_findings(path: str, options: HttpsListener, now: datetime) -> Iterator[Finding]:
    """What is wrong with a listener's certificate and private key.

    Args:
        path: where the listener stands in the configuration.
        options: the listener.
        now: the current time, aware.
    """
    certificate_file, key_file = Path(options.certificate), Path(options.private_key)
    certificates, faults = _certificates(f"{path}.certificate", certificate_file)
    yield from faults
    if certificates:
        yield from _validity(f"{path}.certificate", certificates, now)
        if not _names(certificates[0]):
            yield warning(f"{path}.certificate", "names no host (subject alternative names), so clients refuse it")
    public_key, faults = _public_key(path, options)
    yield from faults
    if public_key is not None:
        yield from _key_permissions(f"{path}.private_key", key_file)
        if certificates and public_key != _encoded(certificates[0].public_key()):
            yield failure(f"{path}.private_key", "does not belong to the certificate")


def authority_findings(path: str, file: Path, now: datetime) -> Iterator[Finding]:
    """What is wrong with a file of certificate authorities."""
    # Read as TLS reads it: authorities of long ago are not all as RFC 5280 wants them.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(file)
    except ssl.SSLError:
        yield failure(path, f"{file} contains no PEM certificate, or a broken one")
    except OSError as error:
        yield failure(path, f"{file}: {error.strerror}")
    else:
        ends = [ssl.cert_time_to_seconds(str(authority["notAfter"])) for authority in context.get_ca_certs()]
        if all(end <= now.timestamp() for end in ends):
            yield warning(path, "every authority in it has expired")


def readable_by_others(path: str, file: Path) -> Iterator[Finding]:
    """A warning when every user of the machine can read a secret."""
    if file.stat().st_mode & stat.S_IROTH:
        yield warning(path, f"every user of this machine can read {file}", f"chmod o-rwx {file}")


def host_names(file: Path) -> tuple[str, ...]:
    """The host names of the certificate in a file; none when there is no such certificate."""
    certificates, _ = _certificates("", file)
    return _names(certificates[0]) if certificates else ()


def _certificates(path: str, file: Path) -> tuple[list[x509.Certificate], list[Finding]]:
    try:
        return x509.load_pem_x509_certificates(file.read_bytes()), []
    except OSError as error:
        return [], [failure(path, f"{file}: {error.strerror}")]
    except ValueError:
        return [], [failure(path, f"{file} contains no PEM certificate, or a broken one")]


def _validity(path: str, certificates: Sequence[x509.Certificate], now: datetime) -> Iterator[Finding]:
    for certificate in certificates:
        subject = certificate.subject.rfc4514_string()
        if certificate.not_valid_after_utc <= now:
            yield failure(path, f"the certificate of {subject} expired on {certificate.not_valid_after_utc:%Y-%m-%d}")
        elif certificate.not_valid_before_utc > now:
            yield failure(path, f"the certificate of {subject} is not valid before {certificate.not_valid_before_utc}")
        elif certificate.not_valid_after_utc - now < EXPIRY_WARNING:
            yield warning(path, f"the certificate of {subject} expires on {certificate.not_valid_after_utc:%Y-%m-%d}")


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return (*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress)))


def _public_key(path: str, options: HttpsListener) -> tuple[bytes | None, list[Finding]]:
    """The public half of a listener's private key."""
    file = Path(options.private_key)
    password: bytes | None = None
    try:
        content = file.read_bytes()
        if options.private_key_password is not None:
            password = local_secret(options.private_key_password).reveal().encode()
        return _encoded(load_pem_private_key(content, password).public_key()), []
    except ConfigError:
        return None, []  # the password is missing, which is told where the references are
    except OSError as error:
        return None, [failure(f"{path}.private_key", f"{file}: {error.strerror}")]
    except TypeError:
        needed = "is not encrypted, so it has no password" if password else "is encrypted; set private_key_password"
        return None, [failure(f"{path}.private_key", f"{file} {needed}")]
    except (ValueError, UnsupportedAlgorithm):
        return None, [failure(f"{path}.private_key", f"{file} is no PEM private key, or its password is wrong")]


def _encoded(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _key_permissions(path: str, file: Path) -> Iterator[Finding]:
    if file.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield failure(path, f"{file} may be written by its group or by others", f"chmod go-w {file}")
    yield from readable_by_others(path, file)
