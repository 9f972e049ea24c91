"""TLS of the HTTPS listeners: certificates, client certificates, reload while connections stay open."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from cryptography import x509

from gateway.errors import ConfigError
from gateway.event_log import get_logger
from gateway.redact import SecretStr
from gateway.server.file_identity import FileIdentity, file_identity

_log = get_logger("gateway.server.tls")

ClientCertificates = Literal["off", "optional", "required"]

_VERIFY_MODE = {"off": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
_MINIMUM = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Where an HTTPS listener's certificate is, and what it asks of clients.

    Attributes:
        certificate_file: PEM, the certificate and then its intermediates.
        private_key_file: PEM.
        private_key_password: of an encrypted private key.
        client_certificates: whether clients may or must show a certificate.
        client_ca_file: PEM, the authorities that client certificates must come from.
        minimum_version: the oldest TLS version accepted. 1.3 is chosen whenever the client has it.
    """

    certificate_file: Path
    private_key_file: Path
    private_key_password: SecretStr | None = None
    client_certificates: ClientCertificates = "off"
    client_ca_file: Path | None = None
    minimum_version: Literal["1.2", "1.3"] = "1.2"

    def files(self) -> tuple[Path, ...]:
        """Every file whose change matters."""
        required = (self.certificate_file, self.private_key_file)
        return required if self.client_ca_file is None else (*required, self.client_ca_file)


class ServerTls:
    """The TLS side of one listener, renewed without closing anything.

    The listener is given :attr:`context` once. Each handshake is passed on to the newest complete context, so that a
    reload takes effect as a whole (certificate, key and client authorities together) or not at all. Connections that
    are open keep what they were opened with.

    Args:
        listener: the listener's name, for the log.
        settings: the files.
        on_reload: told of every reload, whether it worked.

    Raises:
        ConfigError: the files can not be used.
    """

    def __init__(self, listener: str, settings: TlsSettings, on_reload: Callable[[bool], None]) -> None:
        self._listener = listener
        self._settings = settings
        self._on_reload = on_reload
        self._seen = self._fingerprint()
        try:
            self._current, self.expires = _load(settings)
            self.context, _ = _load(settings)
        except (OSError, ValueError) as error:
            raise ConfigError((f"listener {listener}: the certificate can not be used: {error}",)) from error
        self.context.sni_callback = self._use_current
        if self.expires <= datetime.now(UTC):
            _log.error("certificate_expired", listener=listener, expired=self.expires.isoformat())

    def reload(self) -> bool:
        """Read the files again. Files that can not be used leave everything as it was.

        Returns:
            Whether the new files are in use.
        """
        self._seen = self._fingerprint()
        try:
            current, expires = _load(self._settings)
            if expires <= datetime.now(UTC):
                raise ValueError(f"the new certificate expired at {expires.isoformat()}")
        except (OSError, ValueError) as error:
            _log.error("certificate_reload_failed", listener=self._listener, reason=str(error))
            self._on_reload(False)
            return False
        self._current, self.expires = current, expires
        _log.info("certificate_reloaded", listener=self._listener, expires=self.expires.isoformat())
        self._on_reload(True)
        return True

    def reload_if_changed(self) -> None:
        """Reload when any of the files is not the one read last."""
        if self._fingerprint() != self._seen:
            self.reload()

    def _use_current(
        self, connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, context: ssl.SSLContext
    ) -> None:
        """OpenSSL asks here after each ClientHello, also when it names no server."""
        del name, context
        connection.context = self._current

    def _fingerprint(self) -> tuple[FileIdentity | None, ...]:
        return tuple(file_identity(path) for path in self._settings.files())


def _load(settings: TlsSettings) -> tuple[ssl.SSLContext, datetime]:
    """A server context, and when its certificate expires.

    Raises:
        OSError: a file is missing, or OpenSSL refused it (``ssl.SSLError`` is one).
        ValueError: the certificate is not PEM.
    """
    certificate = x509.load_pem_x509_certificate(settings.certificate_file.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _MINIMUM[settings.minimum_version]
    context.options |= ssl.OP_NO_RENEGOTIATION  # the transport writes without looking for anything to read
    context.set_alpn_protocols(["http/1.1"])
    password = settings.private_key_password
    context.load_cert_chain(
        settings.certificate_file,
        settings.private_key_file,
        # Without a password OpenSSL would ask for one on the terminal.
        password=password.reveal() if password is not None else "",
    )
    context.verify_mode = _VERIFY_MODE[settings.client_certificates]
    if settings.client_ca_file is not None:
        context.load_verify_locations(settings.client_ca_file)
    return context, certificate.not_valid_after_utc
